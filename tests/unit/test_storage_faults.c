/*
 * test_storage_faults.c - every call to the disk fails once, or from then on: the store says so,
 * loses nothing, and goes on by itself where that is safe.
 */
#include "ledger.h"
#include "suite.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST     20 /* messages of the ledger: while the disk fails, */
#define AFTER     70 /* when it works again, */
#define REOPENED  80 /* and after the store was opened anew */
#define CALLS_MAX 2000

static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, 0};
#define ERRORS (sizeof(errors) / sizeof(*errors))

/* In the short run each call fails in one way, in the long one in every way. */
static bool is_chosen(uint32_t n, size_t error, bool stays)
{
	return getenv("STORAGE_LONG") || (n + error + stays) % ERRORS == 0;
}

/* ---- what the store may answer ---- */

static bool defined(int status, int error)
{
	if (status == PSTN_OK || status == PSTN_E_TEMPORARY)
		return true;
	/* What is cut short may as well be a full disk. */
	return status == PSTN_E_FULL && (error == ENOSPC || error == EDQUOT || error == 0);
}

struct trial {
	struct rig rig;
	struct disk_fault fault;
	bool broken; /* the store has said that it has to be opened anew */
	uint32_t calls, hit;
};

static void complain(const struct trial *t, const char *what)
{
	fprintf(stderr, "\n  call %u fails with \"%s\" %s%s: %s\n", t->fault.at,
		t->fault.error ? strerror(t->fault.error) : "cut short",
		t->fault.times ? "once" : "from then on",
		t->fault.space_only ? ", if it needs space" : "", what);
	CU_FAIL("the store does not bear a fault");
}

static void look(struct trial *t, const char *when)
{
	const char *bad = ledger_check(&t->rig);
	char sentence[600];

	if (!bad)
		return;
	snprintf(sentence, sizeof(sentence), "%s: %s", when, bad);
	complain(t, sentence);
}

static bool says_broken(void)
{
	return fake_log_find("storage-broken") != NULL;
}

/* What failed for good must not come. */
static void judge(struct trial *t, uint32_t n, int status)
{
	if (!defined(status, t->fault.error)) {
		char sentence[80];

		snprintf(sentence, sizeof(sentence), "message %u: status %d", n, status);
		complain(t, sentence);
	}
	/* A group that could not be taken back may be there when the store is opened anew. */
	if (status != PSTN_OK && !says_broken())
		ledger_refused(n);
}

/* ---- what happens while the disk fails ---- */

static void deliver(struct trial *t, uint32_t n)
{
	judge(t, n, ledger_deliver(&t->rig, n));
}

static void work(struct trial *t)
{
	deliver(t, FIRST);
	deliver(t, FIRST + 1);
	store_checkpoint_soon(t->rig.store);
	fake_settle();
	judge(t, 1, ledger_remove(&t->rig, 1));
	deliver(t, 49); /* large */
	deliver(t, FIRST + 9);
	fake_settle();
	deliver(t, FIRST + 19); /* in the next segment */
	ledger_flag(&t->rig, 0, PSTN_SEEN, 0);
	fake_settle();
	judge(t, 2, ledger_remove(&t->rig, 2));
	store_checkpoint_soon(t->rig.store);
	fake_settle();
}

static void begin(struct trial *t)
{
	rig_begin(&t->rig);
	t->rig.options.stream_threshold = 8 << 10;
	t->rig.options.segment_size = 12 << 10;
	ledger_begin();
	CU_ASSERT_FATAL(rig_open(&t->rig));
	for (uint32_t n = 0; n < 6; n++)
		CU_ASSERT_EQUAL(ledger_deliver(&t->rig, n), PSTN_OK);
	fake_settle();
}

static void fail_from_here(struct trial *t)
{
	fake_log_clear();
	disk_fail(fake_host()->directory(t->rig.self, PSTN_DIR_STATE), &t->fault);
}

/* Opened anew it has all that it had, and takes more. */
static void open_anew(struct trial *t)
{
	if (!rig_open(&t->rig)) {
		complain(t, t->rig.error);
		return;
	}
	look(t, "opened anew");
	CU_ASSERT_EQUAL(ledger_deliver(&t->rig, REOPENED), PSTN_OK);
	look(t, "opened anew and used");
}

static void try_fault(struct trial *t)
{
	begin(t);
	fail_from_here(t);
	work(t);
	t->calls = disk_heal(&t->hit);
	t->broken = says_broken();
	if (!t->broken) {
		int status = ledger_deliver(&t->rig, AFTER);

		if (status != PSTN_OK)
			complain(t, "service does not resume");
		look(t, "when the disk works again");
	} else if (ledger_deliver(&t->rig, AFTER) == PSTN_OK) {
		complain(t, "it said that it is broken and goes on");
	}
	rig_crash(&t->rig);
	open_anew(t);
	rig_end(&t->rig);
}

static void each_fault(bool stays)
{
	uint32_t hit = 1, tried = 0, broken = 0;

	for (uint32_t n = 1; hit > 0 && n < CALLS_MAX; n++) {
		hit = 0;
		for (size_t i = 0; i < ERRORS; i++) {
			struct trial t = {
			    .fault = {.at = n, .times = stays ? 0 : 1, .error = errors[i]}};

			if (!is_chosen(n, i, stays))
				continue;
			try_fault(&t);
			hit += t.hit;
			tried++;
			broken += t.broken;
		}
	}
	printf("    %u trials, %u stores that had to be opened anew\n", tried, broken);
	CU_ASSERT_TRUE(tried > 10);
}

static void bears_one_failure(void)
{
	each_fault(false);
}

static void bears_failures_that_stay(void)
{
	each_fault(true);
}

/* ---- a full disk ---- */

/* From the n-th call that needs space on there is none: what is removed is removed, and when there
 * is space again nobody has to do anything. */
static void fill_disk(uint32_t n, int error, uint32_t *hit)
{
	struct trial t = {.fault = {.at = n, .error = error, .space_only = true}};

	begin(&t);
	fail_from_here(&t);
	work(&t);
	for (uint32_t i = 3; i < 5; i++) {
		if (ledger_remove(&t.rig, i) != PSTN_OK)
			complain(&t, "a message cannot be removed on a full disk");
	}
	disk_heal(&t.hit);
	*hit += t.hit;
	if (says_broken())
		complain(&t, "a full disk is no reason to give up");
	if (ledger_deliver(&t.rig, AFTER) != PSTN_OK)
		complain(&t, "service does not resume when there is space");
	look(&t, "when there is space again");
	rig_crash(&t.rig);
	open_anew(&t);
	rig_end(&t.rig);
}

static void removes_on_a_full_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < CALLS_MAX; n++) {
		hit = 0;
		fill_disk(n, n % 2 ? ENOSPC : EDQUOT, &hit);
	}
}

/* ---- a sync that fails ---- */

/* The n-th sync alone; afterwards the kernel takes for clean what is not on disk. */
static void bears_failed_checkpoint(void)
{
	struct trial t = {.fault = {.at = 1, .times = 1, .error = EIO}};

	begin(&t);
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), 0);
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, FIRST), PSTN_OK);
	fail_from_here(&t);
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), EIO);
	disk_heal(&t.hit);
	CU_ASSERT_EQUAL(t.hit, 1);
	/* The next sync would say that all is well. */
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), EIO);
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, FIRST + 1), PSTN_E_TEMPORARY);
	CU_ASSERT_TRUE(says_broken());
	ledger_refused(FIRST + 1);
	look(&t, "after a checkpoint that failed");
	rig_crash(&t.rig);
	open_anew(&t);
	rig_end(&t.rig);
}

/* ---- opening ---- */

/* A store with something to recover, opened on a disk that fails: it says why, or it opens. */
static void open_on_failing(uint32_t n, int error, bool stays, bool reads, uint32_t *hit)
{
	struct trial t = {
	    .fault = {.at = n, .times = stays ? 0 : 1, .error = error, .reads = reads}};

	begin(&t);
	rig_crash(&t.rig);
	fail_from_here(&t);
	if (!rig_open(&t.rig) && strlen(t.rig.error) < 10)
		complain(&t, "no reason is given");
	disk_heal(&t.hit);
	*hit += t.hit;
	if (t.rig.store)
		rig_crash(&t.rig);
	open_anew(&t);
	rig_end(&t.rig);
}

static void opens_on_a_failing_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < CALLS_MAX; n++) {
		hit = 0;
		for (size_t i = 0; i < ERRORS; i++) {
			if (is_chosen(n, i, false))
				open_on_failing(n, errors[i], false, false, &hit);
			if (is_chosen(n, i, true))
				open_on_failing(n, errors[i], true, false, &hit);
		}
	}
}

static void opens_with_reads_that_fail(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < CALLS_MAX; n++) {
		hit = 0;
		open_on_failing(n, EIO, n % 2, true, &hit);
	}
}

/* ---- reading ---- */

/* A message that cannot be read now is not called damaged, and can be read later. */
static void reads_on_a_failing_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < CALLS_MAX; n++) {
		struct trial t = {.fault = {.at = n, .times = 1, .error = EIO, .reads = true}};
		struct pstn_maildrop *d;
		size_t length;
		int status;

		begin(&t);
		CU_ASSERT_FATAL(rig_reopen(&t.rig));
		d = rig_drop(&t.rig, "ann@example.org", &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		fail_from_here(&t);
		if (!rig_text(d, 1, &length, &status) && status != PSTN_E_TEMPORARY)
			complain(&t, "a read that fails is not a failure that may pass");
		disk_heal(&hit);
		CU_ASSERT_PTR_NOT_NULL(rig_text(d, 1, &length, &status));
		maildrop_table.close(d);
		rig_end(&t.rig);
	}
}

static const struct suite_case cases[] = {
    {"each call fails once", bears_one_failure},
    {"all calls fail from one on", bears_failures_that_stay},
    {"a disk that is full from one call on", removes_on_a_full_disk},
    {"a checkpoint's sync fails", bears_failed_checkpoint},
    {"opening on a disk that fails", opens_on_a_failing_disk},
    {"opening with reads that fail", opens_with_reads_that_fail},
    {"reading from a disk that fails", reads_on_a_failing_disk},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	if (!getenv("TMPDIR") && access("/dev/shm", W_OK) == 0)
		setenv("TMPDIR", "/dev/shm", 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 30);
	mallopt(M_TRIM_THRESHOLD, 1 << 30);
	return suite_run("storage_faults", cases, argc > 1 ? argv[1] : NULL);
}
