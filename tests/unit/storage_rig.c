/*
 * storage_rig.c - a store in a scratch directory.
 */
#include "storage_rig.h"

#include "modules/storage/command/commands.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- accounts: every name has one, its id is a hash ---- */

static struct pstn_quota account_quota, domain_quota;

void rig_quota(struct pstn_quota account, struct pstn_quota domain)
{
	account_quota = account;
	domain_quota = domain;
}

void rig_account(struct pstn_account *a, const char *name)
{
	memset(a, 0, sizeof(*a));
	a->size = sizeof(*a);
	a->id = 7;
	for (const char *p = name; *p; p++)
		a->id = a->id * 31 + (unsigned char)*p;
	a->id &= 0xffffff;
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->quota = account_quota;
	a->domain_quota = domain_quota;
}

static int look_up(void *inst, const char *name, struct pstn_account *out)
{
	(void)inst;
	if (!strchr(name, '@'))
		return PSTN_E_INVALID;
	if (strncmp(name, "nobody@", 7) == 0)
		return PSTN_E_NOT_FOUND;
	rig_account(out, name);
	return PSTN_OK;
}

static int each_account(void *inst, bool (*each)(void *arg, const struct pstn_account *), void *arg)
{
	struct pstn_account a;

	(void)inst;
	rig_account(&a, "ann@example.org");
	if (!each(arg, &a))
		return PSTN_OK;
	rig_account(&a, "empty@example.org");
	each(arg, &a);
	return PSTN_OK;
}

static const struct pstn_directory directory = {
    .size = sizeof(directory), .lookup = look_up, .each = each_account};

/* ---- opening and closing ---- */

void rig_begin(struct rig *r)
{
	memset(r, 0, sizeof(*r));
	fake_begin();
	r->self = fake_self("storage");
	fake_need(r->self, 0, &directory, NULL);
	r->options = (struct store_options){.path = "",
					    .durability = DURABILITY_FULL,
					    .segment_size = 64 << 20,
					    .message_size_limit = 256 << 20,
					    .stream_threshold = 1 << 20,
					    .index_map_size = (uint64_t)1 << 30,
					    .checkpoint_interval = 5000,
					    .retention = (uint64_t)7 * 24 * 60 * 60 * 1000,
					    .compaction_interval = 3600000,
					    .compaction_threshold = 25,
					    .scrub_rate = 8 << 20};
	snprintf(r->path, sizeof(r->path), "%s/storage",
		 fake_host()->directory(r->self, PSTN_DIR_STATE));
}

bool rig_open(struct rig *r)
{
	r->error[0] = '\0';
	r->store = pstn_module.start(r->self, fake_host(), &r->options, r->error, sizeof(r->error));
	return r->store != NULL;
}

void rig_close(struct rig *r)
{
	fake_settle();
	if (r->store)
		pstn_module.stop(r->store);
	r->store = NULL;
}

void rig_crash(struct rig *r)
{
	struct store *st = r->store;

	/* What stop() does, less everything that writes. */
	fake_settle();
	st->log.kind = SEGMENT_LARGE;
	st->commit.first = st->commit.last = NULL;
	st->commit.waiting = 0;
	if (st->timer)
		fake_host()->cancel(&st->timer);
	if (st->checkpoint.pin)
		mdb_txn_abort(st->checkpoint.pin);
	st->checkpoint.pin = NULL;
	close(st->checkpoint.fd);
	st->checkpoint.fd = -1;
	pstn_module.stop(st);
	r->store = NULL;
}

bool rig_reopen(struct rig *r)
{
	rig_close(r);
	return rig_open(r);
}

void rig_end(struct rig *r)
{
	rig_close(r);
	rig_remove_store(r->path);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

/* ---- mail ---- */

uint32_t rig_deliver_bytes(struct rig *r, const char *user, const char *folder, const char *text,
			   size_t n, const char *uidl, int *status)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &account,
					  .folder = folder,
					  .uidl = uidl,
					  .received = 1000000000};
	struct pstn_delivered delivered = {0};
	struct pstn_delivery *d;

	rig_account(&account, user);
	*status = delivery_table.begin(r->store, NULL, &q, &d, NULL, NULL);
	if (*status != PSTN_OK)
		return 0;
	*status = delivery_table.write(d, text, n, NULL, NULL);
	if (*status != PSTN_OK) {
		delivery_table.abort(d);
		return 0;
	}
	*status = delivery_table.commit(d, &delivered, NULL, NULL);
	return *status == PSTN_OK ? delivered.uid : 0;
}

uint32_t rig_deliver(struct rig *r, const char *user, const char *text, int *status)
{
	return rig_deliver_bytes(r, user, "INBOX", text, strlen(text), NULL, status);
}

struct pstn_maildrop *rig_folder(struct rig *r, const char *user, const char *folder, int *status)
{
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;

	rig_account(&account, user);
	*status = maildrop_table.open(r->store, NULL, &account, folder, &d, NULL, NULL);
	return d;
}

struct pstn_maildrop *rig_drop(struct rig *r, const char *user, int *status)
{
	return rig_folder(r, user, "INBOX", status);
}

void rig_list(struct pstn_maildrop *d, struct rig_listing *l)
{
	uint32_t got;

	l->count = 0;
	do {
		uint32_t room = 512 - l->count;

		CU_ASSERT_EQUAL(maildrop_table.list(d, l->count + 1, l->rows + l->count,
						    room < 7 ? room : 7, &got, NULL, NULL),
				PSTN_OK);
		l->count += got;
	} while (got > 0 && l->count < 512);
}

const char *rig_text(struct pstn_maildrop *d, uint32_t number, size_t *n, int *status)
{
	static char text[1 << 20];
	struct pstn_content c;

	*n = 0;
	*status = maildrop_table.read(d, number, &c, NULL, NULL);
	if (*status != PSTN_OK)
		return NULL;
	*n = (size_t)c.length;
	if (c.bytes)
		memcpy(text, c.bytes, c.length);
	else if (c.length < sizeof(text))
		CU_ASSERT_EQUAL(pread(c.fd, text, c.length, (off_t)c.offset), (ssize_t)c.length);
	text[*n < sizeof(text) ? *n : sizeof(text) - 1] = '\0';
	c.release(c.ref);
	return text;
}

const char *rig_subjects(struct rig *r, const char *user)
{
	static struct rig_listing l;
	static char text[1024];
	struct pstn_maildrop *d;
	size_t n = 0;
	int status;

	text[0] = '\0';
	d = rig_drop(r, user, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++) {
		size_t length;
		const char *whole = rig_text(d, l.rows[i].number, &length, &status);
		char subject[32] = "damaged";

		if (whole)
			sscanf(whole, "Subject: %31[^\r]", subject);
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "", subject);
	}
	maildrop_table.close(d);
	return text;
}

int rig_expunge(struct pstn_maildrop *d, const uint32_t *numbers, uint32_t n)
{
	return maildrop_table.expunge(d, numbers, n, NULL, NULL);
}

/* ---- commands ---- */

static char answer[65536], notes[4096];
static bool command_failed;

const char *rig_call(struct rig *r, const char *name, const struct rig_argument *args, size_t n)
{
	struct pstn_call *c = fake_call();
	const char *error;
	size_t length;

	for (size_t i = 0; i < n; i++) {
		if (args[i].value)
			fake_call_arg(c, args[i].name, args[i].value);
		else if (args[i].fd >= 0)
			fake_call_fd(c, args[i].name, args[i].fd);
	}
	fake_call_run(c, &commands_table, name, r->store);
	error = fake_call_error(c);
	command_failed = error != NULL;
	snprintf(answer, sizeof(answer), "%s", error ? error : fake_call_answer(c));
	snprintf(notes, sizeof(notes), "%s", fake_call_notes(c));
	if (!error && fake_call_bytes(c, &length) && length)
		snprintf(answer, sizeof(answer), "%.*s", (int)length, fake_call_bytes(c, &length));
	fake_call_free(c);
	return answer;
}

const char *rig_command(struct rig *r, const char *name, const char *user, const char *extra_name,
			const char *extra, const char *fd_name, int fd)
{
	const struct rig_argument args[] = {{"user", user, -1},
					    {extra_name ? extra_name : "", extra, -1},
					    {fd_name ? fd_name : "", NULL, fd_name ? fd : -1}};

	return rig_call(r, name, args, 3);
}

const char *rig_notes(void)
{
	return notes;
}

bool rig_says(const char *said, const char *text)
{
	if (strstr(said, text))
		return true;
	fprintf(stderr, "  %s is not in %s\n", text, said);
	return false;
}

uint64_t rig_moment(void)
{
	uint64_t begun = store_time();

	while (store_time() == begun)
		poll(NULL, 0, 1);
	begun = store_time();
	while (store_time() == begun)
		poll(NULL, 0, 1);
	return begun;
}

bool rig_command_failed(void)
{
	return command_failed;
}

/* ---- files ---- */

const char *rig_path(struct rig *r, const char *name)
{
	static char path[1024];

	snprintf(path, sizeof(path), "%s/%s", r->path, name);
	return path;
}

char *rig_read_file(const char *path, size_t *n)
{
	int fd = open(path, O_RDONLY);
	struct stat info;
	char *bytes;

	*n = 0;
	if (fd < 0 || fstat(fd, &info) != 0)
		return NULL;
	bytes = malloc((size_t)info.st_size + 1);
	while (*n < (size_t)info.st_size) {
		ssize_t got = read(fd, bytes + *n, (size_t)info.st_size - *n);

		if (got <= 0)
			break;
		*n += (size_t)got;
	}
	close(fd);
	return bytes;
}

/* Holes stay holes: what is preallocated need not be written. */
static bool write_sparsely(int fd, const char *bytes, size_t n)
{
	static const char zeros[4096];

	for (size_t at = 0; at < n; at += sizeof(zeros)) {
		size_t piece = n - at < sizeof(zeros) ? n - at : sizeof(zeros);

		if (memcmp(bytes + at, zeros, piece) != 0 &&
		    pwrite(fd, bytes + at, piece, (off_t)at) != (ssize_t)piece)
			return false;
	}
	return ftruncate(fd, (off_t)n) == 0;
}

void rig_write_file(const char *path, const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0 || !write_sparsely(fd, bytes, n))
		CU_FAIL("a file could not be written");
	if (fd >= 0)
		close(fd);
}

static void each_file(const char *path, void (*each)(const char *path, const char *name, void *arg),
		      void *arg)
{
	DIR *dir = opendir(path);
	struct dirent *e;

	while (dir && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			each(path, e->d_name, arg);
	}
	if (dir)
		closedir(dir);
}

static void copy_one(const char *path, const char *name, void *arg)
{
	char from[1024], to[1024];
	struct stat info;
	char *bytes;
	size_t n;

	/* To close it would end LMDB's locks on it, which are the process's, not the descriptor's. */
	if (strcmp(name, "lock.mdb") == 0)
		return;
	snprintf(from, sizeof(from), "%s/%s", path, name);
	snprintf(to, sizeof(to), "%s/%s", (const char *)arg, name);
	if (stat(from, &info) == 0 && S_ISDIR(info.st_mode)) {
		rig_copy_store(from, to);
		return;
	}
	bytes = rig_read_file(from, &n);
	if (bytes)
		rig_write_file(to, bytes, n);
	free(bytes);
}

void rig_copy_store(const char *from, const char *to)
{
	mkdir(to, 0700);
	each_file(from, copy_one, (void *)(uintptr_t)to);
}

static void remove_one(const char *path, const char *name, void *arg)
{
	char whole[1024];

	(void)arg;
	snprintf(whole, sizeof(whole), "%s/%s", path, name);
	if (unlink(whole) != 0 && errno == EISDIR)
		rig_remove_store(whole);
}

void rig_remove_store(const char *path)
{
	each_file(path, remove_one, NULL);
	rmdir(path);
}
