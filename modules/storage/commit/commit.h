/*
 * commit.h - changes wait here, and whoever waits at the same moment shares one sync.
 *
 * One thread at a time leads: it takes what waits, gives uids and change numbers under the index's
 * write lock, writes the records, syncs, commits the index, and tells everybody. A job leads for
 * those who do not block; a blocking caller leads itself, or is called to when the leader is done.
 */
#ifndef STORAGE_COMMIT_H
#define STORAGE_COMMIT_H

#include "delivery/quota.h"
#include "index/apply.h"

#include <postern/module.h>

#include <pthread.h>

struct store;
struct segment;

#define CHECKPOINT_GROUPS   512                  /* committed until the next checkpoint */
#define COMMIT_GROUP_MAX    512                  /* changes in a group */
#define COMMIT_GROUP_OCTETS ((uint64_t)16 << 20) /* and octets of messages */

enum pending_kind {
	PENDING_DELIVER,
	PENDING_FOLDER, /* made if it is not there: names as of a delivery */
	PENDING_EXPUNGE,
	PENDING_FLAGS,
	PENDING_FORGET,
	PENDING_MOVE,   /* records of a segment that is being emptied */
	PENDING_SEGMENT /* what has become of a segment */
};

struct flag_change {
	uint32_t uid, add, remove;
};

struct commit_waiter;
struct move;

enum segment_fate {
	SEGMENT_TO_SEAL, /* nothing is appended any more */
	SEGMENT_TO_GO,   /* all that was needed stands elsewhere */
	SEGMENT_REMOVED  /* its file is gone */
};

struct pending {
	struct pending *next;
	enum pending_kind kind;
	uint64_t account;
	uint32_t folder;             /* not for a delivery, which has the name */
	struct quota quota;          /* of what adds messages; no limits: whatever comes */
	char origin[ORIGIN_MAX + 1]; /* who asked: a session's id; "" if there is none */
	union {
		struct {
			const char *account_name, *folder_name;
			struct record record; /* what the deliverer knows is filled in */
			const void *body;
			const uint64_t *dots;
			struct segment *large; /* the text is there already; NULL: in body */
			bool named;            /* the record has its unique id already, */
			bool known_free;       /* and no message that is there was assigned it */
			const char *keywords;  /* a list (keyword.h) of valid names; NULL: none */
			uint64_t no_bit; /* result: the n-th name found no bit of the folder free */
		} deliver;
		struct {
			const struct uid_range *ranges;
			uint32_t count;
			bool sift; /* some have rows that nobody can read: the others go */
		} expunge;
		struct {
			struct flag_change *changes;
			uint32_t count, room;
			uint64_t time; /* when it was asked for, ms since 1970; 0: now */
		} flags;
		struct {
			struct move *moves; /* move.h */
			uint32_t count;
			uint32_t segment;     /* that is being emptied */
			uint64_t retention;   /* ms */
			uint64_t body_octets; /* of all */
			bool from_reserve;    /* little is written, and much space comes of it */
			uint64_t octets;      /* result: what was written */
			bool again;           /* result: something that could go cannot now */
		} move;
		struct {
			const uint32_t *ids;
			uint32_t count;
			enum segment_fate fate;
			uint64_t end; /* of one to go: up to where it was emptied */
		} segments;
	};
	int status;                   /* the result; a delivery's uid and uidl are in its record */
	struct pstn_op *op;           /* posted when done, or */
	struct commit_waiter *waiter; /* told, or */
	bool owned;                   /* freed: nobody waits for it */
	bool silent;                  /* result: the index has changed, perhaps without a record */
};

struct commit {
	pthread_mutex_t mutex;
	struct pending *first, *last;
	bool leading;            /* somebody is */
	bool called;             /* a job that will is on its way */
	unsigned waiting;        /* in the queue, for whom somebody waits, */
	unsigned unhurried;      /* and the others */
	unsigned last_group;     /* how many were in the last group, */
	uint64_t last_time;      /* and how long it took, in ns */
	pthread_cond_t gathered; /* the leader waits for as many as last time */
	/* the leader's own */
	pthread_mutex_t log; /* guards the store's log segment against priming */
	uint64_t last_sequence;
	_Atomic unsigned since_checkpoint;
	_Atomic bool roll;          /* the next group begins a new segment */
	_Atomic bool broken;        /* a group that failed may come back: nothing more is written */
	_Atomic bool uncut;         /* one stands in the log still, and has to be cut off first */
	bool told_full;             /* the log has heard that the disk is full, */
	_Atomic bool told_unsynced; /* that a sync of the index failed */
};

int commit_init(struct commit *);
void commit_clear(struct commit *);

/* Blocks until each of the list (linked by next) is done. Not on a reactor. */
void commit_wait(struct store *, struct pending *list);
/* op is set: it will be posted. */
void commit_submit(struct store *, struct pending *);
/* Nobody waits: it goes with the next group, with commit_soon(), or when much waits. A sync for each
 * message that is read would cost more than reading it. */
void commit_flag(struct store *, const char *origin, uint64_t account, uint32_t folder,
		 struct flag_change);
/* Somebody is called to lead if anything waits. Does not block. */
void commit_soon(struct store *);
/* Blocks until nothing waits; for stopping. */
void commit_flush(struct store *);

#endif
