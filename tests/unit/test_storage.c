/*
 * test_storage.c - a store as its users see it: deliveries, maildrops, expunges, zombies, flags,
 * folders, unique ids, large messages, restarts.
 */
#include "storage_rig.h"
#include "suite.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

static void opens_empty(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct pstn_maildrop_totals t;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &t, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(t.messages, 0);
	CU_ASSERT_EQUAL(t.octets, 0);
	maildrop_table.close(d);
	CU_ASSERT_PTR_NULL(rig_folder(&r, ANN, "Archive", &status));
	CU_ASSERT_EQUAL(status, PSTN_E_NOT_FOUND);
	rig_end(&r);
}

static void delivers_and_reads(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	const char *text;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "A: b\n\n.dot\nend", &status), 1);
	CU_ASSERT_EQUAL(rig_deliver(&r, BOB, "other", &status), 1);
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "second\r\n", &status), 2);
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 2);
	CU_ASSERT_EQUAL(l.rows[0].octets, strlen("A: b\r\n\r\n.dot\r\nend\r\n"));
	CU_ASSERT_EQUAL(l.rows[0].received, 1000000000);
	CU_ASSERT_EQUAL(l.rows[1].number, 2);
	CU_ASSERT_NOT_EQUAL(strcmp(l.rows[0].uidl, l.rows[1].uidl), 0);
	text = rig_text(d, 1, &n, &status);
	CU_ASSERT_STRING_EQUAL(text, "A: b\r\n\r\n.dot\r\nend\r\n");
	CU_ASSERT_PTR_NULL(rig_text(d, 3, &n, &status));
	CU_ASSERT_EQUAL(status, PSTN_E_NOT_FOUND);
	maildrop_table.close(d);
	rig_end(&r);
}

static void survives_restart(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing before, after;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 20; i++)
		rig_deliver(&r, ANN, "hello\n", &status);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &before);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){3, 4, 17}, 3), PSTN_OK);
	maildrop_table.close(d);
	CU_ASSERT_FATAL(rig_reopen(&r));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &after);
	CU_ASSERT_EQUAL(after.count, 17);
	CU_ASSERT_STRING_EQUAL(after.rows[2].uidl, before.rows[4].uidl);
	CU_ASSERT_EQUAL(after.rows[16].uid, 20);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 17, &n, &status), "hello\r\n");
	maildrop_table.close(d);
	/* A uid is never given again, not even the last one. */
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "x", &status), 21);
	rig_end(&r);
}

static void keeps_snapshot(void)
{
	struct rig r;
	struct pstn_maildrop *mine, *others;
	struct pstn_maildrop_totals t;
	struct rig_listing l;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 6; i++)
		rig_deliver(&r, ANN, "12345678\n", &status);
	mine = rig_drop(&r, ANN, &status);
	others = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL(rig_expunge(others, (uint32_t[]){1, 4, 6}, 3), PSTN_OK);
	maildrop_table.close(others);
	rig_deliver(&r, ANN, "later\n", &status);
	CU_ASSERT_EQUAL(maildrop_table.totals(mine, &t, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(t.messages, 6);
	CU_ASSERT_EQUAL(t.zombies, 3);
	CU_ASSERT_EQUAL(t.octets, 30);
	rig_list(mine, &l);
	CU_ASSERT_EQUAL(l.count, 6);
	for (uint32_t i = 0; i < 6; i++) {
		bool gone = i == 0 || i == 3 || i == 5;

		CU_ASSERT_EQUAL(l.rows[i].number, i + 1);
		CU_ASSERT_EQUAL(l.rows[i].uid, i + 1);
		CU_ASSERT_EQUAL(l.rows[i].zombie, gone);
		CU_ASSERT_EQUAL(l.rows[i].octets, gone ? 0 : 10);
		CU_ASSERT_EQUAL(strlen(l.rows[i].uidl), 20);
	}
	CU_ASSERT_PTR_NULL(rig_text(mine, 4, &n, &status));
	CU_ASSERT_EQUAL(status, PSTN_E_GONE);
	CU_ASSERT_STRING_EQUAL(rig_text(mine, 5, &n, &status), "12345678\r\n");
	/* Zombies among those to be removed are no error, and are counted once. */
	CU_ASSERT_EQUAL(rig_expunge(mine, (uint32_t[]){1, 2, 4}, 3), PSTN_OK);
	CU_ASSERT_EQUAL(maildrop_table.totals(mine, &t, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(t.zombies, 4);
	CU_ASSERT_EQUAL(t.octets, 20);
	maildrop_table.close(mine);
	mine = rig_drop(&r, ANN, &status);
	rig_list(mine, &l);
	CU_ASSERT_EQUAL(l.count, 3);
	CU_ASSERT_EQUAL(l.rows[2].uid, 7);
	CU_ASSERT_EQUAL(rig_expunge(mine, (uint32_t[]){4}, 1), PSTN_E_NOT_FOUND);
	CU_ASSERT_EQUAL(rig_expunge(mine, (uint32_t[]){2, 1}, 2), PSTN_E_INVALID);
	maildrop_table.close(mine);
	rig_end(&r);
}

/* A map made late, in a folder with holes, must be the one of the moment of opening. */
static void maps_late(void)
{
	struct rig r;
	struct pstn_maildrop *mine, *others;
	struct rig_listing l;
	uint32_t numbers[64], n = 0;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 100; i++)
		rig_deliver(&r, ANN, "x\n", &status);
	others = rig_drop(&r, ANN, &status);
	for (uint32_t i = 3; i <= 90; i += 3)
		numbers[n++] = i;
	CU_ASSERT_EQUAL(rig_expunge(others, numbers, n), PSTN_OK);
	maildrop_table.close(others);
	mine = rig_drop(&r, ANN, &status);
	others = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL(rig_expunge(others, (uint32_t[]){1, 2, 30, 70}, 4), PSTN_OK);
	maildrop_table.close(others);
	rig_list(mine, &l);
	CU_ASSERT_EQUAL(l.count, 70);
	CU_ASSERT_EQUAL(l.rows[2].uid, 4);
	CU_ASSERT_EQUAL(l.rows[29].uid, 44);
	CU_ASSERT_TRUE(l.rows[29].zombie);
	CU_ASSERT_EQUAL(l.rows[69].uid, 100);
	CU_ASSERT_TRUE(l.rows[69].zombie);
	maildrop_table.close(mine);
	rig_end(&r);
}

static void marks_seen(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 3; i++)
		rig_deliver(&r, ANN, "x\n", &status);
	d = rig_drop(&r, ANN, &status);
	rig_text(d, 2, &n, &status);
	maildrop_table.flag(d, 2, PSTN_SEEN, 0);
	maildrop_table.flag(d, 3, PSTN_SEEN | PSTN_FLAGGED, 0);
	maildrop_table.flag(d, 3, 0, PSTN_SEEN);
	maildrop_table.flag(d, 9, PSTN_SEEN, 0);
	/* They wait for a group that somebody waits for, or for the end of the session. */
	fake_settle();
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.rows[1].flags, 0);
	maildrop_table.close(d);
	fake_settle();
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.rows[0].flags, 0);
	CU_ASSERT_EQUAL(l.rows[1].flags, PSTN_SEEN);
	CU_ASSERT_EQUAL(l.rows[2].flags, PSTN_FLAGGED);
	/* Stopping brings what nobody waits for to disk. */
	maildrop_table.flag(d, 1, PSTN_ANSWERED, 0);
	maildrop_table.close(d);
	CU_ASSERT_FATAL(rig_reopen(&r));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.rows[0].flags, PSTN_ANSWERED);
	CU_ASSERT_EQUAL(l.rows[1].flags, PSTN_SEEN);
	maildrop_table.close(d);
	rig_end(&r);
}

static void makes_folders(void)
{
	static const struct {
		const char *name;
		int status;
	} cases[] = {
	    {"Archive", PSTN_OK},
	    {"Entw\xc3\xbcrfe", PSTN_OK},
	    {"inbox", PSTN_OK},
	    {"", PSTN_E_INVALID},
	    {"a/b", PSTN_E_INVALID},
	    {"..", PSTN_E_INVALID},
	    {"x..y", PSTN_E_INVALID},
	    {"tab\there", PSTN_E_INVALID},
	    {"bad\xc3", PSTN_E_INVALID},
	    {"\xed\xa0\x80", PSTN_E_INVALID},
	    {"\xf4\x90\x80\x80", PSTN_E_INVALID},
	    {"\xc0\xaf", PSTN_E_INVALID},
	};
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		rig_deliver_bytes(&r, ANN, cases[i].name, "x", 1, NULL, &status);
		CU_ASSERT_EQUAL(status, cases[i].status);
	}
	d = rig_folder(&r, ANN, "Archive", &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 1);
	CU_ASSERT_EQUAL(l.rows[0].uid, 1);
	maildrop_table.close(d);
	CU_ASSERT_FATAL(rig_reopen(&r));
	rig_deliver_bytes(&r, ANN, "Archive", "y", 1, NULL, &status);
	d = rig_folder(&r, ANN, "Archive", &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 2);
	maildrop_table.close(d);
	rig_end(&r);
}

static void keeps_brought_uidls(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	char longest[72];
	int status;

	memset(longest, '~', 70);
	longest[70] = '\0';
	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver_bytes(&r, ANN, "INBOX", "x", 1, "old.1234", &status);
	rig_deliver_bytes(&r, ANN, "INBOX", "x", 1, longest, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, "old.1234", &status), 0);
	CU_ASSERT_EQUAL(status, PSTN_E_EXISTS);
	rig_deliver_bytes(&r, BOB, "INBOX", "y", 1, "old.1234", &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, "has space", &status);
	CU_ASSERT_EQUAL(status, PSTN_E_INVALID);
	strcat(longest, "~");
	rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, longest, &status);
	CU_ASSERT_EQUAL(status, PSTN_E_INVALID);
	rig_deliver(&r, ANN, "z", &status);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 3);
	CU_ASSERT_STRING_EQUAL(l.rows[0].uidl, "old.1234");
	/* One of the store's own, brought back while it is there, is taken too. */
	rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, l.rows[2].uidl, &status);
	CU_ASSERT_EQUAL(status, PSTN_E_EXISTS);
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1, 3}, 2), PSTN_OK);
	rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, l.rows[2].uidl, &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	rig_deliver_bytes(&r, ANN, "INBOX", "y", 1, "old.1234", &status);
	CU_ASSERT_EQUAL(status, PSTN_OK);
	maildrop_table.close(d);
	rig_end(&r);
}

static char *make_large(size_t n)
{
	char *text = malloc(n);

	for (size_t i = 0; i < n; i++)
		text[i] = i % 61 == 60                ? '\n'
			  : i % 61 == 0 && i % 7 == 0 ? '.'
						      : (char)('a' + i % 26);
	return text;
}

static void stores_large(void)
{
	static const size_t sizes[] = {65535, 65536, 70000, 1 << 20, (1 << 20) + 1, 3 << 20};
	struct rig r;
	struct pstn_maildrop *d;
	int status;

	rig_begin(&r);
	r.options.stream_threshold = 256 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *text = make_large(sizes[i]);

		CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, sizes[i], NULL, &status),
				i + 1);
		free(text);
	}
	CU_ASSERT_FATAL(rig_reopen(&r));
	d = rig_drop(&r, ANN, &status);
	for (uint32_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		char *text = make_large(sizes[i]);
		struct pstn_content c;
		uint32_t dots = 0;
		uint64_t at = 0;

		CU_ASSERT_EQUAL_FATAL(maildrop_table.read(d, i + 1, &c, NULL, NULL), PSTN_OK);
		for (size_t k = 0; k < sizes[i]; k++) {
			if (text[k] == '.' && (k == 0 || text[k - 1] == '\n')) {
				CU_ASSERT_FATAL(dots < c.ndots && c.dots[dots] == at);
				dots++;
			}
			at += text[k] == '\n' ? 2 : 1;
		}
		at += text[sizes[i] - 1] == '\n' ? 0 : 2;
		CU_ASSERT_EQUAL(c.ndots, dots);
		CU_ASSERT_EQUAL(c.length, at);
		c.release(c.ref);
		free(text);
	}
	maildrop_table.close(d);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_end(&r);
}

/* More dots than are kept while a large message arrives. */
static void finds_many_dots(void)
{
	size_t n = 900000;
	char *text = malloc(n);
	struct rig r;
	struct pstn_maildrop *d;
	struct pstn_content c;
	int status;

	for (size_t i = 0; i < n; i++)
		text[i] = i % 3 == 0 ? '.' : i % 3 == 1 ? 'x' : '\n';
	rig_begin(&r);
	r.options.stream_threshold = 64 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, n, NULL, &status), 1);
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL_FATAL(maildrop_table.read(d, 1, &c, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(c.ndots, n / 3);
	for (uint32_t i = 0; i < c.ndots; i++)
		CU_ASSERT_FATAL(c.dots[i] == i * 4);
	/* What was handed out stays readable when the message goes. */
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1}, 1), PSTN_OK);
	{
		char four[4];

		CU_ASSERT_EQUAL(pread(c.fd, four, 4, (off_t)(c.offset + c.length - 4)), 4);
		CU_ASSERT_EQUAL(memcmp(four, ".x\r\n", 4), 0);
	}
	c.release(c.ref);
	maildrop_table.close(d);
	free(text);
	rig_end(&r);
}

static void refuses_too_large(void)
{
	struct rig r;
	char *text = make_large(200000);
	int status;

	rig_begin(&r);
	r.options.message_size_limit = 100000;
	r.options.stream_threshold = 64 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, 200000, NULL, &status), 0);
	CU_ASSERT_EQUAL(status, PSTN_E_TOO_LARGE);
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, 1000, NULL, &status), 1);
	free(text);
	rig_end(&r);
}

static void rolls_segments(void)
{
	struct rig r;
	char *text = make_large(50000);
	struct pstn_maildrop *d;
	struct rig_listing l;
	size_t n;
	int status;

	rig_begin(&r);
	r.options.segment_size = 1 << 20;
	CU_ASSERT_FATAL(rig_open(&r));
	for (uint32_t i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, 50000, NULL, &status),
				i + 1);
	CU_ASSERT_TRUE(r.store->log.id >= 4);
	CU_ASSERT_FATAL(rig_reopen(&r));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 100);
	for (uint32_t i = 1; i <= 100; i++)
		CU_ASSERT_PTR_NOT_NULL(rig_text(d, i, &n, &status));
	maildrop_table.close(d);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	free(text);
	rig_end(&r);
}

static void grows_its_map(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	struct rig_listing l;
	int status;

	rig_begin(&r);
	r.options.index_map_size = 256 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	for (uint32_t i = 0; i < 1500; i++) {
		char user[64];

		snprintf(user, sizeof(user), "user%u@example.org", i % 300);
		CU_ASSERT_NOT_EQUAL(rig_deliver(&r, user, "x", &status), 0);
	}
	d = rig_drop(&r, "user7@example.org", &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 5);
	maildrop_table.close(d);
	rig_end(&r);
}

/* ---- on a reactor: sessions, jobs, promises ---- */

struct waiting {
	int status;
	unsigned calls;
};

static void told(void *arg, int status)
{
	struct waiting *w = arg;

	w->status = status;
	w->calls++;
}

static int settle(int status, struct waiting *w)
{
	if (status != PSTN_LATER)
		return status;
	fake_settle();
	CU_ASSERT_EQUAL(w->calls, 1);
	w->calls = 0;
	return w->status;
}

static void answers_sessions(void)
{
	struct rig r;
	struct waiting w = {0};
	struct pstn_account account;
	struct pstn_session *s;
	struct pstn_maildrop *d = NULL;
	struct pstn_maildrop_totals t;
	struct pstn_message rows[8];
	struct pstn_content c;
	uint32_t got;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (int i = 0; i < 5; i++)
		rig_deliver(&r, ANN, "x\n", &status);
	rig_account(&account, ANN);
	s = fake_session(r.self);
	/* The first opening is a job, the next one is answered at once. */
	status = maildrop_table.open(r.store, s, &account, "INBOX", &d, told, &w);
	CU_ASSERT_EQUAL(status, PSTN_LATER);
	CU_ASSERT_EQUAL_FATAL(settle(status, &w), PSTN_OK);
	maildrop_table.close(d);
	CU_ASSERT_EQUAL_FATAL(maildrop_table.open(r.store, s, &account, "INBOX", &d, told, &w),
			      PSTN_OK);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &t, told, &w), PSTN_OK);
	CU_ASSERT_EQUAL(t.messages, 5);
	CU_ASSERT_EQUAL(settle(maildrop_table.list(d, 2, rows, 8, &got, told, &w), &w), PSTN_OK);
	CU_ASSERT_EQUAL(got, 4);
	CU_ASSERT_EQUAL(rows[3].number, 5);
	CU_ASSERT_EQUAL(settle(maildrop_table.read(d, 1, &c, told, &w), &w), PSTN_OK);
	CU_ASSERT_EQUAL(c.length, 3);
	c.release(c.ref);
	maildrop_table.flag(d, 1, PSTN_SEEN, 0);
	status = maildrop_table.expunge(d, (uint32_t[]){1, 2}, 2, told, &w);
	CU_ASSERT_EQUAL(status, PSTN_LATER);
	CU_ASSERT_EQUAL(settle(status, &w), PSTN_OK);
	/* After a minute without use the pages may be gone from memory. */
	fake_advance(61000);
	fake_settle();
	status = maildrop_table.totals(d, &t, told, &w);
	CU_ASSERT_EQUAL(status, PSTN_LATER);
	CU_ASSERT_EQUAL(settle(status, &w), PSTN_OK);
	CU_ASSERT_EQUAL(t.zombies, 2);
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

/* The session ends while something is under way: nothing is called, nothing leaks. */
static void forgets_sessions(void)
{
	struct rig r;
	struct waiting w = {0};
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;
	struct pstn_message rows[8];
	struct pstn_maildrop_totals t;
	struct pstn_content c;
	uint32_t got;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver(&r, ANN, "x\n", &status);
	rig_account(&account, ANN);
	for (int what = 0; what < 5; what++) {
		struct pstn_session *s = fake_session(r.self);

		fake_skip_orphans(what % 2 == 0);
		status = maildrop_table.open(r.store, s, &account, "INBOX", &d, told, &w);
		if (what > 0) {
			CU_ASSERT_EQUAL_FATAL(settle(status, &w), PSTN_OK);
			fake_advance(61000);
			fake_settle();
		}
		switch (what) {
		case 1:
			status = maildrop_table.list(d, 1, rows, 8, &got, told, &w);
			break;
		case 2:
			status = maildrop_table.read(d, 1, &c, told, &w);
			break;
		case 3:
			status = maildrop_table.expunge(d, (uint32_t[]){1}, 1, told, &w);
			break;
		case 4:
			status = maildrop_table.totals(d, &t, told, &w);
			break;
		default:
			break;
		}
		CU_ASSERT_EQUAL(status, PSTN_LATER);
		if (what > 0)
			maildrop_table.close(d);
		fake_close(s, "test");
		fake_settle();
		CU_ASSERT_EQUAL(w.calls, 0);
	}
	rig_end(&r);
}

/* The caller's rows may be gone when a job runs: it fills its own, which are given on the reactor. */
static void keeps_jobs_off_rows(void)
{
	struct rig r;
	struct waiting w = {0};
	struct pstn_account account;
	struct pstn_maildrop *d = NULL;
	struct pstn_message rows[8] = {{0}};
	struct pstn_session *s;
	uint32_t got;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver(&r, ANN, "x\n", &status);
	rig_account(&account, ANN);
	s = fake_session(r.self);
	status = maildrop_table.open(r.store, s, &account, "INBOX", &d, told, &w);
	CU_ASSERT_EQUAL_FATAL(settle(status, &w), PSTN_OK);
	fake_advance(61000);
	fake_settle();
	CU_ASSERT_EQUAL(maildrop_table.list(d, 1, rows, 8, &got, told, &w), PSTN_LATER);
	fake_run_jobs();
	CU_ASSERT_EQUAL(rows[0].number, 0);
	CU_ASSERT_EQUAL(settle(PSTN_LATER, &w), PSTN_OK);
	CU_ASSERT_EQUAL(rows[0].number, 1);
	maildrop_table.close(d);
	fake_close(s, "test");
	rig_end(&r);
}

static int deliver_in_session(struct rig *r, struct pstn_session *s, const char *text, size_t n,
			      size_t piece, struct pstn_delivered *out)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX", .expected = n};
	struct pstn_delivery *d;
	struct waiting w = {0};
	int status;

	rig_account(&account, ANN);
	status = settle(delivery_table.begin(r->store, s, &q, &d, told, &w), &w);
	if (status != PSTN_OK)
		return status;
	for (size_t i = 0; i < n && status == PSTN_OK; i += piece)
		status = settle(
		    delivery_table.write(d, text + i, n - i < piece ? n - i : piece, told, &w), &w);
	if (status == PSTN_OK)
		return settle(delivery_table.commit(d, out, told, &w), &w);
	delivery_table.abort(d);
	return status;
}

static void delivers_in_sessions(void)
{
	struct rig r;
	struct pstn_delivered out;
	struct pstn_session *s;
	char *text = make_large(500000);

	rig_begin(&r);
	r.options.stream_threshold = 64 << 10;
	CU_ASSERT_FATAL(rig_open(&r));
	s = fake_session(r.self);
	CU_ASSERT_EQUAL(deliver_in_session(&r, s, text, 1000, 100, &out), PSTN_OK);
	CU_ASSERT_EQUAL(out.uid, 1);
	CU_ASSERT_EQUAL(deliver_in_session(&r, s, text, 500000, 5000, &out), PSTN_OK);
	CU_ASSERT_EQUAL(out.uid, 2);
	CU_ASSERT_TRUE(out.octets > 500000);
	fake_close(s, "test");
	free(text);
	rig_end(&r);
}

/* Whoever waits at the same moment shares one sync. */
static void shares_one_sync(void)
{
	struct rig r;
	struct waiting w[40] = {{0}};
	struct pstn_delivered out[40];
	struct pstn_session *s;
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX"};
	int64_t groups;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_account(&account, ANN);
	s = fake_session(r.self);
	groups = fake_metric(r.self, METRIC_GROUPS);
	for (int i = 0; i < 40; i++) {
		struct pstn_delivery *d;

		CU_ASSERT_EQUAL(delivery_table.begin(r.store, s, &q, &d, told, &w[i]), PSTN_OK);
		CU_ASSERT_EQUAL(delivery_table.write(d, "x\n", 2, told, &w[i]), PSTN_OK);
		CU_ASSERT_EQUAL(delivery_table.commit(d, &out[i], told, &w[i]), PSTN_LATER);
	}
	fake_settle();
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_GROUPS), groups + 1);
	for (uint32_t i = 0; i < 40; i++) {
		CU_ASSERT_EQUAL(w[i].calls, 1);
		CU_ASSERT_EQUAL(w[i].status, PSTN_OK);
		CU_ASSERT_EQUAL(out[i].uid, i + 1);
	}
	fake_close(s, "test");
	rig_end(&r);
}

static void tests_itself(void)
{
	struct rig r;
	char err[256] = "";

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(pstn_module.self_test(r.store, err, sizeof(err)), 0);
	CU_ASSERT_STRING_EQUAL(err, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_command(&r, "storage status", NULL, NULL, NULL, NULL, -1),
				      "\"messages\":0"));
	CU_ASSERT_PTR_NULL(
	    strstr(rig_command(&r, "mailbox list", NULL, NULL, NULL, NULL, -1), "self-test"));
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"an empty store has an INBOX", opens_empty},
    {"delivered messages are listed and read", delivers_and_reads},
    {"a restart changes nothing", survives_restart},
    {"a maildrop is a snapshot, with zombies", keeps_snapshot},
    {"a map made late is the one of the opening", maps_late},
    {"flags change soon", marks_seen},
    {"folders are made, names judged", makes_folders},
    {"unique ids can be brought along", keeps_brought_uidls},
    {"large messages", stores_large},
    {"more dots than are kept", finds_many_dots},
    {"messages over the limit", refuses_too_large},
    {"segments are rolled", rolls_segments},
    {"the map of the index grows", grows_its_map},
    {"sessions are answered at once or by jobs", answers_sessions},
    {"sessions end while calls are under way", forgets_sessions},
    {"jobs do not touch the caller's rows", keeps_jobs_off_rows},
    {"deliveries in sessions", delivers_in_sessions},
    {"deliveries that wait share one sync", shares_one_sync},
    {"the self-test leaves nothing", tests_itself},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage", cases, argc > 1 ? argv[1] : NULL);
}
