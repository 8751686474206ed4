/*
 * import_keywords.c - keywords (labels) of messages that are imported: where a Maildir keeps them,
 * which of them can be had, and what is said of the others.
 */
#include "import.h"

#include "maildir_keywords.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COURIER           "courierimapkeywords"
#define KEYWORDS_FILE_MAX ((off_t)256 << 20)

struct import_text { /* of a file that the keywords point into */
	struct import_text *next;
	char name[256];
	char bytes[];
};

/* ---- what is said ---- */

static bool told_before(struct import *im, const char *name, size_t n)
{
	for (unsigned i = 0; i < im->ntold; i++) {
		if (strlen(im->told[i]) == n && memcmp(im->told[i], name, n) == 0)
			return true;
	}
	return false;
}

/* Counts a keyword that is left out; the first few are named. */
static void leave_out(struct import *im, const char *name, size_t n, const char *why)
{
	im->keywords_left_out++;
	if (im->ntold == IMPORT_TOLD || told_before(im, name, n))
		return;
	snprintf(im->told[im->ntold++], sizeof(*im->told), "%.*s", (int)n, name);
	im->store->host->call->note(im->call, "%s: the keyword \"%.*s\" is left out: %s.",
				    im->folder, (int)n, name, why);
}

void import_keywords_settled(struct import *im, const struct pending *p)
{
	const char *at = p->deliver.keywords;
	size_t n;

	im->with_keywords += p->deliver.record.keywords != 0;
	for (uint64_t rest = p->deliver.no_bit; at && rest; rest >>= 1) {
		const char *name = keyword_next(&at, &n);

		if (rest & 1)
			leave_out(im, name, n, "the folder has 64 others already");
	}
}

int import_keywords_take(struct import *im, const struct keyword_list *names)
{
	struct keyword_list *good = &im->names;
	const char *at = names->text;
	char why[64];
	size_t n;

	keyword_list_clear(good);
	for (const char *name = keyword_next(&at, &n); n > 0; name = keyword_next(&at, &n)) {
		const char *fault = keyword_fault(name, n);

		if (!fault) {
			keyword_list_add(good, name, n);
			continue;
		}
		snprintf(why, sizeof(why), "its name %s", fault);
		leave_out(im, name, n, why);
	}
	im->keywords_left_out += names->lost;
	im->keywords_lost += names->lost;
	return delivery_keywords(im->current, good->text);
}

/* ---- the files of a Maildir ---- */

static void *take(void *arg, size_t n)
{
	return store_alloc(arg, n);
}

static void give_back(void *arg, void *p)
{
	store_free(arg, p);
}

static bool read_whole(int fd, char *bytes, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = read(fd, bytes + done, n - done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	bytes[done] = '\0';
	return done == n;
}

/* NULL: it is not there, cannot be read, or there is no memory. */
static struct import_text *read_text(struct import *im, const char *path, const char *name)
{
	struct import_text *t = NULL;
	struct stat info;
	int fd = import_open(im, path);

	if (fd < 0 || fstat(fd, &info) != 0) {
		import_unreadable(im, path);
	} else if (!S_ISREG(info.st_mode) || info.st_size > KEYWORDS_FILE_MAX) {
		im->store->host->call->note(
		    im->call, "%.300s is no file of at most 256 MiB; it is left out.", path);
	} else {
		t = store_alloc(im->store, sizeof(*t) + (size_t)info.st_size + 1);
		if (!t)
			im->status = PSTN_E_NO_MEMORY;
		else
			read_whole(fd, t->bytes, (size_t)info.st_size);
	}
	if (fd >= 0)
		close(fd);
	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->next = im->keyword_texts;
	im->keyword_texts = t;
	return t;
}

static void join(char out[PATH_MAX], const char *path, const char *name)
{
	snprintf(out, PATH_MAX, "%s%s%s", path, *path ? "/" : "", name);
}

/* A file that changes a message's keywords; ":list" has its own turn. */
static void read_change(struct import *im, const char *path, const char *name)
{
	char whole[PATH_MAX];
	struct import_text *t;

	if (*name == ':' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return;
	snprintf(whole, sizeof(whole), "%.3000s/%s", path, name);
	t = read_text(im, whole, name);
	if (t && !maildir_keywords_file(&im->labels, t->name, t->bytes))
		im->status = PSTN_E_NO_MEMORY;
}

static void read_courier(struct import *im, const char *path)
{
	int fd = import_open(im, path);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	char list[PATH_MAX];
	struct import_text *t;
	struct dirent *e;

	if (!dir) {
		import_unreadable(im, path);
		if (fd >= 0)
			close(fd);
		return;
	}
	snprintf(list, sizeof(list), "%.3000s/:list", path);
	t = read_text(im, list, ":list");
	if (t && !maildir_keywords_list(&im->labels, t->bytes))
		im->status = PSTN_E_NO_MEMORY;
	while (im->status == PSTN_OK && (e = readdir(dir)) != NULL)
		read_change(im, path, e->d_name);
	closedir(dir);
}

void import_keywords_found(struct import *im, const char *path)
{
	char name[PATH_MAX];
	struct import_text *t;

	im->labels = (struct maildir_keywords){.alloc = take, .free = give_back, .arg = im->store};
	join(name, path, "dovecot-keywords");
	t = read_text(im, name, "dovecot-keywords");
	if (t)
		maildir_keywords_dovecot(&im->labels, t->bytes);
	join(name, path, COURIER);
	if (im->status == PSTN_OK)
		read_courier(im, name);
	maildir_keywords_sort(&im->labels);
}

void import_keywords_free(struct import *im)
{
	if (im->labels.alloc)
		maildir_keywords_free(&im->labels);
	while (im->keyword_texts) {
		struct import_text *t = im->keyword_texts;

		im->keyword_texts = t->next;
		store_free(im->store, t);
	}
}
