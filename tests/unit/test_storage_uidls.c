/*
 * test_storage_uidls.c - listings of unique ids of other servers: each format with what the servers
 * really write, torn, wrong and hostile ones, lack of memory.
 */
#include "suite.h"

#include "modules/storage/import/uidl_list.h"

#include <CUnit/CUnit.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned allocations_left;
static unsigned held;

static void *take(void *arg, size_t n)
{
	(void)arg;
	if (allocations_left == 0)
		return NULL;
	allocations_left--;
	held++;
	return calloc(1, n);
}

static void give(void *arg, void *p)
{
	(void)arg;
	held -= p != NULL;
	free(p);
}

static struct uidl_list *parse(const char *text, const char *template, size_t piece)
{
	struct uidl_list *l = calloc(1, sizeof(*l));
	size_t n = strlen(text);

	l->alloc = take;
	l->free = give;
	l->template = template;
	for (size_t at = 0; at < n; at += piece)
		uidl_list_feed(l, text + at, n - at < piece ? n - at : piece);
	uidl_list_end(l);
	return l;
}

static void done(struct uidl_list *l)
{
	uidl_list_free(l);
	free(l);
}

/* Entries in the order of the server's POP3, as "NAME UID UIDL SIZE" lines. */
static const char *shown(const struct uidl_list *l)
{
	static char text[4096];
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < l->count && n < sizeof(text); i++) {
		const struct uidl_entry *e = &l->entries[i];

		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s %u %s ",
				      e->name ? e->name : "-", e->uid, e->uidl ? e->uidl : "-");
		n += (size_t)(e->size == UIDL_NO_SIZE ? snprintf(text + n, sizeof(text) - n, "-\n")
						      : snprintf(text + n, sizeof(text) - n,
								 "%lu\n", (unsigned long)e->size));
	}
	return text;
}

#define UIDLIST "3 V1795545644 N3 Ga30813262cda056b1e7e000083ecc375\n"

static const struct {
	const char *what, *text, *template, *entries, *fault;
	enum uidl_kind kind;
	unsigned strange;
} cases[] = {
    {"what Dovecot 2.3.19 wrote",
     UIDLIST "1 :1795545644.M638701P32286.vm,S=30,W=34\n"
	     "3 :1795545646.M586458P32557.vm,S=30,W=34:2,S\n",
     NULL,
     "1795545644.M638701P32286.vm,S=30,W=34 1 000000016b05da2c 34\n"
     "1795545646.M586458P32557.vm,S=30,W=34 3 000000036b05da2c 34\n",
     NULL, UIDL_KIND_UIDLIST, 0},
    {"ids and orders told", UIDLIST "1 Pold-1 W7 :a\n2 P O1 :b:2,\n3 O0 Pold-3 :c\n", NULL,
     "c 3 old-3 -\nb 2 b -\na 1 old-1 7\n", NULL, UIDL_KIND_UIDLIST, 0},
    {"a format of its own", "3 V5 N3 P%v-%u Gx\n2 :b\n", NULL, "b 2 5-2 -\n", NULL,
     UIDL_KIND_UIDLIST, 0},
    {"another format", UIDLIST "12 Gxyz :b,S=1\n", "%g/%f/%%/%04u", "b,S=1 12 xyz/b,S=1/%/0012 -\n",
     NULL, UIDL_KIND_UIDLIST, 0},
    {"Dovecot 2.4's way of writing it", UIDLIST "12 :b\n", "%{uid | hex(8)}%{uidvalidity|hex(8)}",
     "b 12 0000000c6b05da2c -\n", NULL, UIDL_KIND_UIDLIST, 0},
    {"version 1", "1 1116958398 20\n5 a:2,S\n7 b c\n", NULL,
     "a 5 0000000542936ebe -\nb c 7 0000000742936ebe -\n", NULL, UIDL_KIND_UIDLIST, 0},
    {"torn and wrong lines", UIDLIST "x\n0 :a\n1 \n2 :x/y\n4294967296 :z\n9 :good\n10", NULL,
     "good 9 000000096b05da2c -\n", NULL, UIDL_KIND_UIDLIST, 6},
    {"ids twice, and none", UIDLIST "1 Psame :a\n2 Psame :b\n3 P\x7f :c\n", NULL,
     "a 1 same -\nb 2 - -\nc 3 - -\n", NULL, UIDL_KIND_UIDLIST, 0},
    {"Courier 3", "/3 20 1116958398\na:2,S 100 17:1116958398:0\nb 99 0:0:1\nc d 5 3:0:0\n", NULL,
     "a 0 UID17-1116958398 100\nb 0 b 99\nc d 0 UID3 5\n", NULL, UIDL_KIND_COURIER, 0},
    {"Courier 2", "/2 20 1116958398\nhost+1,'x\" 100 0:0\nx\nx y z\n", NULL,
     "host+1,'x\" 0 host+2B1,+27x+22 100\n", NULL, UIDL_KIND_COURIER, 2},
    {"doveadm flow", "INBOX uidvalidity=1795545644\nuid=1 pop3.uidl=\nuid=2 pop3.uidl=x=y\n", NULL,
     "- 1 000000016b05da2c -\n- 2 x=y -\n", NULL, UIDL_KIND_FLOW, 0},
    {"doveadm tab",
     "uid\tpop3.uidl\tguid\tsize.virtual\n1\t\t1795545644.M638701P32286.vm,S=30,W=34\t34\n"
     "2\tabc\tg\t35\n3\tabd\tg\tx\n",
     NULL, "- 1 - 34\n- 2 abc 35\n", NULL, UIDL_KIND_TAB, 1},
    {"doveadm table",
     "uid pop3.uidl guid                                  size.virtual        \n"
     "1             1795545644.M638701P32286.vm,S=30,W=34 34                  \n"
     "2   abcdefghi 1795545644.M638701P32286.vm,S=30,W=34 35\n"
     "3   abcdefghij1795545644.M638701P32286.vm,S=30,W=34 35\n"
     "4   x\n",
     NULL, "- 1 - 34\n- 2 abcdefghi 35\n- 4 x -\n", NULL, UIDL_KIND_TABLE, 1},
    {"doveadm tab after a status",
     "mailbox\tuidvalidity\nINBOX\t1795558422\nmailbox\tuid\tguid\thdr.message-id\tpop3.uidl\n"
     "INBOX\t1\t1795558422.M967974P25557.vm,S=32,W=36\t<1@x>\t\n",
     NULL, "- 1 000000016b060c16 -\n", NULL, UIDL_KIND_TAB, 0},
    {"doveadm table after a status",
     "mailbox uidvalidity                              \nINBOX   1795558422               \n"
     "mailbox uid guid                                  hdr.message-id pop3.uidl   \n"
     "INBOX   1   1795558422.M967974P25557.vm,S=32,W=36 <1@x>                      \n"
     "INBOX   2   1795558423.M463532P25654.vm,S=32,W=36 <2@x>          x           \n",
     NULL, "- 1 000000016b060c16 -\n- 2 x -\n", NULL, UIDL_KIND_TABLE, 0},
    {"doveadm pager after a status, with fields of no use",
     "INBOX\nuidvalidity: 1795558422\nmailbox: INBOX\nguid: g\nuid: 1\nhdr.subject: a\n b\n"
     "pop3.uidl: \n\f\nmailbox: INBOX\nguid: h\nuid: 2\npop3.uidl: x\n\f\n",
     NULL, "- 1 000000016b060c16 -\n- 2 x -\n", NULL, UIDL_KIND_PAGER, 0},
    {"doveadm json after a status",
     "[{\"mailbox\":\"INBOX\",\"uidvalidity\":\"1795558422\"}]"
     "[{\"mailbox\":\"INBOX\",\"uid\":\"1\",\"hdr.message-id\":\"<1@x>\",\"pop3.uidl\":\"\"},"
     "{\"mailbox\":\"IN{},[]\\\"BOX\",\"uid\":\"2\",\"pop3.uidl\":\"a\\/"
     "\\u0062\",\"size.virtual\":\"36\"},"
     "\n {\"uid\" : 3, \"pop3.uidl\" : \"c\"}]\n",
     NULL, "- 1 000000016b060c16 -\n- 2 a/b 36\n- 3 c -\n", NULL, UIDL_KIND_JSON, 0},
    {"doveadm json, torn and wrong",
     "[{\"uid\":\"1\",\"pop3.uidl\":\"a\"},{\"uid\":\"x\",\"pop3.uidl\":\"\\u00e4\"},x,{\"uid\":"
     "\"2",
     NULL, "- 0 - -\n- 1 a -\n", NULL, UIDL_KIND_JSON, 2},
    {"doveadm pager", "uid: 1\npop3.uidl: a\n\f\nuid: 2\npop3.uidl: b\n\f\n", NULL,
     "- 1 a -\n- 2 b -\n", NULL, UIDL_KIND_PAGER, 0},
    {"Cyrus 3.6",
     "Examining user.ann... Mailbox Header Info:\n  Path to mailbox: /x\n\n Index Header Info:\n"
     "  UIDValidity: 1669293312  Last UID: 3\n  Mailbox Options: POP3_NEW_UIDL\n Message Info:\n"
     "000001> UID:00000002   INT_DATE:1 SENTDATE:2 SIZE:617   \n      > HDRSIZE:300    LASTUPD\n"
     "000002> UID:00000003   INT_DATE:1 SENTDATE:2 SAVEDATE:0 SIZE:7\n",
     NULL, "- 2 1669293312.2 617\n- 3 1669293312.3 7\n", NULL, UIDL_KIND_CYRUS, 0},
    {"Cyrus, old ids",
     " Mailbox Header Info:\n  UIDValidity: 7  Last UID: 3\n  Mailbox Options: NONE\n"
     "000001> UID:00000002   SIZE:1\n",
     NULL, "- 2 2 1\n", NULL, UIDL_KIND_CYRUS, 0},
    {"an answer to UIDL", "1 a\r\n2 b\r\n4 c\r\n.\r\n", NULL, "- 0 a -\n- 0 b -\n- 0 c -\n", NULL,
     UIDL_KIND_POP3, 0},
    {"a whole session",
     "CONNECTED(00000003)\n 0 s:CN = x\n+OK Dovecot ready.\r\n+OK\r\n+OK Logged in.\r\n"
     "+OK 2 messages:\r\n1 34\r\n2 35\r\n.\r\n+OK\r\n1 000000016b05da2c\r\n2 000000026b05da2c\r\n"
     ".\r\n+OK Logging out.\r\n",
     NULL, "- 0 000000016b05da2c 34\n- 0 000000026b05da2c 35\n", NULL, UIDL_KIND_POP3, 0},
    {"a session with ids that are numbers",
     "+OK\r\n1 17\r\n3 19\r\n.\r\n+OK 2 messages (60 octets)\r\n1 30\r\n3 31\r\n.\r\n", NULL,
     "- 0 17 30\n- 0 19 31\n", NULL, UIDL_KIND_POP3, 0},
    {"LIST alone", "+OK 2 messages (60 octets)\r\n1 30\r\n2 31\r\n.\r\n", NULL, "",
     "has the answer to LIST alone; the one to UIDL is needed", UIDL_KIND_POP3, 0},
    {"nothing known", "Dear Ann,\nyes.\n", NULL, "",
     "is no listing that is known: dovecot-uidlist, doveadm fetch, courierpop3dsizelist, Cyrus "
     "mbexamine, or the answers to UIDL and LIST",
     UIDL_KIND_NONE, 0},
    {"an empty file", "", NULL, "",
     "is no listing that is known: dovecot-uidlist, doveadm fetch, "
     "courierpop3dsizelist, Cyrus mbexamine, or the answers to UIDL "
     "and LIST",
     UIDL_KIND_NONE, 0},
    {"an empty mailbox", UIDLIST, NULL, "", NULL, UIDL_KIND_UIDLIST, 0},
};

static void check_case(size_t i, size_t piece)
{
	struct uidl_list *l = parse(cases[i].text, cases[i].template, piece);
	const char *fault = l->fault ? l->fault : "",
		   *expected = cases[i].fault ? cases[i].fault : "";

	if (strcmp(shown(l), cases[i].entries) != 0 || strcmp(fault, expected) != 0 ||
	    l->kind != cases[i].kind || l->strange != cases[i].strange) {
		fprintf(stderr, "  %s: kind %u, %lu strange, %s\n%s", cases[i].what, l->kind,
			(unsigned long)l->strange, fault, shown(l));
		CU_FAIL("a listing was understood otherwise");
	}
	done(l);
}

static void formats(void)
{
	allocations_left = UINT32_MAX;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check_case(i, SIZE_MAX / 2);
		check_case(i, 1);
		check_case(i, 7);
	}
	CU_ASSERT_EQUAL(held, 0);
}

static void bears_lack_of_memory(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (unsigned n = 0; n < 3; n++) {
			struct uidl_list *l;

			allocations_left = n;
			l = parse(cases[i].text, cases[i].template, SIZE_MAX / 2);
			CU_ASSERT_TRUE(l->fault || strcmp(shown(l), cases[i].entries) == 0);
			done(l);
		}
	}
	CU_ASSERT_EQUAL(held, 0);
}

static void finds(void)
{
	struct uidl_list *l;

	allocations_left = UINT32_MAX;
	l = parse(UIDLIST "1 :b\n2 :a,S=1:2,S\n3 :ab\n9 Px :c\n", NULL, 5);
	uidl_list_by_name(l);
	CU_ASSERT_EQUAL(uidl_list_name(l, "a,S=1:2,FS", 5)->uid, 2);
	CU_ASSERT_EQUAL(uidl_list_name(l, "ab", 2)->uid, 3);
	CU_ASSERT_PTR_NULL(uidl_list_name(l, "ab", 1));
	CU_ASSERT_PTR_NULL(uidl_list_name(l, "abc", 3));
	uidl_list_by_uid(l);
	CU_ASSERT_STRING_EQUAL(uidl_list_uid(l, 9)->uidl, "x");
	CU_ASSERT_PTR_NULL(uidl_list_uid(l, 4));
	uidl_list_by_uidl(l);
	CU_ASSERT_EQUAL(uidl_list_uidl(l, "x")->uid, 9);
	CU_ASSERT_PTR_NULL(uidl_list_uidl(l, "y"));
	done(l);
}

/* Long lines, NULs, many messages: nothing grows but what is kept. */
static void bounded(void)
{
	struct uidl_list *l = calloc(1, sizeof(*l));
	char line[64];
	bool ordered = true;

	allocations_left = UINT32_MAX;
	l->alloc = take;
	l->free = give;
	uidl_list_feed(l, UIDLIST, strlen(UIDLIST));
	for (unsigned i = 1; i <= 20000; i++) {
		int n = snprintf(line, sizeof(line), "%u Pu%u :f%u\n", i, 20000 - i, i);

		uidl_list_feed(l, line, (size_t)n);
	}
	for (unsigned i = 0; i < 300000; i++)
		uidl_list_feed(l, "1 :x", 1 + i % 4);
	uidl_list_feed(l, "\n4 :\0x\n", 7);
	CU_ASSERT_TRUE(uidl_list_end(l));
	CU_ASSERT_EQUAL(l->count, 20000);
	CU_ASSERT_EQUAL(l->strange, 2);
	CU_ASSERT_EQUAL(l->first_strange, 20002);
	for (unsigned i = 0; i < 20000; i++)
		ordered &= l->entries[i].uid == i + 1;
	CU_ASSERT_TRUE(ordered);
	done(l);
	CU_ASSERT_EQUAL(held, 0);
}

static void judges_formats(void)
{
	static const struct {
		const char *format;
		bool good;
	} formats[] = {{"%08Xu%08Xv", true},   {"%v.%u", true},  {"%f", true},    {"%g", true},
		       {"UID%u-%v", true},     {"%u", true},     {"%m", false},   {"%v", false},
		       {"x", false},           {"", false},      {"%", false},    {"%08X", false},
		       {"%{uid", false},       {"%{uid}", true}, {"%99u", false}, {"%%", false},
		       {"%{uid|hex(8", false}, {"%Lf", false}};
	struct uidl_values v = {.uid = 1, .uidvalidity = 2, .name = "n n", .guid = NULL};
	char out[UIDL_MAX + 1];

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++)
		CU_ASSERT_EQUAL(!uidl_template_fault(formats[i].format), formats[i].good);
	CU_ASSERT_FALSE(uidl_template_expand("%f", &v, out));
	CU_ASSERT_FALSE(uidl_template_expand("%g", &v, out));
	CU_ASSERT_FALSE(uidl_template_expand("%70u%u", &v, out));
	CU_ASSERT_TRUE(uidl_template_expand("%070u", &v, out));
	v.uidvalidity = 0;
	CU_ASSERT_FALSE(uidl_template_expand("%u.%v", &v, out));
}

static const struct suite_case suite[] = {
    {"formats of listings", formats},     {"lack of memory", bears_lack_of_memory},
    {"entries are found", finds},         {"memory is bounded", bounded},
    {"pop3_uidl_format", judges_formats}, {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_uidls", suite, argc > 1 ? argv[1] : NULL);
}
