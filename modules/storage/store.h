/*
 * store.h - one open store: where its parts meet.
 *
 *	format/     bytes on disk: records, rows, wire form (pure)
 *	segment/    files of records: writing, scanning, reading texts
 *	index/      what is looked up: LMDB, what records do to it, checkpoints, the audit at start
 *	commit/     changes that wait become a group: numbers, records, one sync, the index
 *	open/       from a directory to a store: identity, locks, recovery, the self-test
 *	maildrop/   one session's snapshot of a folder
 *	delivery/   a message comes in; quotas
 *	compact/    the space of deleted mail is given back
 *	check/      check, repair, scrub
 *	recall/     undelete, restore, history
 *	backup/     snapshots in a repository, and back
 *	import/ export/   mbox, Maildir, other servers' unique ids
 *	command/    the table of commands, and what shows the store's contents
 *
 * Arrows run from the commands and interfaces through commit/ and index/ down to format/.
 *
 * Order of locks: the queue's mutex is never held while anything else is waited for; the write
 * transaction comes before the log's mutex.
 */
#ifndef STORAGE_STORE_H
#define STORAGE_STORE_H

#include "check/scrub.h"
#include "commit/commit.h"
#include "compact/compact.h"
#include "index/apply.h"
#include "index/checkpoint.h"
#include "open/snapshots.h"
#include "segment/fetch.h"
#include "segment/files.h"
#include "segment/segment.h"

#include <postern/directory.h>
#include <postern/module.h>

#include <limits.h>

#define SCRATCH_ACCOUNT UINT64_MAX /* less the process id: of the self-test */
#define SCRATCH_FIRST   (SCRATCH_ACCOUNT - UINT32_MAX + 1)
#define WARM_SLOTS      4096
#define REFUSED_SLOTS   256
#define DAMAGED_SLOTS   256
#define WARM_TIME       60000 /* ms */
#define PRIME_AHEAD     ((uint64_t)2 << 20)

enum durability { DURABILITY_FULL, DURABILITY_RELAXED, DURABILITY_NONE };

struct store_options {
	const char *path; /* "" = the instance's name below the state directory */
	int32_t durability;
	uint64_t segment_size, message_size_limit, stream_threshold, index_map_size;
	uint64_t checkpoint_interval;
	struct pstn_list quota_warnings;         /* of int64_t: percent */
	uint64_t retention, compaction_interval; /* ms */
	uint64_t compaction_rate;                /* octets a second; 0: no limit */
	int64_t compaction_threshold;            /* per cent of a segment */
	uint64_t scrub_interval, scrub_rate;     /* ms; octets a second */
};

enum store_metric {
	METRIC_DELIVERED,
	METRIC_DELIVERED_OCTETS,
	METRIC_EXPUNGED,
	METRIC_READ,
	METRIC_READ_OCTETS,
	METRIC_GROUPS,
	METRIC_GROUPED,
	METRIC_SYNC_TIME,
	METRIC_CHECKPOINTS,
	METRIC_DAMAGED,
	METRIC_REFUSED_FULL,
	METRIC_REFUSED_QUOTA,
	METRIC_COMPACTED,
	METRIC_RECLAIMED_OCTETS,
	METRIC_MOVED_OCTETS,
	METRIC_SCRUB_OCTETS,
	METRIC_SCRUB_FAULTS,
	METRIC_SCRUB_BAD
};

/* One page of the lock file, shared by all processes that have the store open. */
struct shared {
	_Atomic uint64_t inflight;       /* the segment that a group is being written to; 0: none */
	_Atomic uint64_t inflight_end;   /* where that one ends if the group is committed */
	_Atomic uint64_t inflight_large; /* the segment of a large message in the group */
	_Atomic uint64_t unsynced;       /* a sync of the index failed: nobody writes any more */
	struct shared_process processes[SHARED_PROCESSES];
	_Atomic uint64_t wanted_until; /* somebody waits for maintenance.h's lock: ms since 1970 */
};

struct warm {
	_Atomic uint64_t account, until; /* until: ms of host->now() */
};

struct store {
	const struct pstn_host *host;
	struct pstn_self *self;
	const struct pstn_directory *directory;
	void *directory_inst;
	struct store_options options;
	char path[PATH_MAX];
	int dir, segment_dir; /* descriptors */
	int lock;
	struct shared *shared;
	unsigned char uuid[16];
	struct index index;
	struct checkpoint checkpoint;
	struct segment log; /* this process appends here; fd -1: none yet */
	struct commit commit;
	struct files files;
	struct snapshots snapshots;
	_Atomic bool maintaining; /* somebody of this process holds the lock of maintenance.h */
	struct fetch_pool texts;
	struct warm warm[WARM_SLOTS];
	struct warm refused[REFUSED_SLOTS]; /* accounts whose full quota the log has heard of */
	_Atomic uint64_t damaged_rows[DAMAGED_SLOTS]; /* that the log has heard of, by hash */
	_Atomic uint32_t next_segment;
	struct pstn_op *timer;
	struct compaction compaction;
	struct scrub scrub;
	_Atomic bool checkpoint_queued, priming, tidying;
	_Atomic bool stopping;
	uint64_t recovered_records, recovered_ms;
	bool served;     /* it was opened whole */
	bool recovering; /* segments may hold what a process of lower durability left unsynced */
	bool building;   /* the index is being made from the segments */
	bool rebuilt;    /* it was, at this start */
};

/* NULL and a sentence in err: the store cannot be used. */
struct store *store_open(struct pstn_self *, const struct pstn_host *, const struct store_options *,
			 char *err, size_t n);
void store_close(struct store *);

void *store_alloc(struct store *, size_t n);
void store_free(struct store *, void *);
uint32_t store_tag(const unsigned char uuid[16]);
uint64_t store_time(void); /* ms since 1970 */
/* At times, and when much was committed: brings the index to disk. Never fails its caller. */
void store_checkpoint_soon(struct store *);
/* Now; blocks. 0, errno or MDB_*. */
int store_checkpoint_now(struct store *);
/* When the writer comes near the end of what was written with zeros: some more. */
void store_prime_soon(struct store *);

/* Which accounts' pages are likely in memory: for those a reactor answers by itself. */
bool warm_is(struct store *, uint64_t account);
void warm_set(struct store *, uint64_t account);

#endif
