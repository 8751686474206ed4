/*
 * test_storage_keywords.c - keywords (labels): from Dovecot, Courier and mbox files, out and in again,
 * names that cannot be had, and that they go by name wherever mail goes.
 */
#include "inout_rig.h"
#include "suite.h"

#include "modules/storage/format/keyword.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ANN  "ann@example.org"
#define BOB  "bob@example.org"
#define FROM "From a@b Thu Aug 22 12:36:23 2002\n"

/* What `mailbox show` lists: uids, unique ids, octets, dates, flags and keywords. */
static const char *shown(struct rig *r, const char *user, const char *folder)
{
	static char text[2][1 << 17];
	static unsigned turn;
	const char *list =
	    strstr(rig_command(r, "mailbox show", user, "folder", folder, NULL, -1), "\"list\":");

	turn = !turn;
	snprintf(text[turn], sizeof(text[turn]), "%s", list ? list : "no list");
	return text[turn];
}

/* The keywords of the folder's messages, with "/" between messages. */
static const char *keywords(struct rig *r, const char *user, const char *folder)
{
	static char text[1 << 16];
	const char *at = shown(r, user, folder);
	size_t used = 0;
	bool first = true;

	text[0] = '\0';
	for (; (at = strstr(at, "\"keywords\":\"")); first = false) {
		size_t n;

		at += 12;
		n = strcspn(at, "\"");
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%.*s",
					 first ? "" : "/", (int)n, at);
		at += n;
	}
	return text;
}

static void begin(struct rig *r)
{
	rig_begin(r);
	CU_ASSERT_FATAL(rig_open(r));
}

/* ---- in ---- */

/* As Dovecot 2.3.19 leaves it; the last letter has no name, one name is none. */
static void make_dovecot(const char *name)
{
	char path[256];
#define IN(file) (snprintf(path, sizeof(path), "%s/%s", name, file), path)
	inout_maildir(name);
	inout_maildir(IN(".Sent"));
	inout_put(IN("cur/1795558422.a:2,Sab"), "Subject: 1\n\n1\n", 111);
	inout_put(IN("cur/1795558423.b:2,c"), "Subject: 2\n\n2\n", 222);
	inout_put(IN("cur/1795558424.c:2,FSz"), "Subject: 3\n\n3\n", 333);
	inout_put(IN("dovecot-keywords"), "0 $Forwarded\n1 Work\n2 with(brackets)\n40 Late\n", 5);
	/* Another folder gives its own letters. */
	inout_put(IN(".Sent/cur/1795558425.d:2,a"), "Subject: 4\n\n4\n", 444);
	inout_put(IN(".Sent/dovecot-keywords"), "0 Work\n", 5);
#undef IN
}

static void from_dovecot(void)
{
	struct rig r;
	const char *answer;

	begin(&r);
	make_dovecot("md");
	answer = inout_import(&r, ANN, "md", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"imported\":4"));
	CU_ASSERT_TRUE(rig_says(answer, "\"with_keywords\":2,\"keywords_left_out\":2"));
	CU_ASSERT_TRUE(
	    rig_says(rig_notes(), "\"with(brackets)\" is left out: its name has one of"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "1 keywords of messages are left out: their letter"));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), "$Forwarded Work//");
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "Sent"), "Work");
	answer = inout_import(&r, ANN, "md", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(answer, "\"keywords_left_out\":0,\"skipped\":4"));
	rig_end(&r);
}

static void from_courier(void)
{
	struct rig r;

	begin(&r);
	inout_maildir("md");
	mkdir(inout_path("md/courierimapkeywords"), 0700);
	inout_put("md/cur/1000000001.a:2,S", "Subject: 1\n\n1\n", 5);
	inout_put("md/cur/1000000002.b,S=9:2,", "Subject: 2\n\n2\n", 5);
	inout_put("md/cur/1000000003.c:2,", "Subject: 3\n\n3\n", 5);
	inout_put("md/cur/1000000004.d:2,", "Subject: 4\n\n4\n", 5);
	inout_put("md/cur/1000000005.e:2,", "Subject: 5\n\n5\n", 5);
	inout_put("md/courierimapkeywords/:list",
		  "Later\nPrivate\ntwo words\n\n1000000001.a:0 1\n1000000002.b,S=9:1 2\n"
		  "1000000003.c:0\n1000000004.d:0 77\nnonsense\n",
		  5);
	/* Changed since: the highest number counts, and a file without one before all. */
	inout_put("md/courierimapkeywords/.7.1000000003.c", "Old\n", 5);
	inout_put("md/courierimapkeywords/.12.1000000003.c", "New\nLater\n", 5);
	inout_put("md/courierimapkeywords/1000000001.a", "", 5);
	inout_put("md/courierimapkeywords/.99.1000000001.a", "Never\n", 5);
	CU_ASSERT_TRUE(rig_says(inout_import(&r, ANN, "md", NULL, NULL),
				"\"with_keywords\":3,\"keywords_left_out\":2"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "\"two words\" is left out: its name has a space"));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), "/Private/New Later/Later/");
	rig_end(&r);
}

static void from_mbox(void)
{
	struct rig r;
	char text[6000], *at = text;

	begin(&r);
	inout_put("mbox",
		  FROM
		  "Subject: 1\nX-Keywords: Work  $Junk \nstatus: R\n\nX-Keywords: text\n\n" FROM
		  "x-keywords: a\xc3\xa4 b\nX-Keywords: b c\nSubject: 2\n\n2\n\n",
		  5);
	CU_ASSERT_TRUE(rig_says(inout_import(&r, ANN, "mbox", NULL, NULL),
				"\"with_keywords\":2,\"keywords_left_out\":1"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "not ASCII"));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), "Work $Junk/b c");
	CU_ASSERT_PTR_NOT_NULL(strstr(shown(&r, ANN, "INBOX"), "\"flags\":\"seen\""));
	/* A line that is longer than what is looked at: no half of a name. */
	at += sprintf(at, FROM "X-Keywords:");
	for (int i = 0; i < 40; i++)
		at += sprintf(at, " keyword-number-%d-%033d", i, i);
	sprintf(at, "\n\n1\n\n");
	inout_put("long", text, 5);
	inout_import(&r, BOB, "long", NULL, NULL);
	CU_ASSERT_TRUE(rig_says(rig_notes(), "1 keywords of messages are left out"));
	CU_ASSERT_PTR_NOT_NULL(strstr(keywords(&r, BOB, "INBOX"), "number-18-"));
	CU_ASSERT_PTR_NULL(strstr(keywords(&r, BOB, "INBOX"), "number-20"));
	rig_end(&r);
}

static void names_are_judged(void)
{
	static const struct {
		const char *name, *fault;
	} cases[] = {{"$Forwarded", NULL},  {"a-z_[0", NULL},       {"", "1 to 127"},
		     {"a b", "a space"},    {"a\x01", "a control"}, {"a\x7f", "not ASCII"},
		     {"\xc3\xa4", "ASCII"}, {"a(", "one of"},       {"{", "one of"},
		     {"%", "one of"},       {"*", "one of"},        {"\"", "one of"},
		     {"\\Seen", "one of"},  {"]", "one of"},        {"a\nb", "a control"}};
	char longest[KEYWORD_MAX + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *fault = keyword_fault(cases[i].name, strlen(cases[i].name));

		CU_ASSERT_EQUAL(fault == NULL, cases[i].fault == NULL);
		if (fault && cases[i].fault && !strstr(fault, cases[i].fault)) {
			fprintf(stderr, "  %s: %s\n", cases[i].name, fault);
			CU_FAIL("another fault");
		}
	}
	memset(longest, 'x', sizeof(longest));
	CU_ASSERT_PTR_NULL(keyword_fault(longest, KEYWORD_MAX));
	CU_ASSERT_PTR_NOT_NULL(keyword_fault(longest, KEYWORD_MAX + 1));
}

/* ---- out and in again ---- */

/* Messages with few and many keywords: more than there are letters, and as many as a folder has. */
static void fill(struct rig *r, const char *user)
{
	static char text[1 << 17];
	char *at = text;

	for (int i = 0; i < 70; i++) {
		at += sprintf(at, FROM "Subject: %d\nStatus: %s\nX-Status: %s\n", i,
			      i % 2 ? "RO" : "O", i % 3 ? "F" : "A");
		for (int k = 0; k < 64; k++) {
			if (i == 69 || k % 70 == i || (i > 40 && (k * i) % 7 == 0))
				at += sprintf(at, "X-Keywords: label-%d-%0*d\n", k, k % 50 + 1, 0);
		}
		at += sprintf(at, "\ntext %d\n\n", i);
	}
	inout_put("filled", text, 5);
	CU_ASSERT_TRUE(rig_says(inout_import(r, user, "filled", NULL, NULL), "\"imported\":70"));
	CU_ASSERT_TRUE(rig_says(inout_import(r, user, "filled", "Sent", NULL),
				"\"with_keywords\":70,\"keywords_left_out\":0"));
	make_dovecot("md");
	inout_import(r, user, "md", "Few", NULL);
	inout_maildir("empty");
	inout_import(r, user, "empty", "Empty", NULL);
}

static const char *const filled[] = {"INBOX", "Sent", "Few", "Empty"};

static void round_trip(const char *format)
{
	struct rig r;
	bool maildir = !format;

	begin(&r);
	fill(&r, ANN);
	CU_ASSERT_TRUE(rig_says(inout_export(&r, ANN, "out", format), "\"with_keywords\":141"));
	if (maildir)
		CU_ASSERT_TRUE(rig_says(rig_notes(), "messages have keywords beyond the 26"));
	CU_ASSERT_TRUE(rig_says(inout_import(&r, BOB, "out", NULL, NULL),
				"\"with_keywords\":141,\"keywords_left_out\":0"));
	for (size_t i = 0; i < sizeof(filled) / sizeof(*filled); i++) {
		CU_ASSERT_PTR_NOT_NULL(strstr(shown(&r, ANN, filled[i]), "\"list\":"));
		CU_ASSERT_STRING_EQUAL(shown(&r, ANN, filled[i]), shown(&r, BOB, filled[i]));
	}
	/* Once more there is nothing to do. */
	CU_ASSERT_TRUE(rig_says(inout_export(&r, ANN, "out", format), "\"exported\":0"));
	rig_end(&r);
}

static void maildir_round_trip(void)
{
	round_trip(NULL);
}

static void mbox_round_trip(void)
{
	round_trip("mbox");
}

/* What Dovecot reads: a letter each, named in dovecot-keywords. */
static void letters(void)
{
	struct rig r;
	size_t n;
	char *text;

	begin(&r);
	make_dovecot("md");
	inout_import(&r, ANN, "md", NULL, NULL);
	inout_export(&r, ANN, "out", NULL);
	text = rig_read_file(inout_path("out/dovecot-keywords"), &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_EQUAL(n, 20);
	CU_ASSERT_EQUAL(memcmp(text, "0 $Forwarded\n1 Work\n", 20), 0);
	free(text);
	text = rig_read_file(inout_path("out/courierimapkeywords/:list"), &n);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	CU_ASSERT_PTR_NOT_NULL(memmem(text, n, "$Forwarded\nWork\n\n", 17));
	CU_ASSERT_PTR_NOT_NULL(memmem(text, n, ":0 1\n", 5));
	free(text);
	text = rig_read_file(inout_path("out/dovecot-uidlist"), &n);
	CU_ASSERT_PTR_NOT_NULL(text);
	free(text);
	rig_end(&r);
}

/* ---- 64 of a folder ---- */

static void a_folder_has_64(void)
{
	struct rig r;
	char text[8000], *at = text;

	begin(&r);
	for (int i = 0; i < 70; i++)
		at += sprintf(at, FROM "X-Keywords: k%d common\nSubject: %d\n\n%d\n\n", i, i, i);
	inout_put("mbox", text, 5);
	/* 63 and "common" find a place. */
	CU_ASSERT_TRUE(rig_says(inout_import(&r, ANN, "mbox", NULL, NULL),
				"\"with_keywords\":70,\"keywords_left_out\":7"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "\"k63\" is left out: the folder has 64 others"));
	CU_ASSERT_TRUE(rig_says(rig_notes(), "\"k67\" is left out"));
	CU_ASSERT_PTR_NULL(strstr(rig_notes(), "\"k68\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(keywords(&r, ANN, "INBOX"), "common k62/common/common"));
	rig_end(&r);
}

/* ---- wherever mail goes ---- */

static const char *command(struct rig *r, const char *name, const char *option, const char *value,
			   const char *second, const char *other)
{
	const struct rig_argument args[] = {
	    {"user", ANN, -1}, {option, value, -1}, {second ? second : "none", other, -1}};

	return rig_call(r, name, args, other ? 3 : 2);
}

static void expunge_all(struct rig *r)
{
	struct rig_listing l;
	int status;
	struct pstn_maildrop *d = rig_drop(r, ANN, &status);
	uint32_t numbers[512];

	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++)
		numbers[i] = i + 1;
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, l.count), PSTN_OK);
	maildrop_table.close(d);
}

static void they_outlast_the_index(void)
{
	struct rig r;
	char before[1 << 16];

	begin(&r);
	fill(&r, ANN);
	snprintf(before, sizeof(before), "%s", keywords(&r, ANN, "INBOX"));
	CU_ASSERT_TRUE(rig_reopen(&r));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), before);
	rig_crash(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), before);
	rig_command(&r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_reopen(&r));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), before);
	CU_ASSERT_TRUE(
	    rig_says(rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1), "\"faults\":0"));
	rig_end(&r);
}

static void they_come_back_by_name(void)
{
	struct rig r;
	char before[1 << 16];

	begin(&r);
	/* Bob's folder has other names on the same bits. */
	inout_put("mbox", FROM "X-Keywords: x y z LABEL-2-000\n\n1\n\n", 5);
	inout_import(&r, BOB, "mbox", NULL, NULL);
	fill(&r, ANN);
	snprintf(before, sizeof(before), "%s", keywords(&r, ANN, "INBOX"));
	expunge_all(&r);
	command(&r, "mailbox undelete", "folder", "INBOX", NULL, NULL);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), before);
	usleep(2000);
	command(&r, "mailbox restore", "at", "0s", "into", BOB);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_PTR_NOT_NULL(strstr(keywords(&r, BOB, "INBOX"), "x y z LABEL-2-000/label-0-0/"));
	rig_end(&r);
}

static void they_outlast_compaction(void)
{
	struct rig r;
	char before[1 << 16];

	rig_begin(&r);
	r.options.segment_size = 1 << 16;
	CU_ASSERT_FATAL(rig_open(&r));
	fill(&r, ANN);
	snprintf(before, sizeof(before), "%s", keywords(&r, ANN, "Sent"));
	expunge_all(&r);
	rig_command(&r, "storage compact", NULL, "retention", "0", NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	rig_command(&r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_reopen(&r));
	CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "Sent"), before);
	rig_end(&r);
}

/* ---- lack of memory ---- */

static void bears_lack_of_memory(void)
{
	bool failed = true;

	for (unsigned long n = 1; failed && n < 2000; n++) {
		struct rig r;

		begin(&r);
		make_dovecot("md");
		mkdir(inout_path("md/courierimapkeywords"), 0700);
		inout_put("md/courierimapkeywords/:list", "Work\nNew\n\n1795558423.b:0 1\n", 5);
		inout_put("md/courierimapkeywords/1795558424.c", "Late\n", 5);
		fake_fail_alloc(n);
		inout_import(&r, ANN, "md", NULL, NULL);
		failed = fake_alloc_failed();
		if (!failed || rig_command_failed()) {
			fake_fail_alloc(0);
			inout_import(&r, ANN, "md", NULL, NULL);
		}
		fake_fail_alloc(0);
		CU_ASSERT_FALSE(rig_command_failed());
		CU_ASSERT_STRING_EQUAL(keywords(&r, ANN, "INBOX"), "$Forwarded Work/Work New/Late");
		fake_fail_alloc(n);
		inout_export(&r, ANN, "out", NULL);
		failed |= fake_alloc_failed();
		fake_fail_alloc(0);
		rig_end(&r);
	}
	CU_ASSERT_FALSE(failed);
}

/* ---- over quota ---- */

/* An account that holds as much as it may: refused, and brought all the same where it is asked for. */
static void over_quota(void)
{
	static const struct pstn_quota none = {0}, one = {.messages = 1}, three = {.messages = 3};
	struct rig r;
	struct rig_argument args[] = {
	    {"user", ANN, -1}, {"source", NULL, -1}, {"over-quota", "", -1}};

	begin(&r);
	make_dovecot("md");
	args[1].value = inout_path("md");
	rig_quota(one, three);
	rig_call(&r, "mailbox import", args, 2);
	CU_ASSERT_TRUE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(rig_call(&r, "mailbox import", args, 3), "\"skipped\":1"));
	expunge_all(&r);
	command(&r, "mailbox undelete", "folder", "INBOX", NULL, NULL);
	CU_ASSERT_TRUE(rig_command_failed());
	command(&r, "mailbox undelete", "folder", "INBOX", "over-quota", "");
	CU_ASSERT_FALSE(rig_command_failed());
	expunge_all(&r);
	command(&r, "mailbox restore", "at", "0s", "into", BOB);
	CU_ASSERT_FALSE(rig_command_failed());
	rig_quota(none, none);
	rig_end(&r);
}

static const struct suite_case suite[] = {
    {"from Dovecot", from_dovecot},
    {"from Courier", from_courier},
    {"from an mbox", from_mbox},
    {"names are judged", names_are_judged},
    {"out to a Maildir and in again", maildir_round_trip},
    {"out to mbox files and in again", mbox_round_trip},
    {"letters and lists", letters},
    {"a folder has 64", a_folder_has_64},
    {"they outlast the index", they_outlast_the_index},
    {"they come back by name", they_come_back_by_name},
    {"they outlast compaction", they_outlast_compaction},
    {"every allocation fails once", bears_lack_of_memory},
    {"over quota", over_quota},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_keywords", suite, argc > 1 ? argv[1] : NULL);
}
