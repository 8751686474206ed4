/*
 * trial.c - see trial.h.
 */
#include "trial.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const int errors[] = {ENOSPC, EIO, EDQUOT, EROFS, 0};
#define ERRORS (sizeof(errors) / sizeof(*errors))

/* ---- a store ---- */

void trial_begin(struct trial *t, uint64_t segment_size, uint32_t count)
{
	disk_sparse(true);
	rig_begin(&t->rig);
	ledger_accounts(&t->rig);
	t->rig.options.stream_threshold = 8 << 10;
	t->rig.options.segment_size = segment_size;
	ledger_begin();
	CU_ASSERT_FATAL(rig_open(&t->rig));
	for (uint32_t n = 0; n < count; n++)
		CU_ASSERT_EQUAL(ledger_deliver(&t->rig, n), PSTN_OK);
	fake_settle();
}

void trial_end(struct trial *t)
{
	rig_end(&t->rig);
}

void trial_fail(struct trial *t)
{
	fake_log_clear();
	disk_fail(fake_directory(), &t->fault);
}

void trial_heal(struct trial *t)
{
	t->calls = disk_heal(&t->hit);
	t->broken = trial_says_broken();
}

/* ---- what the store may answer ---- */

void trial_complain(const struct trial *t, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "\n  call %u fails with \"%s\" %s%s: ", t->fault.at,
		t->fault.error ? strerror(t->fault.error) : "cut short",
		t->fault.times ? "once" : "from then on",
		t->fault.space_only ? ", if it needs space" : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	CU_FAIL("the store does not bear a fault");
}

static bool defined(int status, int error)
{
	if (status == PSTN_OK || status == PSTN_E_TEMPORARY)
		return true;
	/* What is cut short may as well be a full disk. */
	return status == PSTN_E_FULL && (error == ENOSPC || error == EDQUOT || error == 0);
}

bool trial_says_broken(void)
{
	return fake_log_find("storage-broken") != NULL;
}

void trial_judge(struct trial *t, uint32_t n, int status)
{
	if (!defined(status, t->fault.error))
		trial_complain(t, "message %u: status %d", n, status);
	if (status != PSTN_OK)
		t->refused[t->refusals++] = n;
}

void trial_deliver(struct trial *t, uint32_t n)
{
	trial_judge(t, n, ledger_deliver(&t->rig, n));
}

void trial_look(struct trial *t, const char *when)
{
	const char *bad = ledger_check(&t->rig);

	if (bad)
		trial_complain(t, "%s: %s", when, bad);
}

/* ---- afterwards ---- */

void trial_resume(struct trial *t)
{
	int status = ledger_deliver(&t->rig, TRIAL_AFTER);

	if (t->broken && status == PSTN_OK)
		trial_complain(t, "it said that it is broken and goes on");
	if (t->broken)
		return;
	if (status != PSTN_OK)
		trial_complain(t, "service does not resume");
	/* A group that could not be taken back has been by now. */
	while (t->refusals)
		ledger_refused(t->refused[--t->refusals]);
	trial_look(t, "when the disk works again");
}

void trial_open_anew(struct trial *t)
{
	if (t->rig.store)
		rig_crash(&t->rig);
	if (!rig_open(&t->rig)) {
		trial_complain(t, "%s", t->rig.error);
		return;
	}
	trial_look(t, "opened anew");
	CU_ASSERT_EQUAL(ledger_deliver(&t->rig, TRIAL_REOPENED), PSTN_OK);
	trial_look(t, "opened anew and used");
}

/* ---- every fault ---- */

static bool is_chosen(uint32_t n, size_t error, bool stays)
{
	return getenv("STORAGE_LONG") || (n + error + stays) % ERRORS == 0;
}

void trial_each(bool stays, void (*run)(struct trial *, void *arg), void *arg)
{
	uint32_t hit = 1, tried = 0, broken = 0;

	for (uint32_t n = 1; hit > 0 && n < TRIAL_CALLS; n++) {
		hit = 0;
		for (size_t i = 0; i < ERRORS; i++) {
			struct trial t = {
			    .fault = {.at = n, .times = stays ? 0 : 1, .error = errors[i]}};

			if (!is_chosen(n, i, stays))
				continue;
			run(&t, arg);
			hit += t.hit;
			tried++;
			broken += t.broken;
		}
	}
	printf("    %u trials, %u stores that had to be opened anew\n", tried, broken);
	CU_ASSERT_TRUE(tried > 3);
}
