/*
 * test_storage_check.c - faults are planted into a store, one of each kind: a check names them, a
 * repair mends them, the scrub finds them; all go on where they were interrupted.
 */
#include "storage_rig.h"

#include "modules/storage/check/pass.h"
#include "modules/storage/command/commands.h"
#include "modules/storage/format/bytes.h"
#include "modules/storage/format/checksum.h"
#include "modules/storage/open/home.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

#define ANN "ann@example.org"
#define BOB "bob@example.net"

static struct pstn_account ann;

/* ---- a store with something of everything ---- */

static void fill(struct rig *r)
{
	struct pstn_maildrop *d;
	char text[64];
	int status;

	rig_account(&ann, ANN);
	for (int i = 1; i <= 8; i++) {
		snprintf(text, sizeof(text), "Subject: %d\n\n.text of %d\n", i, i);
		rig_deliver(r, i % 4 ? ANN : BOB, text, &status);
		CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	}
	rig_deliver_bytes(r, ANN, "Sent", "sent\n", 5, NULL, &status);
	rig_deliver_bytes(r, ANN, "INBOX", "named\n", 6, "brought-along", &status);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	d = rig_drop(r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	maildrop_table.flag(d, 1, PSTN_SEEN | PSTN_FLAGGED, 0);
	fake_settle();
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){3}, 1), PSTN_OK);
	maildrop_table.close(d);
	fake_settle();
}

static void begin(struct rig *r)
{
	rig_begin(r);
	CU_ASSERT_FATAL(rig_open(r));
	fill(r);
}

/* All that the index holds. */
static uint64_t dump_tables(struct rig *r, size_t first)
{
	struct index *ix = &r->store->index;
	const MDB_dbi tables[] = {ix->meta,  ix->segments, ix->accounts,   ix->folders,
				  ix->names, ix->messages, ix->tombstones, ix->changes,
				  ix->uidls, ix->imports,  ix->keywords,   ix->domains};
	uint64_t sum = 0;
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(ix, &txn), 0);
	for (size_t i = first; i < sizeof(tables) / sizeof(*tables); i++) {
		MDB_val k, v;
		MDB_cursor *c;

		CU_ASSERT_EQUAL_FATAL(mdb_cursor_open(txn, tables[i], &c), 0);
		while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
			sum = XXH3_64bits_withSeed(k.mv_data, k.mv_size, sum + i);
			sum = XXH3_64bits_withSeed(v.mv_data, v.mv_size, sum);
		}
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
	return sum;
}

static uint64_t dump(struct rig *r)
{
	return dump_tables(r, 0);
}

static const char *run(struct rig *r, const char *command, const char *option)
{
	return rig_command(r, command, NULL, option, "", NULL, -1);
}

/* ---- planting ---- */

static void put(struct apply *a, MDB_dbi dbi, const void *key, size_t nk, const void *v, size_t nv)
{
	MDB_val k = {.mv_size = nk, .mv_data = (void *)(uintptr_t)key};
	MDB_val d = {.mv_size = nv, .mv_data = (void *)(uintptr_t)v};

	CU_ASSERT_EQUAL(v ? mdb_put(a->txn, dbi, &k, &d, 0) : mdb_del(a->txn, dbi, &k, NULL), 0);
}

static void put_message(struct apply *a, MDB_dbi dbi, uint32_t uid, const struct message_row *row)
{
	unsigned char key[KEY_MESSAGE], bytes[ROW_MESSAGE_MAX];

	key_message(key, ann.id, FOLDER_INBOX, uid);
	put(a, dbi, key, sizeof(key), bytes, message_row_put(row, key, bytes));
}

static struct message_row message(struct apply *a, uint32_t uid)
{
	struct message_row row;

	CU_ASSERT_EQUAL_FATAL(index_message(a->index, a->txn, ann.id, FOLDER_INBOX, uid, &row), 0);
	return row;
}

static void row_flipped(struct apply *a)
{
	unsigned char key[KEY_MESSAGE], bytes[ROW_MESSAGE_MAX];
	struct message_row row = message(a, 2);
	size_t n;

	key_message(key, ann.id, FOLDER_INBOX, 2);
	n = message_row_put(&row, key, bytes);
	bytes[30] ^= 1;
	put(a, a->index->messages, key, sizeof(key), bytes, n);
}

static void row_lost(struct apply *a)
{
	unsigned char key[KEY_MESSAGE];

	key_message(key, ann.id, FOLDER_INBOX, 2);
	put(a, a->index->messages, key, sizeof(key), NULL, 0);
}

static void row_of_another(struct apply *a)
{
	struct message_row row = message(a, 2), other = message(a, 4);

	row.offset = other.offset;
	put_message(a, a->index->messages, 2, &row);
}

static void row_into_the_void(struct apply *a)
{
	struct message_row row = message(a, 2);

	row.offset += 8;
	put_message(a, a->index->messages, 2, &row);
}

static void flags_forgotten(struct apply *a)
{
	struct message_row row = message(a, 1);

	row.flags = 0;
	row.change = 1;
	put_message(a, a->index->messages, 1, &row);
}

static void expunge_forgotten(struct apply *a)
{
	unsigned char key[KEY_MESSAGE];
	struct message_row row;

	CU_ASSERT_EQUAL_FATAL(index_tombstone(a->index, a->txn, ann.id, FOLDER_INBOX, 3, &row), 0);
	key_message(key, ann.id, FOLDER_INBOX, 3);
	put(a, a->index->tombstones, key, sizeof(key), NULL, 0);
	row.expunged_change = row.expunged_at = 0;
	put_message(a, a->index->messages, 3, &row);
}

static void folder_totals(struct apply *a)
{
	struct folder_row *f;

	CU_ASSERT_EQUAL_FATAL(apply_folder(a, ann.id, FOLDER_INBOX, &f), 0);
	f->messages++;
	f->unseen--;
	f->tombstone_octets += 5;
}

static void account_totals(struct apply *a)
{
	struct account_row *row;

	CU_ASSERT_EQUAL_FATAL(apply_owner(a, ann.id, &row), 0);
	row->octets += 100;
}

static void domain_totals(struct apply *a)
{
	struct domain_row *row;

	CU_ASSERT_EQUAL_FATAL(apply_domain(a, ANN, &row), 0);
	row->messages--;
}

static void domain_lost(struct apply *a)
{
	put(a, a->index->domains, "example.net", 11, NULL, 0);
}

static void uidl_lost(struct apply *a)
{
	unsigned char key[KEY_UIDL_MAX];

	put(a, a->index->uidls, key, key_uidl(key, ann.id, FOLDER_INBOX, "brought-along"), NULL, 0);
}

static void uidl_stray(struct apply *a)
{
	unsigned char key[KEY_UIDL_MAX];

	put(a, a->index->uidls, key, key_uidl(key, ann.id, FOLDER_INBOX, "nobody's"), "\2\0\0\0",
	    4);
}

static void name_lost(struct apply *a)
{
	unsigned char key[KEY_NAME_MAX];

	put(a, a->index->names, key, key_name(key, ann.id, "Sent"), NULL, 0);
}

static void name_stray(struct apply *a)
{
	unsigned char key[KEY_NAME_MAX];

	put(a, a->index->names, key, key_name(key, ann.id, "Nowhere"), "\1\0\0\0", 4);
}

static void segment_totals(struct apply *a)
{
	struct segment_row *row;

	CU_ASSERT_EQUAL_FATAL(apply_segment(a, message(a, 1).segment, &row), 0);
	row->live -= 8;
	row->other += 8;
}

static const struct plant {
	void (*plant)(struct apply *);
	const char *what[3]; /* in the check's answer */
	const char *with;    /* option of the repair */
} plants[] = {
    {row_flipped, {"row of the message fails its checksum", ANN, "\"folder\":\"INBOX\""}, NULL},
    {row_lost, {"not in the index", ANN, "\"uid\":2"}, NULL},
    {row_of_another, {"another one than the index says", ANN, "\"uid\":2"}, NULL},
    {row_into_the_void, {"no sound record where the index says", ANN, "\"uid\":2"}, "drop-damaged"},
    {flags_forgotten, {"flags are older", ANN, ".seg"}, NULL},
    {expunge_forgotten, {"was expunged is in the index", ANN, "INBOX"}, NULL},
    {folder_totals, {"folder's totals", ANN, "INBOX"}, NULL},
    {account_totals, {"account's totals", ANN, "repair"}, NULL},
    {domain_totals, {"domain's totals", "\"name\":\"example.org\"", "repair"}, NULL},
    {domain_lost, {"domain's totals", "\"name\":\"example.net\"", "repair"}, NULL},
    {uidl_lost, {"cannot be found by its unique id", "brought-along", ANN}, NULL},
    {uidl_stray, {"leads to no message", "nobody's", ANN}, NULL},
    {name_lost, {"cannot be found by its name", "Sent", ANN}, NULL},
    {name_stray, {"leads to no folder", "\"name\":\"Nowhere\"", ANN}, NULL},
    {segment_totals, {"segment's totals", ".seg", "repair"}, NULL},
};

static void plant(struct rig *r, void (*fn)(struct apply *))
{
	struct apply a;

	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	fn(&a);
	CU_ASSERT_EQUAL_FATAL(apply_end(&a), 0);
}

static void is_sound(void)
{
	struct rig r;

	begin(&r);
	uint64_t before = dump(&r);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"damage\":[]"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"complete\":true"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", "quick"), "\"faults\":0"));
	CU_ASSERT_TRUE(rig_says(rig_command(&r, "storage check", ANN, NULL, NULL, NULL, -1),
				"\"accounts\":1,\"folders\":2,\"messages\":8"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", NULL), "\"mended\":0"));
	CU_ASSERT_EQUAL(dump(&r), before);
	rig_end(&r);
}

static void names_and_mends(const struct plant *p)
{
	struct rig r;
	const char *answer;
	uint64_t before, planted;

	begin(&r);
	before = dump(&r);
	plant(&r, p->plant);
	planted = dump(&r);
	CU_ASSERT_NOT_EQUAL(planted, before);
	answer = run(&r, "storage check", NULL);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_TRUE(rig_says(answer, p->what[i]));
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("storage-fault"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", "dry-run"), "\"mended\":0"));
	CU_ASSERT_EQUAL(dump(&r), planted);
	run(&r, "storage repair", p->with);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("storage-repaired"));
	CU_ASSERT_EQUAL(dump(&r), before);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

static void every_fault(void)
{
	for (size_t i = 0; i < sizeof(plants) / sizeof(*plants); i++)
		names_and_mends(&plants[i]);
}

static void change_flipped(struct apply *a)
{
	unsigned char key[KEY_CHANGE], bytes[ROW_CHANGE] = {1};
	struct message_row row = message(a, 1);

	key_change(key, ann.id, FOLDER_INBOX, row.change, 1);
	put(a, a->index->changes, key, sizeof(key), bytes, sizeof(bytes));
}

static void unreadable_history_is_left_out(void)
{
	struct rig r;

	begin(&r);
	plant(&r, change_flipped);
	CU_ASSERT_TRUE(
	    rig_says(run(&r, "storage check", NULL), "history of changes is unreadable"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", NULL), "\"mended\":1"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

/* ---- damage in segments ---- */

static void flip_text(struct rig *r, uint32_t uid)
{
	struct message_row row;
	char path[64], octet;
	MDB_txn *txn;
	int fd;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(index_message(&r->store->index, txn, ann.id, FOLDER_INBOX, uid, &row),
			      0);
	index_read_end(&r->store->index, txn);
	snprintf(path, sizeof(path), "segments/%08u.seg", row.segment);
	fd = open(rig_path(r, path), O_RDWR);
	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(pread(fd, &octet, 1, (off_t)row.offset + 230), 1);
	octet ^= 4;
	CU_ASSERT_EQUAL(pwrite(fd, &octet, 1, (off_t)row.offset + 230), 1);
	close(fd);
}

static void names_damaged_texts(void)
{
	struct rig r;
	const char *answer;

	begin(&r);
	flip_text(&r, 2);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", "quick"), "\"faults\":0"));
	answer = run(&r, "storage check", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "text fails its checksum"));
	CU_ASSERT_TRUE(rig_says(answer, "\"account\":\"" ANN "\",\"folder\":\"INBOX\",\"uid\":2"));
	CU_ASSERT_TRUE(rig_says(answer, "\"faults\":1"));
	answer = rig_command(&r, "storage check", ANN, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_says(answer, "\"uid\":2"));
	CU_ASSERT_TRUE(
	    rig_says(rig_command(&r, "storage check", BOB, NULL, NULL, NULL, -1), "\"faults\":0"));
	answer = run(&r, "storage repair", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "--drop-damaged removes it"));
	CU_ASSERT_TRUE(rig_says(answer, "\"mended\":0"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", "drop-damaged"), "expunged"));
	answer = rig_command(&r, "mailbox show", ANN, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_says(answer, "\"uid\":1"));
	CU_ASSERT_PTR_NULL(strstr(answer, "\"uid\":2,"));
	rig_end(&r);
}

static void names_missing_segments(void)
{
	struct rig r;
	char name[600], elsewhere[600];

	begin(&r);
	snprintf(elsewhere, sizeof(elsewhere), "%s", rig_path(&r, "elsewhere"));
	snprintf(name, sizeof(name), "%s/segments/%08u.seg", r.path, r.store->log.id);
	CU_ASSERT_EQUAL(rename(name, elsewhere), 0);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "missing, unreadable or shorter"));
	CU_ASSERT_FATAL(rig_reopen(&r));
	CU_ASSERT_TRUE(
	    rig_says(run(&r, "storage check", NULL), "message's segment is missing or unreadable"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", NULL), "\"mended\":0"));
	rig_close(&r);
	CU_ASSERT_EQUAL(rename(elsewhere, name), 0);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	/* What is lost for good is given up when that is asked for. */
	rig_close(&r);
	CU_ASSERT_EQUAL(unlink(name), 0);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", "drop-damaged"), "it is lost"));
	CU_ASSERT_PTR_NULL(strstr(run(&r, "storage check", NULL), "\"uid\":1"));
	rig_end(&r);
}

/* ---- interrupted ---- */

static void interrupted(struct rig *r, const char *command)
{
	struct pstn_call *c = fake_call();

	fake_call_cancel(c);
	fake_call_run(c, &commands_table, command, r->store);
	CU_ASSERT_TRUE(rig_says(fake_call_answer(c), "\"complete\":false"));
	fake_call_free(c);
}

static void goes_on_where_it_was(void)
{
	struct rig r;
	struct pass p = {0};
	const char *answer;
	unsigned steps = 0;

	begin(&r);
	flip_text(&r, 2);
	plant(&r, account_totals);
	for (uint32_t before = UINT32_MAX; steps < 100; steps++) {
		interrupted(&r, "storage check");
		CU_ASSERT_TRUE_FATAL(pass_load(r.store, PASS_CHECK, &p));
		if (p.phase == PASS_SEGMENTS && before == PASS_SEGMENTS)
			break;
		before = p.phase;
		CU_ASSERT_FATAL(steps % 3 || rig_reopen(&r)); /* also over a restart */
	}
	CU_ASSERT_TRUE(steps > 5 && steps < 100);
	answer = run(&r, "storage check", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "an interrupted run went on"));
	CU_ASSERT_TRUE(rig_says(answer, "\"faults\":3"));
	CU_ASSERT_TRUE(rig_says(answer, "\"complete\":true"));
	interrupted(&r, "storage check");
	answer = run(&r, "storage check", "restart");
	CU_ASSERT_PTR_NULL(strstr(answer, "went on"));
	CU_ASSERT_TRUE(rig_says(answer, "\"faults\":3"));
	rig_end(&r);
}

static void needs_no_file(void)
{
	static const char *const contents[] = {"", "PSTNPAS1", "rubbish"};
	struct rig r;
	char whole[384];

	begin(&r);
	interrupted(&r, "storage check");
	for (size_t i = 0; i < 3; i++) {
		rig_write_file(rig_path(&r, PASS_CHECK), contents[i], strlen(contents[i]));
		CU_ASSERT_PTR_NULL(strstr(run(&r, "storage check", NULL), "went on"));
	}
	memset(whole, 0xff, sizeof(whole));
	memcpy(whole, "PSTNPAS1", 8);
	rig_write_file(rig_path(&r, PASS_CHECK), whole, sizeof(whole));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

/* ---- while the store is used ---- */

static void *use_it(void *arg)
{
	struct rig *r = arg;

	for (int i = 0; i < 150; i++) {
		struct pstn_maildrop *d;
		int status;

		rig_deliver(r, i % 2 ? ANN : BOB, "meanwhile\n", &status);
		if (i % 5)
			continue;
		d = rig_drop(r, i % 2 ? ANN : BOB, &status);
		if (d) {
			rig_expunge(d, (uint32_t[]){2}, 1);
			maildrop_table.close(d);
		}
	}
	return NULL;
}

static void finds_nothing_where_nothing_is(void)
{
	struct rig r;
	pthread_t thread;

	rig_begin(&r);
	r.options.durability = DURABILITY_NONE;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	fake_use_threads(2);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, use_it, &r), 0);
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_TRUE(rig_says(run(&r, i % 4 ? "storage check" : "storage repair", NULL),
					"\"faults\":0"));
	}
	pthread_join(thread, NULL);
	fake_settle();
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

/* ---- scrub ---- */

static void pass_time(void)
{
	for (int i = 0; i < 200 && !fake_log_find("scrub-done"); i++) {
		fake_settle();
		fake_advance(61000);
	}
	fake_settle();
}

static void scrubs(void)
{
	struct rig r;
	char value[128];

	rig_begin(&r);
	r.options.scrub_interval = 3600000;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	pass_time();
	CU_ASSERT_TRUE(rig_says(fake_log_find("scrub-done")->fields, "faults=0"));
	CU_ASSERT_TRUE(rig_says(fake_fact(r.self, "scrub", value), "no faults in"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage status", NULL), "no faults in"));
	fake_log_clear();
	fake_advance(61000); /* the next one is not due */
	fake_settle();
	CU_ASSERT_PTR_NULL(fake_log_find("scrub-done"));
	flip_text(&r, 2);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage scrub", NULL), "\"scrub\":\"begins\""));
	pass_time();
	CU_ASSERT_TRUE(rig_says(fake_log_find("scrub-done")->fields, "faults=1"));
	CU_ASSERT_TRUE(rig_says(fake_log_find("scrub-done")->fields, ANN));
	CU_ASSERT_TRUE(rig_says(fake_log_find("storage-fault")->fields, "account=" ANN));
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_SCRUB_FAULTS), 1);
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_SCRUB_BAD), 1);
	CU_ASSERT_TRUE(fake_metric(r.self, METRIC_SCRUB_OCTETS) > 0);
	CU_ASSERT_TRUE(rig_says(fake_fact(r.self, "scrub", value), "1 faults"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage scrub", "status"), "\"faults\":1"));
	rig_end(&r);
}

/* Far more than fits a piece; it is closed again and again, and killed. */
static void scrub_goes_on(void)
{
	static char text[900000];
	struct rig r;
	struct pass p = {0};
	uint64_t at = 0;
	int status;

	rig_begin(&r);
	r.options.scrub_interval = 3600000;
	r.options.scrub_rate = 1 << 20;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 6; i++)
		rig_deliver_bytes(&r, ANN, "INBOX", text, sizeof(text), NULL, &status);
	flip_text(&r, 1);
	for (int i = 0; i < 60 && !fake_log_find("scrub-done"); i++) {
		fake_advance(61000);
		fake_settle();
		rig_close(&r);
		CU_ASSERT_FATAL(rig_open(&r));
		CU_ASSERT_TRUE_FATAL(pass_load(r.store, PASS_SCRUB, &p));
		CU_ASSERT_TRUE(p.phase == PASS_DONE || p.octets >= at);
		at = p.octets;
	}
	CU_ASSERT_EQUAL(p.phase, PASS_DONE);
	CU_ASSERT_EQUAL(p.faults, 1);
	CU_ASSERT_TRUE(at > 6 * sizeof(text));
	rig_end(&r);
}

static void one_process_scrubs(void)
{
	struct rig r;
	int ends[2];
	char c = 0;
	pid_t child;

	begin(&r);
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		r.store->lock = open(rig_path(&r, "lock"), O_RDWR);
		c = home_scrub_lock(r.store, true) ? 'y' : 'n';
		(void)!write(ends[1], &c, 1);
		pause();
		_exit(0);
	}
	CU_ASSERT_EQUAL(read(ends[0], &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'y');
	run(&r, "storage scrub", NULL);
	fake_settle();
	CU_ASSERT_PTR_NULL(fake_log_find("scrub-done"));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	run(&r, "storage scrub", NULL);
	pass_time();
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("scrub-done"));
	close(ends[0]);
	close(ends[1]);
	rig_end(&r);
}

static void stops_for_the_next_generation(void)
{
	static char text[900000];
	struct rig r;
	struct pass p;
	int status;

	begin(&r);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 3; i++)
		rig_deliver_bytes(&r, ANN, "INBOX", text, sizeof(text), NULL, &status);
	r.store->options.scrub_rate = 4096;
	run(&r, "storage scrub", NULL);
	fake_settle();
	CU_ASSERT_TRUE(rig_says(run(&r, "storage scrub", NULL), "is running"));
	pstn_module.drain(r.store);
	fake_advance(61000);
	fake_settle();
	CU_ASSERT_PTR_NULL(r.store->scrub.checker);
	CU_ASSERT_TRUE(pass_load(r.store, PASS_SCRUB, &p));
	CU_ASSERT_NOT_EQUAL(p.phase, PASS_DONE);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage scrub", NULL), "cannot begin now"));
	rig_end(&r);
}

/* ---- a rebuild that is killed ---- */

static uint64_t kill_at; /* MiB */

static void die_on_the_way(struct pstn_self *self, const char *what, uint64_t done, uint64_t total)
{
	(void)self;
	if (strncmp(what, "making the index anew", 21) == 0 && total > 0 && done >= kill_at)
		_exit(9);
}

static void rebuild_and_die(struct rig *r, uint64_t mib)
{
	struct pstn_host host = *fake_host();
	int status;
	pid_t child = fork();

	if (child == 0) {
		kill_at = mib;
		host.progress = die_on_the_way;
		(void)pstn_module.start(r->self, &host, &r->options, r->error, sizeof(r->error));
		_exit(0);
	}
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 9);
}

/* It goes on from its last checkpoint and does not begin again. */
static void rebuild_goes_on(void)
{
	enum { MESSAGES = 20000 };
	struct rig r;
	uint64_t before;
	int status;

	rig_begin(&r);
	r.options.durability = DURABILITY_NONE;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r);
	for (int i = 0; i < MESSAGES; i++)
		rig_deliver(&r, BOB,
			    "Subject: one of so many that they take several checkpoints\n\n"
			    "and a text that is not worth more than this line\n",
			    &status);
	fake_settle();
	/* The store's state aside: the highest number of a segment is raised. */
	before = dump_tables(&r, 1);
	run(&r, "storage rebuild-index", NULL);
	rig_close(&r);
	rebuild_and_die(&r, 6);
	rebuild_and_die(&r, 0);
	rebuild_and_die(&r, 0);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(r.store->rebuilt);
	CU_ASSERT_TRUE(r.store->recovered_records > 0 && r.store->recovered_records < MESSAGES / 2);
	CU_ASSERT_TRUE(fake_progressed(r.self) > 0);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	CU_ASSERT_EQUAL(dump_tables(&r, 1), before);
	rig_end(&r);
}

/* ---- facts ---- */

static void tells_durability(void)
{
	struct rig r;
	char value[128];

	rig_begin(&r);
	r.options.durability = DURABILITY_RELAXED;
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_STRING_EQUAL(fake_fact(r.self, "durability", value), "relaxed");
	CU_ASSERT_TRUE(rig_says(run(&r, "storage status", NULL), "since the last checkpoint"));
	run(&r, "storage rebuild-index", NULL);
	CU_ASSERT_TRUE(rig_says(fake_fact(r.self, "index", value), "will be made anew"));
	rig_end(&r);
}

/* ---- memory ---- */

static void bears_lack_of_memory(void)
{
	static const char *const commands[] = {"storage check", "storage repair", "storage scrub",
					       "storage status"};
	struct rig r;

	begin(&r);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		bool failed = true;

		for (unsigned long n = 1; failed && n < 100; n++) {
			fake_fail_alloc(n);
			run(&r, commands[i], NULL);
			fake_settle();
			failed = fake_alloc_failed();
			fake_fail_alloc(0);
		}
		CU_ASSERT_FALSE(failed);
	}
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"a sound store", is_sound},
    {"every fault is named and mended", every_fault},
    {"unreadable history", unreadable_history_is_left_out},
    {"damaged texts", names_damaged_texts},
    {"missing segments", names_missing_segments},
    {"an interrupted check goes on", goes_on_where_it_was},
    {"the pass's file may be anything", needs_no_file},
    {"a check while the store is used", finds_nothing_where_nothing_is},
    {"scrub", scrubs},
    {"a scrub goes on after a stop", scrub_goes_on},
    {"one process scrubs", one_process_scrubs},
    {"a scrub stops for the next generation", stops_for_the_next_generation},
    {"a rebuild that is killed goes on", rebuild_goes_on},
    {"facts", tells_durability},
    {"every allocation fails once", bears_lack_of_memory},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_check", cases, argc > 1 ? argv[1] : NULL);
}
