/*
 * test_storage_inout.c - mail in and out: from Dovecot, Courier and Cyrus with their unique ids, out
 * to a Maildir and to mbox files and in again, octet by octet; comparing unique ids before a cut-over.
 */
#include "inout_rig.h"
#include "suite.h"

#include "modules/storage/import/mutf7.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

/* A folder's unique ids in the order of its messages, with spaces. */
static const char *uidls(struct rig *r, const char *user, const char *folder)
{
	static char text[65536];
	struct rig_listing l = {0};
	struct pstn_maildrop *d;
	size_t n = 0;
	int status;

	text[0] = '\0';
	d = rig_folder(r, user, folder, &status);
	if (!d)
		return "no folder";
	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
				      l.rows[i].uidl);
	maildrop_table.close(d);
	return text;
}

/* ---- in ---- */

#define UIDLIST "3 V1795545644 N3 Ga30813262cda056b1e7e000083ecc375\n"

/* As Dovecot 2.3.19 leaves it, with a folder, keywords and a message it has not seen yet. */
static void make_dovecot(const char *name)
{
	char path[256];
#define IN(file) (snprintf(path, sizeof(path), "%s/%s", name, file), path)
	inout_maildir(name);
	inout_maildir(IN(".&AMQ-rchiv.2024"));
	inout_put(IN("new/1795545644.M638701P32286.vm,S=30,W=34"), "Subject: m1\n\nbody 1\n", 111);
	inout_put(IN("cur/1795545645.M725830P32457.vm,S=30,W=34:2,Sa"), "Subject: m2\n\nbody 2\n",
		  222);
	inout_put(IN("new/1795545600.M586458P32557.vm,S=30,W=34:2,FR"), "Subject: m3\n\nbody 3\n",
		  333);
	inout_put(IN("cur/1795545699.unknown.vm"), "Subject: m4\n\nbody 4\n", 444);
	inout_put(IN("dovecot-uidlist"),
		  UIDLIST "1 :1795545644.M638701P32286.vm,S=30,W=34\n"
			  "2 Pkept-id :1795545645.M725830P32457.vm,S=30,W=34\n"
			  "3 :1795545600.M586458P32557.vm,S=30,W=34:2,F\n",
		  5);
	inout_put(IN(".&AMQ-rchiv.2024/new/1795545648.M318526P32634.vm,S=14,W=17"),
		  "Subject: s\n\nx\n", 5);
	inout_put(IN(".&AMQ-rchiv.2024/dovecot-uidlist"),
		  "3 V7 N2 Gx\n1 :1795545648.M318526P32634.vm,S=14,W=17\n", 5);
#undef IN
}

static void from_dovecot(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	const char *answer;
	char fourth[UIDL_MAX + 1];
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	make_dovecot("md");
	answer = inout_import(&r, ANN, "md", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"folders\":2,\"imported\":5"));
	CU_ASSERT_TRUE(rig_says(answer, "\"with_uidl\":4"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "1 keywords of messages are left out"));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	maildrop_table.close(d);
	CU_ASSERT_EQUAL_FATAL(l.count, 4);
	CU_ASSERT_STRING_EQUAL(l.rows[0].uidl, "000000016b05da2c");
	CU_ASSERT_STRING_EQUAL(l.rows[1].uidl, "kept-id");
	CU_ASSERT_STRING_EQUAL(l.rows[2].uidl, "000000036b05da2c");
	CU_ASSERT_EQUAL(l.rows[0].flags, 0);
	CU_ASSERT_EQUAL(l.rows[1].flags, PSTN_SEEN);
	CU_ASSERT_EQUAL(l.rows[2].flags, PSTN_FLAGGED | PSTN_ANSWERED);
	CU_ASSERT_EQUAL(l.rows[1].received, 222);
	strcpy(fourth, l.rows[3].uidl);
	CU_ASSERT_EQUAL(strlen(fourth), 20);
	CU_ASSERT_STRING_EQUAL(uidls(&r, ANN, "\xc3\x84rchiv.2024"), "0000000100000007");
	/* Once more, and to another folder without ids. */
	answer = inout_import(&r, ANN, "md", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"imported\":0") && rig_says(answer, "\"skipped\":5"));
	answer = inout_import(&r, ANN, "md", "Copy", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"folders\":1,\"imported\":4"));
	CU_ASSERT_PTR_NOT_NULL(strstr(uidls(&r, ANN, "Copy"), "000000016b05da2c kept-id"));
	rig_end(&r);
}

static const struct {
	const char *what, *listing, *uidls;
} dovecot_listings[] = {
    {"doveadm with GUIDs",
     "guid\tpop3.uidl\n1795545644.M638701P32286.vm,S=30,W=34\tA\n1795545699.unknown.vm\tD\n",
     "A kept-id 000000036b05da2c D"},
    {"doveadm with uids", "uid=1 pop3.uidl=A\nuid=3 pop3.uidl=C\n", "A kept-id C "},
    {"a Courier list instead", "/2 9 5\n1795545699.unknown.vm:2,S 20 7:5\n",
     "000000016b05da2c kept-id 000000036b05da2c UID7-5"},
    {"the answer to UIDL", "+OK\r\n1 a\r\n2 b\r\n3 c\r\n4 d\r\n.\r\n", "a b c d"},
};

static void from_listings(void)
{
	for (size_t i = 0; i < sizeof(dovecot_listings) / sizeof(*dovecot_listings); i++) {
		struct rig r;
		const char *expected = dovecot_listings[i].uidls;

		rig_begin(&r);
		CU_ASSERT_FATAL(rig_open(&r));
		make_dovecot("md");
		inout_put("list", dovecot_listings[i].listing, 5);
		CU_ASSERT_TRUE(
		    rig_says(inout_import(&r, ANN, "md", NULL, "list"), "\"imported\":5"));
		if (strncmp(uidls(&r, ANN, "INBOX"), expected, strlen(expected)) != 0) {
			fprintf(stderr, "  %s: %s\n", dovecot_listings[i].what,
				uidls(&r, ANN, "INBOX"));
			CU_FAIL("other ids");
		}
		rig_end(&r);
	}
}

static void from_courier_and_cyrus(void)
{
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	inout_maildir("courier");
	inout_put("courier/cur/1000000002.b:2,S", "Subject: b\n\nx\n", 5);
	inout_put("courier/cur/1000000001.a:2,", "Subject: a\n\nx\n", 5);
	inout_put("courier/courierpop3dsizelist",
		  "/3 9 1116958398\n1000000001.a 16 7:1116958398:0\n1000000002.b:2,S 16 3:0:0\n",
		  5);
	CU_ASSERT_TRUE(rig_says(inout_import(&r, ANN, "courier", NULL, NULL), "\"with_uidl\":2"));
	CU_ASSERT_STRING_EQUAL(uidls(&r, ANN, "INBOX"), "UID7-1116958398 UID3");
	mkdir(inout_path("cyrus"), 0700);
	inout_put("cyrus/cyrus.header", "x", 5);
	inout_put("cyrus/cyrus.index", "x", 5);
	inout_put("cyrus/10.", "Subject: ten\r\n\r\nx\r\n", 5);
	inout_put("cyrus/2.", "Subject: two\r\n\r\nx\r\n", 5);
	inout_put("cyrus/3.", "Subject: gone, but not cleaned up\r\n\r\nx\r\n", 5);
	inout_put("list",
		  " Mailbox Header Info:\n  UIDValidity: 77  Last UID: 10\n"
		  "000001> UID:00000002   SIZE:19\n000002> UID:00000010   SIZE:19\n",
		  5);
	CU_ASSERT_TRUE(rig_says(inout_import(&r, BOB, "cyrus", NULL, "list"), "\"with_uidl\":2"));
	CU_ASSERT_PTR_NOT_NULL(strstr(uidls(&r, BOB, "INBOX"), "77.2 77.10 "));
	inout_put("list", "1 77.2\n2 77.10\n", 5);
	CU_ASSERT_TRUE(rig_says(inout_import(&r, "eve@example.org", "cyrus", NULL, "list"),
				"\"with_uidl\":2"));
	rig_end(&r);
}

#define FROM "From a@b Thu Aug 22 12:36:23 2002\n"

static void ids_that_cannot_be_had(void)
{
	struct rig r;
	const char *answer;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	inout_put("mbox", FROM "Subject: 1\n\n" FROM "Subject: 2\n\n" FROM "Subject: 3\n\n", 5);
	inout_put("list", "1 a\n2 b\n", 5);
	answer = inout_import(&r, ANN, "mbox", NULL, "list");
	CU_ASSERT_TRUE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(answer, "2 messages and the mbox 3"));
	/* Taken, twice, and one that is free. */
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", "x", 1, "a", &status), 1);
	inout_put("list", "1 a\n2 b\n3 b\n", 5);
	answer = inout_import(&r, ANN, "mbox", NULL, "list");
	CU_ASSERT_TRUE(rig_says(answer, "\"imported\":3"));
	CU_ASSERT_TRUE(rig_says(answer, "\"with_uidl\":1,\"new_uidl\":1"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "the unique id \"a\""));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "1 messages have an id that another has before them"));
	inout_put("list", "Dear Ann\n", 5);
	CU_ASSERT_TRUE(
	    rig_says(inout_import(&r, ANN, "mbox", NULL, "list"), "is no listing that is known"));
	rig_end(&r);
}

static void names_are_judged(void)
{
	static const char *const bad[] = {".a&AAAA-b", ".a&AC8-b", ".&", ".a..b", ".&2D3-"};
	struct rig r;
	const char *answer;
	char path[64];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	inout_maildir("md");
	inout_maildir("md/.Good");
	inout_put("md/.Good/new/1.a", "x\n", 5);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(path, sizeof(path), "md/%s", bad[i]);
		inout_maildir(path);
	}
	answer = inout_import(&r, ANN, "md", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"folders\":2,\"imported\":1"));
	CU_ASSERT_TRUE(rig_says(answer, "\"refused\":5"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), ".a..b is left out: its name must not contain"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "not valid modified UTF-7"));
	rig_end(&r);
}

static void mbox_directories(void)
{
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	mkdir(inout_path("boxes"), 0700);
	inout_put("boxes/Sent.mbox", FROM "Subject: 1\n\n" FROM "Subject: 2\n\n", 5);
	inout_put("boxes/mbox", FROM "Subject: 3\n\n", 5);
	inout_put("boxes/Empty", "", 5);
	CU_ASSERT_TRUE(
	    rig_says(inout_import(&r, ANN, "boxes", NULL, NULL), "\"folders\":3,\"imported\":3"));
	CU_ASSERT_EQUAL(strlen(uidls(&r, ANN, "Sent")), 41);
	CU_ASSERT_EQUAL(strlen(uidls(&r, ANN, "INBOX")), 20);
	rig_end(&r);
}

/* ---- out and in again ---- */

struct horror {
	const char *text;
	size_t n;
};

#define H(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}
static const struct horror horrors[] = {
    H(""),
    H("\n"),
    H("\r\n"),
    H("\r"),
    H("\r\r\n"),
    H("no newline"),
    H("no end of header: x"),
    H("Subject: bare\nLF\nlines\n"),
    H("Subject: bare\rCR\rs\r\n\r\nx\r\r\ny\r\r\r\n"),
    H("Subject: NUL \0 and 8-bit \xff\xfe\x80\n\n\0\n\0"),
    H("From someone Thu Aug 22 12:36:23 2002\n\nFrom x\n>From y\n>>From z\n >From\nFrom\n"),
    H("\n\nFrom a@b Thu Aug 22 12:36:23 2002\n\n"),
    H("X-Postern: 1 received=5 uidl=stolen status=2\nStatus: RO\nX-Status: AFDT\n\nx\n"),
    H("Status: RO\nX-Status: D\nStatus: \n\nnot flags of ours\n"),
    H(".\n..\n.dot\n\n.\r\n"),
    H(">\n>>\n>From"),
    H("From "),
    H("\x0c\n\n\n\n"),
};

static char *random_text(size_t n, unsigned seed)
{
	static const char alphabet[] = "\r\n\n\n>.F rom\0ab\xff";
	char *text = malloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1103515245 + 12345;
		text[i] = alphabet[(seed >> 16) % (sizeof(alphabet) - 1)];
	}
	return text;
}

/* Names of folders that are hard on directories; all of them are allowed. */
static const char *const folders[] = {
    "INBOX", "Sent", ".dot", "a.b.c", "&", "\xc3\x84rchiv", "\xf0\x9f\x93\xa8 mail", "-", "x",
};

static void fill_horrors(struct rig *r)
{
	uint64_t when = 5;
	char uidl[32];

	for (size_t f = 0; f < sizeof(folders) / sizeof(*folders); f++) {
		for (size_t i = 0; i < sizeof(horrors) / sizeof(*horrors); i++) {
			snprintf(uidl, sizeof(uidl), "!%zu~:,/\\%zu", f, i);
			inout_deliver(r, ANN, folders[f], horrors[i].text, horrors[i].n,
				      i % 3 ? uidl : NULL, (uint32_t)i & 31, when);
			when = when * 3 + 1;
			if (when > UINT64_C(99999999999))
				when = 1000000000 + f;
		}
	}
	for (unsigned i = 0; i < 120; i++) {
		char *text = random_text(i * 7, i);

		inout_deliver(r, ANN, "INBOX", text, i * 7, NULL, i & 31, 1000000000 + i);
		free(text);
	}
}

static void fill_large(struct rig *r)
{
	size_t n = 300000;
	char *text = malloc(n);

	memset(text, 'x', n);
	inout_deliver(r, ANN, "INBOX", text, n, "one-line", 0, 1);
	memset(text, '>', n);
	memcpy(text + n - 6, "From \n", 6);
	inout_deliver(r, ANN, "INBOX", text, n, "quotes", 0, 2);
	for (size_t i = 0; i < n; i++)
		text[i] = i % 77 == 76 ? '\n' : "From >.\r"[i % 8];
	inout_deliver(r, ANN, "INBOX", text, n, "many", 0, 3);
	free(text);
}

/* A long name: too long for a directory when it is encoded. */
static const char *long_name(void)
{
	static char name[FOLDER_NAME_MAX + 1];

	for (size_t i = 0; i < 120; i++)
		memcpy(name + 2 * i, "\xc3\x84", 3);
	return name;
}

static unsigned compare_folder(struct rig *r, const char *a, const char *b, const char *folder)
{
	struct pstn_maildrop *from, *to;
	static struct rig_listing l, m;
	static char text[1 << 20];
	int status;

	from = rig_folder(r, a, folder, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(from);
	to = rig_folder(r, b, folder, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(to);
	rig_list(from, &l);
	rig_list(to, &m);
	if (l.count != m.count)
		fprintf(stderr, "  %s: %u and %u messages\n", folder, l.count, m.count);
	CU_ASSERT_EQUAL_FATAL(l.count, m.count);
	for (uint32_t i = 0; i < l.count; i++) {
		size_t n, k;
		const char *there;

		memcpy(text, rig_text(from, i + 1, &n, &status), l.rows[i].octets);
		there = rig_text(to, i + 1, &k, &status);
		if (n != k || memcmp(text, there, n) != 0) {
			fprintf(stderr, "  %s %u: %zu and %zu octets\n", folder, i + 1, n, k);
			CU_FAIL("a text has changed");
		}
		CU_ASSERT_STRING_EQUAL(l.rows[i].uidl, m.rows[i].uidl);
		CU_ASSERT_EQUAL(l.rows[i].flags, m.rows[i].flags);
		CU_ASSERT_EQUAL(l.rows[i].received, m.rows[i].received);
		CU_ASSERT_EQUAL(l.rows[i].octets, m.rows[i].octets);
	}
	maildrop_table.close(from);
	maildrop_table.close(to);
	return l.count;
}

static void round_trip(const char *format)
{
	struct rig r;
	const char *answer;
	bool maildir = strcmp(format, "maildir") == 0;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	fill_horrors(&r);
	fill_large(&r);
	if (maildir)
		inout_deliver(&r, ANN, long_name(), "x\n", 2, NULL, 0, 5);
	answer = inout_export(&r, ANN, "out", format);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(answer, maildir ? "\"folders\":10,\"exported\":286"
						: "\"folders\":9,\"exported\":285"));
	answer = inout_import(&r, BOB, "out", NULL, NULL);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(answer, "\"new_uidl\":0,\"with_keywords\":0,\"keywords_left_"
					"out\":0,\"skipped\":0,\"refused\":0"));
	for (size_t f = 0; f < sizeof(folders) / sizeof(*folders); f++)
		CU_ASSERT_TRUE(compare_folder(&r, ANN, BOB, folders[f]) >= 18);
	if (maildir)
		CU_ASSERT_EQUAL(compare_folder(&r, ANN, BOB, long_name()), 1);
	/* What is there is left as it is. */
	answer = inout_export(&r, ANN, "out", format);
	CU_ASSERT_TRUE(
	    rig_says(answer, "\"exported\":0,\"octets\":0,\"with_keywords\":0,\"skipped\":28"));
	CU_ASSERT_TRUE(rig_says(inout_export(&r, BOB, "out", format), "another account"));
	CU_ASSERT_TRUE(rig_says(inout_export(&r, BOB, ".", format), "not empty"));
	rig_end(&r);
}

static void maildir_round_trip(void)
{
	round_trip("maildir");
}

static void mbox_round_trip(void)
{
	round_trip("mbox");
}

/* Flags that changed are in the names after the next run; a file that is half there is made anew. */
static void export_goes_on(void)
{
	struct rig r;
	struct pstn_maildrop *d;
	const char *answer;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver(&r, ANN, "one\n", &status);
	mkdir(inout_path("out"), 0700);
	mkdir(inout_path("out/tmp"), 0700);
	CU_ASSERT_TRUE(rig_says(inout_export(&r, ANN, "out", NULL), "not empty"));
	rmdir(inout_path("out/tmp"));
	CU_ASSERT_TRUE(rig_says(inout_export(&r, ANN, "out", NULL), "\"exported\":1"));
	d = rig_drop(&r, ANN, &status);
	maildrop_table.flag(d, 1, PSTN_SEEN, 0);
	maildrop_table.close(d);
	rig_deliver(&r, ANN, "two\n", &status);
	answer = inout_export(&r, ANN, "out", NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"exported\":1") && rig_says(answer, "\"skipped\":1"));
	CU_ASSERT_TRUE(rig_says(inout_import(&r, BOB, "out", NULL, NULL), "\"imported\":2"));
	CU_ASSERT_EQUAL(compare_folder(&r, ANN, BOB, "INBOX"), 2);
	CU_ASSERT_TRUE(rig_says(inout_export(&r, ANN, "out", "tar"), "There is no format"));
	rig_end(&r);
}

/* ---- comparing ---- */

static const char *diff(struct rig *r, const char *listing)
{
	int fd;
	struct rig_argument args[] = {{"user", ANN, -1}, {"listing", NULL, -1}, {"limit", "2", -1}};
	const char *answer;

	inout_put("list", listing, 5);
	fd = args[1].fd = open(inout_path("list"), O_RDONLY | O_CLOEXEC);
	answer = rig_call(r, "mailbox uidl-diff", args, 3);
	close(fd);
	return answer;
}

static void compares(void)
{
	struct rig r;
	const char *answer;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver_bytes(&r, ANN, "INBOX", "12345678", 8, "a", &status);
	rig_deliver_bytes(&r, ANN, "INBOX", "12345678", 8, "b", &status);
	answer = diff(&r, "+OK 2 messages (20 octets)\n1 10\n2 10\n.\n+OK\n1 b\n2 a\n.\n");
	CU_ASSERT_TRUE(rig_says(answer, "\"same\":true"));
	CU_ASSERT_TRUE(rig_says(answer, "Clients will download nothing again."));
	CU_ASSERT_TRUE(rig_says(diff(&r, "1 a\n2 b\n"), "\"same\":true"));
	answer = diff(&r, "/3 9 9\nf1 10 1:0:0\n");
	CU_ASSERT_TRUE(rig_says(answer, "\"same\":false"));
	CU_ASSERT_TRUE(rig_says(answer, "\"missing\":[\"UID1\"],\"only_here\":[\"a\",\"b\"]"));
	answer = diff(&r, "1 a\n2 c\n3 d\n4 e\n");
	CU_ASSERT_TRUE(rig_says(answer, "\"missing_here\":3,\"only_here_messages\":1"));
	CU_ASSERT_TRUE(rig_says(answer, "\"missing\":[\"c\",\"d\"]"));
	CU_ASSERT_TRUE(rig_says(answer, "will download 1 messages"));
	answer = diff(&r, "+OK\n1 a\n2 b\n3 c\n.\n+OK\n1 10\n2 11\n3 5\n.\n");
	CU_ASSERT_TRUE(
	    rig_says(answer, "\"other_sizes\":[{\"uidl\":\"b\",\"here\":10,\"there\":11}]"));
	CU_ASSERT_TRUE(rig_says(answer, "download nothing again, but 1 messages"));
	CU_ASSERT_TRUE(rig_says(diff(&r, "nothing\n"), "is no listing that is known"));
	rig_end(&r);
}

/* Their positions are held in memory while a message is read: that is bounded. */
static void dots_are_bounded(void)
{
	static const size_t lines = (size_t)1 << 20;
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	struct pstn_content c;
	char *text = malloc((lines + 1) * 2);
	int status;

	for (size_t i = 0; i < lines + 1; i++)
		memcpy(text + 2 * i, ".\n", 2);
	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver_bytes(&r, ANN, "INBOX", text, (lines + 1) * 2, NULL, &status);
	CU_ASSERT_EQUAL(status, PSTN_E_TOO_LARGE);
	CU_ASSERT_EQUAL(rig_deliver_bytes(&r, ANN, "INBOX", text, lines * 2, NULL, &status), 1);
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.rows[0].octets, lines * 3);
	CU_ASSERT_EQUAL(maildrop_table.read(d, 1, &c, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(c.ndots, lines);
	CU_ASSERT_EQUAL(c.dots[lines - 1], (lines - 1) * 3);
	c.release(c.ref);
	maildrop_table.close(d);
	free(text);
	rig_end(&r);
}

static void modified_utf7(void)
{
	static const struct {
		const char *coded, *name;
	} pairs[] = {{"Sent", "Sent"},
		     {"&AMQ-rchiv", "\xc3\x84rchiv"},
		     {"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/"
							 "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
		     {"a&-b", "a&b"},
		     {"&2D3c6A-", "\xf0\x9f\x93\xa8"}};
	static const char *const bad[] = {"&",      "&AMQ",  "&AM-", "&AMR-", "\xc3\x84",
					  "&2D3c-", "&3Og-", "a\tb", "&AAA-"};
	char out[256];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		CU_ASSERT_TRUE(mutf7_decode(pairs[i].coded, out, sizeof(out)));
		CU_ASSERT_STRING_EQUAL(out, pairs[i].name);
		CU_ASSERT_TRUE(mutf7_encode(pairs[i].name, out, sizeof(out)));
		CU_ASSERT_STRING_EQUAL(out, pairs[i].coded);
		CU_ASSERT_FALSE(mutf7_decode(pairs[i].coded, out, 2));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_FALSE(mutf7_decode(bad[i], out, sizeof(out)));
}

static const struct suite_case suite[] = {
    {"a Maildir of Dovecot", from_dovecot},
    {"listings of unique ids beside a Maildir", from_listings},
    {"Courier and Cyrus", from_courier_and_cyrus},
    {"unique ids that cannot be had", ids_that_cannot_be_had},
    {"names of folders are judged", names_are_judged},
    {"a directory of mbox files", mbox_directories},
    {"out to a Maildir and in again", maildir_round_trip},
    {"out to mbox files and in again", mbox_round_trip},
    {"an export goes on", export_goes_on},
    {"uidl-diff", compares},
    {"lines that begin with a dot are bounded", dots_are_bounded},
    {"modified UTF-7", modified_utf7},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_inout", suite, argc > 1 ? argv[1] : NULL);
}
