/*
 * test_storage_fault_commands.c - commands that write much, on a disk that fails: each says why it
 * stopped, loses nothing, and goes on when it is asked for again. Compaction on a full disk goes on
 * by itself.
 */
#include "disk_suite.h"
#include "trial.h"

#include "modules/storage/recall/when.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "../../tools/posternctl_beneath.h"

#define ANN "ann@example.org"

/* Messages of the ledger that are ann's, in her INBOX. */
static const uint32_t own[] = {0, 1, 4, 6, 7}, others[] = {12, 13, 15, 16, 18};
#define OWN (sizeof(own) / sizeof(*own))

struct command {
	const char *name;
	void (*prepare)(struct trial *); /* while the disk still works */
	bool (*run)(struct trial *);     /* says that it has done all */
	void (*expect_done)(struct trial *);
};

/* ---- files of backups and exports are made by a call that has no function of libc ---- */

int __real_beneath_open(int dir, const char *path, int flags);
int __wrap_beneath_open(int dir, const char *path, int flags);

int __wrap_beneath_open(int dir, const char *path, int flags)
{
	int error = flags & O_CREAT ? disk_makes_file() : 0;

	if (error == 0)
		return __real_beneath_open(dir, path, flags);
	errno = error;
	return -1;
}

/* ---- commands ---- */

static char answer[8192];

static bool said(struct trial *t, const char *name, const char *text)
{
	snprintf(answer, sizeof(answer), "%s", text);
	if (rig_command_failed() && strlen(answer) < 20)
		trial_complain(t, "%s gives no reason: %s", name, answer);
	return !rig_command_failed();
}

static bool call(struct trial *t, const char *name, const struct rig_argument *args, size_t n)
{
	return said(t, name, rig_call(&t->rig, name, args, n));
}

static bool call_1(struct trial *t, const char *name, const char *arg, const char *value)
{
	const struct rig_argument args[] = {{arg, value, -1}};

	return call(t, name, args, 1);
}

static long number(const char *key)
{
	char text[64];
	const char *at;

	snprintf(text, sizeof(text), "\"%s\":", key);
	at = strstr(answer, text);
	return at ? strtol(at + strlen(text), NULL, 10) : -1;
}

static void remove_own(struct trial *t)
{
	for (size_t i = 0; i < OWN; i++)
		CU_ASSERT_EQUAL(ledger_remove(&t->rig, own[i]), PSTN_OK);
}

static void all_coming(const uint32_t *all)
{
	for (size_t i = 0; i < OWN; i++)
		ledger_coming(all[i]);
}

static void expect_own(struct trial *t)
{
	for (size_t i = 0; i < OWN; i++)
		ledger_came(&t->rig, own[i]);
}

static void expect_others(struct trial *t)
{
	for (size_t i = 0; i < OWN; i++)
		ledger_came(&t->rig, others[i]);
}

/* ---- compaction ---- */

/* Of those that nobody writes to any more. */
static unsigned worth_emptying(struct rig *r)
{
	const uint64_t threshold = (uint64_t)r->options.compaction_threshold;
	struct survey s;
	unsigned n = 0;

	CU_ASSERT_EQUAL(survey_begin(&s, r->store, 0), 0);
	while (survey_step(&s) == 0)
		;
	for (size_t i = 0; i < s.count; i++) {
		uint64_t dead = survey_reclaimable(&s.segments[i]);

		n += (s.segments[i].row.flags & SEGMENT_SEALED) && dead &&
		     dead * 100 >= survey_octets(&s.segments[i]) * threshold;
	}
	survey_end(&s);
	return n;
}

static void prepare_compact(struct trial *t)
{
	for (uint32_t n = 109; n < 170; n += 10)
		CU_ASSERT_EQUAL(ledger_deliver(&t->rig, n), PSTN_OK);
	for (uint32_t n = 109; n < 140; n += 10)
		CU_ASSERT_EQUAL(ledger_remove(&t->rig, n), PSTN_OK);
	remove_own(t);
	CU_ASSERT_TRUE(worth_emptying(&t->rig) >= 1);
}

static bool run_compact(struct trial *t)
{
	if (!call_1(t, "storage compact", "retention", "0"))
		return false;
	if (number("segments_blocked") > 0 && !fake_log_find("compaction-blocked"))
		trial_complain(t, "the log does not tell what is in the way");
	return number("segments_blocked") == 0;
}

/* What compaction says of it. */
static const char *in_the_way(void)
{
	const struct fake_event *e = fake_log_find("compaction-blocked");

	return e ? e->fields : "";
}

static void expect_compacted(struct trial *t)
{
	unsigned n = worth_emptying(&t->rig);

	if (n)
		trial_complain(t, "%u segments are left: %s %s", n, answer, in_the_way());
}

/* ---- backup ---- */

static bool run_create(struct trial *t)
{
	mkdir(ledger_scratch("backup"), 0700);
	return call_1(t, "backup create", "directory", ledger_scratch("backup"));
}

static void expect_verified(struct trial *t)
{
	if (!call_1(t, "backup verify", "directory", ledger_scratch("backup")))
		trial_complain(t, "the backup is not sound: %s", answer);
}

static void prepare_restore(struct trial *t)
{
	CU_ASSERT_TRUE(run_create(t));
	remove_own(t);
	all_coming(own);
}

static bool run_restore(struct trial *t)
{
	return call_1(t, "backup restore", "directory", ledger_scratch("backup"));
}

static void prepare_prune(struct trial *t)
{
	CU_ASSERT_TRUE(run_create(t));
	remove_own(t);
	CU_ASSERT_TRUE(run_compact(t));
	CU_ASSERT_TRUE(run_create(t));
}

static bool run_prune(struct trial *t)
{
	const struct rig_argument args[] = {{"directory", ledger_scratch("backup"), -1},
					    {"keep", "1", -1}};

	return call(t, "backup prune", args, 2);
}

static void expect_pruned(struct trial *t)
{
	expect_verified(t);
	CU_ASSERT_EQUAL(number("snapshots"), 1);
}

/* ---- import, export ---- */

static void prepare_import(struct trial *t)
{
	(void)t;
	ledger_write_mbox(others, OWN);
	all_coming(others);
}

static bool run_import(struct trial *t)
{
	return said(t, "mailbox import", ledger_import(&t->rig));
}

static bool export(struct trial *t, const char *format)
{
	const struct rig_argument args[] = {
	    {"user", ANN, -1}, {"directory", ledger_scratch("export"), -1}, {"format", format, -1}};

	mkdir(ledger_scratch("export"), 0700);
	return call(t, "mailbox export", args, 3);
}

static bool run_export_maildir(struct trial *t)
{
	return export(t, "maildir");
}

static bool run_export_mbox(struct trial *t)
{
	return export(t, "mbox");
}

/* What is out already is found there: all of it is, and a second time nothing is to be done. */
static void expect_exported(struct trial *t, const char *format)
{
	CU_ASSERT_TRUE(export(t, format));
	if (number("exported") != 0 || number("skipped") != 6)
		trial_complain(t, "not all is out: %s", answer);
}

static void expect_exported_maildir(struct trial *t)
{
	expect_exported(t, "maildir");
}

static void expect_exported_mbox(struct trial *t)
{
	expect_exported(t, "mbox");
}

/* ---- undelete, restore ---- */

static uint64_t before_removal;

static void prepare_recall(struct trial *t)
{
	before_removal = store_time();
	while (store_time() == before_removal)
		poll(NULL, 0, 1);
	remove_own(t);
	all_coming(own);
}

static bool run_undelete(struct trial *t)
{
	return call_1(t, "mailbox undelete", "user", ANN);
}

static bool run_restore_at(struct trial *t)
{
	char when[WHEN_TEXT];
	const struct rig_argument args[] = {{"user", ANN, -1}, {"at", when, -1}};

	when_text(before_removal, when);
	return call(t, "mailbox restore", args, 2);
}

/* ---- check, repair, scrub: what they note is not worth failing for ---- */

static bool run_check(struct trial *t)
{
	if (!call_1(t, "storage check", "restart", "") || number("faults") != 0)
		trial_complain(t, "a check cannot note where it is: %s", answer);
	return true;
}

static bool run_repair(struct trial *t)
{
	return call_1(t, "storage repair", "restart", "");
}

static bool run_scrub(struct trial *t)
{
	if (!call_1(t, "storage scrub", "user", NULL))
		return false;
	for (int i = 0; i < 50 && !fake_log_find("scrub-done"); i++) {
		fake_settle();
		fake_advance(1000);
	}
	return fake_log_find("scrub-done") != NULL;
}

static void nothing(struct trial *t)
{
	(void)t;
}

/* ---- each call fails ---- */

static const struct command commands[] = {
    {"compact", prepare_compact, run_compact, expect_compacted},
    {"create", nothing, run_create, expect_verified},
    {"restore", prepare_restore, run_restore, expect_own},
    {"prune", prepare_prune, run_prune, expect_pruned},
    {"import", prepare_import, run_import, expect_others},
    {"maildir", nothing, run_export_maildir, expect_exported_maildir},
    {"mbox", nothing, run_export_mbox, expect_exported_mbox},
    {"undelete", prepare_recall, run_undelete, expect_own},
    {"restore-at", prepare_recall, run_restore_at, expect_own},
    {"check", nothing, run_check, nothing},
    {"repair", nothing, run_repair, nothing},
    {"scrub", nothing, run_scrub, nothing},
};

static void remove_files(void)
{
	static const char *const below[] = {"backup/segments", "backup/snapshots", "backup",
					    "export/cur",      "export/new",       "export/tmp",
					    "export/.Archive", "export",           NULL};

	for (size_t i = 0; below[i]; i++)
		rig_remove_store(ledger_scratch(below[i]));
	unlink(ledger_scratch("mbox"));
}

static void try_command(struct trial *t, void *arg)
{
	const struct command *c = arg;
	bool done;

	trial_begin(t, 12 << 10, 8);
	c->prepare(t);
	trial_fail(t);
	done = c->run(t);
	trial_heal(t);
	if (done && !t->broken)
		c->expect_done(t);
	/* A removal whose sync failed is not believed until the store is opened anew. */
	if (t->broken || t->rig.store->compaction.unsynced)
		CU_ASSERT_TRUE_FATAL(rig_reopen(&t->rig));
	trial_look(t, "when the disk works again");
	if (!c->run(t))
		trial_complain(t, "%s cannot be repeated: %s %s", c->name, answer, in_the_way());
	c->expect_done(t);
	trial_open_anew(t);
	remove_files();
	trial_end(t);
}

static void bears_faults_in(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		struct command c = commands[i];

		if (strcmp(c.name, name) != 0)
			continue;
		trial_each(false, try_command, &c);
		trial_each(true, try_command, &c);
	}
}

#define BEARS(function, name)          \
	static void function(void)     \
	{                              \
		bears_faults_in(name); \
	}

BEARS(compacts, "compact")
BEARS(creates, "create")
BEARS(restores, "restore")
BEARS(prunes, "prune")
BEARS(imports, "import")
BEARS(exports_maildir, "maildir")
BEARS(exports_mbox, "mbox")
BEARS(undeletes, "undelete")
BEARS(restores_at, "restore-at")
BEARS(checks, "check")
BEARS(repairs, "repair")
BEARS(scrubs, "scrub")

/* ---- compaction on a full disk ---- */

static void let_compaction_run(struct trial *t, unsigned passes)
{
	for (unsigned i = 0; i < passes; i++) {
		fake_advance(t->rig.options.compaction_interval);
		fake_settle();
		for (int steps = 0; steps < 200; steps++) {
			fake_advance(10);
			fake_settle();
		}
	}
}

static void compact_on_full_disk(uint32_t n, int error, uint32_t *hit)
{
	struct trial t = {.fault = {.at = n, .error = error, .space_only = true}};
	int status;

	trial_begin(&t, 12 << 10, 8);
	prepare_compact(&t);
	rig_close(&t.rig);
	t.rig.options.retention = 0;
	t.rig.options.compaction_interval = 1000;
	CU_ASSERT_FATAL(rig_open(&t.rig));
	trial_fail(&t);
	let_compaction_run(&t, 1);
	/* Deletions go on, and reading. */
	if (ledger_remove(&t.rig, 149) != PSTN_OK)
		trial_complain(&t, "a message cannot be removed on a full disk");
	status = ledger_deliver(&t.rig, 23);
	trial_judge(&t, 23, status);
	trial_look(&t, "while the disk is full");
	trial_heal(&t);
	*hit += t.hit;
	if (t.broken)
		trial_complain(&t, "a full disk is no reason to give up");
	let_compaction_run(&t, 2);
	expect_compacted(&t);
	trial_resume(&t);
	trial_open_anew(&t);
	trial_end(&t);
}

static void compacts_on_a_full_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n++) {
		hit = 0;
		compact_on_full_disk(n, n % 2 ? ENOSPC : EDQUOT, &hit);
	}
}

/* ---- a disk that does not give what it has ---- */

#define MANY 40

static void begin_unreadable(struct trial *t, bool expunged)
{
	struct pstn_maildrop *d;
	uint32_t numbers[MANY];
	char text[64];
	int status;

	trial_begin(t, 1 << 20, 0);
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "Subject: %u\n\ntext\n", i);
		CU_ASSERT_EQUAL(rig_deliver(&t->rig, ANN, text, &status), i + 1);
		numbers[i] = i + 1;
	}
	if (!expunged)
		return;
	d = rig_drop(&t->rig, ANN, &status);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, MANY), PSTN_OK);
	maildrop_table.close(d);
}

/* How many messages came out, or back, by what the command says. */
static long got_of(bool (*run)(struct trial *), const char *done, const char *failed,
		   struct trial *t)
{
	const char *at;

	if (run(t))
		return number(done);
	at = strstr(answer, failed);
	if (!at)
		return -1;
	if (failed[strlen(failed) - 1] == ' ')
		return strtol(at + strlen(failed), NULL, 10);
	while (at > answer && at[-1] >= '0' && at[-1] <= '9')
		at--;
	return strtol(at, NULL, 10);
}

/* One sector after the other cannot be read: one message is left out, and had the next time. Then
 * none can. */
static void bears_unreadable(bool (*run)(struct trial *), bool expunged, const char *done,
			     const char *failed)
{
	unsigned left_out = 0;
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n += 3) {
		struct trial t = {.fault = {.at = n, .times = 1, .error = EIO, .reads = true}};
		long got;

		begin_unreadable(&t, expunged);
		trial_fail(&t);
		got = got_of(run, done, failed, &t);
		trial_heal(&t);
		hit = t.hit;
		if (strstr(answer, " left out 1 messages")) {
			left_out++;
			CU_ASSERT_TRUE(rig_command_failed());
			CU_ASSERT_EQUAL(got, MANY - 1);
			CU_ASSERT_TRUE(rig_says(rig_notes(), "is left out: the disk"));
			CU_ASSERT_TRUE(run(&t));
			CU_ASSERT_EQUAL(number(done), 1);
		}
		trial_end(&t);
	}
	CU_ASSERT_TRUE(left_out > MANY / 6);
	for (uint32_t n = 1; n < 200; n += 7) {
		struct trial t = {.fault = {.at = n, .error = EIO, .reads = true}};

		begin_unreadable(&t, expunged);
		trial_fail(&t);
		(void)run(&t);
		trial_heal(&t);
		if (t.hit) {
			CU_ASSERT_TRUE(rig_command_failed());
			CU_ASSERT_TRUE(t.hit < 100); /* it gave up */
		}
		CU_ASSERT_TRUE(run(&t));
		trial_end(&t);
	}
}

static void exports_beside_what_is_unreadable(void)
{
	bears_unreadable(run_export_maildir, false, "exported", " were exported");
}

static void undeletes_beside_what_is_unreadable(void)
{
	bears_unreadable(run_undelete, true, "restored", "Brought back: ");
}

static const struct suite_case cases[] = {
    {"storage compact", compacts},
    {"backup create", creates},
    {"backup restore", restores},
    {"backup prune", prunes},
    {"mailbox import", imports},
    {"mailbox export, maildir", exports_maildir},
    {"mailbox export, mbox", exports_mbox},
    {"mailbox undelete", undeletes},
    {"mailbox restore", restores_at},
    {"storage check", checks},
    {"storage repair", repairs},
    {"storage scrub", scrubs},
    {"export of what can be read", exports_beside_what_is_unreadable},
    {"undelete of what can be read", undeletes_beside_what_is_unreadable},
    {"compaction on a disk that is full from one call on", compacts_on_a_full_disk},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return disk_suite_run("storage_fault_commands", cases, argc, argv);
}
