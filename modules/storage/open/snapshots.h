/*
 * snapshots.h - which snapshots are open, in all processes: what was expunged after one was taken
 * stays in the index until it is closed, however old it is.
 */
#ifndef STORAGE_SNAPSHOTS_H
#define STORAGE_SNAPSHOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct store;
struct view;

#define SHARED_PROCESSES 240
/* A group stamps its expunges when it begins and commits them later, and clocks are set: what was
 * expunged so long before a snapshot may still be in it. */
#define SNAPSHOT_GRACE (UINT64_C(10) * 60 * 1000) /* ms */

struct shared_process {          /* of the page that all processes share */
	_Atomic uint32_t pid;    /* 0: free; the lock of its byte tells whether it lives */
	_Atomic uint64_t oldest; /* ms since 1970: its oldest open snapshot; 0: none */
};

struct snapshots { /* of this process, in the order of opening */
	pthread_mutex_t mutex;
	struct view *oldest, *newest;
	struct shared_process *own;
};

int snapshots_init(struct snapshots *);
void snapshots_clear(struct snapshots *);
/* Takes a place in the shared page; false: there is none. */
bool snapshots_join(struct store *);
void snapshots_leave(struct store *);
/* Before the view reads what it shows, and when it is closed. Any thread. */
void snapshots_open(struct store *, struct view *);
void snapshots_close(struct store *, struct view *);
/*
 * What was expunged before this moment can go: it is older than `retention` (ms) and in no open
 * snapshot. Exact only under the index's write lock.
 */
uint64_t snapshots_expired(struct store *, uint64_t retention);

#endif
