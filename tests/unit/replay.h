/*
 * replay.h - every power cut of a workload.
 */
#ifndef TESTS_REPLAY_H
#define TESTS_REPLAY_H

#include "ledger.h"

struct workload {
	const char *name;
	void (*options)(struct store_options *); /* NULL: the rig's, with small segments */
	void (*run)(struct rig *);               /* the store is open; it may be left open */
	uint32_t images;                         /* about as many are looked at in a short run */
	bool loses_index;                        /* it may have to be made anew */
};

/*
 * Runs the workload on a disk that remembers; then opens the store as it may be on disk after a
 * power cut at any moment, and checks it against the ledger.
 *
 *	STORAGE_LONG=1          every image that is not left to chance, and many more that are
 *	STORAGE_SEED=N          another chance
 *	STORAGE_IMAGE=CUT:NAME  one image, which is left in place
 */
void replay(const struct workload *);

#endif
