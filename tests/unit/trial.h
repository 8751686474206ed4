/*
 * trial.h - one store whose disk fails at one call: what it may answer then, and what has to hold
 * when the disk works again.
 */
#ifndef TESTS_TRIAL_H
#define TESTS_TRIAL_H

#include "ledger.h"

#define TRIAL_AFTER    70   /* messages of the ledger: when the disk works again, */
#define TRIAL_REOPENED 80   /* and after the store was opened anew */
#define TRIAL_CALLS    2000 /* no workload has more */

struct trial {
	struct rig rig;
	struct disk_fault fault;
	bool broken;          /* the store has said that it has to be opened anew */
	uint32_t refused[32]; /* messages; some may be there until the store can be written to */
	uint32_t refusals;
	uint32_t calls, hit;
};

/* A store with small segments and accounts that can be copied; messages 0 to count - 1. */
void trial_begin(struct trial *, uint64_t segment_size, uint32_t count);
void trial_end(struct trial *);
/* From now on the disk fails as `fault` says, wherever files of the test lie. */
void trial_fail(struct trial *);
void trial_heal(struct trial *);
/* Delivers; what the store answers is judged. */
void trial_deliver(struct trial *, uint32_t n);
void trial_judge(struct trial *, uint32_t n, int status);
/* Against the ledger. */
void trial_look(struct trial *, const char *when);
bool trial_says_broken(void);
/* The disk works: the store serves again by itself, and what was refused stays away; or it has said
 * that it has to be opened anew. */
void trial_resume(struct trial *);
/* The process dies; opened anew the store has all that it had, and takes more. */
void trial_open_anew(struct trial *);
__attribute__((format(printf, 2, 3))) void trial_complain(const struct trial *, const char *fmt,
							  ...);

/* Each call fails with each error that a disk has, or is cut short, once or for good: a short run
 * tries one way for each call, STORAGE_LONG=1 all. `run` sets calls and hit. Prints how many were
 * tried and how many stores were broken. */
void trial_each(bool stays, void (*run)(struct trial *, void *arg), void *arg);

#endif
