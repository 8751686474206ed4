/*
 * test_storage_commands.c - what posternctl can ask of the store: importing, delivering, showing,
 * fetching, checking.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/open/home.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

#define ANN "ann@example.org"

static const char *scratch(const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", fake_directory(), name);
	return path;
}

static void write_text(const char *name, const char *text, time_t when)
{
	struct utimbuf times = {when, when};

	rig_write_file(scratch(name), text, strlen(text));
	utime(scratch(name), &times);
}

static const char *import(struct rig *r, const char *name, const char *folder)
{
	int fd = open(scratch(name), O_RDONLY);
	struct rig_argument args[] = {
	    {"user", ANN, -1}, {"source", NULL, fd}, {"folder", folder, -1}};
	struct stat info;
	const char *answer;

	if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
		args[1] = (struct rig_argument){"source", scratch(name), -1};
	answer = rig_call(r, "mailbox import", args, 3);
	close(fd);
	return answer;
}

static bool says(const char *answer, const char *key, int value)
{
	char text[64];

	snprintf(text, sizeof(text), "\"%s\":%d", key, value);
	if (strstr(answer, text))
		return true;
	fprintf(stderr, "  no %s in %s\n", text, answer);
	return false;
}

static void imports_mbox(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	const char *answer;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	write_text("mbox",
		   "From a@b Thu Aug 22 12:36:23 2002\nStatus: RO\n\n.one\n\n"
		   "From a@b Thu Aug 22 12:36:23 2002\nSubject: two\n\n>From x\n",
		   5);
	answer = import(&r, "mbox", NULL);
	CU_ASSERT_TRUE(says(answer, "imported", 2));
	CU_ASSERT_TRUE(says(answer, "skipped", 0));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 2);
	CU_ASSERT_EQUAL(l.rows[0].received, 1030019783);
	CU_ASSERT_EQUAL(l.rows[0].flags, PSTN_SEEN);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), "Status: RO\r\n\r\n.one\r\n");
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "Subject: two\r\n\r\nFrom x\r\n");
	/* Deleted by its owner: not to come back with the next run. */
	CU_ASSERT_EQUAL(rig_expunge(d, (uint32_t[]){1}, 1), PSTN_OK);
	maildrop_table.close(d);
	answer = import(&r, "mbox", NULL);
	CU_ASSERT_TRUE(says(answer, "imported", 0));
	CU_ASSERT_TRUE(says(answer, "skipped", 2));
	/* Another folder is another matter, a longer mbox goes on where it ended. */
	CU_ASSERT_TRUE(says(import(&r, "mbox", "Archive"), "imported", 2));
	write_text("mbox",
		   "From a@b Thu Aug 22 12:36:23 2002\nStatus: RO\n\n.one\n\n"
		   "From a@b Thu Aug 22 12:36:23 2002\nSubject: two\n\n>From x\n\n"
		   "From a@b Thu Aug 22 12:36:23 2002\nSubject: three\n\n",
		   5);
	answer = import(&r, "mbox", NULL);
	CU_ASSERT_TRUE(says(answer, "imported", 1));
	CU_ASSERT_TRUE(says(answer, "skipped", 2));
	rig_end(&r);
}

static void imports_maildir(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	mkdir(scratch("md"), 0700);
	mkdir(scratch("md/cur"), 0700);
	mkdir(scratch("md/new"), 0700);
	mkdir(scratch("md/tmp"), 0700);
	write_text("md/cur/1000000300.c:2,FS", "third\n", 1111);
	write_text("md/new/1000000200.b", "second\n", 2222);
	write_text("md/cur/1000000100.a:2,", "first\n", 3333);
	write_text("md/tmp/1000000000.x", "half", 1);
	write_text("md/cur/.hidden", "not mail", 1);
	CU_ASSERT_TRUE(says(import(&r, "md", NULL), "imported", 3));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.count, 3);
	CU_ASSERT_EQUAL(l.rows[0].received, 3333);
	CU_ASSERT_EQUAL(l.rows[1].received, 2222);
	CU_ASSERT_EQUAL(l.rows[2].flags, PSTN_SEEN | PSTN_FLAGGED);
	maildrop_table.close(d);
	/* Flags change the name, not the message. */
	CU_ASSERT_EQUAL(
	    rename(scratch("md/new/1000000200.b"),
		   strcat(strcpy((char[600]){0}, fake_directory()), "/md/cur/1000000200.b:2,S")),
	    0);
	CU_ASSERT_TRUE(says(import(&r, "md", NULL), "skipped", 3));
	rig_end(&r);
}

static void imports_files(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	mkdir(scratch("files"), 0700);
	write_text("files/b.eml", "From a@b Thu Aug 22 12:36:23 2002\nSubject: b\n\nx\n", 300);
	write_text("files/a.eml", "Subject: a\n\nx\n", 400);
	write_text("files/empty", "", 200);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", scratch("files/link")), 0);
	CU_ASSERT_TRUE(says(import(&r, "files", NULL), "imported", 3));
	d = rig_drop(&r, ANN, &status);
	rig_list(d, &l);
	CU_ASSERT_EQUAL(l.rows[0].octets, 0);
	CU_ASSERT_EQUAL(l.rows[1].received, 1030019783);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "Subject: b\r\n\r\nx\r\n");
	CU_ASSERT_EQUAL(l.rows[2].received, 400);
	CU_ASSERT_STRING_EQUAL(rig_text(d, 1, &n, &status), "");
	maildrop_table.close(d);
	CU_ASSERT_TRUE(says(import(&r, "files", NULL), "skipped", 3));
	/* One file alone, not an mbox. */
	CU_ASSERT_TRUE(says(import(&r, "files/a.eml", "Archive"), "imported", 1));
	rig_end(&r);
}

/* What may not be read is no success with nothing imported. A link to itself cannot even be opened
 * by root. */
static void import_tells_what_it_cannot_read(void)
{
	struct rig r;
	const char *answer;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	mkdir(scratch("closed"), 0700);
	mkdir(scratch("closed/new"), 0700);
	write_text("closed/new/1.a", "Subject: a\n\nx\n", 1);
	CU_ASSERT_EQUAL(symlink("cur", scratch("closed/cur")), 0);
	answer = import(&r, "closed", NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "the first is cur: "));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "Imported: 1, there already: 0"));
	rig_end(&r);
}

/* Mail whose file is gone is told at the start, not when somebody asks for it. */
static void lost_segment_is_told(void)
{
	struct rig r;
	char name[600];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	write_text("one", "Subject: a\n\nx\n", 1);
	CU_ASSERT_TRUE(says(import(&r, "one", NULL), "imported", 1));
	rig_close(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_FALSE(fake_log_contains("segment-missing"));
	rig_close(&r);
	snprintf(name, sizeof(name), "%s/segments/00000001.seg", r.path);
	CU_ASSERT_EQUAL(truncate(name, 100), 0);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_TRUE(fake_log_contains("segment-missing"));
	rig_end(&r);
}

static uint64_t domain_messages(struct rig *r)
{
	struct domain_row row = {.messages = 0};
	MDB_txn *txn;

	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL(index_domain(&r->store->index, txn, "example.org", &row), 0);
	index_read_end(&r->store->index, txn);
	return row.messages;
}

/* nobody@ is not in the rig's directory; everybody else is. */
static void purges_what_is_left_of_the_gone(void)
{
	static const char gone[] = "nobody@example.org", there[] = "ann@example.org";
	const struct rig_argument dry[] = {{.name = "user", .value = gone, .fd = -1},
					   {.name = "dry-run", .value = "", .fd = -1}};
	const char *answer;
	struct rig r;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (unsigned i = 0; i < 3; i++) {
		rig_deliver(&r, gone, "x\n", &status);
		rig_deliver(&r, there, "x\n", &status);
	}
	CU_ASSERT_EQUAL(domain_messages(&r), 6);
	CU_ASSERT_PTR_NOT_NULL(strstr(rig_command(&r, "mailbox list", NULL, NULL, NULL, NULL, -1),
				      "the account is gone"));
	answer = rig_call(&r, "mailbox purge", dry, 2);
	CU_ASSERT_TRUE(rig_says(answer, "\"messages\":3,\"octets\":9"));
	CU_ASSERT_EQUAL(domain_messages(&r), 6);
	rig_command(&r, "mailbox purge", there, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_command_failed());
	answer = rig_command(&r, "mailbox purge", gone, NULL, NULL, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(answer, "\"messages\":3,\"octets\":9"));
	CU_ASSERT_EQUAL(domain_messages(&r), 3);
	/* It stays so, also when the index is made anew from the segments. */
	CU_ASSERT_EQUAL(home_ask_rebuild(r.store), 0);
	CU_ASSERT_FATAL(rig_reopen(&r));
	CU_ASSERT_EQUAL(domain_messages(&r), 3);
	CU_ASSERT_PTR_NULL(strstr(rig_command(&r, "mailbox list", NULL, NULL, NULL, NULL, -1),
				  "the account is gone"));
	answer = rig_command(&r, "mailbox purge", gone, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_command_failed());
	CU_ASSERT_TRUE(rig_says(answer, "There is no mail of an account \"nobody@example.org\""));
	answer = rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_FALSE(rig_command_failed());
	rig_end(&r);
}

#define MANY 1500

static void make_many(void)
{
	char *text = malloc(MANY * 100), *at = text;

	for (int i = 0; i < MANY; i++)
		at += sprintf(at, "From a@b Thu Aug 22 12:36:23 2002\nSubject: %d\n\nbody\n\n", i);
	write_text("many", text, 5);
	free(text);
}

/* Killed again and again in the middle, it comes to the end with each message once. */
static void import_survives_kill(void)
{
	struct rig r;
	struct rig_listing l;
	struct pstn_maildrop *d;
	struct pstn_maildrop_totals t;
	char last[2][UIDL_MAX + 1];
	uint32_t got;
	int status;

	rig_begin(&r);
	make_many();
	for (int round = 1; round <= 6; round++) {
		pid_t child = fork();

		if (child == 0) {
			if (!rig_open(&r))
				_exit(1);
			import(&r, "many", NULL);
			_exit(0);
		}
		poll(NULL, 0, 4 * round);
		kill(child, SIGKILL);
		waitpid(child, NULL, 0);
	}
	CU_ASSERT_FATAL(rig_open(&r));
	import(&r, "many", NULL);
	CU_ASSERT_FALSE(rig_command_failed());
	CU_ASSERT_TRUE(says(import(&r, "many", NULL), "skipped", MANY));
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_EQUAL(maildrop_table.totals(d, &t, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(t.messages, MANY);
	last[1][0] = '\0';
	for (uint32_t first = 1; first <= MANY; first += got) {
		CU_ASSERT_EQUAL_FATAL(maildrop_table.list(d, first, l.rows, 500, &got, NULL, NULL),
				      PSTN_OK);
		for (uint32_t i = 0; i < got; i++) {
			strcpy(last[0], last[1]);
			strcpy(last[1], l.rows[i].uidl);
			CU_ASSERT_TRUE(strcmp(last[0], last[1]) < 0);
		}
	}
	maildrop_table.close(d);
	rig_end(&r);
}

static void delivers_and_fetches(void)
{
	struct rig r;
	const char *answer;
	char uidl[UIDL_MAX + 1];
	int ends[2];

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
	CU_ASSERT_EQUAL(write(ends[1], "Subject: x\n\n.dot", 16), 16);
	close(ends[1]);
	answer = rig_command(&r, "mailbox deliver", ANN, NULL, NULL, "message", ends[0]);
	close(ends[0]);
	CU_ASSERT_TRUE(says(answer, "uid", 1));
	CU_ASSERT_TRUE(says(answer, "octets", 20));
	CU_ASSERT_STRING_EQUAL(rig_command(&r, "mailbox fetch", ANN, "message", "1", NULL, -1),
			       "Subject: x\r\n\r\n.dot\r\n");
	answer = rig_command(&r, "mailbox show", ANN, "limit", "10", NULL, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"received\":\"2"));
	CU_ASSERT_TRUE(says(answer, "messages", 1));
	answer = strstr(answer, "\"uidl\":\"");
	CU_ASSERT_PTR_NOT_NULL_FATAL(answer);
	snprintf(uidl, sizeof(uidl), "%.20s", answer + 8);
	CU_ASSERT_STRING_EQUAL(rig_command(&r, "mailbox fetch", ANN, "message", uidl, NULL, -1),
			       "Subject: x\r\n\r\n.dot\r\n");
	answer = rig_command(&r, "mailbox list", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "empty@example.org"));
	CU_ASSERT_TRUE(says(answer, "octets", 20));
	rig_end(&r);
}

static void refuses_clearly(void)
{
	static const struct {
		const char *command, *user, *name, *value, *says;
	} cases[] = {
	    {"mailbox show", "nobody@example.org", NULL, NULL, "account add"},
	    {"mailbox show", "nobody", NULL, NULL, "not an account name"},
	    {"mailbox show", ANN, "folder", "None", "no such folder"},
	    {"mailbox show", ANN, "folder", "a/b", "must not contain"},
	    {"mailbox show", ANN, "limit", "ten", "takes a number"},
	    {"mailbox fetch", ANN, "message", "7", "no message \"7\""},
	    {"mailbox fetch", ANN, "message", "", "no message"},
	    {"mailbox import", ANN, NULL, NULL, "cannot be used"},
	    {"mailbox import", ANN, "folder", "x\ty", "control character"},
	    {"mailbox deliver", "nobody@example.org", NULL, NULL, "no account"},
	    {"mailbox deliver", ANN, NULL, NULL, "not delivered"},
	};
	struct rig r;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *answer = rig_command(&r, cases[i].command, cases[i].user, cases[i].name,
						 cases[i].value, NULL, -1);

		CU_ASSERT_TRUE(rig_command_failed());
		if (!strstr(answer, cases[i].says)) {
			fprintf(stderr, "  %s: %s\n", cases[i].command, answer);
			CU_FAIL("another error was expected");
		}
	}
	rig_end(&r);
}

/* A text that was changed behind the store's back is named, and hides nothing else. */
static void check_finds_damage(void)
{
	struct rig r;
	char path[1024];
	struct pstn_maildrop *d;
	const char *answer;
	char *bytes;
	size_t n;
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	rig_deliver(&r, ANN, "first message\n", &status);
	rig_deliver(&r, ANN, "second message\n", &status);
	rig_close(&r);
	snprintf(path, sizeof(path), "%s", rig_path(&r, "segments/00000001.seg"));
	bytes = rig_read_file(path, &n);
	*(char *)memmem(bytes, n, "first message", 13) = 'F';
	rig_write_file(path, bytes, n);
	free(bytes);
	CU_ASSERT_FATAL(rig_open(&r));
	answer = rig_command(&r, "storage check", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(says(answer, "faults", 1));
	CU_ASSERT_TRUE(says(answer, "uid", 1));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "00000001.seg"));
	d = rig_drop(&r, ANN, &status);
	CU_ASSERT_PTR_NULL(rig_text(d, 1, &n, &status));
	CU_ASSERT_EQUAL(status, PSTN_E_DAMAGED);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("message-damaged"));
	CU_ASSERT_STRING_EQUAL(rig_text(d, 2, &n, &status), "second message\r\n");
	maildrop_table.close(d);
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"mbox files, twice", imports_mbox},
    {"a Maildir, flags and order", imports_maildir},
    {"a directory of messages", imports_files},
    {"what an import cannot read", import_tells_what_it_cannot_read},
    {"a lost segment", lost_segment_is_told},
    {"mailbox purge", purges_what_is_left_of_the_gone},
    {"an import killed in the middle", import_survives_kill},
    {"deliver, show, fetch, list", delivers_and_fetches},
    {"what cannot be done is said clearly", refuses_clearly},
    {"check names what is damaged", check_finds_damage},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_commands", cases, argc > 1 ? argv[1] : NULL);
}
