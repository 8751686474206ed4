/*
 * scrub.h - everything that is stored is read and verified from time to time, slowly, so that what
 * a disk damages is known while a backup still has it.
 *
 * The walk of checker.h in small jobs with pauses between them. Where it is stands in a file, so a
 * restart or another generation goes on; one process at a time has its lock.
 */
#ifndef STORAGE_SCRUB_H
#define STORAGE_SCRUB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct checker;
struct pstn_call;
struct pstn_op;
struct store;

struct scrub {
	struct pstn_op *look, *next; /* timers: whether one is due; the next piece */
	_Atomic bool busy;           /* a job runs, or a pause between two */
	_Atomic bool stop;           /* this generation is being replaced, or ends */
	/* the job's own */
	struct checker *checker; /* a walk is under way and this process has the lock */
	uint64_t piece;          /* octets read in this job, */
	uint64_t paced;          /* and of one record beyond that */
	uint64_t pause;          /* ms until the next one */
	bool waited;             /* another process was at it */
	uint64_t saved;          /* ms since 1970, when the file was written */
	uint64_t gauge;          /* faults shown in the metrics */
};

void scrub_open(struct store *);
/* Ends soon; another process goes on. Any thread. */
void scrub_stop(struct store *);
void scrub_close(struct store *); /* no job runs any more */
void command_scrub(void *inst, struct pstn_call *);
/* Fields of `storage status`. */
void scrub_answer(struct store *, struct pstn_call *);

#endif
