/*
 * test_storage_flips.c - every octet of a small store's files is flipped, every sector and page of
 * them lost, each in a process of its own: it never crashes or hangs, no undamaged message is lost,
 * what was damaged is named.
 *
 * STORAGE_LONG=1 tries every octet, STORAGE_LONG=N every N-th.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/format/bytes.h"
#include "modules/storage/format/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

#define FILES_MOST    16
#define MESSAGES_MOST 40
#define SECONDS_MOST  60 /* of one image, on a machine that is busy with others */

static size_t step(size_t usual)
{
	const char *other = getenv("STORAGE_LONG");
	size_t n = other ? strtoul(other, NULL, 10) : usual;

	return n ? n : 1;
}

/* ---- what is in the store ---- */

static const struct {
	const char *user, *folder;
	uint32_t id;
} places[] = {{ANN, "INBOX", 1}, {ANN, "Archive", 2}, {BOB, "INBOX", 1}, {BOB, "Archive", 2}};

struct message {
	unsigned place;
	uint32_t uid, flags;
	uint64_t octets, hash;
	char uidl[UIDL_MAX + 1];
	uint32_t segment; /* where its record is */
	uint64_t from, to;
};

struct contents {
	unsigned count;
	struct message messages[MESSAGES_MOST];
};

static struct pstn_maildrop *open_place(struct rig *r, unsigned place)
{
	struct pstn_maildrop *d;
	char name[32];
	int status;

	d = rig_folder(r, places[place].user, places[place].folder, &status);
	/* The record of its name may be what was damaged. */
	snprintf(name, sizeof(name), "Recovered-%u", places[place].id);
	return d ? d : rig_folder(r, places[place].user, name, &status);
}

static void read_place(struct rig *r, unsigned place, struct contents *c)
{
	struct pstn_maildrop *d = open_place(r, place);
	static struct rig_listing l;

	if (!d)
		return;
	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count && c->count < MESSAGES_MOST; i++) {
		struct message *m = &c->messages[c->count];
		const char *text;
		size_t n;
		int status;

		text = rig_text(d, l.rows[i].number, &n, &status);
		if (!text)
			continue;
		*m = (struct message){.place = place,
				      .uid = l.rows[i].uid,
				      .flags = l.rows[i].flags,
				      .octets = n,
				      .hash = XXH3_64bits(text, n)};
		memcpy(m->uidl, l.rows[i].uidl, sizeof(m->uidl));
		c->count += l.rows[i].octets == n;
	}
	maildrop_table.close(d);
}

static void read_contents(struct rig *r, struct contents *c)
{
	c->count = 0;
	for (unsigned i = 0; i < sizeof(places) / sizeof(*places); i++)
		read_place(r, i, c);
}

static void find_records(struct rig *r, struct contents *c)
{
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	for (unsigned i = 0; i < c->count; i++) {
		struct message *m = &c->messages[i];
		struct pstn_account account;
		struct message_row row;

		rig_account(&account, places[m->place].user);
		CU_ASSERT_EQUAL_FATAL(index_message(&r->store->index, txn, account.id,
						    places[m->place].id, m->uid, &row),
				      0);
		m->segment = row.segment;
		m->from = row.offset;
		m->to = row.offset + RECORD_HEAD_MAX + row.octets + 8 + 8 * row.dots;
	}
	index_read_end(&r->store->index, txn);
	/* Not more than to where the next one begins. */
	for (unsigned i = 0; i < c->count; i++)
		for (unsigned k = 0; k < c->count; k++) {
			struct message *m = &c->messages[i];
			const struct message *other = &c->messages[k];

			if (other->segment == m->segment && other->from > m->from &&
			    other->from < m->to)
				m->to = other->from;
		}
}

static void fill(struct rig *r)
{
	static char large[6000];
	struct pstn_maildrop *d;
	char text[200];
	int status;

	for (int i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "Subject: %d\n\n.text of message %d\n%.*s\n", i, i,
			 i * 5, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefgh");
		rig_deliver_bytes(r, i % 3 == 2 ? BOB : ANN, i % 4 == 3 ? "Archive" : "INBOX", text,
				  strlen(text), i == 4 ? "brought" : NULL, &status);
		CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	}
	memset(large, 'x', sizeof(large));
	rig_deliver_bytes(r, BOB, "INBOX", large, sizeof(large), NULL, &status);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	d = rig_drop(r, ANN, &status);
	maildrop_table.flag(d, 1, PSTN_SEEN, 0);
	maildrop_table.flag(d, 3, PSTN_FLAGGED, 0);
	fake_settle();
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){2}, 1), PSTN_OK);
	maildrop_table.close(d);
	rig_deliver(r, ANN, "after the others\n", &status);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
}

/* ---- its files ---- */

struct kept {
	const char *name;
	uint32_t segment; /* 0: none */
	char *bytes;
	size_t size;
};

static const struct {
	const char *name;
	uint32_t segment;
} names[] = {{"segments/00000001.seg", 1},
	     {"segments/00000002.seg", 2},
	     {"index/data.mdb", 0},
	     {"index/checkpoint", 0},
	     {"store", 0},
	     {"lock", 0},
	     {"check.pass", 0},
	     {"repair.pass", 0}};

struct world {
	struct rig rig;
	struct contents before;
	struct kept files[FILES_MOST];
	unsigned nfiles;
	unsigned long images, lost;
};

static void begin(struct world *w)
{
	struct rig *r = &w->rig;

	memset(w, 0, sizeof(*w));
	rig_begin(r);
	r->options.stream_threshold = 4096;
	CU_ASSERT_FATAL(rig_open(r));
	fill(r);
	rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1);
	rig_command(r, "storage repair", NULL, NULL, NULL, NULL, -1);
	read_contents(r, &w->before);
	CU_ASSERT_EQUAL_FATAL(w->before.count, 13);
	find_records(r, &w->before);
	rig_close(r);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct kept *f = &w->files[w->nfiles++];

		f->name = names[i].name;
		f->segment = names[i].segment;
		f->bytes = rig_read_file(rig_path(r, f->name), &f->size);
		CU_ASSERT_PTR_NOT_NULL_FATAL(f->bytes);
	}
}

static void end(struct world *w)
{
	for (unsigned i = 0; i < w->nfiles; i++)
		free(w->files[i].bytes);
	if (getenv("STORAGE_LONG"))
		fprintf(stderr, "  %lu images, %lu messages lost with their records\n", w->images,
			w->lost);
	rig_end(&w->rig);
}

static void put_back(struct world *w)
{
	rig_remove_store(w->rig.path);
	mkdir(w->rig.path, 0700);
	mkdir(rig_path(&w->rig, "segments"), 0700);
	mkdir(rig_path(&w->rig, "index"), 0700);
	for (unsigned i = 0; i < w->nfiles; i++)
		rig_write_file(rig_path(&w->rig, w->files[i].name), w->files[i].bytes,
			       w->files[i].size);
}

/* ---- damage ---- */

struct range {
	uint64_t from, to;
};

struct damage {
	const struct kept *file;
	struct range ranges[2];
	unsigned nranges;
};

static bool hits(const struct damage *d, uint64_t from, uint64_t to)
{
	for (unsigned i = 0; i < d->nranges; i++)
		if (d->ranges[i].from < to && d->ranges[i].to > from)
			return true;
	return false;
}

static bool is_damaged(const struct damage *d, const struct message *m)
{
	if (d->file->segment != m->segment)
		return false;
	if (hits(d, 0, 64) && hits(d, SEGMENT_HEAD_COPY, SEGMENT_HEAD_COPY + 64))
		return true;
	return hits(d, m->from, m->to);
}

static bool is_there(const struct contents *c, const struct message *m, bool flags)
{
	for (unsigned i = 0; i < c->count; i++) {
		const struct message *o = &c->messages[i];

		if (o->place == m->place && o->uid == m->uid && o->octets == m->octets &&
		    o->hash == m->hash && strcmp(o->uidl, m->uidl) == 0 &&
		    (!flags || o->flags == m->flags))
			return true;
	}
	return false;
}

/* ---- one image, in a process of its own ---- */

static int fails(const char *what, const struct message *m)
{
	fprintf(stderr, "  %s: %s %s uid %u\n", what, m ? places[m->place].user : "",
		m ? places[m->place].folder : "", m ? m->uid : 0);
	return 1;
}

static bool log_names_damage(void)
{
	static const char *const events[] = {
	    "storage-fault",    "message-damaged",    "record-damaged",   "segment-damaged",
	    "segment-tail-cut", "segment-unreadable", "record-incomplete"};

	for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
		if (fake_log_find(events[i]))
			return true;
	return false;
}

/* flags: they have to be as they were, too. */
static int compare(struct world *w, const struct damage *d, bool flags, const char *when)
{
	static struct contents now;
	bool lost = false;

	read_contents(&w->rig, &now);
	for (unsigned i = 0; i < w->before.count; i++) {
		const struct message *m = &w->before.messages[i];

		if (is_there(&now, m, flags))
			continue;
		if (!is_damaged(d, m))
			return fails(when, m);
		lost = true;
	}
	return lost && !log_names_damage() ? fails("nothing names what is damaged", NULL) : 0;
}

/* Rows without a check of their own (names, unique ids): the check has named what is wrong in them. */
static int is_mended(struct world *w)
{
	const char *answer;

	rig_command(&w->rig, "storage repair", NULL, NULL, NULL, NULL, -1);
	answer = rig_command(&w->rig, "storage check", NULL, NULL, NULL, NULL, -1);
	return strstr(answer, "\"faults\":0") ? 0 : fails(answer, NULL);
}

/* Each message that the check calls damaged has to be one that is, and the other way round. */
static int check_names(struct world *w, const struct damage *d)
{
	const char *answer = rig_command(&w->rig, "storage check", NULL, NULL, NULL, NULL, -1);
	static struct contents now;

	if (rig_command_failed() || !strstr(answer, "\"complete\":true"))
		return fails("the check did not end", NULL);
	if (!d->file->segment)
		return strstr(answer, "\"faults\":0") ? 0 : is_mended(w);
	answer = strdup(answer);
	read_contents(&w->rig, &now);
	for (unsigned i = 0; i < w->before.count; i++) {
		const struct message *m = &w->before.messages[i];
		char uid[32];

		if (is_there(&now, m, false))
			continue;
		snprintf(uid, sizeof(uid), "\"uid\":%u,", m->uid);
		if (!strstr(answer, uid) && !strstr(answer, "segment is missing or unreadable"))
			return fails("the check does not name", m);
	}
	free((void *)(uintptr_t)answer);
	return 0;
}

static int try_image(struct world *w, const struct damage *d)
{
	struct rig *r = &w->rig;

	fake_log_clear();
	if (!rig_open(r))
		return fails(r->error, NULL);
	if (compare(w, d, true, "lost at the start") != 0 || check_names(w, d) != 0)
		return 1;
	rig_command(r, "storage repair", NULL, NULL, NULL, NULL, -1);
	if (rig_command_failed() || compare(w, d, true, "lost by a repair") != 0)
		return 1;
	if (!d->file->segment)
		return 0;
	/* From the segments alone: flags and names may have been in what is damaged. */
	rig_command(r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	fake_log_clear();
	if (!rig_reopen(r))
		return fails(r->error, NULL);
	if (compare(w, d, false, "lost by a rebuild") != 0)
		return 1;
	rig_close(r);
	return 0;
}

static void run_image(struct world *w, const struct damage *d, const char *how)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		alarm(SECONDS_MOST);
		_exit(try_image(w, d));
	}
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
	w->images++;
	for (unsigned i = 0; i < w->before.count; i++)
		w->lost += is_damaged(d, &w->before.messages[i]);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (status != 0)
		fprintf(stderr, "%s: %s at %llu: %s %d\n", d->file->name, how,
			(unsigned long long)d->ranges[0].from,
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void write_damaged(struct world *w, const struct kept *f, const char *bytes)
{
	put_back(w);
	rig_write_file(rig_path(&w->rig, f->name), bytes, f->size);
}

/* second: another bit is flipped as far behind; 0: none. */
static void flip_at(struct world *w, const struct kept *f, size_t at, size_t second)
{
	struct damage d = {.file = f, .ranges = {{at, at + 1}}, .nranges = 1};
	char *bytes = malloc(f->size);

	memcpy(bytes, f->bytes, f->size);
	bytes[at] = (char)(bytes[at] ^ (1 << at % 8));
	if (second && at + second < f->size) {
		bytes[at + second] = (char)(bytes[at + second] ^ (1 << second % 8));
		d.ranges[d.nranges++] = (struct range){at + second, at + second + 1};
	}
	write_damaged(w, f, bytes);
	free(bytes);
	run_image(w, &d, second ? "two bits" : "a bit");
}

static void lose_at(struct world *w, const struct kept *f, size_t at, size_t n, bool garbage)
{
	struct damage d = {.file = f, .nranges = 1};
	char *bytes = malloc(f->size);
	uint32_t random = (uint32_t)at * 2654435761U + 1;

	n = n < f->size - at ? n : f->size - at;
	d.ranges[0] = (struct range){at, at + n};
	memcpy(bytes, f->bytes, f->size);
	for (size_t i = 0; i < n; i++) {
		random = random * 1664525 + 1013904223;
		bytes[at + i] = garbage ? (char)(random >> 24) : 0;
	}
	if (memcmp(bytes, f->bytes, f->size) != 0) {
		write_damaged(w, f, bytes);
		run_image(w, &d, garbage ? "garbage" : "zeros");
	}
	free(bytes);
}

/* ---- cases ---- */

/* Behind the last octet that is not zero all is alike. */
static size_t used(const struct kept *f)
{
	size_t n = f->size;

	while (n > 0 && f->bytes[n - 1] == 0)
		n--;
	return n + 64 < f->size ? n + 64 : f->size;
}

static size_t usual_step(const struct kept *f)
{
	return used(f) / 16 + 1;
}

static void flip_each(const char *of)
{
	static struct world w;

	begin(&w);
	for (unsigned i = 0; i < w.nfiles; i++) {
		const struct kept *f = &w.files[i];

		if (strncmp(f->name, of, strlen(of)) != 0)
			continue;
		for (size_t at = 0; at < used(f); at += step(usual_step(f)))
			flip_at(&w, f, at, 0);
	}
	end(&w);
}

static void flips_a_bit_of_segments(void)
{
	flip_each("segments/");
}

static void flips_a_bit_of_the_index(void)
{
	flip_each("index/data.mdb");
}

static void flips_a_bit_of_small_files(void)
{
	flip_each("index/checkpoint");
	flip_each("store");
	flip_each("lock");
	flip_each("check.pass");
	flip_each("repair.pass");
}

static void flips_two_bits(void)
{
	static struct world w;

	begin(&w);
	for (unsigned i = 0; i < w.nfiles; i++) {
		const struct kept *f = &w.files[i];

		for (size_t at = 0; at < used(f); at += step(usual_step(f)) * 3)
			flip_at(&w, f, at, 1 + at * 7 % 300);
	}
	end(&w);
}

static void lose(size_t n)
{
	static struct world w;

	begin(&w);
	for (unsigned i = 0; i < w.nfiles; i++) {
		const struct kept *f = &w.files[i];
		size_t every = getenv("STORAGE_LONG") ? n : n * (1 + used(f) / n / 4);

		for (size_t at = 0; at < used(f); at += every) {
			lose_at(&w, f, at, n, false);
			lose_at(&w, f, at, n, true);
		}
	}
	end(&w);
}

static void loses_a_sector(void)
{
	lose(512);
}

static void loses_a_page(void)
{
	lose(4096);
}

static const struct suite_case cases[] = {
    {"a flipped bit in a segment", flips_a_bit_of_segments},
    {"a flipped bit in the index", flips_a_bit_of_the_index},
    {"a flipped bit in another file", flips_a_bit_of_small_files},
    {"two flipped bits", flips_two_bits},
    {"a sector of zeros or garbage", loses_a_sector},
    {"a page of zeros or garbage", loses_a_page},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_flips", cases, argc > 1 ? argv[1] : NULL);
}
