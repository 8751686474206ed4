/*
 * test_storage_crash.c - what is left of a store after a death, a torn write, a full disk,
 * a failed allocation; two processes on one store.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/format/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

static const char *scratch(void)
{
	return getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
}

/* STORAGE_LONG=1 tries every octet, STORAGE_LONG=N every N-th. */
static size_t step(size_t usual)
{
	const char *other = getenv("STORAGE_LONG");
	size_t n = other ? strtoul(other, NULL, 10) : usual;

	return n ? n : 1;
}

/* ---- a store's contents as text, to compare ---- */

static const char *one_line(const char *text)
{
	static char line[64];
	size_t i;

	for (i = 0; text && text[i] && i < sizeof(line) - 1; i++)
		line[i] = text[i] < ' ' ? '|' : text[i];
	line[i] = '\0';
	return line;
}

static void dump_folder(struct rig *r, const char *user, const char *folder, char *out, size_t size)
{
	struct rig_listing l;
	struct pstn_maildrop *d;
	size_t used = strlen(out), n;
	int status;

	d = rig_folder(r, user, folder, &status);
	if (!d) {
		snprintf(out + used, size - used, "%s %s: status %d\n", user, folder, status);
		return;
	}
	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++) {
		const char *text = rig_text(d, l.rows[i].number, &n, &status);

		used = strlen(out);
		snprintf(out + used, size - used, "%s %s %u %u %s %u %llu: %d %s\n", user, folder,
			 l.rows[i].number, l.rows[i].uid, l.rows[i].uidl, l.rows[i].flags,
			 (unsigned long long)l.rows[i].octets, status, one_line(text));
	}
	maildrop_table.close(d);
}

static void dump(struct rig *r, char *out, size_t size)
{
	out[0] = '\0';
	dump_folder(r, ANN, "INBOX", out, size);
	dump_folder(r, ANN, "Archive", out, size);
	dump_folder(r, BOB, "INBOX", out, size);
}

static void fill(struct rig *r)
{
	struct pstn_maildrop *d;
	char text[200];
	int status;

	for (int i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "Subject: %d\n\n.text of message %d\n%.*s\n", i, i,
			 i * 5, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		rig_deliver_bytes(r, i % 3 == 2 ? BOB : ANN, i % 4 == 3 ? "Archive" : "INBOX", text,
				  strlen(text), i == 4 ? "brought" : NULL, &status);
		CU_ASSERT_EQUAL(status, PSTN_OK);
	}
	d = rig_drop(r, ANN, &status);
	maildrop_table.flag(d, 1, PSTN_SEEN, 0);
	maildrop_table.flag(d, 3, PSTN_FLAGGED, 0);
	fake_settle();
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){2}, 1), PSTN_OK);
	maildrop_table.close(d);
}

/* ---- deaths ---- */

static void replays_after_death(void)
{
	struct rig r;
	char before[8192], after[8192];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	dump(&r, before, sizeof(before));
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(r.store->recovered_records > 12);
	CU_ASSERT_FALSE(r.store->rebuilt);
	dump(&r, after, sizeof(after));
	CU_ASSERT_STRING_EQUAL(after, before);
	rig_end(&r);
}

static void rebuilds(const char *loss)
{
	struct rig r;
	char before[8192], after[8192];
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	dump(&r, before, sizeof(before));
	rig_close(&r);
	if (strcmp(loss, "index") == 0)
		rig_remove_store(rig_path(&r, loss));
	else
		unlink(rig_path(&r, loss));
	CU_ASSERT_FATAL(rig_open(&r));
	dump(&r, after, sizeof(after));
	CU_ASSERT_STRING_EQUAL(after, before);
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "x", &status), 7);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	CU_ASSERT_FATAL(rig_reopen(&r));
	CU_ASSERT_FALSE(r.store->rebuilt);
	rig_end(&r);
}

static void rebuilds_index(void)
{
	static const char *const losses[] = {"index",          "index/data.mdb", "index/checkpoint",
					     "index/lock.mdb", "store",          "lock"};

	for (size_t i = 0; i < sizeof(losses) / sizeof(*losses); i++)
		rebuilds(losses[i]);
}

static void rebuilds_when_asked(void)
{
	struct rig r;
	char before[8192], after[8192];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	dump(&r, before, sizeof(before));
	rig_command(&r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_FATAL(rig_reopen(&r));
	CU_ASSERT_TRUE(r.store->rebuilt);
	dump(&r, after, sizeof(after));
	CU_ASSERT_STRING_EQUAL(after, before);
	rig_end(&r);
}

struct acknowledged {
	uint32_t uid;
	uint32_t number;
};

static void text_of(uint32_t number, char *out, size_t size)
{
	int n = snprintf(out, size, "Subject: %u\r\n\r\n", number);

	for (uint32_t i = 0; i < number % 40; i++)
		n += snprintf(out + n, size - (size_t)n, "line %u of %u\r\n", i, number);
}

static void deliver_until_killed(struct rig *r, int to)
{
	char text[2048];

	if (!rig_open(r))
		_exit(1);
	for (uint32_t i = 1;; i++) {
		struct acknowledged a = {.number = i};
		int status;

		text_of(i, text, sizeof(text));
		a.uid = rig_deliver(r, ANN, text, &status);
		if (!a.uid || write(to, &a, sizeof(a)) != (ssize_t)sizeof(a))
			_exit(1);
		if (i % 16 == 0)
			fake_settle();
	}
}

/* Every acknowledged message is there once and whole; of the others at most what was under way. */
static void check_acknowledged(struct rig *r, int from)
{
	struct pstn_maildrop *d;
	struct pstn_maildrop_totals t;
	struct acknowledged a;
	char text[2048];
	uint32_t count = 0;
	size_t n;
	int status;

	d = rig_drop(r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	maildrop_table.totals(d, &t, NULL, NULL);
	while (read(from, &a, sizeof(a)) == (ssize_t)sizeof(a)) {
		const char *got = rig_text(d, a.uid, &n, &status);

		count++;
		text_of(a.number, text, sizeof(text));
		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		CU_ASSERT_STRING_EQUAL(got, text);
	}
	CU_ASSERT_TRUE(count > 0);
	CU_ASSERT_TRUE(t.messages == count || t.messages == count + 1);
	maildrop_table.close(d);
}

static void survives_kill(void)
{
	for (int round = 0; round < 12; round++) {
		struct timespec pause = {.tv_nsec = 20000000L + round * 7000000L};
		struct rig r;
		int ends[2];
		pid_t child;

		rig_begin(&r);
		CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
		fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
		child = fork();
		if (child == 0)
			deliver_until_killed(&r, ends[1]);
		close(ends[1]);
		nanosleep(&pause, NULL);
		/* Not before the first acknowledgement. */
		poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 10000);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
		CU_ASSERT_FATAL(rig_open(&r));
		check_acknowledged(&r, ends[0]);
		close(ends[0]);
		rig_end(&r);
	}
}

/* ---- torn writes ---- */

/* A store whose last group is not in its checkpoint; *from and *to are where the group stands. */
static void make_torn(struct rig *r, const char *kept, uint64_t *from, uint64_t *to)
{
	int status;

	rig_begin(r);
	CU_ASSERT_FATAL(rig_open(r));
	rig_deliver(r, ANN, "first\n", &status);
	rig_deliver(r, ANN, "second\n", &status);
	*from = r->store->log.end;
	rig_deliver_bytes(r, BOB, "INBOX", ".dots\n.more\n", 12, NULL, &status);
	*to = r->store->log.end;
	rig_crash(r);
	rig_copy_store(r->path, kept);
}

static void check_torn(struct rig *r, bool whole)
{
	struct pstn_maildrop *d;
	struct rig_listing l;
	size_t n;
	int status;

	CU_ASSERT_FATAL(rig_open(r));
	d = rig_drop(r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 2);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "second\r\n");
	maildrop_table.close(d);
	d = rig_drop(r, BOB, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, whole ? 1 : 0);
	if (whole)
		CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), ".dots\r\n.more\r\n");
	maildrop_table.close(d);
	/* What comes next takes the place of what was torn, and is there after the next death. */
	CU_ASSERT_EQUAL(rig_deliver(r, BOB, "next\n", &status), whole ? 2 : 1);
	rig_crash(r);
	CU_ASSERT_FATAL(rig_open(r));
	d = rig_drop(r, BOB, &status);
	CU_ASSERT_STRING_EQUAL(rig_text(d, whole ? 2 : 1, &n, &status), "next\r\n");
	maildrop_table.close(d);
	rig_close(r);
}

static void tear(const char *segment, uint64_t at, int how)
{
	size_t n;
	char *bytes = rig_read_file(segment, &n);

	if (how == 0)
		n = at;
	else if (how == 1)
		memset(bytes + at, 0, n - at);
	else
		memset(bytes + at, 0xa5, n - at < 300 ? n - at : 300);
	rig_write_file(segment, bytes, n);
	free(bytes);
}

static void cuts_torn_tails(void)
{
	struct rig r;
	char kept[600], segment[1024];
	uint64_t from, to;

	memset(&r, 0, sizeof(r));
	snprintf(kept, sizeof(kept), "%s/test-storage-torn-%d", scratch(), (int)getpid());
	make_torn(&r, kept, &from, &to);
	snprintf(segment, sizeof(segment), "%s", rig_path(&r, "segments/00000001.seg"));
	for (uint64_t at = from; at <= to; at += at + 16 < to ? step(11) : 1) {
		for (int how = 0; how < 3; how++) {
			/* The last octets are padding, and zeros in any case. */
			bool whole = at == to;

			rig_remove_store(r.path);
			rig_copy_store(kept, r.path);
			tear(segment, at, how);
			if (at < to && to - at <= 8 && how < 2)
				continue;
			check_torn(&r, whole);
		}
	}
	rig_remove_store(kept);
	rig_end(&r);
}

static struct pending *sealed(struct rig *r, const char *user, const char *text,
			      struct pstn_delivery **d)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX"};
	int status;

	rig_account(&account, user);
	CU_ASSERT_EQUAL_FATAL(delivery_begin(r->store, &q, NULL, d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_write(*d, text, strlen(text)), PSTN_OK);
	return delivery_seal(*d, &status);
}

/* A message of which nobody was told, left out at a start while others of its group were whole, has to
 * stay out when the index is made anew: its uid belongs to another by then. If the index is lost with the
 * process nobody can tell any more: then it is shown, as damaged, and keeps its uid. */
static void leaves_no_shadow(bool index_is_lost)
{
	struct rig r;
	char segment[1024];
	struct pstn_maildrop *d;
	struct rig_listing l;
	struct pstn_delivery *deliveries[2];
	struct pending *torn;
	size_t n;
	char *bytes, *text;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	torn = sealed(&r, BOB, "it is torn\n", &deliveries[0]);
	torn->next = sealed(&r, ANN, "it is whole\n", &deliveries[1]);
	commit_wait(r.store, torn);
	for (int i = 0; i < 2; i++) {
		delivery_committed(deliveries[i]);
		delivery_free(deliveries[i]);
	}
	rig_crash(&r);
	snprintf(segment, sizeof(segment), "%s", rig_path(&r, "segments/00000001.seg"));
	bytes = rig_read_file(segment, &n);
	text = memmem(bytes, n, "it is torn", 10);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, 0, 10);
	rig_write_file(segment, bytes, n);
	free(bytes);
	for (unsigned round = 0; round < 3; round++) {
		unsigned shown = round + index_is_lost;

		if (index_is_lost || round > 0)
			rig_remove_store(rig_path(&r, "index"));
		CU_ASSERT_FATAL(rig_open(&r));
		CU_ASSERT_EQUAL(r.store->rebuilt, index_is_lost || round > 0);
		d = rig_drop(&r, BOB, &status);
		rig_list(d, &l);
		CU_ASSERT_EQUAL(l.count, shown);
		for (unsigned i = 1; i <= shown; i++) {
			text = (char *)(uintptr_t)rig_text(d, i, &n, &status);
			CU_ASSERT_EQUAL(status, index_is_lost && i == 1 ? PSTN_E_DAMAGED : PSTN_OK);
			CU_ASSERT_TRUE(!text || strcmp(text, "next\r\n") == 0);
		}
		maildrop_table.close(d);
		/* Of what has been wiped a rebuild does not know what it was. */
		CU_ASSERT_TRUE(rig_deliver(&r, BOB, "next\n", &status) > shown);
		rig_crash(&r);
	}
	rig_end(&r);
}

static void leaves_out_for_good(void)
{
	leaves_no_shadow(false);
}

static void shows_what_may_have_been_safe(void)
{
	leaves_no_shadow(true);
}

/* ---- an unreadable segment ---- */

/* A segment that cannot be told from noise is left to whoever can read it. */
static void keeps_what_it_cannot_read(void)
{
	struct rig r;
	char path[1024];
	char *bytes;
	size_t n;
	int status;
	pid_t child;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	rig_close(&r);
	snprintf(path, sizeof(path), "%s", rig_path(&r, "segments/00000001.seg"));
	bytes = rig_read_file(path, &n);
	bytes[0] ^= 1;
	bytes[SEGMENT_HEAD_COPY] ^= 1;
	rig_write_file(path, bytes, n);
	free(bytes);
	rig_remove_store(rig_path(&r, "index"));
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("segment-unreadable"));
	child = fork();
	if (child == 0) {
		r.store = NULL;
		_exit(rig_open(&r) ? 0 : 1);
	}
	waitpid(child, &status, 0);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	rig_end(&r);
}

/* ---- two processes ---- */

static int deliver_some(struct rig *r, int count)
{
	int status = PSTN_OK;

	for (int i = 0; i < count && status == PSTN_OK; i++)
		rig_deliver(r, i % 2 ? ANN : BOB, "from one of two\n", &status);
	return status;
}

static void shares_between_processes(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	pid_t children[3];
	int status;

	rig_begin(&r);
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			if (!rig_open(&r) || deliver_some(&r, 60) != PSTN_OK)
				_exit(1);
			rig_close(&r);
			_exit(0);
		}
	}
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(deliver_some(&r, 60), PSTN_OK);
	for (int i = 0; i < 3; i++) {
		waitpid(children[i], &status, 0);
		CU_ASSERT_EQUAL(status, 0);
	}
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 120);
	for (uint32_t i = 0; i < l.count; i++)
		CU_ASSERT_EQUAL(l.rows[i].uid, i + 1);
	maildrop_table.close(d);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_end(&r);
}

/* One of two is killed again and again; what it was told is safe stays so for the other, and after
 * both are gone. */
static void outlives_the_other(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	uint32_t own = 0;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int round = 0; round < 8; round++) {
		struct timespec pause = {.tv_nsec = 15000000L + round * 3000000L};
		pid_t child = fork();

		if (child == 0) {
			struct rig other;

			/* The parent's store must not be touched here. */
			memset(&other, 0, sizeof(other));
			other = r;
			other.store = NULL;
			if (!rig_open(&other))
				_exit(1);
			deliver_some(&other, 1000000);
			_exit(1);
		}
		nanosleep(&pause, NULL);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		CU_ASSERT_TRUE(WIFSIGNALED(status));
		CU_ASSERT_NOT_EQUAL(rig_deliver(&r, ANN, "mine\n", &status), 0);
		own++;
	}
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_TRUE(l.count >= own);
	maildrop_table.close(d);
	rig_end(&r);
}

struct reader_count {
	pid_t pid;
	unsigned found;
};

static int count_reader(const char *line, void *arg)
{
	struct reader_count *count = arg;

	count->found += strtol(line, NULL, 10) == count->pid;
	return 0;
}

static unsigned readers_of(struct rig *r, pid_t pid)
{
	struct reader_count count = {.pid = pid};

	mdb_reader_list(r->store->index.env, count_reader, &count);
	return count.found;
}

/* What a killed process read would keep the index growing for as long as others live. */
static void forgets_readers_of_the_dead(void)
{
	struct rig r;
	pid_t child;
	int ready[2], status;
	char c;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		struct rig other = r;

		other.store = NULL;
		if (!rig_open(&other) || write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
	CU_ASSERT_TRUE(readers_of(&r, child) > 0);
	CU_ASSERT_EQUAL(checkpoint_take(&r.store->checkpoint, &r.store->index), 0);
	CU_ASSERT_TRUE(readers_of(&r, child) > 0);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	CU_ASSERT_EQUAL(checkpoint_take(&r.store->checkpoint, &r.store->index), 0);
	CU_ASSERT_EQUAL(readers_of(&r, child), 0);
	close(ready[0]);
	close(ready[1]);
	rig_end(&r);
}

/* Where a segment ends may have been read before its last writer, now gone, committed once more. */
static void resumes_at_the_last_word(void)
{
	struct rig r;
	struct segment s;
	uint64_t before, after;
	uint32_t id;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver(&r, ANN, "one\n", &status);
	id = r.store->log.id;
	before = r.store->log.end;
	rig_deliver(&r, ANN, "two\n", &status);
	after = r.store->log.end;
	fake_settle();
	segment_close(&r.store->log, true);
	CU_ASSERT_NOT_EQUAL(segment_resume(r.store, id, before, &s), PSTN_OK);
	CU_ASSERT_EQUAL_FATAL(segment_resume(r.store, id, after, &s), PSTN_OK);
	segment_close(&s, true);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_end(&r);
}

/* A recovery of several transactions is killed before it takes a checkpoint of its own: the one
 * that it started from has to be whole still. */
static void recovers_from_the_same_checkpoint(void)
{
	struct rig r;
	unsigned char *checkpoint;
	size_t n;
	int status = PSTN_OK;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	/* Few, so that few pages are free for recovery to use. */
	for (int i = 0; i < 20; i++)
		rig_deliver(&r, ANN, "before\n", &status);
	CU_ASSERT_FATAL(rig_reopen(&r));
	checkpoint = (unsigned char *)rig_read_file(rig_path(&r, "index/checkpoint"), &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(checkpoint);
	CU_ASSERT_EQUAL(deliver_some(&r, 10000), PSTN_OK);
	for (int round = 0; round < 2; round++) {
		rig_crash(&r);
		rig_write_file(rig_path(&r, "index/checkpoint"), checkpoint, n);
		fake_log_clear();
		CU_ASSERT_FATAL(rig_open(&r));
		CU_ASSERT_PTR_NULL(fake_log_find("index-rebuild"));
		CU_ASSERT_TRUE(r.store->recovered_records >= 10000);
	}
	free(checkpoint);
	rig_end(&r);
}

static void refuses_same_path_twice(void)
{
	struct rig r;
	char err[512] = "";

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_PTR_NULL(pstn_module.start(r.self, fake_host(), &r.options, err, sizeof(err)));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "same path"));
	rig_end(&r);
}

static void write_identity(struct rig *r, unsigned format, const char *id)
{
	char text[128];
	int n = snprintf(text, sizeof(text), "postern store\nformat %u\nid %.32s\n", format, id);

	n += snprintf(text + n, sizeof(text) - (size_t)n, "check %016llx\n",
		      (unsigned long long)record_sum(text, (size_t)n, 0));
	rig_write_file(rig_path(r, "store"), text, (size_t)n);
}

static void refuses_other_formats(void)
{
	static const char id[] = "0123456789abcdef0123456789abcdef";
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_close(&r);
	write_identity(&r, STORE_FORMAT + 1, id);
	CU_ASSERT_FALSE(rig_open(&r));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.error, "later version"));
	write_identity(&r, STORE_FORMAT - 1, id);
	CU_ASSERT_FALSE(rig_open(&r));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.error, "early version"));
	rig_end(&r);
}

/* ---- no space, no memory ---- */

static char *repeat(char c, size_t n)
{
	char *text = malloc(n);

	memset(text, c, n);
	return text;
}

/* In a child with a mount namespace of its own. */
static int fill_a_small_disk(struct rig *r)
{
	struct pstn_maildrop *d;
	char *text = repeat('x', 100000);
	char options[64];
	uint32_t stored = 0;
	size_t n;
	int status = PSTN_OK;

	snprintf(options, sizeof(options), "size=24m");
	mkdir(r->path, 0700);
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", r->path, "tmpfs", 0, options) != 0)
		return 77;
	if (!rig_open(r))
		return 1;
	while (status == PSTN_OK && stored < 1000) {
		rig_deliver_bytes(r, ANN, "INBOX", text, 100000, NULL, &status);
		stored += status == PSTN_OK;
		fake_settle();
	}
	if (status != PSTN_E_FULL || stored < 50)
		return 2;
	d = rig_drop(r, ANN, &status);
	/* Deletions go on, for long. */
	for (uint32_t i = 1; i <= 10; i++) {
		if (rig_expunge(d, &i, 1) != PSTN_OK)
			return 3;
	}
	if (!rig_text(d, 11, &n, &status))
		return 4;
	maildrop_table.close(d);
	rig_deliver_bytes(r, ANN, "INBOX", text, 100000, NULL, &status);
	if (status != PSTN_E_FULL)
		return 5;
	/* A restart on the full disk: mail is there. */
	rig_crash(r);
	if (!rig_open(r))
		return 6;
	d = rig_drop(r, ANN, &status);
	if (!rig_text(d, 1, &n, &status))
		return 7;
	if (rig_expunge(d, (uint32_t[]){1}, 1) != PSTN_OK)
		return 8;
	maildrop_table.close(d);
	/* Space comes back: so does service, by itself. */
	snprintf(options, sizeof(options), "size=40m");
	if (mount("none", r->path, "tmpfs", MS_REMOUNT, options) != 0)
		return 9;
	rig_deliver_bytes(r, ANN, "INBOX", text, 100000, NULL, &status);
	if (status != PSTN_OK)
		return 10;
	if (!strstr(rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"))
		return 11;
	rig_close(r);
	umount(r->path);
	free(text);
	return 0;
}

static void bears_full_disk(void)
{
	struct rig r;
	int status;
	pid_t child;

	rig_begin(&r);
	child = fork();
	if (child == 0)
		_exit(fill_a_small_disk(&r));
	waitpid(child, &status, 0);
	if (WEXITSTATUS(status) == 77)
		fprintf(stderr, "  (no mount namespace here: skipped)\n");
	else
		CU_ASSERT_EQUAL(status, 0);
	if (status)
		fprintf(stderr, "  full disk: step %d\n", WEXITSTATUS(status));
	rig_end(&r);
}

static void bears_lack_of_memory(void)
{
	char text[6000];
	bool failed = true;

	memset(text, '.', sizeof(text));
	for (unsigned long n = 1; failed && n < 500; n++) {
		struct rig r;
		struct rig_listing l;
		struct pstn_maildrop *d;
		uint32_t uid, stored;
		size_t length;
		int status;

		rig_begin(&r);
		fake_fail_alloc(n);
		if (!rig_open(&r)) {
			CU_ASSERT_TRUE(strlen(r.error) > 5);
			failed = fake_alloc_failed();
			CU_ASSERT_TRUE(failed);
			rig_end(&r);
			continue;
		}
		stored = 0;
		uid = rig_deliver_bytes(&r, ANN, "INBOX", text, sizeof(text), NULL, &status);
		stored += status == PSTN_OK;
		CU_ASSERT_EQUAL(uid == 0, status != PSTN_OK);
		rig_deliver(&r, ANN, "two\n", &status);
		stored += status == PSTN_OK;
		d = rig_drop(&r, ANN, &status);
		if (d) {
			rig_text(d, 1, &length, &status);
			maildrop_table.flag(d, 1, PSTN_SEEN, 0);
			status = rig_expunge(d, (uint32_t[]){1}, 1);
			stored -= status == PSTN_OK;
			maildrop_table.close(d);
		}
		fake_settle();
		failed = fake_alloc_failed();
		fake_fail_alloc(0);
		CU_ASSERT_FATAL(rig_reopen(&r));
		d = rig_drop(&r, ANN, &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		rig_list(d, &l);
		CU_ASSERT_EQUAL(l.count, stored);
		maildrop_table.close(d);
		rig_end(&r);
	}
	CU_ASSERT_FALSE(failed);
}

static const struct suite_case cases[] = {
    {"the segments tell what the checkpoint does not", replays_after_death},
    {"a lost index is made anew", rebuilds_index},
    {"an index is made anew when asked for", rebuilds_when_asked},
    {"SIGKILL loses nothing acknowledged", survives_kill},
    {"torn tails are cut", cuts_torn_tails},
    {"what was left out stays out", leaves_out_for_good},
    {"what may have been safe is shown", shows_what_may_have_been_safe},
    {"what cannot be read is kept", keeps_what_it_cannot_read},
    {"four processes share a store", shares_between_processes},
    {"one process outlives another", outlives_the_other},
    {"readers of a killed process are forgotten", forgets_readers_of_the_dead},
    {"a segment is resumed at its last word", resumes_at_the_last_word},
    {"recovery can be killed and begun again", recovers_from_the_same_checkpoint},
    {"one process opens a store once", refuses_same_path_twice},
    {"other formats are refused", refuses_other_formats},
    {"a full disk", bears_full_disk},
    {"every allocation fails once", bears_lack_of_memory},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_crash", cases, argc > 1 ? argv[1] : NULL);
}
