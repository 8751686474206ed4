/*
 * maildir_keywords.c - the keywords of a Maildir's messages, as Dovecot and Courier keep them. Pure.
 */
#include "maildir_keywords.h"

#include "maildir.h"

#include <stdlib.h>
#include <string.h>

/* Cuts the next line off; NULL at the end. */
static char *next_line(char **at)
{
	char *line = *at;
	size_t n = strcspn(line, "\n");

	if (*line == '\0')
		return NULL;
	*at = line + n + (line[n] == '\n');
	line[n] = '\0';
	if (n > 0 && line[n - 1] == '\r')
		line[n - 1] = '\0';
	return line;
}

/* Room for one more of `size` octets. */
static void *grow(struct maildir_keywords *k, void *list, size_t used, size_t *room, size_t size)
{
	size_t wanted = *room ? *room * 2 : 64;
	void *larger;

	if (used < *room)
		return list;
	larger = k->alloc(k->arg, wanted * size);
	if (!larger) {
		k->no_memory = true;
		return NULL;
	}
	if (used)
		memcpy(larger, list, used * size);
	if (list)
		k->free(k->arg, list);
	*room = wanted;
	return larger;
}

static bool add_file(struct maildir_keywords *k, struct keyword_file f)
{
	struct keyword_file *files = grow(k, k->files, k->count, &k->room, sizeof(*files));

	if (!files)
		return false;
	k->files = files;
	k->files[k->count++] = f;
	return true;
}

/* ---- the files ---- */

void maildir_keywords_dovecot(struct maildir_keywords *k, char *text)
{
	for (char *line = next_line(&text); line; line = next_line(&text)) {
		char *name;
		unsigned long n = strtoul(line, &name, 10);

		if (name > line && *name == ' ' && name[1] && n < MAILDIR_LETTERS)
			k->letters[n] = name + 1;
	}
}

bool maildir_keywords_list(struct maildir_keywords *k, char *text)
{
	size_t room = 0;
	char *line;

	while ((line = next_line(&text)) && *line) {
		const char **names = grow(k, k->listed, k->nlisted, &room, sizeof(*names));

		if (!names)
			return false;
		k->listed = names;
		k->listed[k->nlisted++] = line;
	}
	while (line && (line = next_line(&text))) {
		char *colon = strrchr(line, ':');

		if (!colon)
			continue;
		*colon = '\0';
		if (!add_file(k, (struct keyword_file){.base = line, .ordinals = colon + 1}))
			return false;
	}
	return true;
}

bool maildir_keywords_file(struct maildir_keywords *k, const char *name, char *text)
{
	struct keyword_file f = {.base = name, .names = text, .rank = UINT64_MAX};
	char *end;

	if (*name == '.') {
		f.rank = strtoull(name + 1, &end, 10);
		if (end == name + 1 || *end != '.' || f.rank >= UINT64_MAX - 1)
			return true;
		f.rank++;
		f.base = end + 1;
	}
	return add_file(k, f);
}

static int by_base(const void *x, const void *y)
{
	const struct keyword_file *a = x, *b = y;
	int c = strcmp(a->base, b->base);

	return c ? c : a->rank < b->rank ? -1 : a->rank > b->rank;
}

void maildir_keywords_sort(struct maildir_keywords *k)
{
	if (k->count)
		qsort(k->files, k->count, sizeof(*k->files), by_base);
}

void maildir_keywords_free(struct maildir_keywords *k)
{
	if (k->files)
		k->free(k->arg, k->files);
	if (k->listed)
		k->free(k->arg, k->listed);
	k->files = NULL;
	k->listed = NULL;
	k->count = k->room = k->nlisted = 0;
	memset(k->letters, 0, sizeof(k->letters));
}

/* ---- a message ---- */

/* The last one with this base. */
static const struct keyword_file *find(const struct maildir_keywords *k, const char *name, size_t n)
{
	size_t low = 0, high = k->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strncmp(k->files[mid].base, name, n);

		if (c < 0 || (c == 0 && k->files[mid].base[n] == '\0'))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || strncmp(k->files[low - 1].base, name, n) != 0 ||
	    k->files[low - 1].base[n] != '\0')
		return NULL;
	return &k->files[low - 1];
}

static void add_listed(const struct maildir_keywords *k, const char *ordinals,
		       struct keyword_list *out)
{
	char *end;

	for (const char *at = ordinals;; at = end) {
		unsigned long n = strtoul(at, &end, 10);

		if (end == at)
			return;
		if (n < k->nlisted)
			keyword_list_add(out, k->listed[n], strlen(k->listed[n]));
		else
			out->lost++;
	}
}

static void add_named(const char *names, struct keyword_list *out)
{
	size_t n;

	for (const char *name = keyword_next(&names, &n); *name; name = keyword_next(&names, &n))
		keyword_list_add(out, name, n);
}

void maildir_keywords_of(const struct maildir_keywords *k, const char *name, size_t n,
			 struct keyword_list *out)
{
	const struct keyword_file *f = find(k, name, n);

	keyword_list_clear(out);
	for (const char *c = maildir_info(name); *c; c++) {
		const char *letter = *c >= 'a' && *c <= 'z' ? k->letters[*c - 'a'] : NULL;

		if (letter)
			keyword_list_add(out, letter, strlen(letter));
		else if (*c >= 'a' && *c <= 'z')
			out->lost++;
	}
	if (f && f->names)
		add_named(f->names, out);
	else if (f)
		add_listed(k, f->ordinals, out);
}
