/*
 * test_storage_faults.c - every call to the disk fails once, or from then on: the store says so,
 * loses nothing, and goes on by itself where that is safe.
 */
#include "disk_suite.h"
#include "trial.h"

#include <errno.h>
#include <string.h>

#define FIRST 20 /* messages of the ledger, while the disk fails */

/* ---- what happens while the disk fails ---- */

static void work(struct trial *t)
{
	trial_deliver(t, FIRST);
	trial_deliver(t, FIRST + 1);
	store_checkpoint_soon(t->rig.store);
	fake_settle();
	trial_judge(t, 1, ledger_remove(&t->rig, 1));
	trial_deliver(t, 49); /* large */
	trial_deliver(t, FIRST + 9);
	fake_settle();
	trial_deliver(t, FIRST + 19); /* in the next segment */
	ledger_flag(&t->rig, 0, PSTN_SEEN, 0);
	fake_settle();
	trial_judge(t, 2, ledger_remove(&t->rig, 2));
	store_checkpoint_soon(t->rig.store);
	fake_settle();
}

static void begin(struct trial *t)
{
	trial_begin(t, 12 << 10, 6);
}

static void try_fault(struct trial *t, void *arg)
{
	(void)arg;
	begin(t);
	trial_fail(t);
	work(t);
	trial_heal(t);
	trial_resume(t);
	trial_open_anew(t);
	trial_end(t);
}

static void bears_one_failure(void)
{
	trial_each(false, try_fault, NULL);
}

static void bears_failures_that_stay(void)
{
	trial_each(true, try_fault, NULL);
}

/* ---- a full disk ---- */

/* From the n-th call that needs space on there is none: what is removed is removed, and when there
 * is space again nobody has to do anything. */
static void fill_disk(uint32_t n, int error, uint32_t *hit)
{
	struct trial t = {.fault = {.at = n, .error = error, .space_only = true}};

	begin(&t);
	trial_fail(&t);
	work(&t);
	for (uint32_t i = 3; i < 5; i++) {
		if (ledger_remove(&t.rig, i) != PSTN_OK)
			trial_complain(&t, "a message cannot be removed on a full disk");
	}
	trial_heal(&t);
	*hit += t.hit;
	if (trial_says_broken())
		trial_complain(&t, "a full disk is no reason to give up");
	trial_resume(&t);
	trial_open_anew(&t);
	trial_end(&t);
}

static void removes_on_a_full_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n++) {
		hit = 0;
		fill_disk(n, n % 2 ? ENOSPC : EDQUOT, &hit);
	}
}

/* ---- a file system that can only be read ---- */

/* The last words of LMDB's commit are written by one call, and if it fails LMDB gives up: for a file
 * system that turns at that moment alone the store has to be opened anew. */
static void turn_read_only(uint32_t n, uint32_t *hit, uint32_t *broken)
{
	struct trial t = {.fault = {.at = n, .error = EROFS, .read_only = true}};
	size_t length;
	int status;
	struct pstn_maildrop *d;

	begin(&t);
	trial_fail(&t);
	work(&t);
	trial_deliver(&t, FIRST + 2);
	d = rig_drop(&t.rig, "ann@example.org", &status);
	if (!fake_log_find("storage-broken") && (!d || !rig_text(d, 1, &length, &status)))
		trial_complain(&t, "mail cannot be read");
	if (d)
		maildrop_table.close(d);
	trial_judge(&t, 3, ledger_remove(&t.rig, 3));
	trial_heal(&t);
	*hit += t.hit;
	*broken += t.broken;
	if (t.broken &&
	    !strstr(fake_log_find("storage-broken")->fields, "The index could not be written"))
		trial_complain(&t, "a read-only file system is no reason to give up");
	trial_resume(&t);
	trial_open_anew(&t);
	trial_end(&t);
}

static void resumes_after_read_only(void)
{
	uint32_t hit = 1, broken = 0, n = 1;

	for (; hit > 0 && n < TRIAL_CALLS; n++) {
		hit = 0;
		turn_read_only(n, &hit, &broken);
	}
	printf("    %u trials, %u stores that had to be opened anew\n", n - 1, broken);
}

/* ---- a sync that fails ---- */

/* The n-th sync alone; afterwards the kernel takes for clean what is not on disk. */
static void bears_failed_checkpoint(void)
{
	struct trial t = {.fault = {.at = 1, .times = 1, .error = EIO}};

	begin(&t);
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), 0);
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, FIRST), PSTN_OK);
	trial_fail(&t);
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), EIO);
	trial_heal(&t);
	CU_ASSERT_EQUAL(t.hit, 1);
	/* The next sync would say that all is well. */
	CU_ASSERT_EQUAL(checkpoint_take(&t.rig.store->checkpoint, &t.rig.store->index), EIO);
	CU_ASSERT_EQUAL(ledger_deliver(&t.rig, FIRST + 1), PSTN_E_TEMPORARY);
	CU_ASSERT_TRUE(trial_says_broken());
	ledger_refused(FIRST + 1);
	trial_look(&t, "after a checkpoint that failed");
	trial_open_anew(&t);
	trial_end(&t);
}

/* ---- opening ---- */

/* A store with something to recover, opened on a disk that fails: it says why, or it opens. */
static void try_opening(struct trial *t, void *arg)
{
	(void)arg;
	begin(t);
	rig_crash(&t->rig);
	trial_fail(t);
	if (!rig_open(&t->rig) && strlen(t->rig.error) < 10)
		trial_complain(t, "no reason is given");
	trial_heal(t);
	trial_open_anew(t);
	trial_end(t);
}

static void opens_on_a_failing_disk(void)
{
	trial_each(false, try_opening, NULL);
	trial_each(true, try_opening, NULL);
}

static void opens_with_reads_that_fail(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n++) {
		struct trial t = {
		    .fault = {.at = n, .times = n % 2 ? 0 : 1, .error = EIO, .reads = true}};

		try_opening(&t, NULL);
		hit = t.hit;
	}
}

/* ---- reading ---- */

/* A message that cannot be read now is not called damaged, and can be read later. */
static void reads_on_a_failing_disk(void)
{
	uint32_t hit = 1;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n++) {
		struct trial t = {.fault = {.at = n, .times = 1, .error = EIO, .reads = true}};
		struct pstn_maildrop *d;
		size_t length;
		int status;

		begin(&t);
		CU_ASSERT_FATAL(rig_reopen(&t.rig));
		d = rig_drop(&t.rig, "ann@example.org", &status);
		CU_ASSERT_PTR_NOT_NULL_FATAL(d);
		trial_fail(&t);
		if (!rig_text(d, 1, &length, &status) && status != PSTN_E_TEMPORARY)
			trial_complain(&t, "a read that fails is not a failure that may pass");
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
    {"a file system that is read only from one call on", resumes_after_read_only},
    {"a checkpoint's sync fails", bears_failed_checkpoint},
    {"opening on a disk that fails", opens_on_a_failing_disk},
    {"opening with reads that fail", opens_with_reads_that_fail},
    {"reading from a disk that fails", reads_on_a_failing_disk},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return disk_suite_run("storage_faults", cases, argc, argv);
}
