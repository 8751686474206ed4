/*
 * test_storage_parts.c - the pure parts of the storage module: wire form, records, rows, mbox,
 * Maildir names.
 */
#include "suite.h"
#include "wire_model.h"

#include "modules/storage/format/bytes.h"
#include "modules/storage/format/rows.h"
#include "modules/storage/format/wire.h"
#include "modules/storage/import/maildir.h"
#include "modules/storage/import/mbox.h"

#include <postern/maildrop.h>

#include <stdio.h>

/* ---- wire form ---- */

struct text {
	const char *in;
	size_t n;
	const char *out;
	size_t header;
	uint32_t ndots;
	uint64_t dots[4];
};

#define T(s) s, sizeof(s) - 1

static const struct text texts[] = {
    {T(""), "", 0, 0, {0}},
    {T("\n"), "\r\n", 2, 0, {0}},
    {T("\r\n"), "\r\n", 2, 0, {0}},
    {T("\r"), "\r\r\n", 3, 0, {0}},
    {T("a"), "a\r\n", 3, 0, {0}},
    {T("a: b\n\nbody"), "a: b\r\n\r\nbody\r\n", 8, 0, {0}},
    {T("a: b\r\n\r\nbody\r\n"), "a: b\r\n\r\nbody\r\n", 8, 0, {0}},
    {T("."), ".\r\n", 3, 1, {0}},
    {T(".\n..\n x.\n."), ".\r\n..\r\n x.\r\n.\r\n", 15, 3, {0, 3, 12}},
    {T("a\r.b\n"), "a\r.b\r\n", 6, 0, {0}},
    {T("a\n\r\r\nb"), "a\r\n\r\r\nb\r\n", 9, 0, {0}},
    {T("a\r\r\n.b"), "a\r\r\n.b\r\n", 8, 1, {4}},
    {T("a\r\n\r\n\r\n"), "a\r\n\r\n\r\n", 5, 0, {0}},
    {T("\n.x"), "\r\n.x\r\n", 2, 1, {2}},
};

/* Pieces of n octets, room for few at a time. */
static void feed(struct wire *w, struct wire_out *all, const char *in, size_t n, size_t piece,
		 size_t room)
{
	wire_begin(w);
	for (size_t i = 0; i < n; i += piece) {
		size_t left = n - i < piece ? n - i : piece, taken = 0;

		while (taken < left) {
			size_t limit = all->used + room;
			struct wire_out some = *all;

			some.room = limit < all->room ? limit : all->room;
			taken += wire_feed(w, in + i + taken, left - taken, &some);
			all->used = some.used;
			all->ndots = some.ndots;
		}
	}
	wire_end(w, all);
}

static void makes_wire_form(void)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const struct text *t = &texts[i];

		for (size_t piece = 1; piece < 12; piece++) {
			unsigned char bytes[256];
			uint64_t dots[64];
			struct wire_out out = {
			    .bytes = bytes, .room = 256, .dots = dots, .dots_room = 64};
			struct wire w;

			feed(&w, &out, t->in, t->n, piece, 2 + piece % 3);
			CU_ASSERT_EQUAL(out.used, strlen(t->out));
			CU_ASSERT_EQUAL(memcmp(bytes, t->out, out.used), 0);
			CU_ASSERT_EQUAL(w.octets, out.used);
			CU_ASSERT_EQUAL(w.header_octets, t->header);
			CU_ASSERT_EQUAL(out.ndots, t->ndots);
			CU_ASSERT_EQUAL(memcmp(dots, t->dots, t->ndots * sizeof(*dots)), 0);
		}
	}
}

/* Any text of these octets, in pieces of any size, as the plain model has it. */
static void agrees_with_model(void)
{
	static const char alphabet[] = "\r\n.a\n\r\0b";
	unsigned seed = 1;

	for (int round = 0; round < 20000; round++) {
		char in[40];
		unsigned char bytes[128];
		uint64_t dots[64];
		struct wire_out out = {.bytes = bytes, .room = 128, .dots = dots, .dots_room = 64};
		struct wire_model m;
		struct wire w;
		size_t n = (size_t)(round % 40);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245U + 12345U;
			in[i] = alphabet[seed >> 16 & 7];
		}
		feed(&w, &out, in, n, 1 + (seed >> 20 & 7), 2 + (seed >> 24 & 3));
		wire_model_make(&m, (const unsigned char *)in, n);
		CU_ASSERT_FATAL(out.used == m.length && memcmp(bytes, m.text, m.length) == 0);
		CU_ASSERT_FATAL(w.header_octets == m.header && out.ndots == m.ndots);
		CU_ASSERT_FATAL(memcmp(dots, m.dots, m.ndots * sizeof(*dots)) == 0);
		wire_model_free(&m);
	}
}

/* ---- records ---- */

static struct record sample(enum record_type type)
{
	struct record r = {
	    .type = (uint8_t)type,
	    .flags = RECORD_MOVED,
	    .uid = 0x01020304,
	    .folder = 5,
	    .count = 3,
	    .body_length = 1000,
	    .account = UINT64_C(0x1122334455667788),
	    .change = 99,
	    .sequence = 12345678901,
	    .time = 1700000000123,
	    .group = 8192,
	    .body_sum = 0xdeadbeef,
	    .tail_sum = 0xfeedface,
	};

	if (type == RECORD_MESSAGE) {
		r.received = 1700000000;
		r.octets = 1000;
		r.header_octets = 200;
		r.keywords = UINT64_C(1) << 63;
		r.message_flags = PSTN_SEEN | PSTN_DRAFT;
		r.expunged_change = 77;
		r.expunged_at = 88;
		memset(r.import_key, 0x5a, 16);
		snprintf(r.uidl, sizeof(r.uidl), "some.unique-id");
	}
	return r;
}

static void records_come_back(void)
{
	for (int type = RECORD_MESSAGE; type <= RECORD_ACCOUNT_REMOVED; type++) {
		unsigned char bytes[RECORD_HEAD_MAX], again[RECORD_HEAD_MAX];
		struct record r = sample((enum record_type)type), back;

		record_encode(&r, 42, 4096, bytes);
		CU_ASSERT_EQUAL(record_decode(&back, bytes, sizeof(bytes), 42, 4096), RECORD_OK);
		record_encode(&back, 42, 4096, again);
		CU_ASSERT_EQUAL(back.head_length, r.head_length);
		CU_ASSERT_EQUAL(memcmp(bytes, again, r.head_length), 0);
		CU_ASSERT_EQUAL(record_decode(&back, bytes, r.head_length, 42, 4096), RECORD_OK);
		/* Keyed: not in another segment, not at another place, not in part. */
		CU_ASSERT_EQUAL(record_decode(&back, bytes, sizeof(bytes), 43, 4096), RECORD_BAD);
		CU_ASSERT_EQUAL(record_decode(&back, bytes, sizeof(bytes), 42, 4104), RECORD_BAD);
		CU_ASSERT_EQUAL(record_decode(&back, bytes, r.head_length - 1, 42, 4096),
				RECORD_BAD);
	}
}

static void every_bit_of_a_head_counts(void)
{
	unsigned char bytes[RECORD_HEAD_MAX];
	struct record r = sample(RECORD_MESSAGE), back;

	record_encode(&r, 42, 4096, bytes);
	for (size_t bit = 0; bit < r.head_length * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		CU_ASSERT_EQUAL(record_decode(&back, bytes, sizeof(bytes), 42, 4096), RECORD_BAD);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
}

static void knows_later_records(void)
{
	unsigned char bytes[RECORD_HEAD_MAX];
	struct record r = sample(RECORD_FOLDER), back;

	r.type = 99;
	r.flags = RECORD_SKIPPABLE;
	record_encode(&r, 1, 0, bytes);
	CU_ASSERT_EQUAL(record_decode(&back, bytes, sizeof(bytes), 1, 0), RECORD_UNKNOWN);
	CU_ASSERT_EQUAL(record_length(&back), RECORD_HEAD + 1000);
}

static void segment_heads_come_back(void)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head h = {
	    .id = 7, .kind = SEGMENT_LARGE, .seed = 0x123456789abcdef, .created = 5};
	struct segment_head back;

	memset(h.store, 9, sizeof(h.store));
	segment_head_encode(&h, bytes);
	for (size_t bit = 0; bit < 64 * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		CU_ASSERT_EQUAL(segment_head_decode(&back, bytes, sizeof(bytes)), RECORD_OK);
		CU_ASSERT_EQUAL(back.seed, h.seed);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	bytes[0] ^= 1;
	bytes[SEGMENT_HEAD_COPY + 40] ^= 1;
	CU_ASSERT_EQUAL(segment_head_decode(&back, bytes, sizeof(bytes)), RECORD_BAD);
	CU_ASSERT_EQUAL(segment_head_decode(&back, bytes, 100), RECORD_BAD);
}

static void unique_ids(void)
{
	char id[UIDL_MAX + 1], other[UIDL_MAX + 1];
	static const uint64_t serials[] = {1, 31, 32, 1000000, UINT64_MAX};

	for (size_t i = 0; i < sizeof(serials) / sizeof(*serials); i++) {
		uidl_format(id, 0xffffffff, serials[i]);
		CU_ASSERT_TRUE(uidl_valid(id, strlen(id)));
		CU_ASSERT_EQUAL(uidl_serial(id, 0xffffffff), serials[i]);
		CU_ASSERT_EQUAL(uidl_serial(id, 0xfffffffe), 0);
		uidl_format(other, 0xffffffff, serials[i] - 1);
		CU_ASSERT_NOT_EQUAL(strcmp(id, other), 0);
	}
	CU_ASSERT_EQUAL(uidl_serial("", 0), 0);
	CU_ASSERT_EQUAL(uidl_serial("zzzzzzzzzzzzzzzzzzzz", 1), 0);
	CU_ASSERT_EQUAL(uidl_serial("0000000UUUUUUUUUUUUU", 0), 0);
	CU_ASSERT_FALSE(uidl_valid("", 0));
	CU_ASSERT_FALSE(uidl_valid("a b", 3));
	CU_ASSERT_FALSE(uidl_valid("\x7f", 1));
}

/* ---- rows ---- */

static void rows_come_back(void)
{
	unsigned char key[KEY_MESSAGE], bytes[ROW_MESSAGE_MAX], again[ROW_MESSAGE_MAX];
	unsigned char folder_bytes[ROW_FOLDER_MAX], folder_again[ROW_FOLDER_MAX];
	struct message_row m = {.flags = 3,
				.segment = 9,
				.header_octets = 100,
				.dots = 2,
				.keywords = 5,
				.offset = 8192,
				.octets = UINT64_C(5) << 32,
				.received = 6,
				.change = 7,
				.serial = 0,
				.expunged_change = 8,
				.expunged_at = 9,
				.uidl = "brought"};
	struct folder_row f = {.flags = 0,
			       .uidvalidity = 2,
			       .uidnext = 3,
			       .change = 4,
			       .expunge_change = 5,
			       .messages = 6,
			       .octets = 7,
			       .unseen = 8,
			       .tombstones = 9,
			       .tombstone_octets = 10,
			       .name = "Entw\xc3\xbcrfe"};
	struct message_row back = {0};
	struct folder_row folder_back = {0};
	size_t n;

	key_message(key, 1, 2, 3);
	n = message_row_put(&m, key, bytes);
	CU_ASSERT_TRUE(message_row_get(&back, key, 1, bytes, n));
	CU_ASSERT_EQUAL(message_row_put(&back, key, again), n);
	CU_ASSERT_EQUAL(memcmp(bytes, again, n), 0);
	CU_ASSERT_STRING_EQUAL(back.uidl, "brought");
	for (size_t bit = 0; bit < n * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		CU_ASSERT_FALSE(message_row_get(&back, key, 1, bytes, n));
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	CU_ASSERT_FALSE(message_row_get(&back, key, 1, bytes, n - 1));
	CU_ASSERT_FALSE(message_row_get(&back, key, 1, bytes, 0));
	key_message(key, 1, 2, 4);
	CU_ASSERT_FALSE(message_row_get(&back, key, 1, bytes, n));
	m.serial = 77;
	n = message_row_put(&m, key, bytes);
	CU_ASSERT_EQUAL(n, ROW_TOMBSTONE);
	m.expunged_change = 0;
	n = message_row_put(&m, key, bytes);
	CU_ASSERT_EQUAL(n, ROW_MESSAGE);
	CU_ASSERT_TRUE(message_row_get(&back, key, 1, bytes, n));
	CU_ASSERT_EQUAL(uidl_serial(back.uidl, 1), 77);
	key_folder(key, 1, 2);
	n = folder_row_put(&f, key, folder_bytes);
	CU_ASSERT_TRUE(folder_row_get(&folder_back, key, folder_bytes, n));
	CU_ASSERT_EQUAL(folder_row_put(&folder_back, key, folder_again), n);
	CU_ASSERT_EQUAL(memcmp(folder_bytes, folder_again, n), 0);
	CU_ASSERT_STRING_EQUAL(folder_back.name, f.name);
	CU_ASSERT_FALSE(folder_row_get(&folder_back, key, folder_bytes, n - 1));
}

static void keys_sort_as_numbers(void)
{
	unsigned char low[KEY_CHANGE], high[KEY_CHANGE];

	key_message(low, 1, 255, 255);
	key_message(high, 1, 255, 256);
	CU_ASSERT_TRUE(memcmp(low, high, KEY_MESSAGE) < 0);
	key_message(high, 256, 0, 0);
	CU_ASSERT_TRUE(memcmp(low, high, KEY_MESSAGE) < 0);
	key_change(low, 1, 1, 255, UINT32_MAX);
	key_change(high, 1, 1, 256, 0);
	CU_ASSERT_TRUE(memcmp(low, high, KEY_CHANGE) < 0);
}

/* ---- mbox ---- */

struct collected {
	unsigned count;
	char texts[8][256];
	struct mbox_message messages[8];
};

static bool begins(void *arg, const struct mbox_message *m)
{
	struct collected *c = arg;

	c->texts[c->count][0] = '\0';
	c->messages[c->count] = *m;
	return true;
}

static bool text(void *arg, const char *bytes, size_t n)
{
	struct collected *c = arg;

	strncat(c->texts[c->count], bytes, n);
	return true;
}

static bool ends(void *arg, const struct mbox_message *m)
{
	struct collected *c = arg;

	c->messages[c->count++] = *m;
	return c->count < 8;
}

static void reads_mbox(void)
{
	static const char mbox[] = "From ann@example.org Thu Aug 22 12:36:23 2002\n"
				   "Subject: one\n"
				   "Status: RO\n"
				   "X-Status: AF\n"
				   "\n"
				   "From here on it is text, without an empty line before\n"
				   ">From quoted\n"
				   ">>From twice\n"
				   "\n"
				   "\n"
				   "From bob Fri Aug 23 01:02:03 +0200 2002\n"
				   "Subject: two\n"
				   "\n"
				   "\n"
				   "From no date: text after an empty line\n"
				   "\n"
				   "From MAILER-DAEMON Fri Jul  8 12:08:34 2011 -0700\n"
				   "no end";
	static const char *const expected[] = {
	    ("Subject: one\nStatus: RO\nX-Status: AF\n\n"
	     "From here on it is text, without an empty line before\nFrom quoted\n>From twice\n\n"),
	    "Subject: two\n\n\nFrom no date: text after an empty line\n", "no end"};
	static const uint64_t received[] = {1030019783, 1030064523, 1310126914};

	for (size_t piece = 1; piece < 50; piece += piece < 8 ? 1 : 13) {
		struct collected c = {.count = 0};
		struct mbox m = {.begin = begins, .text = text, .end = ends, .arg = &c};

		for (size_t i = 0; i < sizeof(mbox) - 1; i += piece)
			mbox_feed(&m, mbox + i,
				  sizeof(mbox) - 1 - i < piece ? sizeof(mbox) - 1 - i : piece);
		mbox_end(&m);
		CU_ASSERT_EQUAL_FATAL(c.count, 3);
		for (unsigned i = 0; i < 3; i++) {
			CU_ASSERT_STRING_EQUAL(c.texts[i], expected[i]);
			CU_ASSERT_EQUAL(c.messages[i].received, received[i]);
		}
		CU_ASSERT_EQUAL(c.messages[0].flags, PSTN_SEEN | PSTN_ANSWERED | PSTN_FLAGGED);
		CU_ASSERT_EQUAL(c.messages[1].flags, 0);
		CU_ASSERT_EQUAL(c.messages[0].offset, 0);
		CU_ASSERT_EQUAL(c.messages[1].offset, (uint64_t)(strstr(mbox, "From bob") - mbox));
	}
}

static void knows_from_lines(void)
{
	static const struct {
		const char *line;
		uint64_t received;
		bool from;
	} lines[] = {
	    {"From a@b Thu Aug 22 12:36:23 2002", 1030019783, true},
	    {"From  Thu Aug 22 12:36 2002", 1030019760, true},
	    {"From a b c Thu Aug  2 02:06:03 PDT 2002", 1028253963, true},
	    {"From a@b Thu Aug 32 12:36:23 2002", 0, false},
	    {"From a@b Thu Bug 22 12:36:23 2002", 0, false},
	    {"From a@b Thu Aug 22 12:36:23", 0, false},
	    {"From here to eternity", 0, false},
	    {"From:", 0, false},
	    {"From", 0, false},
	    {"", 0, false},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		uint64_t received;

		CU_ASSERT_EQUAL(mbox_is_from(lines[i].line, strlen(lines[i].line), &received),
				lines[i].from);
		CU_ASSERT_EQUAL(received, lines[i].received);
	}
}

/* ---- Maildir ---- */

static void reads_maildir_names(void)
{
	static const struct {
		const char *name;
		size_t base;
		uint32_t flags;
		uint64_t time;
	} names[] = {
	    {"1030019783.M1P2.host:2,S", 20, PSTN_SEEN, 1030019783},
	    {"1030019783.M1P2.host:2,DFRST", 20,
	     PSTN_DRAFT | PSTN_FLAGGED | PSTN_ANSWERED | PSTN_SEEN | PSTN_DELETED, 1030019783},
	    {"1030019783.M1P2.host", 20, 0, 1030019783},
	    {"1030019783.host:1,S", 15, 0, 1030019783},
	    {"message.eml", 11, 0, 0},
	    {"123.x", 5, 0, 0},
	    {"", 0, 0, 0},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		CU_ASSERT_EQUAL(maildir_base(names[i].name), names[i].base);
		CU_ASSERT_EQUAL(maildir_flags(names[i].name), names[i].flags);
		CU_ASSERT_EQUAL(maildir_time(names[i].name), names[i].time);
	}
}

static const struct suite_case cases[] = {
    {"text to wire form", makes_wire_form},
    {"wire form agrees with a plain model", agrees_with_model},
    {"records come back", records_come_back},
    {"every bit of a head counts", every_bit_of_a_head_counts},
    {"records of a later format", knows_later_records},
    {"segment headers stand twice", segment_heads_come_back},
    {"unique ids", unique_ids},
    {"rows come back, every bit counts", rows_come_back},
    {"keys sort as numbers", keys_sort_as_numbers},
    {"mbox", reads_mbox},
    {"From lines", knows_from_lines},
    {"names in a Maildir", reads_maildir_names},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_parts", cases, argc > 1 ? argv[1] : NULL);
}
