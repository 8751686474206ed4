/*
 * test_storage_numbers.c - numbers are given once: unique ids that look like the store's own, and
 * uids, unique ids and segments' numbers of mail that damage took or hides.
 */
#include "inout_rig.h"
#include "suite.h"

#include "modules/storage/index/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANN "ann@example.org"

/* What a folder shows, and what it has shown: of a message the texts' first line. */
static struct rig_listing shown;

static void list(struct rig *r)
{
	int status;
	struct pstn_maildrop *d = rig_drop(r, ANN, &status);

	shown.count = 0;
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &shown);
	maildrop_table.close(d);
}

static void deliver(struct rig *r, unsigned n)
{
	int status;

	while (n--) {
		rig_deliver(r, ANN, "Subject: new\n\nnew\n", &status);
		CU_ASSERT_EQUAL(status, PSTN_OK);
	}
}

static void rebuild(struct rig *r)
{
	rig_close(r);
	rig_write_file(rig_path(r, "index/rebuild"), "", 0);
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_TRUE(r->store->rebuilt);
}

/* ---- unique ids ---- */

static unsigned uidls_twice(void)
{
	unsigned twice = 0;

	for (uint32_t i = 0; i < shown.count; i++)
		for (uint32_t k = i + 1; k < shown.count; k++)
			twice += strcmp(shown.rows[i].uidl, shown.rows[k].uidl) == 0;
	return twice;
}

static uint64_t last_serial(struct rig *r)
{
	struct state_row state;
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_state(&r->store->index, txn, &state), 0);
	index_read_end(&r->store->index, txn);
	return state.serial;
}

static uint32_t deliver_as(struct rig *r, uint64_t serial, int *status)
{
	char uidl[UIDL_MAX + 1];

	uidl_format(uidl, r->store->index.tag, serial);
	return rig_deliver_bytes(r, ANN, "INBOX", "old\n", 4, uidl, status);
}

static const struct {
	const char *what;
	bool ahead; /* serial is counted from the last one */
	uint64_t serial;
	bool kept;
} brought[] = {
    {"the last there can be", false, UINT64_MAX, false},
    {"above the limit", false, SERIAL_MAX + 1, false},
    {"the limit itself", false, SERIAL_MAX, false},
    {"too far ahead", true, SERIAL_AHEAD + 1, false},
    {"as far ahead as may be", true, SERIAL_AHEAD, true},
    {"the next one", true, 1, true},
    {"soon to be given", true, 3, true},
};

/* One brought along is kept or replaced, and never given to another, also after a rebuild. */
static void own_ids_come_back(void)
{
	for (size_t i = 0; i < sizeof(brought) / sizeof(*brought); i++) {
		struct rig r;
		uint64_t serial;
		int status;

		rig_begin(&r);
		CU_ASSERT_FATAL(rig_open(&r));
		deliver(&r, 2);
		serial = brought[i].serial + (brought[i].ahead ? last_serial(&r) : 0);
		fake_log_clear();
		CU_ASSERT_EQUAL(deliver_as(&r, serial, &status), 3);
		CU_ASSERT_EQUAL(status, PSTN_OK);
		CU_ASSERT_EQUAL(fake_log_find("unique-id-replaced") == NULL, brought[i].kept);
		deliver(&r, 5);
		list(&r);
		CU_ASSERT_EQUAL(shown.count, 8);
		if (uidls_twice() || (uidl_serial(shown.rows[2].uidl, r.store->index.tag) ==
				      serial) != brought[i].kept) {
			fprintf(stderr, "  %s: %s\n", brought[i].what, shown.rows[2].uidl);
			CU_FAIL("an id that was brought along");
		}
		serial = last_serial(&r);
		rebuild(&r);
		CU_ASSERT_EQUAL(last_serial(&r), serial);
		deliver(&r, 3);
		list(&r);
		CU_ASSERT_EQUAL(shown.count, 11);
		CU_ASSERT_EQUAL(uidls_twice(), 0);
		rig_end(&r);
	}
}

static void set_serial(struct rig *r, uint64_t serial)
{
	struct apply a;

	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	a.state.serial = serial;
	CU_ASSERT_EQUAL(apply_end(&a), 0);
}

static void serials_run_out(void)
{
	struct rig r;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, 1);
	set_serial(&r, SERIAL_MAX - 1);
	deliver(&r, 1);
	rig_deliver(&r, ANN, "one too many\n", &status);
	CU_ASSERT_EQUAL(status, PSTN_E_FULL);
	rig_deliver_bytes(&r, ANN, "INBOX", "old\n", 4, "of another server", &status);
	CU_ASSERT_EQUAL(status, PSTN_E_INVALID);
	rig_deliver_bytes(&r, ANN, "INBOX", "old\n", 4, "another-server's", &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	CU_ASSERT_EQUAL(last_serial(&r), SERIAL_MAX);
	rig_end(&r);
}

/* A record that stands in a segment all the same. */
static void a_record_has_too_high_a_serial(void)
{
	struct record rec = {.type = RECORD_MESSAGE,
			     .flags = RECORD_NAMED,
			     .folder = FOLDER_INBOX,
			     .uid = 9,
			     .change = 9};
	struct pstn_account ann;
	struct apply a;
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, 1);
	rig_account(&ann, ANN);
	rec.account = ann.id;
	uidl_format(rec.uidl, r.store->index.tag, UINT64_MAX);
	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r.store->index), 0);
	CU_ASSERT_EQUAL(apply_record(&a, &rec, NULL, 1, 1 << 20), 0);
	CU_ASSERT_EQUAL(a.state.serial, last_serial(&r));
	apply_abort(&a);
	rig_end(&r);
}

static void own_ids_are_imported(void)
{
	struct rig r;
	const char *answer;
	char text[200], far[UIDL_MAX + 1], near[UIDL_MAX + 1];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	deliver(&r, 2);
	uidl_format(far, r.store->index.tag, UINT64_MAX);
	uidl_format(near, r.store->index.tag, last_serial(&r) + 3);
	inout_maildir("md");
	inout_put("md/cur/1.a:2,", "Subject: m1\n\nbody 1\n", 1);
	inout_put("md/cur/2.b:2,", "Subject: m2\n\nbody 2\n", 2);
	snprintf(text, sizeof(text), "guid\tpop3.uidl\n1.a\t%s\n2.b\t%s\n", far, near);
	inout_put("list", text, 5);
	answer = inout_import(&r, ANN, "md", NULL, "list");
	CU_ASSERT_TRUE(rig_says(answer, "\"imported\":2"));
	CU_ASSERT_TRUE(rig_says(answer, "\"with_uidl\":1"));
	CU_ASSERT_TRUE(rig_says(answer, "\"new_uidl\":1"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), far));
	deliver(&r, 5);
	list(&r);
	CU_ASSERT_EQUAL(shown.count, 9);
	CU_ASSERT_EQUAL(uidls_twice(), 0);
	CU_ASSERT_STRING_EQUAL(shown.rows[3].uidl, near);
	rig_end(&r);
}

/* ---- numbers of mail that was lost ---- */

#define SEGMENT 8192
#define TEXT    3000 /* two messages a segment */

static void deliver_long(struct rig *r, const char *subject)
{
	char text[TEXT + 1];
	int status;

	memset(text, 'x', TEXT);
	text[TEXT] = '\0';
	memcpy(text + TEXT - 2, "\r\n", 2);
	memcpy(text + snprintf(text, 100, "Subject: %s\r\n\r\n", subject), "y", 1);
	rig_deliver(r, ANN, text, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
}

static void begin_long(struct rig *r, unsigned n)
{
	char subject[16];

	rig_begin(r);
	r->options.segment_size = SEGMENT;
	CU_ASSERT_FATAL(rig_open(r));
	for (unsigned i = 1; i <= n; i++) {
		snprintf(subject, sizeof(subject), "old%u", i);
		deliver_long(r, subject);
	}
	list(r);
	rig_close(r);
}

static const char *subjects(struct rig *r)
{
	list(r);
	return rig_subjects(r, ANN);
}

static const char *segment_path(struct rig *r, uint32_t id)
{
	char name[64];

	snprintf(name, sizeof(name), "segments/%08u.seg", id);
	return rig_path(r, name);
}

/* Flips a bit so far before the text of the last message, or behind its begin. */
static void flip_last(struct rig *r, uint32_t segment, const char *subject, int from)
{
	size_t n;
	char *bytes = rig_read_file(segment_path(r, segment), &n);
	char *at = memmem(bytes, n, subject, strlen(subject));

	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	at[from] ^= 1;
	rig_write_file(segment_path(r, segment), bytes, n);
	free(bytes);
}

static void ask_rebuild(struct rig *r)
{
	rig_write_file(rig_path(r, "index/rebuild"), "", 0);
	fake_log_clear();
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_TRUE(r->store->rebuilt);
}

/* No uid and no unique id of the listing that was kept before. */
static void shares_no_number(const struct rig_listing *before, const char *subject)
{
	const struct pstn_message *last = &shown.rows[shown.count - 1];

	for (uint32_t i = 0; i < before->count; i++)
		if (last->uid <= before->rows[i].uid ||
		    strcmp(last->uidl, before->rows[i].uidl) == 0) {
			fprintf(stderr, "  %s: uid %u %s\n", subject, last->uid, last->uidl);
			CU_FAIL("a number is given twice");
		}
}

static const struct {
	const char *what;
	int from; /* the text that names it */
	const char *after;
} newest[] = {
    {"a text", 20, "old1 old2 damaged"},
    {"a head", -120, "old1 old2"},
};

/* It was stopped in order: what is damaged at the end was acknowledged. */
static void the_newest_is_damaged(void)
{
	for (size_t i = 0; i < sizeof(newest) / sizeof(*newest); i++) {
		struct rig_listing before;
		char expected[64];
		struct rig r;

		begin_long(&r, 3);
		before = shown;
		flip_last(&r, 2, "Subject: old3", newest[i].from);
		for (int round = 0; round < 2; round++) {
			ask_rebuild(&r);
			if (strcmp(subjects(&r), newest[i].after) != 0) {
				fprintf(stderr, "  %s: %s\n", newest[i].what, subjects(&r));
				CU_FAIL("what a rebuild shows");
			}
			rig_close(&r);
		}
		CU_ASSERT_FATAL(rig_open(&r));
		deliver_long(&r, "new");
		snprintf(expected, sizeof(expected), "%s new", newest[i].after);
		CU_ASSERT_STRING_EQUAL(subjects(&r), expected);
		shares_no_number(&before, newest[i].what);
		rig_close(&r);
		flip_last(&r, 2, "Subject: old3", newest[i].from);
		ask_rebuild(&r);
		CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2 old3 new");
		CU_ASSERT_EQUAL(uidls_twice(), 0);
		CU_ASSERT_PTR_NULL(fake_log_find("message-renumbered"));
		rig_end(&r);
	}
}

/* The newest segment cannot be read, and is given back when there is new mail. */
static void hide(struct rig *r, char **bytes, size_t *n)
{
	char *hidden;

	*bytes = rig_read_file(segment_path(r, 2), n);
	hidden = malloc(*n);
	memcpy(hidden, *bytes, *n);
	memset(hidden, 0, SEGMENT_HEAD);
	rig_write_file(segment_path(r, 2), hidden, *n);
	free(hidden);
}

static void a_segment_comes_back(void)
{
	struct rig_listing before;
	struct rig r;
	char *bytes;
	size_t n;

	begin_long(&r, 4);
	before = shown;
	hide(&r, &bytes, &n);
	ask_rebuild(&r);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("segment-unreadable"));
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2");
	deliver_long(&r, "new1");
	deliver_long(&r, "new2");
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2 new1 new2");
	shares_no_number(&before, "a segment");
	rig_close(&r);
	rig_write_file(segment_path(&r, 2), bytes, n);
	free(bytes);
	ask_rebuild(&r);
	CU_ASSERT_PTR_NULL(fake_log_find("message-renumbered"));
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2 old3 old4 new1 new2");
	CU_ASSERT_EQUAL(uidls_twice(), 0);
	rig_end(&r);
}

/* A start says that a segment is missing and asks for its file: it must not overwrite another. */
static void a_file_comes_back(void)
{
	static const char *const all[] = {"old1", "old2", "old3", "old4", "new1", "new2", "new3"};
	const char *text;
	struct rig r;
	char *bytes;
	size_t n;

	begin_long(&r, 4);
	bytes = rig_read_file(segment_path(&r, 2), &n);
	unlink(segment_path(&r, 2));
	ask_rebuild(&r);
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2");
	deliver_long(&r, "new1");
	deliver_long(&r, "new2");
	deliver_long(&r, "new3");
	rig_close(&r);
	CU_ASSERT_NOT_EQUAL(access(segment_path(&r, 2), F_OK), 0);
	rig_write_file(segment_path(&r, 2), bytes, n);
	free(bytes);
	ask_rebuild(&r);
	/* Whichever keeps its number: none is lost. */
	text = subjects(&r);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		CU_ASSERT_TRUE(rig_says(text, all[i]));
	CU_ASSERT_EQUAL(shown.count, 7);
	CU_ASSERT_EQUAL(uidls_twice(), 0);
	rig_end(&r);
}

/* As if nobody had seen that mail is missing. */
static void forget_numbers(struct rig *r, uint32_t uidnext, uint64_t serial)
{
	struct pstn_account ann;
	struct folder_row *f;
	struct apply a;

	rig_account(&ann, ANN);
	CU_ASSERT_EQUAL_FATAL(apply_begin(&a, &r->store->index), 0);
	a.state.serial = serial;
	CU_ASSERT_EQUAL_FATAL(apply_folder(&a, ann.id, FOLDER_INBOX, &f), 0);
	f->uidnext = uidnext;
	CU_ASSERT_EQUAL(apply_end(&a), 0);
}

static unsigned uids_twice(void)
{
	unsigned twice = 0;

	for (uint32_t i = 1; i < shown.count; i++)
		twice += shown.rows[i].uid <= shown.rows[i - 1].uid;
	return twice;
}

static void mail_with_the_same_uids_comes_back(void)
{
	struct rig_listing once;
	struct rig r;
	char *bytes;
	size_t n;

	begin_long(&r, 4);
	hide(&r, &bytes, &n);
	ask_rebuild(&r);
	forget_numbers(&r, 3, 2);
	deliver_long(&r, "new1");
	deliver_long(&r, "new2");
	deliver_long(&r, "new3");
	rig_close(&r);
	rig_write_file(segment_path(&r, 2), bytes, n);
	free(bytes);
	ask_rebuild(&r);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("message-renumbered"));
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2 old3 old4 new3 new1 new2");
	CU_ASSERT_EQUAL(uidls_twice(), 0);
	CU_ASSERT_EQUAL(uids_twice(), 0);
	once = shown;
	CU_ASSERT_TRUE(
	    rig_says(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_close(&r);
	/* What was found once is so for good. */
	ask_rebuild(&r);
	CU_ASSERT_PTR_NULL(fake_log_find("message-renumbered"));
	list(&r);
	CU_ASSERT_EQUAL_FATAL(shown.count, once.count);
	for (uint32_t i = 0; i < once.count; i++) {
		CU_ASSERT_EQUAL(shown.rows[i].uid, once.rows[i].uid);
		CU_ASSERT_STRING_EQUAL(shown.rows[i].uidl, once.rows[i].uidl);
	}
	deliver_long(&r, "new4");
	CU_ASSERT_STRING_EQUAL(subjects(&r), "old1 old2 old3 old4 new3 new1 new2 new4");
	CU_ASSERT_EQUAL(uidls_twice(), 0);
	CU_ASSERT_EQUAL(uids_twice(), 0);
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"own unique ids come back", own_ids_come_back},
    {"serials run out", serials_run_out},
    {"a record has too high a serial", a_record_has_too_high_a_serial},
    {"own unique ids are imported", own_ids_are_imported},
    {"the newest message is damaged", the_newest_is_damaged},
    {"a segment comes back", a_segment_comes_back},
    {"a segment's file comes back", a_file_comes_back},
    {"mail with the same uids comes back", mail_with_the_same_uids_comes_back},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("numbers of the store", cases, argc > 1 ? argv[1] : NULL);
}
