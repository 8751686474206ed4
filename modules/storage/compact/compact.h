/*
 * compact.h - what nobody needs any more is given back to the disk: segments of which much is
 * expunged longer ago than `retention` are emptied and removed, while the store is used.
 */
#ifndef STORAGE_COMPACT_H
#define STORAGE_COMPACT_H

#include "evacuate.h"
#include "survey.h"

#include <postern/module.h>

struct store;

#define COMPACT_GONE_MAX 32

struct compact_tally {
	uint64_t segments, octets; /* removed; space on disk that came of it */
	uint64_t moved;            /* octets written again */
	uint64_t blocked;          /* segments that have to stay */
};

enum compact_phase {
	COMPACT_SURVEY,
	COMPACT_SEAL,
	COMPACT_CHOOSE,
	COMPACT_INSPECT,
	COMPACT_MOVE,
	COMPACT_REMOVE,
	COMPACT_END
};

struct compact_gone {
	uint32_t id;
	uint64_t written; /* octets that were written again */
};

/* One pass. Whoever runs it holds the lock of maintenance.h. */
struct compactor {
	struct store *store;
	uint64_t retention; /* ms */
	bool by_command;    /* of a segment that is written to, too, whatever its age */
	bool made_way;      /* it ended early because somebody waits */
	enum compact_phase phase;
	struct survey survey;
	struct survey_segment *chosen;
	struct evacuation evacuation;
	struct compact_gone gone[COMPACT_GONE_MAX]; /* to be removed */
	uint32_t gone_count;
	struct compact_tally tally;
	uint64_t read;        /* octets gone through in the last step */
	uint64_t done, total; /* octets of segments, for progress */
};

/* What the store remembers between passes; one thread at a time, but for the last. */
struct compaction {
	struct pstn_op *timer;
	struct compactor *run; /* in the background, being at it */
	_Atomic bool working;  /* a job is at a step */
	_Atomic bool draining; /* the next generation does it */
	bool unsynced;         /* a file that was removed may come back: its row has to stay */
	struct compact_futile {
		uint32_t id;
		uint64_t reclaimable;
	} * futile; /* segments that turned out not to be worth it */
	uint32_t futile_count, futile_room;
	_Atomic uint64_t last_time, last_segments, last_octets; /* of the last pass; time 0: none */
};

void compactor_begin(struct compactor *, struct store *, uint64_t retention, bool by_command);
/* A short step; blocks. false: it was the last one. */
bool compactor_step(struct compactor *);
void compactor_end(struct compactor *);

/* The background; on the control thread. */
void compaction_start(struct store *);
void compaction_drain(struct store *);
void compaction_stop(struct store *);

/* Ends logs of which enough is dead; the survey keeps the segments that are worth it, the best first;
 * compact_choose.c. */
void compactor_choose(struct compactor *);
/* So many octets of a segment's, by the threshold. */
bool compactor_worth(const struct compactor *, uint64_t octets, uint64_t of);
/* It is not looked at again until more of it can be given back. */
void compactor_remember_futile(struct compactor *, const struct survey_segment *);

/* Segments that are gone for the index lose their files; compact_remove.c. */
bool compactor_remove(struct compactor *);
void compactor_tell_blocked(struct compactor *, uint32_t segment, const char *why);

#endif
