/*
 * checkpoint.h - one state of the index that is on disk for sure.
 *
 * LMDB is told not to sync, since the segments are the journal. What survives a power cut is then
 * an arbitrary mix of its pages, save those of one state: the checkpoint. Its pages have been
 * synced, its meta page is kept in a file of our own, and an open read transaction in each process
 * keeps LMDB from using any of its pages again. Whoever opens the store first puts that meta page
 * back and goes on from there with what the segments hold; see docs/storage-format.md.
 */
#ifndef STORAGE_CHECKPOINT_H
#define STORAGE_CHECKPOINT_H

#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct index;

#define CHECKPOINT_META 512 /* octets of a meta page that matter, and more */

struct checkpoint {
	int fd;       /* index/checkpoint */
	int data;     /* index/data.mdb, to read meta pages */
	MDB_txn *pin; /* keeps the pages of the state at `pinned` and of all later ones */
	uint64_t pinned;
	uint64_t taken; /* ms of the last one */
	pthread_mutex_t mutex;
};

struct checkpoint_state { /* the newest sound slot of the file */
	bool found;
	unsigned slot;   /* where it is */
	uint64_t number; /* counts checkpoints */
	uint64_t txn;    /* LMDB's transaction id */
	uint32_t page_size;
	unsigned char meta[CHECKPOINT_META];
};

/* Reads the file in `index_path`; found is false if there is none that can be used. 0 or errno: it
 * could not be read. */
int checkpoint_read(const char *index_path, struct checkpoint_state *);
/* Makes data.mdb show that state, and makes sure that the file has it. 0 or errno. Nobody may have
 * the index open. */
int checkpoint_restore(const char *index_path, const struct checkpoint_state *);

int checkpoint_open(struct checkpoint *, const char *index_path);
/*
 * Brings the present state to disk. 0, errno or MDB_*. Any thread. After a sync that failed the
 * kernel takes the pages for clean, and the next sync would say that all is well: it says
 * shared->unsynced then, takes no other checkpoint, and the store has to be opened anew.
 */
int checkpoint_take(struct checkpoint *, struct index *);
void checkpoint_close(struct checkpoint *);

#endif
