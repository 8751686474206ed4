/*
 * test_pop3.c - conversations with the POP3 service, each played in every way that a network and a
 * store can bring about: line by line, all at once, octet by octet; answers at once or later; texts
 * in memory or in files. The client sees the same octets in all of them.
 */
#include "pop3_world.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYE      "+OK bye\r\n"
#define LOGIN    "USER ann\nPASS secret\n"
#define LOGGED   "+OK send PASS\r\n+OK logged in; 6 messages\r\n"
#define CAPA     "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\n"
#define DENIED   "-ERR [AUTH] wrong user name or password\r\n"
#define TEMP     "-ERR [SYS/TEMP] the server cannot do this now; try again later\r\n"
#define NO_SUCH  "-ERR no such message\r\n"
#define DELETED  "-ERR message is marked deleted\r\n"
#define GONE     "-ERR message is gone: it was removed elsewhere during this session\r\n"
#define LONG_ID  "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"
#define ONE_TEXT "Subject: one\r\n\r\nfirst\r\nsecond\r\n"

static const struct conversation {
	const char *name, *said, *heard;
	bool in; /* after LOGIN */
} conversations[] = {
    {"QUIT at once", "QUIT\n", BYE, false},
    {"login", LOGIN "QUIT\n", LOGGED BYE, false},
    {"keywords in any case", "uSeR ann\npass secret\nquit\n", LOGGED BYE, false},
    {"CAPA before login", "CAPA\nQUIT\n",
     "+OK capabilities follow\r\nUSER\r\n" CAPA "IMPLEMENTATION Postern\r\n.\r\n" BYE, false},
    {"CAPA after login is the same", "CAPA\nQUIT\n",
     "+OK capabilities follow\r\nUSER\r\n" CAPA "IMPLEMENTATION Postern\r\n.\r\n" BYE, true},
    {"a password with spaces", "USER bob\nPASS two words \nQUIT\n", LOGGED BYE, false},
    {"its last space counts", "USER bob\nPASS two words\nQUIT\n", "+OK send PASS\r\n" DENIED BYE,
     false},
    {"unknown name is not told from wrong password",
     "USER nobody\nPASS x\nUSER ann\nPASS x\nQUIT\n",
     "+OK send PASS\r\n" DENIED "+OK send PASS\r\n" DENIED BYE, false},
    {"no name that could be one", "USER odd\nPASS x\nQUIT\n", "+OK send PASS\r\n" DENIED BYE,
     false},
    {"empty password", "USER ann\nPASS \nQUIT\n", "+OK send PASS\r\n" DENIED BYE, false},
    {"login after a failure", "USER ann\nPASS x\n" LOGIN "QUIT\n",
     "+OK send PASS\r\n" DENIED LOGGED BYE, false},
    {"credentials cannot be checked", "USER temp\nPASS x\nQUIT\n", "+OK send PASS\r\n" TEMP BYE,
     false},
    {"PASS without USER", "PASS secret\nQUIT\n", "-ERR USER comes first\r\n" BYE, false},
    {"PASS twice", "USER ann\nPASS x\nPASS secret\nQUIT\n",
     "+OK send PASS\r\n" DENIED "-ERR USER comes first\r\n" BYE, false},
    {"CAPA between USER and PASS", "USER ann\nCAPA\nPASS secret\nQUIT\n",
     "+OK send PASS\r\n+OK capabilities follow\r\nUSER\r\n" CAPA
     "IMPLEMENTATION Postern\r\n.\r\n-ERR USER comes first\r\n" BYE,
     false},
    {"nonsense between USER and PASS", "USER ann\nfoo\nPASS secret\nQUIT\n",
     "+OK send PASS\r\n-ERR unknown command\r\n-ERR USER comes first\r\n" BYE, false},
    {"PASS without password after USER", "USER ann\nPASS\nPASS secret\nQUIT\n",
     "+OK send PASS\r\n-ERR PASS takes a password\r\n-ERR USER comes first\r\n" BYE, false},
    {"USER twice: the last counts", "USER bob\n" LOGIN "QUIT\n", "+OK send PASS\r\n" LOGGED BYE,
     false},
    {"USER without name", "USER\nUSER \nQUIT\n",
     "-ERR USER takes a name\r\n-ERR USER takes a name\r\n" BYE, false},
    {"before login", "STAT\nLIST\nUIDL\nRETR 1\nTOP 1 1\nDELE 1\nRSET\nNOOP\nQUIT\n",
     "-ERR log in first\r\n-ERR log in first\r\n-ERR log in first\r\n-ERR log in first\r\n"
     "-ERR log in first\r\n-ERR log in first\r\n-ERR log in first\r\n-ERR log in first\r\n" BYE,
     false},
    {"after login", "USER ann\nPASS secret\nQUIT\n",
     "-ERR already logged in\r\n-ERR already logged in\r\n" BYE, true},
    {"what there is not", "APOP a b\nAUTH PLAIN\nSTLS\nUTF8\nLANG\nLAST\n \n\nRETRI 1\nQUIT\n",
     "-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n"
     "-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n"
     "-ERR unknown command\r\n-ERR unknown command\r\n-ERR unknown command\r\n" BYE,
     true},
    {"STAT", "STAT\nQUIT\n", "+OK 6 54015\r\n" BYE, true},
    {"LIST", "LIST\nQUIT\n",
     "+OK 6 messages\r\n1 31\r\n2 19\r\n3 24\r\n4 53907\r\n5 13\r\n6 21\r\n.\r\n" BYE, true},
    {"LIST n", "LIST 1\nLIST 6\nLIST 06\nQUIT\n", "+OK 1 31\r\n+OK 6 21\r\n+OK 6 21\r\n" BYE, true},
    {"UIDL", "UIDL\nQUIT\n",
     "+OK 6 messages\r\n1 id1\r\n2 " LONG_ID "\r\n3 id3\r\n4 id4\r\n5 id5\r\n6 id6\r\n.\r\n" BYE,
     true},
    {"UIDL n", "UIDL 1\nUIDL 2\nQUIT\n", "+OK 1 id1\r\n+OK 2 " LONG_ID "\r\n" BYE, true},
    {"RETR", "RETR 1\nQUIT\n", "+OK 31 octets\r\n" ONE_TEXT ".\r\n" BYE, true},
    {"RETR with dots, the first octet too", "RETR 2\nQUIT\n",
     "+OK 19 octets\r\n..dot\r\n\r\n..\r\n...a\r\nb\r\n.\r\n" BYE, true},
    {"TOP 0", "TOP 1 0\nQUIT\n", "+OK top of message follows\r\nSubject: one\r\n\r\n.\r\n" BYE,
     true},
    {"TOP 1", "TOP 1 1\nQUIT\n",
     "+OK top of message follows\r\nSubject: one\r\n\r\nfirst\r\n.\r\n" BYE, true},
    {"TOP of all and more", "TOP 1 2\nTOP 1 3\nTOP 1 99999999999999\nQUIT\n",
     "+OK top of message follows\r\n" ONE_TEXT ".\r\n+OK top of message follows\r\n" ONE_TEXT
     ".\r\n+OK top of message follows\r\n" ONE_TEXT ".\r\n" BYE,
     true},
    {"TOP with dots", "TOP 2 1\nQUIT\n",
     "+OK top of message follows\r\n..dot\r\n\r\n..\r\n.\r\n" BYE, true},
    {"TOP without an empty line", "TOP 3 0\nTOP 3 5\nQUIT\n",
     "+OK top of message follows\r\nSubject: no empty line\r\n.\r\n"
     "+OK top of message follows\r\nSubject: no empty line\r\n.\r\n" BYE,
     true},
    {"TOP without a header", "TOP 5 0\nTOP 5 1\nQUIT\n",
     "+OK top of message follows\r\n\r\n.\r\n"
     "+OK top of message follows\r\n\r\nno header\r\n.\r\n" BYE,
     true},
    {"no such message",
     "LIST 0\nLIST 7\nLIST 4294967297\nUIDL 0\nRETR 00\nRETR 7\nTOP 7 1\nDELE 7\n"
     "DELE 18446744073709551617\nQUIT\n",
     NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH NO_SUCH BYE, true},
    {"numbers that are none",
     "LIST -1\nLIST +1\nRETR 1x\nDELE 0x1\nTOP 1 -1\nUIDL 1.0\nRETR one\nQUIT\n",
     "-ERR LIST takes a message number or nothing\r\n-ERR LIST takes a message number or "
     "nothing\r\n"
     "-ERR RETR takes a message number\r\n-ERR DELE takes a message number\r\n"
     "-ERR TOP takes a message number and a number of lines\r\n"
     "-ERR UIDL takes a message number or nothing\r\n-ERR RETR takes a message number\r\n" BYE,
     true},
    {"too many arguments",
     "STAT 1\nLIST 1 2\nRETR 1 2\nTOP 1 2 3\nNOOP x\nRSET 1\nCAPA x\nQUIT now\nQUIT\n",
     "-ERR STAT takes no argument\r\n-ERR LIST takes a message number or nothing\r\n"
     "-ERR RETR takes a message number\r\n-ERR TOP takes a message number and a number of lines\r\n"
     "-ERR NOOP takes no argument\r\n-ERR RSET takes no argument\r\n-ERR CAPA takes no argument\r\n"
     "-ERR QUIT takes no argument\r\n" BYE,
     true},
    {"too few arguments", "RETR\nTOP\nTOP 1\nDELE\nRETR \nQUIT\n",
     "-ERR RETR takes a message number\r\n-ERR TOP takes a message number and a number of lines\r\n"
     "-ERR TOP takes a message number and a number of lines\r\n-ERR DELE takes a message number\r\n"
     "-ERR RETR takes a message number\r\n" BYE,
     true},
    {"spaces: one between, any behind", "LIST  1\nTOP 1  0\n LIST\nSTAT \nLIST 1  \nQUIT\n",
     "-ERR LIST takes a message number or nothing\r\n"
     "-ERR TOP takes a message number and a number of lines\r\n-ERR unknown command\r\n"
     "+OK 6 54015\r\n+OK 1 31\r\n" BYE,
     true},
    {"NOOP", "NOOP\nnoop\nQUIT\n", "+OK done\r\n+OK done\r\n" BYE, true},
    {"DELE", "DELE 1\nSTAT\nLIST\nUIDL\nQUIT\n",
     "+OK marked deleted\r\n+OK 5 53984\r\n"
     "+OK 5 messages\r\n2 19\r\n3 24\r\n4 53907\r\n5 13\r\n6 21\r\n.\r\n"
     "+OK 5 messages\r\n2 " LONG_ID "\r\n3 id3\r\n4 id4\r\n5 id5\r\n6 id6\r\n.\r\n"
     "+OK bye; 1 message deleted\r\n",
     true},
    {"what is marked cannot be used",
     "DELE 6\nDELE 6\nLIST 6\nUIDL 6\nRETR 6\nTOP 6 0\nRSET\nQUIT\n",
     "+OK marked deleted\r\n" DELETED DELETED DELETED DELETED DELETED
     "+OK no message is marked deleted\r\n" BYE,
     true},
    {"RSET", "DELE 1\nDELE 2\nRSET\nSTAT\nLIST 1\nDELE 1\nQUIT\n",
     "+OK marked deleted\r\n+OK marked deleted\r\n+OK no message is marked deleted\r\n"
     "+OK 6 54015\r\n+OK 1 31\r\n+OK marked deleted\r\n+OK bye; 1 message deleted\r\n",
     true},
    {"all deleted", "DELE 1\nDELE 2\nDELE 3\nDELE 4\nDELE 5\nDELE 6\nSTAT\nLIST\nUIDL\nQUIT\n",
     "+OK marked deleted\r\n+OK marked deleted\r\n+OK marked deleted\r\n+OK marked deleted\r\n"
     "+OK marked deleted\r\n+OK marked deleted\r\n+OK 0 0\r\n+OK 0 messages\r\n.\r\n"
     "+OK 0 messages\r\n.\r\n+OK bye; 6 messages deleted\r\n",
     true},
    {"nothing is read behind QUIT", "QUIT\nSTAT\nQUIT\n", BYE, true},
};

/* ---- the ways ---- */

enum { LATER = 1, FILES = 2, ALL_AT_ONCE = 4, OCTETS = 8, WAYS = 16 };

static char *wire(const char *said)
{
	char *out = calloc(1, strlen(said) * 2 + 1), *to = out;

	for (; *said; said++) {
		if (*said == '\n')
			*to++ = '\r';
		*to++ = *said;
	}
	return out;
}

static void say(struct pstn_session *s, const char *said, unsigned way)
{
	char *octets = wire(said);
	size_t n = strlen(octets);

	if (way & OCTETS)
		for (size_t i = 0; i < n; i++) {
			fake_input(s, octets + i, 1);
			if (!(way & ALL_AT_ONCE))
				fake_settle();
		}
	else if (way & ALL_AT_ONCE)
		fake_input(s, octets, n);
	else
		world_say(s, said);
	fake_settle();
	fake_advance(0);
	free(octets);
}

static void play(const struct conversation *c, unsigned way)
{
	struct pop3_world w;
	struct pstn_session *s;

	world_begin(&w);
	w.fake.files = way & FILES;
	w.fake.no_header = way & ALL_AT_ONCE;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = c->in ? world_login(&w) : world_connect(&w);
	pop3_fake_all_later(&w.fake, way & LATER);
	say(s, c->said, way);
	if (strcmp(fake_output(s), c->heard) != 0) {
		fprintf(stderr, "\n%s (way %u):\nheard:    %s\nexpected: %s\n", c->name, way,
			fake_output(s), c->heard);
		CU_FAIL("heard something else");
	}
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "quit");
	if (!fake_closed(s))
		fake_close(s, "test");
	CU_ASSERT_EQUAL(world_end(&w), 0);
}

static void test_conversations(void)
{
	for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
		for (unsigned way = 0; way < WAYS; way++)
			play(&conversations[i], way);
}

/* ---- one by one ---- */

static struct pop3_world w;

static struct pstn_session *log_in(void)
{
	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	return world_login(&w);
}

static void end(struct pstn_session *s)
{
	if (!fake_closed(s))
		fake_close(s, "client closed");
	CU_ASSERT_EQUAL(world_end(&w), 0);
}

static void hears(struct pstn_session *s, const char *said, const char *expected)
{
	const char *heard;

	world_say(s, said);
	heard = world_heard(s);
	if (strcmp(heard, expected) != 0)
		fprintf(stderr, "\nsaid: %sheard:    %s\nexpected: %s\n", said, heard, expected);
	CU_ASSERT_STRING_EQUAL(heard, expected);
}

static void test_seen(void)
{
	struct pstn_session *s = log_in();

	world_say(s, "LIST\nUIDL\nTOP 1 5\nDELE 2\n");
	CU_ASSERT_EQUAL(w.fake.messages[0].flags, 0);
	world_say(s, "RETR 1\n");
	CU_ASSERT_EQUAL(w.fake.messages[0].flags, PSTN_SEEN);
	CU_ASSERT_EQUAL(w.fake.messages[1].flags, 0);
	end(s);
}

static void test_nul_in_a_message(void)
{
	struct pstn_session *s = log_in();
	static const char expected[] = "+OK 21 octets\r\nSubject: NUL\r\n\r\na\0b\r\n.\r\n";

	world_say(s, "RETR 6\n");
	CU_ASSERT_EQUAL_FATAL(fake_output_length(s), sizeof(expected) - 1);
	CU_ASSERT_EQUAL(memcmp(fake_output(s), expected, sizeof(expected) - 1), 0);
	end(s);
}

static void test_top_of_a_long_text(void)
{
	static const unsigned lines[] = {1, 100, 1500, 4999, 5000, 5001};

	for (int way = 0; way < 4; way++) {
		struct pstn_session *s = log_in();

		w.fake.files = way & 1;
		pop3_fake_all_later(&w.fake, way & 2);
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
			char said[32], last[32];
			unsigned n = lines[i] > 5000 ? 5000 : lines[i];
			const char *heard;

			snprintf(said, sizeof(said), "TOP 4 %u\n", lines[i]);
			snprintf(last, sizeof(last), "\r\nline %u\r\n.\r\n", n - 1);
			world_say(s, said);
			heard = world_heard(s);
			CU_ASSERT_STRING_EQUAL(heard + strlen(heard) - strlen(last), last);
		}
		end(s);
	}
}

static void test_zombies(void)
{
	struct pstn_session *s = log_in();

	w.fake.messages[0].zombie = true;
	hears(s, "STAT\n", "+OK 6 53984\r\n");
	hears(s, "LIST\n",
	      "+OK 6 messages\r\n1 0\r\n2 19\r\n3 24\r\n4 53907\r\n5 13\r\n6 21\r\n.\r\n");
	hears(s, "LIST 1\nUIDL 1\n", "+OK 1 0\r\n+OK 1 id1\r\n");
	hears(s, "RETR 1\nTOP 1 0\n", GONE GONE);
	hears(s, "DELE 1\nSTAT\n", "+OK marked deleted\r\n+OK 5 53984\r\n");
	end(s);
}

/* A message marked here and then removed by others must not be taken off the totals twice. */
static void test_stat_stays_the_sum_of_list(void)
{
	for (int later = 0; later < 2; later++) {
		struct pstn_session *s = log_in();

		pop3_fake_all_later(&w.fake, later);
		hears(s, "DELE 1\nDELE 5\nSTAT\n",
		      "+OK marked deleted\r\n+OK marked deleted\r\n+OK 4 53971\r\n");
		w.fake.messages[0].zombie = true;
		hears(s, "STAT\n", "+OK 4 53971\r\n");
		w.fake.messages[1].zombie = true;
		hears(s, "STAT\nSTAT\n", "+OK 4 53952\r\n+OK 4 53952\r\n");
		hears(s, "RSET\nSTAT\n", "+OK no message is marked deleted\r\n+OK 6 53965\r\n");
		end(s);
	}
}

static void test_damage(void)
{
	struct pstn_session *s = log_in();

	w.fake.messages[0].damaged = true;
	hears(s, "RETR 1\nTOP 1 0\n",
	      "-ERR [SYS/PERM] stored data is damaged; please tell the administrator\r\n"
	      "-ERR [SYS/PERM] stored data is damaged; please tell the administrator\r\n");
	hears(s, "RETR 2\n", "+OK 19 octets\r\n..dot\r\n\r\n..\r\n...a\r\nb\r\n.\r\n");
	end(s);
}

static void test_store_fails(void)
{
	static const struct {
		int status;
		const char *reply;
	} cases[] = {
	    {PSTN_E_TEMPORARY, TEMP},
	    {PSTN_E_NO_MEMORY, TEMP},
	    {PSTN_E_BUSY, TEMP},
	    {PSTN_E_FULL, "-ERR [SYS/TEMP] the mail store is full; try again later\r\n"},
	    {PSTN_E_DAMAGED,
	     "-ERR [SYS/PERM] stored data is damaged; please tell the administrator\r\n"},
	    {PSTN_E_INVALID,
	     "-ERR [SYS/PERM] the mail store refuses; please tell the administrator\r\n"},
	};
	static const struct {
		enum pop3_fake_call call;
		const char *said;
	} commands[] = {{FAKE_TOTALS, "STAT\n"}, {FAKE_LIST, "LIST\n"},   {FAKE_LIST, "UIDL\n"},
			{FAKE_LIST, "LIST 1\n"}, {FAKE_LIST, "UIDL 1\n"}, {FAKE_LIST, "RETR 1\n"},
			{FAKE_LIST, "DELE 1\n"}, {FAKE_READ, "RETR 1\n"}, {FAKE_READ, "TOP 1 1\n"}};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct pstn_session *s = log_in();

		pop3_fake_all_later(&w.fake, i % 2);
		for (size_t j = 0; j < sizeof(commands) / sizeof(commands[0]); j++) {
			w.fake.fail[commands[j].call] = cases[i / 2].status;
			hears(s, commands[j].said, cases[i / 2].reply);
			w.fake.fail[commands[j].call] = 0;
		}
		hears(s, "STAT\n", "+OK 6 54015\r\n");
		end(s);
	}
}

static void test_login_fails_halfway(void)
{
	static const struct {
		enum pop3_fake_call call;
		int status;
		const char *reply;
	} cases[] = {
	    {FAKE_VERIFY, PSTN_E_TEMPORARY, TEMP},
	    {FAKE_VERIFY, PSTN_E_BUSY, TEMP},
	    {FAKE_VERIFY, PSTN_E_NO_MEMORY, TEMP},
	    {FAKE_VERIFY, PSTN_E_DENIED, DENIED},
	    {FAKE_OPEN, PSTN_E_TEMPORARY, TEMP},
	    {FAKE_OPEN, PSTN_E_NOT_FOUND, TEMP},
	    {FAKE_OPEN, PSTN_E_DAMAGED,
	     "-ERR [SYS/PERM] stored data is damaged; please tell the administrator\r\n"},
	    {FAKE_TOTALS, PSTN_E_TEMPORARY, TEMP},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pstn_session *s;
		char expected[200];

		world_begin(&w);
		CU_ASSERT_TRUE_FATAL(world_start(&w));
		s = world_connect(&w);
		w.fake.fail[cases[i].call] = cases[i].status;
		snprintf(expected, sizeof(expected), "+OK send PASS\r\n%s", cases[i].reply);
		hears(s, LOGIN, expected);
		CU_ASSERT_EQUAL(w.fake.maildrops, 0);
		w.fake.fail[cases[i].call] = 0;
		hears(s, LOGIN "STAT\n", LOGGED "+OK 6 54015\r\n");
		end(s);
	}
}

static void test_update_fails(void)
{
	static const struct {
		int status;
		const char *reply;
	} cases[] = {
	    {PSTN_E_TEMPORARY, "-ERR [SYS/TEMP] not everything was deleted; try again later\r\n"},
	    {PSTN_E_FULL, "-ERR [SYS/TEMP] not everything was deleted; try again later\r\n"},
	    {PSTN_E_DAMAGED,
	     "-ERR [SYS/PERM] not everything was deleted; please tell the administrator\r\n"},
	};

	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct pstn_session *s = log_in();

		pop3_fake_all_later(&w.fake, i % 2);
		w.fake.fail[FAKE_EXPUNGE] = cases[i / 2].status;
		hears(s, "DELE 1\n", "+OK marked deleted\r\n");
		hears(s, "QUIT\n", cases[i / 2].reply);
		CU_ASSERT_TRUE(fake_closed(s));
		CU_ASSERT_EQUAL(w.fake.expunged, 0);
		CU_ASSERT_EQUAL(fake_metric(w.self, POP3_DELETED), 0);
		CU_ASSERT_PTR_NOT_NULL(fake_log_find("update"));
		end(s);
	}
}

static void test_only_quit_removes(void)
{
	struct pstn_session *s = log_in();

	world_say(s, "DELE 1\nDELE 6\n");
	fake_close(s, "client closed");
	CU_ASSERT_EQUAL(w.fake.calls[FAKE_EXPUNGE], 0);
	s = world_login(&w);
	world_say(s, "DELE 2\nDELE 6\nDELE 1\nRSET\nDELE 3\nQUIT\n");
	CU_ASSERT_EQUAL(w.fake.expunged, 1);
	CU_ASSERT_TRUE(w.fake.messages[2].expunged);
	end(s);
}

static void test_session_limit(void)
{
	struct pstn_session *first, *second;

	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	first = world_connect(&w);
	second = world_connect(&w);
	hears(first, "USER one\nPASS 1\n", LOGGED);
	hears(second, "USER one\nPASS wrong\n", "+OK send PASS\r\n" DENIED);
	hears(
	    second, "USER one\nPASS 1\n",
	    "+OK send PASS\r\n-ERR [IN-USE] this account has as many sessions as it may; try again "
	    "later\r\n");
	hears(first, "QUIT\n", BYE);
	hears(second, "USER one\nPASS 1\n", LOGGED);
	CU_ASSERT_EQUAL(fake_claims("account:9"), 1);
	end(second);
}

static void test_failed_opening_takes_no_place(void)
{
	struct pstn_session *s;

	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	w.fake.fail[FAKE_TOTALS] = PSTN_E_TEMPORARY;
	hears(s, "USER one\nPASS 1\n", "+OK send PASS\r\n" TEMP);
	w.fake.fail[FAKE_TOTALS] = 0;
	hears(s, "USER one\nPASS 1\n", LOGGED);
	end(s);
}

/* ---- limits ---- */

static void test_bad_commands_end_the_session(void)
{
	struct pstn_session *s;
	char garbage[300];

	world_begin(&w);
	w.conf.bad_command_limit = 5;
	w.conf.line_limit = 255;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	CU_ASSERT_EQUAL(fake_line_limit(s), 255);
	memset(garbage, 'x', sizeof(garbage));
	fake_input(s, garbage, sizeof(garbage));
	hears(s, "\n", "-ERR line too long\r\n");
	fake_input(s, "NO\0OP\r\n", 7);
	fake_input(s, "\x80\xff\x01\r\n", 5);
	fake_input(s, "USER \0ann\r\n", 11);
	CU_ASSERT_STRING_EQUAL(world_heard(s), "-ERR unknown command\r\n-ERR unknown command\r\n"
					       "-ERR USER takes a name\r\n");
	hears(s, "STAT\n", "-ERR too many bad commands; closing\r\n");
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "too many bad commands");
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_EQUAL(fake_metric(w.self, POP3_BAD_COMMANDS), 5);
	end(s);
}

static void test_login_failures_end_the_session(void)
{
	struct pstn_session *s;

	world_begin(&w);
	w.conf.login_failure_limit = 2;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	hears(s, "USER ann\nPASS x\n", "+OK send PASS\r\n" DENIED);
	hears(s, "USER temp\nPASS x\n", "+OK send PASS\r\n" TEMP);
	hears(s, "USER ann\nPASS y\n",
	      "+OK send PASS\r\n-ERR [AUTH] wrong user name or password; too many failures, "
	      "closing\r\n");
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "too many failed logins");
	CU_ASSERT_EQUAL(fake_metric(w.self, POP3_LOGIN_FAILURES), 2);
	end(s);
}

static void test_no_limits(void)
{
	struct pstn_session *s;

	world_begin(&w);
	w.conf.login_failure_limit = w.conf.bad_command_limit = 0;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	CU_ASSERT_TRUE(fake_log_contains("login_failure_limit"));
	CU_ASSERT_TRUE(fake_log_contains("bad_command_limit"));
	s = world_connect(&w);
	for (int i = 0; i < 200; i++)
		hears(s, "FOO\nUSER ann\nPASS x\n",
		      "-ERR unknown command\r\n+OK send PASS\r\n" DENIED);
	end(s);
}

static void test_failed_login_waits(void)
{
	struct pstn_session *s, *other;

	world_begin(&w);
	w.conf.auth_failure_delay = 1000;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	hears(s, "USER ann\nPASS x\nUSER ann\nPASS secret\n", "+OK send PASS\r\n");
	other = world_login(&w);
	fake_advance(999);
	CU_ASSERT_STRING_EQUAL(world_heard(s), "");
	fake_advance(1);
	fake_settle();
	CU_ASSERT_STRING_EQUAL(world_heard(s), DENIED LOGGED);
	fake_close(other, "client closed");
	end(s);
}

static void test_time_to_log_in(void)
{
	struct pstn_session *s;

	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	CU_ASSERT_EQUAL(fake_idle_limit(s), 60000);
	fake_advance(40000);
	world_say(s, "CAPA\n");
	CU_ASSERT_EQUAL(fake_idle_limit(s), 20000);
	fake_clear_output(s);
	fake_advance(20000);
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_STRING_EQUAL(fake_output(s), "");
	s = world_login(&w);
	CU_ASSERT_EQUAL(fake_idle_limit(s), 600000);
	end(s);
}

static void test_silent_after_idle(void)
{
	struct pstn_session *s = log_in();

	world_say(s, "DELE 1\n");
	fake_clear_output(s);
	fake_advance(599999);
	CU_ASSERT_FALSE(fake_closed(s));
	fake_advance(1);
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_STRING_EQUAL(fake_output(s), "");
	CU_ASSERT_EQUAL(w.fake.calls[FAKE_EXPUNGE], 0);
	end(s);
}

/* ---- plain-text login ---- */

static void test_plaintext(void)
{
	static const struct {
		int32_t setting;
		const char *peer;
		bool allowed;
	} cases[] = {
	    {POP3_PLAINTEXT_LOOPBACK, "127.0.0.1", true},
	    {POP3_PLAINTEXT_LOOPBACK, "127.9.8.7", true},
	    {POP3_PLAINTEXT_LOOPBACK, "::1", true},
	    {POP3_PLAINTEXT_LOOPBACK, "::ffff:127.0.0.1", true},
	    {POP3_PLAINTEXT_LOOPBACK, "unix", true},
	    {POP3_PLAINTEXT_LOOPBACK, "192.0.2.1", false},
	    {POP3_PLAINTEXT_LOOPBACK, "12.7.0.1", false},
	    {POP3_PLAINTEXT_LOOPBACK, "2001:db8::1", false},
	    {POP3_PLAINTEXT_LOOPBACK, "::127.0.0.1", false},
	    {POP3_PLAINTEXT_NEVER, "127.0.0.1", false},
	    {POP3_PLAINTEXT_NEVER, "unix", false},
	    {POP3_PLAINTEXT_ALWAYS, "192.0.2.1", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pstn_session *s;

		world_begin(&w);
		w.conf.plaintext_login = cases[i].setting;
		CU_ASSERT_TRUE_FATAL(world_start(&w));
		s = fake_connect_from(w.self, w.service, w.pop3, cases[i].peer);
		fake_clear_output(s);
		world_say(s, "CAPA\n");
		CU_ASSERT_EQUAL(strstr(world_heard(s), "\r\nUSER\r\n") != NULL, cases[i].allowed);
		world_say(s, LOGIN);
		CU_ASSERT_EQUAL(strncmp(world_heard(s), "+OK", 3) == 0, cases[i].allowed);
		CU_ASSERT_EQUAL(w.fake.calls[FAKE_VERIFY], cases[i].allowed);
		CU_ASSERT_EQUAL(fake_log_contains("plaintext_login"),
				cases[i].setting == POP3_PLAINTEXT_ALWAYS);
		end(s);
	}
}

/* ---- what the log says ---- */

static void test_log(void)
{
	struct pstn_session *s;

	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_connect(&w);
	world_say(s,
		  "USER ann\nPASS guess1\nPASS guess2\nguess3\nAUTH PLAIN guess4\nPASS\nuser bob\n"
		  "pass two words \n");
	CU_ASSERT_FALSE(fake_log_contains("guess"));
	CU_ASSERT_FALSE(fake_log_contains("two words"));
	CU_ASSERT_TRUE(fake_log_contains("PASS ***"));
	CU_ASSERT_STRING_EQUAL(fake_log_find("login_failed")->fields,
			       "user=ann peer=127.0.0.1 reason=wrong credentials");
	CU_ASSERT_STRING_EQUAL(fake_log_find("login")->fields,
			       "user=bob@example.org peer=127.0.0.1 messages=6 octets=54015 ms=0");
	CU_ASSERT_STRING_EQUAL(fake_account(s), "bob@example.org");
	CU_ASSERT_STRING_EQUAL(fake_state_label(s), "transaction");
	world_say(s, "RETR 1\nDELE 6\n");
	CU_ASSERT_STRING_EQUAL(fake_log_find("retr")->fields,
			       "user=bob@example.org number=1 uidl=id1 octets=31 outcome=sent");
	CU_ASSERT_STRING_EQUAL(fake_log_find("dele")->fields,
			       "user=bob@example.org number=6 uidl=id6 octets=21 outcome=marked");
	fake_advance(5000);
	world_say(s, "QUIT\n");
	CU_ASSERT_STRING_EQUAL(fake_log_find("update")->fields,
			       "user=bob@example.org messages=1 octets=21 outcome=removed");
	CU_ASSERT_STRING_EQUAL(
	    fake_log_find("session")->fields,
	    "user=bob@example.org peer=127.0.0.1 retrieved=1 octets=31 deleted=1 "
	    "reason=quit seconds=5");
	end(s);
}

static void test_log_of_a_broken_transfer(void)
{
	struct pstn_session *s = log_in();

	fake_block(s, true);
	world_say(s, "RETR 1\nRETR 2\n");
	fake_close(s, "client closed");
	CU_ASSERT_STRING_EQUAL(fake_log_find("retr")->fields,
			       "user=ann@example.org number=1 uidl=id1 octets=31 outcome=aborted");
	CU_ASSERT_EQUAL(fake_metric(w.self, POP3_RETRIEVED), 0);
	CU_ASSERT_STRING_EQUAL(fake_log_find("session")->fields,
			       "user=ann@example.org peer=127.0.0.1 retrieved=0 octets=0 deleted=0 "
			       "reason=client closed seconds=0");
	end(s);
}

static void test_no_trace_unless_wanted(void)
{
	struct pstn_session *s;

	world_begin(&w);
	fake_log_level(PSTN_INFO);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = world_login(&w);
	world_say(s, "STAT\nQUIT\n");
	CU_ASSERT_PTR_NULL(fake_log_find("client"));
	CU_ASSERT_PTR_NULL(fake_log_find("server"));
	end(s);
}

/* ---- the instance ---- */

static void test_settings_that_are_refused(void)
{
	static const struct {
		const char *greeting, *implementation;
	} cases[] = {{"[SYS] hello", "x"},
		     {"<1@x> hello", "x"},
		     {"a\r\nb", "x"},
		     {"caf\303\251", "x"},
		     {"hello", "x\ny"}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		world_begin(&w);
		w.conf.greeting = cases[i].greeting;
		w.conf.implementation = cases[i].implementation;
		CU_ASSERT_FALSE(world_start(&w));
		CU_ASSERT_NOT_EQUAL(w.err[0], '\0');
		CU_ASSERT_EQUAL(world_end(&w), 0);
	}
	world_begin(&w);
	fake_need(w.self, 1, NULL, NULL);
	CU_ASSERT_FALSE(world_start(&w));
	CU_ASSERT_EQUAL(world_end(&w), 0);
}

static void test_self_test(void)
{
	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	CU_ASSERT_EQUAL(pstn_module.self_test(w.pop3, w.err, sizeof(w.err)), 0);
	CU_ASSERT_EQUAL(world_end(&w), 0);
}

static void test_greeting_and_hidden_implementation(void)
{
	struct pstn_session *s;

	world_begin(&w);
	w.conf.greeting = "at your service";
	w.conf.implementation = "";
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	s = fake_connect(w.self, w.service, w.pop3);
	CU_ASSERT_STRING_EQUAL(world_heard(s), "+OK at your service\r\n");
	hears(s, "CAPA\n", "+OK capabilities follow\r\n" CAPA ".\r\n");
	end(s);
}

static void test_memory_of_a_session(void)
{
	struct pstn_session *s;
	size_t before;

	CU_ASSERT_TRUE(sizeof(struct pop3_session) <= 300);
	world_begin(&w);
	CU_ASSERT_TRUE_FATAL(world_start(&w));
	before = fake_live();
	s = world_login(&w);
	world_say(s, "STAT\nLIST\nUIDL\nRETR 1\nTOP 4 9\n");
	/* the account's name, and the fake's maildrop */
	CU_ASSERT_EQUAL(fake_live() - before, 2);
	end(s);
}

static CU_TestInfo tests[] = {
    {"conversations, in every way", test_conversations},
    {"RETR alone sets Seen", test_seen},
    {"NUL in a message", test_nul_in_a_message},
    {"TOP of a long text", test_top_of_a_long_text},
    {"zombies", test_zombies},
    {"STAT stays the sum of LIST", test_stat_stays_the_sum_of_list},
    {"damaged messages", test_damage},
    {"the store fails", test_store_fails},
    {"a login fails halfway", test_login_fails_halfway},
    {"the update fails", test_update_fails},
    {"only QUIT removes", test_only_quit_removes},
    {"session limit", test_session_limit},
    {"a failed opening takes no place", test_failed_opening_takes_no_place},
    {"bad commands end the session", test_bad_commands_end_the_session},
    {"login failures end the session", test_login_failures_end_the_session},
    {"no limits", test_no_limits},
    {"a failed login waits", test_failed_login_waits},
    {"time to log in", test_time_to_log_in},
    {"silent after idle", test_silent_after_idle},
    {"plain-text login", test_plaintext},
    {"log", test_log},
    {"log of a broken transfer", test_log_of_a_broken_transfer},
    {"no trace unless wanted", test_no_trace_unless_wanted},
    {"settings that are refused", test_settings_that_are_refused},
    {"self-test", test_self_test},
    {"greeting, hidden implementation", test_greeting_and_hidden_implementation},
    {"memory of a session", test_memory_of_a_session},
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{"pop3", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

int main(void)
{
	unsigned failed = 1;

	if (CU_initialize_registry() == CUE_SUCCESS && CU_register_suites(suites) == CUE_SUCCESS) {
		CU_basic_set_mode(CU_BRM_VERBOSE);
		CU_basic_run_tests();
		failed = CU_get_number_of_failures();
	}
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
