/*
 * test_storage_damage.c - files of a store that were damaged or put there between two starts: what
 * was acknowledged stays, what cannot be read is kept for whoever can, and the start tells.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/format/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANN       "ann@example.org"
#define THRESHOLD 8192 /* larger messages have segments of their own */

static void begin(struct rig *r)
{
	rig_begin(r);
	r->options.stream_threshold = THRESHOLD;
	CU_ASSERT_FATAL(rig_open(r));
}

static void deliver(struct rig *r, const char *name)
{
	char text[64];
	int status;

	snprintf(text, sizeof(text), "Subject: %s\r\n\r\ntext\r\n", name);
	rig_deliver(r, ANN, text, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
}

static void deliver_large(struct rig *r)
{
	static char text[4 * THRESHOLD];
	int status;

	memset(text, 'x', sizeof(text) - 1);
	memcpy(text, "Subject: large\r\n\r\n", 18);
	for (size_t i = 100; i < sizeof(text) - 80; i += 80)
		memcpy(text + i, "\r\n", 2);
	rig_deliver(r, ANN, text, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
}

/* ---- a segment's records ---- */

static const char *segment_file(uint32_t id)
{
	static char name[64];

	snprintf(name, sizeof(name), "segments/%08u.seg", id);
	return name;
}

struct found {
	uint32_t segment;
	uint64_t offset;
};

static struct found find(struct rig *r, uint32_t uid)
{
	struct pstn_account account;
	struct message_row row = {0};
	MDB_txn *txn;

	rig_account(&account, ANN);
	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(
	    index_message(&r->store->index, txn, account.id, FOLDER_INBOX, uid, &row), 0);
	index_read_end(&r->store->index, txn);
	return (struct found){row.segment, row.offset};
}

/* What stood there is given back. */
static void overwrite(struct rig *r, uint32_t segment, uint64_t at, unsigned char *bytes, size_t n)
{
	size_t size;
	char *all = rig_read_file(rig_path(r, segment_file(segment)), &size);

	CU_ASSERT_FATAL(at + n <= size);
	for (size_t i = 0; i < n; i++) {
		unsigned char was = (unsigned char)all[at + i];

		all[at + i] = (char)bytes[i];
		bytes[i] = was;
	}
	rig_write_file(rig_path(r, segment_file(segment)), all, size);
	free(all);
}

static void flip(struct rig *r, struct found f, uint64_t at)
{
	unsigned char octet = 0;

	overwrite(r, f.segment, f.offset + at, &octet, 1);
	octet ^= 1;
	overwrite(r, f.segment, f.offset + at, &octet, 1);
}

static bool is_there(struct rig *r, uint32_t segment)
{
	return access(rig_path(r, segment_file(segment)), F_OK) == 0;
}

static void rebuild(struct rig *r)
{
	rig_close(r);
	rig_write_file(rig_path(r, "index/rebuild"), "", 0);
	CU_ASSERT_FATAL(rig_open(r));
}

/* ---- damage behind the checkpoint ---- */

/* Octets of a head: magic, type, sequence, its sum, the unique id. */
static const uint64_t head_octets[] = {0, 5, 12, 48, 51, 88, 201};
#define HEAD_OCTETS (sizeof(head_octets) / sizeof(*head_octets))

static void start_again(struct rig *r)
{
	fake_log_clear();
	CU_ASSERT_FATAL(rig_open(r));
	CU_ASSERT_FALSE(r->store->rebuilt);
}

static void a_large_messages_head_is_damaged(void)
{
	for (size_t i = 0; i < HEAD_OCTETS; i++) {
		struct found large;
		struct rig r;

		begin(&r);
		deliver_large(&r);
		large = find(&r, 1);
		for (int k = 0; k < 3; k++)
			deliver(&r, "later");
		rig_crash(&r);
		flip(&r, large, head_octets[i]);
		start_again(&r);
		CU_ASSERT_TRUE(is_there(&r, large.segment));
		CU_ASSERT_PTR_NOT_NULL(fake_log_find("segment-damaged"));
		CU_ASSERT_PTR_NULL(fake_log_find("segment-tail-cut"));
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "later later later");
		rig_command(&r, "storage compact", NULL, NULL, NULL, NULL, -1);
		CU_ASSERT_FATAL(rig_reopen(&r));
		CU_ASSERT_TRUE(is_there(&r, large.segment));
		deliver(&r, "new");
		/* Somebody gets the sector read after all. */
		flip(&r, large, head_octets[i]);
		rebuild(&r);
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "large later later later new");
		rig_end(&r);
	}
}

static const struct {
	const char *what;
	uint64_t at;
	size_t zeros; /* 0: a bit is flipped */
} damages[] = {
    {"the magic", 0, 0}, {"the type", 5, 0},          {"the sequence", 48, 0},
    {"the sum", 88, 0},  {"all of the head", 0, 100}, {"the sequence is gone", 48, 8},
};
#define DAMAGES (sizeof(damages) / sizeof(*damages))

static void damage(struct rig *r, struct found f, size_t i, unsigned char kept[128])
{
	memset(kept, 0, 128);
	if (damages[i].zeros)
		overwrite(r, f.segment, f.offset + damages[i].at, kept, damages[i].zeros);
	else
		flip(r, f, damages[i].at);
}

static void repair(struct rig *r, struct found f, size_t i, unsigned char kept[128])
{
	if (damages[i].zeros)
		overwrite(r, f.segment, f.offset + damages[i].at, kept, damages[i].zeros);
	else
		flip(r, f, damages[i].at);
}

/* The log's last message, and a later group in a segment of its own. */
static void a_logs_last_head_is_damaged(void)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		unsigned char kept[128];
		struct found last;
		struct rig r;

		begin(&r);
		deliver(&r, "first");
		deliver(&r, "last");
		last = find(&r, 2);
		deliver_large(&r);
		rig_crash(&r);
		damage(&r, last, i, kept);
		start_again(&r);
		if (!fake_log_find("segment-damaged") || fake_log_find("segment-tail-cut")) {
			fprintf(stderr, "  %s\n", damages[i].what);
			CU_FAIL("what was committed is cut");
		}
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "first large");
		deliver(&r, "new");
		rig_close(&r);
		repair(&r, last, i, kept);
		CU_ASSERT_FATAL(rig_open(&r));
		rebuild(&r);
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "first last large new");
		rig_end(&r);
	}
}

/* Nothing has followed: it was being written. */
static void the_last_group_is_torn(void)
{
	for (size_t i = 0; i < DAMAGES; i++) {
		unsigned char kept[128];
		struct found last;
		struct rig r;

		begin(&r);
		deliver_large(&r);
		deliver(&r, "first");
		deliver(&r, "last");
		last = find(&r, 3);
		rig_crash(&r);
		damage(&r, last, i, kept);
		start_again(&r);
		CU_ASSERT_PTR_NULL(fake_log_find("segment-damaged"));
		CU_ASSERT_PTR_NOT_NULL(fake_log_find("segment-tail-cut"));
		deliver(&r, "new");
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "large first new");
		CU_ASSERT_EQUAL(find(&r, 3).segment, last.segment);
		rig_end(&r);
	}
}

/* ---- the file that says what the store is ---- */

static void the_stores_file_is_damaged(void)
{
	struct rig r;
	size_t n;
	char *bytes;

	begin(&r);
	deliver(&r, "first");
	rig_close(&r);
	bytes = rig_read_file(rig_path(&r, "store"), &n);
	for (size_t at = 0; at < n; at++) {
		char *now;
		size_t length;

		bytes[at] ^= 1;
		rig_write_file(rig_path(&r, "store"), bytes, n);
		bytes[at] ^= 1;
		if (!rig_open(&r)) {
			fprintf(stderr, "  octet %zu: %s\n", at, r.error);
			CU_FAIL("not mended");
			continue;
		}
		rig_close(&r);
		now = rig_read_file(rig_path(&r, "store"), &length);
		CU_ASSERT_TRUE(length == n && memcmp(now, bytes, n) == 0);
		free(now);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "first");
	free(bytes);
	rig_end(&r);
}

/* ---- other files ---- */

static const char *const strays[] = {
    "7.seg",       "+1.seg", " 7.seg",           "1.seg", "000000007.seg", "00000000.seg",
    "0000007.seg", "-1.seg", "00000001.seg.bak", "note"};
#define STRAYS (sizeof(strays) / sizeof(*strays))

static void other_files_lie_among_segments(void)
{
	for (size_t i = 0; i < STRAYS; i++) {
		char name[64];
		struct rig r;

		begin(&r);
		deliver(&r, "first");
		rig_close(&r);
		snprintf(name, sizeof(name), "segments/%s", strays[i]);
		rig_write_file(rig_path(&r, name), "x", 1);
		fake_log_clear();
		if (!rig_open(&r)) {
			fprintf(stderr, "  %s: %s\n", strays[i], r.error);
			CU_FAIL("it hinders the start");
			rig_end(&r);
			continue;
		}
		CU_ASSERT_PTR_NOT_NULL(fake_log_find("segment-stray"));
		CU_ASSERT_TRUE(fake_log_contains(strays[i]));
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "first");
		rebuild(&r);
		CU_ASSERT_STRING_EQUAL(rig_subjects(&r, ANN), "first");
		CU_ASSERT_EQUAL(access(rig_path(&r, name), F_OK), 0);
		rig_end(&r);
	}
}

static const struct suite_case cases[] = {
    {"a large message's head is damaged", a_large_messages_head_is_damaged},
    {"a log's last head is damaged", a_logs_last_head_is_damaged},
    {"the last group is torn", the_last_group_is_torn},
    {"the store's file is damaged", the_stores_file_is_damaged},
    {"other files lie among segments", other_files_lie_among_segments},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run_in_memory("damage between starts", cases, argc > 1 ? argv[1] : NULL);
}
