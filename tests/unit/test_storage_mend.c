/*
 * test_storage_mend.c - damage that is met while the store is used: rows of the index that fail
 * their checksum, files that nobody knows, an index that cannot be had just now.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/commit/group.h"
#include "modules/storage/delivery/intake.h"
#include "modules/storage/delivery/uidl_set.h"
#include "modules/storage/format/bytes.h"
#include "modules/storage/format/checksum.h"
#include "modules/storage/index/audit.h"
#include "modules/storage/index/mend.h"
#include "modules/storage/open/home.h"
#include "modules/storage/recall/when.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.net"

static struct pstn_account ann, bob;

static void begin(struct rig *r)
{
	struct pstn_maildrop *d;
	int status;

	rig_begin(r);
	CU_ASSERT_FATAL(rig_open(r));
	rig_account(&ann, ANN);
	rig_account(&bob, BOB);
	rig_deliver(r, ANN, "first\n", &status);
	rig_deliver(r, ANN, "second\n\n.dot\n", &status);
	rig_deliver(r, ANN, "third\n", &status);
	rig_deliver_bytes(r, ANN, "INBOX", "fourth\n", 7, "brought-along", &status);
	rig_deliver(r, BOB, "for bob\n", &status);
	CU_ASSERT_EQUAL_FATAL(status, PSTN_OK);
	d = rig_drop(r, ANN, &status);
	maildrop_table.flag(d, 2, PSTN_SEEN | PSTN_FLAGGED, 0);
	fake_settle();
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){3}, 1), PSTN_OK);
	maildrop_table.close(d);
	fake_settle();
	fake_log_clear();
}

static const char *run(struct rig *r, const char *command, const char *option)
{
	return rig_command(r, command, NULL, option, "", NULL, -1);
}

/* ---- rows as they stand in the index ---- */

struct raw {
	unsigned char bytes[ROW_MESSAGE_MAX];
	size_t n;
};

static MDB_dbi table(struct rig *r, bool expunged)
{
	return expunged ? r->store->index.tombstones : r->store->index.messages;
}

static bool get_raw(struct rig *r, bool expunged, uint32_t uid, struct raw *raw)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_txn *txn;
	bool there;

	key_message(key, ann.id, FOLDER_INBOX, uid);
	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	there = mdb_get(txn, table(r, expunged), &k, &v) == 0;
	raw->n = there ? v.mv_size : 0;
	if (there)
		memcpy(raw->bytes, v.mv_data, v.mv_size);
	index_read_end(&r->store->index, txn);
	return there;
}

static void put_raw(struct rig *r, bool expunged, uint32_t uid, const struct raw *raw)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key};
	MDB_val v = {.mv_size = raw->n, .mv_data = (void *)(uintptr_t)raw->bytes};
	MDB_txn *txn;

	key_message(key, ann.id, FOLDER_INBOX, uid);
	CU_ASSERT_EQUAL_FATAL(index_write(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(mdb_put(txn, table(r, expunged), &k, &v, 0), 0);
	CU_ASSERT_EQUAL(index_commit(&r->store->index, txn), 0);
}

/* More than its check can find. */
static void ruin(struct rig *r, bool expunged, uint32_t uid)
{
	struct raw raw;

	CU_ASSERT_FATAL(get_raw(r, expunged, uid, &raw));
	raw.bytes[25] ^= 0x55;
	raw.bytes[37] ^= 0x10;
	raw.bytes[57] ^= 0x01;
	put_raw(r, expunged, uid, &raw);
}

static bool same(const struct raw *a, const struct raw *b)
{
	return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

/* ---- a row is mended where it is met ---- */

static void lists_all(struct rig *r)
{
	struct pstn_maildrop *d;
	struct rig_listing l;
	size_t n;
	int status;

	d = rig_drop(r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &l);
	CU_ASSERT_EQUAL_FATAL(l.count, 3);
	CU_ASSERT_EQUAL(l.rows[1].flags, PSTN_SEEN | PSTN_FLAGGED);
	CU_ASSERT_EQUAL(l.rows[1].octets, 16);
	CU_ASSERT_STRING_EQUAL(l.rows[2].uidl, "brought-along");
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "second\r\n\r\n.dot\r\n");
	maildrop_table.close(d);
}

static void mends_any_octet(void)
{
	struct rig r;
	struct raw before, damaged, after;

	begin(&r);
	CU_ASSERT_FATAL(get_raw(&r, false, 2, &before));
	for (size_t i = 0; i < before.n; i++) {
		damaged = before;
		damaged.bytes[i] ^= (unsigned char)(i * 37 % 255 + 1);
		put_raw(&r, false, 2, &damaged);
		fake_log_clear();
		lists_all(&r);
		CU_ASSERT_PTR_NOT_NULL_FATAL(fake_log_find("index-row-mended"));
		CU_ASSERT_TRUE(rig_says(fake_log_find("index-row-mended")->fields, "account=" ANN));
		CU_ASSERT_TRUE(rig_says(fake_log_find("index-row-mended")->fields, "uid=2"));
		CU_ASSERT_TRUE(get_raw(&r, false, 2, &after));
		CU_ASSERT_TRUE(same(&before, &after));
	}
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

/* Who reads, sets a flag or deletes meets it as well. */
static void mends_for_everybody(void)
{
	struct rig r;
	struct raw before, damaged, after;
	struct pstn_maildrop *d;
	size_t n;
	int status;

	begin(&r);
	CU_ASSERT_FATAL(get_raw(&r, false, 2, &before));
	damaged = before;
	damaged.bytes[80] ^= 3;
	d = rig_drop(&r, ANN, &status);
	put_raw(&r, false, 2, &damaged);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "second\r\n\r\n.dot\r\n");
	CU_ASSERT_TRUE(get_raw(&r, false, 2, &after) && same(&before, &after));
	put_raw(&r, false, 2, &damaged);
	maildrop_table.flag(d, 2, PSTN_ANSWERED, 0);
	maildrop_table.close(d);
	fake_settle();
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_FALSE(get_raw(&r, false, 2, &after) && same(&damaged, &after));
	CU_ASSERT_TRUE(rig_says(rig_command(&r, "mailbox show", ANN, NULL, NULL, NULL, -1),
				"seen answered flagged"));
	damaged = after;
	damaged.bytes[40] ^= 9;
	put_raw(&r, false, 2, &damaged);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){2}, 1), PSTN_OK);
	CU_ASSERT_TRUE(get_raw(&r, true, 2, &after));
	maildrop_table.close(d);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

static void mends_expunged_in_a_repair(void)
{
	struct rig r;
	struct raw before, damaged, after;

	begin(&r);
	CU_ASSERT_FATAL(get_raw(&r, true, 3, &before));
	for (size_t i = 0; i < before.n; i += 5) {
		damaged = before;
		damaged.bytes[i] ^= 0x42;
		put_raw(&r, true, 3, &damaged);
		CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "fails its checksum"));
		CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", "quick"), "\"mended\":1"));
		CU_ASSERT_TRUE(get_raw(&r, true, 3, &after) && same(&before, &after));
	}
	rig_end(&r);
}

/* ---- a row that is beyond that ---- */

static void uses_the_rest_of_the_folder(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	size_t n;
	int status;

	begin(&r);
	ruin(&r, false, 2);
	for (int i = 0; i < 3; i++) {
		d = rig_drop(&r, ANN, &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		rig_list(d, &l);
		CU_ASSERT_EQUAL_FATAL(l.count, 3);
		CU_ASSERT_STRING_EQUAL(l.rows[1].uidl, "damaged-2");
		CU_ASSERT_EQUAL(l.rows[1].octets, 0);
		CU_ASSERT_STRING_EQUAL(l.rows[2].uidl, "brought-along");
		CU_ASSERT_PTR_NULL(rig_text(d, 2, &n, &status));
		CU_ASSERT_EQUAL(status, PSTN_E_DAMAGED);
		maildrop_table.close(d);
		/* Said once. */
		CU_ASSERT_EQUAL(fake_log_find("index-row-damaged") != NULL, i == 0);
		fake_log_clear();
	}
	CU_ASSERT_NOT_EQUAL(rig_deliver(&r, ANN, "fifth\n", &status), 0);
	d = rig_drop(&r, ANN, &status);
	maildrop_table.flag(d, 2, PSTN_ANSWERED, 0);
	maildrop_table.flag(d, 3, PSTN_SEEN, 0);
	fake_settle();
	/* The others go, and nobody is told that all have gone. */
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1, 2}, 2), PSTN_E_DAMAGED);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){2}, 1), PSTN_E_DAMAGED);
	maildrop_table.close(d);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL_FATAL(l.count, 3);
	CU_ASSERT_STRING_EQUAL(l.rows[0].uidl, "damaged-2");
	CU_ASSERT_EQUAL(l.rows[1].flags, PSTN_SEEN);
	maildrop_table.close(d);
	rig_end(&r);
}

static void forget_something(struct rig *r)
{
	struct apply a;
	struct folder_row *f;

	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	CU_ASSERT_EQUAL(apply_folder(&a, ann.id, FOLDER_INBOX, &f), 0);
	f->forgotten = f->change;
	CU_ASSERT_EQUAL(apply_end(&a), 0);
}

static void repairs(bool forgetful, bool expunged, uint32_t uid)
{
	struct rig r;
	struct raw before, after;

	begin(&r);
	if (forgetful)
		forget_something(&r);
	CU_ASSERT_FATAL(get_raw(&r, expunged, uid, &before));
	ruin(&r, expunged, uid);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "fails its checksum"));
	CU_ASSERT_TRUE(
	    rig_says(run(&r, "storage repair", "quick"), "without --user and --quick does it"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", NULL), "\"mended\":"));
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(get_raw(&r, expunged, uid, &after) && same(&before, &after));
	CU_ASSERT_FALSE(get_raw(&r, !expunged, uid, &after));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	rig_end(&r);
}

static void repairs_from_the_segments(void)
{
	for (int forgetful = 0; forgetful < 2; forgetful++) {
		repairs(forgetful, false, 1);
		repairs(forgetful, false, 2); /* its flags changed after it had come */
		repairs(forgetful, false, 4);
		repairs(forgetful, true, 3);
	}
}

static void gives_up_what_is_lost(void)
{
	struct rig r;
	struct message_row row;
	struct raw raw;
	MDB_txn *txn;
	int fd;

	begin(&r);
	CU_ASSERT_EQUAL_FATAL(index_read(&r.store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_message(&r.store->index, txn, ann.id, FOLDER_INBOX, 1, &row), 0);
	index_read_end(&r.store->index, txn);
	ruin(&r, false, 1);
	fd = open(rig_path(&r, "segments/00000001.seg"), O_RDWR);
	CU_ASSERT_EQUAL(pwrite(fd, "damage", 6, (off_t)row.offset + 20), 6);
	close(fd);
	CU_ASSERT_TRUE(
	    rig_says(run(&r, "storage repair", NULL), "no record of the message was found"));
	CU_ASSERT_TRUE(get_raw(&r, false, 1, &raw));
	run(&r, "storage repair", "drop-damaged");
	CU_ASSERT_FALSE(get_raw(&r, false, 1, &raw));
	CU_ASSERT_PTR_NULL(strstr(run(&r, "storage check", "quick"), "\"faults\":1"));
	CU_ASSERT_TRUE(get_raw(&r, false, 2, &raw));
	rig_end(&r);
}

static uint64_t record_of(struct rig *r, uint32_t uid)
{
	struct message_row row;
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_message(&r->store->index, txn, ann.id, FOLDER_INBOX, uid, &row), 0);
	index_read_end(&r->store->index, txn);
	return row.offset;
}

static void lists_damaged_among(struct rig *r, uint32_t count, uint32_t number, const char *uidl)
{
	struct pstn_maildrop_totals t;
	struct rig_listing l;
	struct pstn_maildrop *d;
	int status;

	d = rig_drop(r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &t, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(t.messages, count);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, count);
	CU_ASSERT_STRING_EQUAL(l.rows[number - 1].uidl, uidl);
	maildrop_table.close(d);
}

/* Two rows are damaged and one of them is found again: the other still counts. */
static void counts_what_it_cannot_read(void)
{
	struct rig r;
	struct raw raw;
	uint64_t at;
	int fd, status;

	begin(&r);
	rig_deliver(&r, ANN, "fifth\n", &status);
	at = record_of(&r, 5);
	ruin(&r, false, 2);
	ruin(&r, false, 5);
	ruin(&r, true, 3);
	fd = open(rig_path(&r, "segments/00000001.seg"), O_RDWR);
	CU_ASSERT_EQUAL(pwrite(fd, "damage", 6, (off_t)at + 20), 6);
	close(fd);
	lists_damaged_among(&r, 4, 2, "damaged-2");
	fake_log_clear();
	run(&r, "storage repair", NULL);
	lists_damaged_among(&r, 4, 4, "damaged-5");
	CU_ASSERT_PTR_NULL(fake_log_find("folder-total-wrong"));
	CU_ASSERT_TRUE(get_raw(&r, true, 3, &raw));
	CU_ASSERT_PTR_NULL(strstr(run(&r, "storage check", NULL), "totals"));
	run(&r, "storage repair", "drop-damaged");
	CU_ASSERT_PTR_NULL(strstr(run(&r, "storage check", "quick"), "totals"));
	rig_end(&r);
}

static void drift(struct rig *r, int by)
{
	struct apply a;
	struct folder_row *f;

	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	CU_ASSERT_EQUAL(apply_folder(&a, ann.id, FOLDER_INBOX, &f), 0);
	f->messages = (uint64_t)((int64_t)f->messages + by);
	CU_ASSERT_EQUAL(apply_end(&a), 0);
}

/* INBOX holds 1, 2 and 5 then. */
static void make_gap(struct rig *r)
{
	struct pstn_maildrop *d;
	int status;

	rig_deliver(r, ANN, "fifth\n", &status);
	d = rig_drop(r, ANN, &status);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){3}, 1), PSTN_OK);
	maildrop_table.close(d);
}

static void serves_in_spite_of_its_total(void)
{
	static const int drifts[] = {-2, -1, 1, 8};

	for (size_t i = 0; i < sizeof(drifts) / sizeof(*drifts); i++) {
		struct pstn_maildrop_totals t = {.messages = 0};
		struct rig r;
		struct rig_listing l;
		struct pstn_maildrop *d;
		uint32_t live = 0;
		size_t n;
		int status;

		begin(&r);
		make_gap(&r);
		fake_log_clear();
		drift(&r, drifts[i]);
		d = rig_drop(&r, ANN, &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		CU_ASSERT_EQUAL(maildrop_table.totals(d, &t, NULL, NULL), PSTN_OK);
		rig_list(d, &l);
		CU_ASSERT(l.count <= t.messages);
		for (uint32_t k = 0; k < l.count; k++)
			live += !l.rows[k].zombie;
		CU_ASSERT_EQUAL(live, drifts[i] < 0 ? t.messages : 3);
		CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), "first\r\n");
		maildrop_table.close(d);
		d = rig_drop(&r, ANN, &status);
		CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), "first\r\n");
		maildrop_table.close(d);
		/* Said once. */
		CU_ASSERT_PTR_NOT_NULL(fake_log_find("folder-total-wrong"));
		CU_ASSERT_TRUE(rig_says(run(&r, "storage check", "quick"), "folder's totals"));
		/* Even while a row of the folder cannot be read. */
		ruin(&r, false, 2);
		CU_ASSERT_TRUE(rig_says(run(&r, "storage check", "quick"), "folder's totals"));
		run(&r, "storage repair", "quick");
		lists_damaged_among(&r, 3, 2, "damaged-2");
		rig_end(&r);
	}
}

/* ---- commands that walk through a folder ---- */

static const char *of_ann(struct rig *r, const char *command, const char *option, const char *value)
{
	return rig_command(r, command, ANN, option, value, NULL, -1);
}

/* One wrong octet, in a message and a tombstone: as if nothing had been. */
static void mends_for_commands(void)
{
	static const char *const commands[] = {"mailbox undelete", "mailbox restore",
					       "mailbox history"};
	struct raw live, dead, damaged, after;
	char moment[64], expected[8192];

	for (size_t i = 0; i < 3; i++) {
		const char *option = i == 1 ? "at" : "";
		struct rig r;

		begin(&r);
		when_text(rig_moment(), moment);
		(void)get_raw(&r, false, 2, &live);
		CU_ASSERT_FATAL(get_raw(&r, true, 3, &dead));
		snprintf(expected, sizeof(expected), "%s",
			 of_ann(&r, commands[i], i == 1 ? "at" : "dry-run", i == 1 ? moment : ""));
		CU_ASSERT_FALSE(rig_command_failed());
		damaged = live;
		damaged.bytes[30] ^= 6;
		put_raw(&r, false, 2, &damaged);
		damaged = dead;
		damaged.bytes[60] ^= 6;
		put_raw(&r, true, 3, &damaged);
		CU_ASSERT_STRING_EQUAL(
		    of_ann(&r, commands[i], i == 1 ? option : "dry-run", i == 1 ? moment : ""),
		    expected);
		CU_ASSERT_FALSE(rig_command_failed());
		CU_ASSERT_TRUE(get_raw(&r, false, 2, &after) && same(&after, &live));
		CU_ASSERT_TRUE(get_raw(&r, true, 3, &after) && same(&after, &dead));
		rig_end(&r);
	}
}

/* More than that: the others come back, and what does not is counted. */
static void undeletes_beside_damage(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	int status;

	begin(&r);
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1}, 1), PSTN_OK);
	maildrop_table.close(d);
	ruin(&r, false, 2);
	ruin(&r, true, 3);
	CU_ASSERT_TRUE(rig_says(of_ann(&r, "mailbox undelete", NULL, NULL), "\"restored\":1"));
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(of_ann(&r, "mailbox undelete", NULL, NULL), "\"kept\":1"));
	CU_ASSERT_TRUE(rig_says(of_ann(&r, "mailbox undelete", NULL, NULL), "\"not_restored\":1"));
	CU_ASSERT_TRUE(rig_says(of_ann(&r, "mailbox undelete", NULL, NULL), "damaged-3"));
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("index-row-damaged"));
	fake_log_clear();
	of_ann(&r, "mailbox undelete", NULL, NULL);
	CU_ASSERT_PTR_NULL(fake_log_find("index-row-damaged"));
	rig_end(&r);
}

static void restores_beside_damage(bool exact)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	struct rig_argument arguments[] = {{"user", ANN, -1}, {"at", NULL, -1}, {"exact", "", -1}};
	char moment[64];
	const char *said;
	int status;

	begin(&r);
	when_text(rig_moment(), moment);
	arguments[1].value = moment;
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1}, 1), PSTN_OK);
	maildrop_table.close(d);
	rig_deliver(&r, ANN, "later\n", &status);
	ruin(&r, false, 2);
	ruin(&r, true, 3);
	said = rig_call(&r, "mailbox restore", arguments, exact ? 3 : 2);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(said, "\"restored\":1"));
	CU_ASSERT_TRUE(rig_says(said, exact ? "\"removed\":1" : "\"removed\":0"));
	CU_ASSERT_TRUE(rig_says(said, exact ? "\"not_restored\":2" : "\"not_restored\":1"));
	/* What cannot be told stays as it is. */
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, exact ? 3 : 4);
	CU_ASSERT_STRING_EQUAL(l.rows[0].uidl, "damaged-2");
	maildrop_table.close(d);
	rig_end(&r);
}

static void restores_what_it_can(void)
{
	restores_beside_damage(false);
	restores_beside_damage(true);
}

static void tells_history_beside_damage(void)
{
	struct rig r;
	const char *said;

	begin(&r);
	ruin(&r, false, 2);
	ruin(&r, true, 3);
	said = of_ann(&r, "mailbox history", NULL, NULL);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(said, "\"event\":\"delivered\""));
	CU_ASSERT_TRUE(rig_says(said, "brought-along"));
	CU_ASSERT_TRUE(rig_says(said, "damaged-2")); /* its flags were set */
	CU_ASSERT_TRUE(rig_says(said, "damaged-3")); /* it was expunged */
	CU_ASSERT_TRUE(rig_says(rig_notes(), "When 2 messages came cannot be told"));
	rig_end(&r);
}

static void knows_uidls_beside_damage(void)
{
	struct uidl_set set;
	struct rig r;

	begin(&r);
	ruin(&r, false, 2);
	CU_ASSERT_EQUAL(uidl_set_fill(&set, r.store, ann.id, "INBOX"), PSTN_OK);
	CU_ASSERT_EQUAL(set.count, 1);
	uidl_set_free(&set);
	rig_end(&r);
}

/* ---- others of the same group ---- */

static void ruin_folder(struct rig *r, uint64_t account)
{
	unsigned char key[KEY_FOLDER], bytes[ROW_FOLDER_MAX];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_txn *txn;

	key_folder(key, account, FOLDER_INBOX);
	CU_ASSERT_EQUAL_FATAL(index_write(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(mdb_get(txn, r->store->index.folders, &k, &v), 0);
	memcpy(bytes, v.mv_data, v.mv_size);
	bytes[20] ^= 1;
	v.mv_data = bytes;
	CU_ASSERT_EQUAL(mdb_put(txn, r->store->index.folders, &k, &v, 0), 0);
	CU_ASSERT_EQUAL(index_commit(&r->store->index, txn), 0);
}

static void groups_go_without_the_damaged(void)
{
	struct rig r;
	struct raw raw;
	struct uid_range ranges[3] = {{1, 1}, {1, 1}, {2, 1}};
	struct pending p[3];

	begin(&r);
	ruin_folder(&r, bob.id);
	for (int i = 0; i < 3; i++) {
		p[i] = (struct pending){.kind = PENDING_EXPUNGE,
					.account = i == 1 ? bob.id : ann.id,
					.folder = FOLDER_INBOX,
					.next = i < 2 ? &p[i + 1] : NULL};
		p[i].expunge.ranges = &ranges[i];
		p[i].expunge.count = 1;
	}
	group_run(r.store, p);
	CU_ASSERT_EQUAL(p[0].status, PSTN_OK);
	CU_ASSERT_EQUAL(p[1].status, PSTN_E_DAMAGED);
	CU_ASSERT_EQUAL(p[2].status, PSTN_OK);
	CU_ASSERT_TRUE(get_raw(&r, true, 1, &raw) && get_raw(&r, true, 2, &raw));
	CU_ASSERT_FATAL(rig_reopen(&r)); /* the audit finds it, and bob has his folder again */
	CU_ASSERT_TRUE(r.store->rebuilt);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	CU_ASSERT_TRUE(get_raw(&r, true, 1, &raw) && get_raw(&r, true, 2, &raw));
	rig_end(&r);
}

/* ---- names ---- */

static void put_name(struct rig *r, const char *name, const char *value)
{
	unsigned char key[KEY_NAME_MAX];
	MDB_val k = {.mv_data = key};
	MDB_val v = {.mv_size = 4, .mv_data = (void *)(uintptr_t)value};
	MDB_txn *txn;

	k.mv_size = key_name(key, ann.id, name);
	CU_ASSERT_EQUAL_FATAL(index_write(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(value ? mdb_put(txn, r->store->index.names, &k, &v, 0)
			      : mdb_del(txn, r->store->index.names, &k, NULL),
			0);
	CU_ASSERT_EQUAL(index_commit(&r->store->index, txn), 0);
}

/* A name that is lost, or leads to another folder, hides no mail and makes no second folder. */
static void finds_folders_without_names(void)
{
	static const char *const values[] = {NULL, "\1\0\0\0", "\3\0\0\0", "\2\1\0\0"};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		struct rig r;
		struct pstn_maildrop *d;
		struct rig_listing l;
		int status;

		begin(&r);
		rig_deliver_bytes(&r, ANN, "Sent", "one\n", 4, NULL, &status);
		rig_deliver_bytes(&r, ANN, "Other", "other\n", 6, NULL, &status);
		put_name(&r, "Sent", values[i]);
		CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "Sent", "two\n", 4, NULL, &status), 2);
		d = rig_folder(&r, ANN, "Sent", &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		rig_list(d, &l);
		CU_ASSERT_EQUAL(l.count, 2);
		maildrop_table.close(d);
		CU_ASSERT_PTR_NULL(rig_folder(&r, ANN, "Nowhere", &status));
		CU_ASSERT_EQUAL(status, PSTN_E_NOT_FOUND);
		run(&r, "storage repair", NULL);
		CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
		rig_end(&r);
	}
}

/* ---- a damaged message of a group ---- */

static struct pending *wait_with(struct rig *r, struct pstn_delivery **d, const char *text)
{
	struct pstn_delivery_request q = {.size = sizeof(q), .account = &ann, .folder = "INBOX"};
	int status;

	CU_ASSERT_EQUAL_FATAL(delivery_begin(r->store, &q, NULL, d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_write(*d, text, strlen(text)), PSTN_OK);
	return delivery_seal(*d, &status);
}

/* Three messages under one sync; their uids are 5, 6, 7. */
static void deliver_group(struct rig *r)
{
	static const char *const texts[] = {"one of three\n", "two of three\n", "three of three\n"};
	struct pstn_delivery *d[3];
	struct pending *p[3];

	for (int i = 2; i >= 0; i--) {
		p[i] = wait_with(r, &d[i], texts[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		p[i]->next = i < 2 ? p[i + 1] : NULL;
	}
	group_run(r->store, p[0]);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(p[i]->status, PSTN_OK);
		delivery_free(d[i]);
	}
}

static void flip_text(struct rig *r, uint32_t uid)
{
	struct message_row row;
	MDB_txn *txn;
	char octet;
	int fd = open(rig_path(r, "segments/00000001.seg"), O_RDWR);

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_message(&r->store->index, txn, ann.id, FOLDER_INBOX, uid, &row), 0);
	index_read_end(&r->store->index, txn);
	CU_ASSERT_EQUAL(pread(fd, &octet, 1, (off_t)row.offset + 226), 1);
	octet ^= 1;
	CU_ASSERT_EQUAL(pwrite(fd, &octet, 1, (off_t)row.offset + 226), 1);
	close(fd);
}

static void rebuild(struct rig *r)
{
	run(r, "storage rebuild-index", NULL);
	CU_ASSERT_FATAL(rig_reopen(r));
	CU_ASSERT_TRUE(r->store->rebuilt);
}

/* It was safe: a later group follows, in the same segment or in another one. */
static void shows_what_was_safe(bool elsewhere)
{
	struct rig r;
	struct raw raw;
	struct pstn_maildrop *d;
	size_t n;
	int status;

	begin(&r);
	deliver_group(&r);
	if (elsewhere) /* what comes next begins a segment */
		r.store->options.segment_size = 1;
	rig_deliver(&r, ANN, "later\n", &status);
	flip_text(&r, 5);
	flip_text(&r, 7);
	rebuild(&r);
	for (uint32_t uid = 5; uid <= 8; uid++)
		CU_ASSERT_TRUE(get_raw(&r, false, uid, &raw));
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_PTR_NULL(rig_text(d, 4, &n, &status));
	CU_ASSERT_EQUAL(status, PSTN_E_DAMAGED);
	CU_ASSERT_PTR_NOT_NULL(rig_text(d, 5, &n, &status));
	CU_ASSERT_EQUAL(n, strlen("two of three\r\n"));
	CU_ASSERT_PTR_NOT_NULL(rig_text(d, 7, &n, &status));
	maildrop_table.close(d);
	rig_end(&r);
}

static void knows_what_was_safe(void)
{
	shows_what_was_safe(false);
	shows_what_was_safe(true);
}

/* The power went while the group was written: nobody was told that its messages are safe. What
 * recovery left out stays out when an index is made anew much later. */
static void leaves_out_what_was_not(void)
{
	struct rig r;
	struct raw raw;
	uint32_t uid;
	int status;

	begin(&r);
	CU_ASSERT_FATAL(rig_reopen(&r));
	deliver_group(&r);
	flip_text(&r, 5);
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("record-incomplete"));
	CU_ASSERT_FALSE(get_raw(&r, false, 5, &raw));
	CU_ASSERT_TRUE(get_raw(&r, false, 6, &raw) && get_raw(&r, false, 7, &raw));
	uid = rig_deliver(&r, ANN, "later\n", &status);
	CU_ASSERT_EQUAL(uid, 8);
	rebuild(&r);
	CU_ASSERT_FALSE(get_raw(&r, false, 5, &raw));
	for (uid = 6; uid <= 8; uid++)
		CU_ASSERT_TRUE(get_raw(&r, false, uid, &raw));
	rig_end(&r);
}

/* ---- an index that cannot be had just now ---- */

static bool put_aside(struct rig *r)
{
	return access(rig_path(r, "index.damaged"), F_OK) == 0;
}

static int open_with(struct rig *r, unsigned descriptors)
{
	struct rlimit few = {descriptors, descriptors};

	if (setrlimit(RLIMIT_NOFILE, &few) != 0)
		return 2;
	if (!rig_open(r))
		return strlen(r->error) > 10 && !put_aside(r) ? 1 : 3;
	rig_close(r);
	return put_aside(r) ? 4 : 0;
}

static void tells_lack_from_damage(void)
{
	struct rig r;
	int opened = 0, refused = 0, status, next;

	begin(&r);
	rig_close(&r);
	next = open("/dev/null", O_RDONLY);
	close(next);
	for (int more = 0; more < 24; more++) {
		pid_t child = fork();

		if (child == 0)
			_exit(open_with(&r, (unsigned)(next + more)));
		waitpid(child, &status, 0);
		CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
		opened += status == 0;
		refused += status != 0;
	}
	CU_ASSERT_TRUE(opened > 0 && refused > 5);
	for (unsigned long n = 1; n < 60; n++) {
		fake_fail_alloc(n);
		if (rig_open(&r))
			rig_close(&r);
		fake_fail_alloc(0);
		CU_ASSERT_FALSE_FATAL(put_aside(&r));
	}
	CU_ASSERT_FATAL(rig_open(&r));
	lists_all(&r);
	rig_end(&r);
}

/* ---- an index that is too large to be looked at in each start ---- */

/* The newest checkpoint's slot, as if its state had pages far behind those that it has. */
static void pretend_large(struct rig *r)
{
	struct checkpoint_state c;
	unsigned char slot[64 + CHECKPOINT_META];
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s", rig_path(r, "index"));
	CU_ASSERT_EQUAL(checkpoint_read(path, &c), 0);
	CU_ASSERT_TRUE_FATAL(c.found);
	fd = open(rig_path(r, "index/checkpoint"), O_RDWR);
	CU_ASSERT_EQUAL(pread(fd, slot, sizeof(slot), c.slot * 4096), sizeof(slot));
	put64(slot + 64 + 16 + 120, AUDIT_OCTETS_MAX / c.page_size + 1);
	put64(slot + 8, checksum(slot + 16, sizeof(slot) - 16, 0));
	CU_ASSERT_EQUAL(pwrite(fd, slot, sizeof(slot), c.slot * 4096), sizeof(slot));
	close(fd);
}

/* A row of the index loses an octet. */
static void flip_in_index(struct rig *r)
{
	size_t n;
	char *bytes = rig_read_file(rig_path(r, "index/data.mdb"), &n), *p = bytes;
	int fd = open(rig_path(r, "index/data.mdb"), O_RDWR);
	unsigned flipped = 0;

	for (; (p = memmem(p, n - (size_t)(p - bytes), "brought-along", 13)) != NULL; p++)
		flipped += pwrite(fd, "B", 1, p - bytes) == 1;
	CU_ASSERT(flipped > 0);
	close(fd);
	free(bytes);
}

static void doubts_after_a_crash(void)
{
	struct rig r;

	begin(&r);
	rig_close(&r);
	pretend_large(&r);
	CU_ASSERT_FATAL(rig_open(&r)); /* not looked at */
	CU_ASSERT_TRUE(home_index_doubted(r.store));
	CU_ASSERT_FATAL(rig_reopen(&r)); /* ended in order: not looked at again */
	CU_ASSERT_TRUE(home_index_doubted(r.store));
	rig_close(&r);
	CU_ASSERT_NOT_EQUAL(access(rig_path(&r, "index/doubted"), F_OK), 0);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_crash(&r);
	rig_write_file(rig_path(&r, "index/doubted"), "", 0); /* as a process leaves it that died */
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(home_index_doubted(r.store)); /* sound, but whoever has it may die again */
	CU_ASSERT_FALSE(r.store->rebuilt);
	rig_close(&r);
	rig_write_file(rig_path(&r, "index/doubted"), "", 0);
	flip_in_index(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(r.store->rebuilt);
	CU_ASSERT_TRUE(put_aside(&r));
	lists_all(&r);
	rig_end(&r);
}

/* ---- files that nobody knows ---- */

static void names_unknown_segments(void)
{
	struct rig r;
	char *bytes;
	size_t n;
	int status, fd;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(
	    rig_says(run(&r, "storage check", NULL), "\"faults\":0")); /* being written */
	rig_deliver(&r, ANN, "text\n", &status);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	bytes = rig_read_file(rig_path(&r, "segments/00000001.seg"), &n);
	rig_write_file(rig_path(&r, "segments/00000009.seg"), bytes, n);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "that the index does not know"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "00000009.seg"));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage repair", NULL), "not mended"));
	/* Whoever writes it has it locked. */
	fd = open(rig_path(&r, "segments/00000009.seg"), O_RDWR);
	CU_ASSERT_EQUAL(segment_lock(fd), 0);
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	close(fd);
	CU_ASSERT_EQUAL(unlink(rig_path(&r, "segments/00000009.seg")), 0);
	/* A header that cannot be read when the index is made. */
	rig_close(&r);
	bytes[0] ^= 1;
	bytes[SEGMENT_HEAD_COPY] ^= 1;
	rig_write_file(rig_path(&r, "segments/00000001.seg"), bytes, n);
	free(bytes);
	rig_remove_store(rig_path(&r, "index"));
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "00000001.seg"));
	rig_end(&r);
}

static uint32_t flags_of_segment(struct rig *r, uint32_t id)
{
	struct segment_row row = {.flags = 0};
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	(void)index_segment(&r->store->index, txn, id, &row);
	index_read_end(&r->store->index, txn);
	return row.flags;
}

/* Compaction died between its checkpoint and the end: a file that its row calls gone is never read,
 * however often it comes back, and the row stays until the file is gone for sure. */
static void never_reads_what_is_gone(void)
{
	struct rig r;
	struct apply a;
	struct segment_row *row;
	char *bytes;
	size_t n;

	begin(&r);
	bytes = rig_read_file(rig_path(&r, "segments/00000001.seg"), &n);
	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r.store->index), 0);
	CU_ASSERT_EQUAL(apply_segment(&a, 7, &row), 0);
	*row = (struct segment_row){
	    .kind = SEGMENT_LOG, .flags = SEGMENT_SEALED | SEGMENT_GONE, .end = SEGMENT_HEAD};
	CU_ASSERT_EQUAL(apply_end(&a), 0);
	for (int i = 0; i < 2; i++) {
		rig_close(&r);
		rig_write_file(rig_path(&r, "segments/00000007.seg"), bytes, n);
		CU_ASSERT_FATAL(rig_open(&r));
		CU_ASSERT_NOT_EQUAL(access(rig_path(&r, "segments/00000007.seg"), F_OK), 0);
		CU_ASSERT_EQUAL(flags_of_segment(&r, 7), SEGMENT_SEALED | SEGMENT_GONE);
		CU_ASSERT_EQUAL(r.store->recovered_records, 0);
		CU_ASSERT_TRUE(rig_says(run(&r, "storage check", NULL), "\"faults\":0"));
	}
	free(bytes);
	rig_end(&r);
}

static void tells_retention(void)
{
	struct rig r;
	const char *answer;

	begin(&r);
	answer = run(&r, "storage status", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"retention_seconds\":604800"));
	CU_ASSERT_TRUE(rig_says(answer, "\"compaction_threshold_percent\":25"));
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"one wrong octet of a row is mended", mends_any_octet},
    {"whoever meets it mends it", mends_for_everybody},
    {"rows of what was expunged", mends_expunged_in_a_repair},
    {"the rest of a folder with a damaged row", uses_the_rest_of_the_folder},
    {"a repair finds the records of damaged rows", repairs_from_the_segments},
    {"a row without a record is given up when asked for", gives_up_what_is_lost},
    {"a repair counts rows that it cannot read", counts_what_it_cannot_read},
    {"a folder whose total is wrong", serves_in_spite_of_its_total},
    {"commands mend what they meet", mends_for_commands},
    {"undelete beside damaged rows", undeletes_beside_damage},
    {"restore beside damaged rows", restores_what_it_can},
    {"history beside damaged rows", tells_history_beside_damage},
    {"unique ids beside damaged rows", knows_uidls_beside_damage},
    {"a group goes without who meets damage", groups_go_without_the_damaged},
    {"a folder whose name is wrong in the index", finds_folders_without_names},
    {"a damaged message that was safe is shown", knows_what_was_safe},
    {"a torn message that was not safe is left out", leaves_out_what_was_not},
    {"an index that cannot be had now is left alone", tells_lack_from_damage},
    {"an index that was not looked at", doubts_after_a_crash},
    {"segments that the index does not know", names_unknown_segments},
    {"a segment that is gone is never read", never_reads_what_is_gone},
    {"status tells what is kept for how long", tells_retention},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("storage_mend", cases, argc > 1 ? argv[1] : NULL);
}
