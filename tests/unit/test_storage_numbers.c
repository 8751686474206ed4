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

static const struct suite_case cases[] = {
    {"own unique ids come back", own_ids_come_back},
    {"serials run out", serials_run_out},
    {"a record has too high a serial", a_record_has_too_high_a_serial},
    {"own unique ids are imported", own_ids_are_imported},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("numbers of the store", cases, argc > 1 ? argv[1] : NULL);
}
