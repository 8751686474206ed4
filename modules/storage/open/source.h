/*
 * source.h - a segment as recovery reads it.
 */
#ifndef STORAGE_SOURCE_H
#define STORAGE_SOURCE_H

#include "index/apply.h"
#include "segment/scan.h"

struct store;

struct source { /* a segment that may have something new */
	struct source *next;
	uint32_t id, kind;
	int fd;             /* -1: not begun */
	uint64_t from;      /* where the index's knowledge ends */
	uint64_t sequence;  /* of the first record not yet applied */
	uint64_t committed; /* groups up to this sequence are known to have been safe */
	uint64_t seed, size;
	bool has_record, done;
	bool keep; /* something unreadable is at its end: never write there */
	/* Likewise, but it may be of a group of which nobody was told: source_settle() decides. */
	bool doubtful;
	uint64_t end;     /* of what can be read, if it is one of these, */
	uint64_t used;    /* and of what is not zeros */
	uint64_t claimed; /* the sequence that stands behind it, if there is a head */
	struct scan scan;
};

struct recovery {
	struct store *store;
	struct source *sources;
	struct source *kept; /* done, and to be sealed or settled */
	struct apply apply;
	bool rebuilding;
	uint64_t begun;   /* the last sequence that the index knew before, */
	uint64_t hole;    /* and the last one behind it that no record has been found of */
	uint32_t highest; /* number of a segment */
	uint64_t lost;    /* octets that could not be read, not yet added to those of the state */
	uint64_t records;
	uint64_t octets; /* of records applied, to tell how far it is, */
	uint64_t ahead;  /* read since, */
	uint64_t total;  /* and there were at the begin */
	char *err;
	size_t err_size;
};

/* All: 0, or -1 and a sentence in the recovery's err. */

/* Looks at the segment: whether it can be read, and which group comes first from s->from on. */
int source_begin(struct recovery *, struct source *);
/* The next one; at the end the segment is cut behind the last, and s->done set. */
int source_advance(struct recovery *, struct source *);
/* A rebuild has thousands of segments, of which few overlap: file and memory go until the segment's
 * turn comes. */
void source_park(struct recovery *, struct source *);
/* Opens it (again) and finds the first record from s->from on that counts. */
int source_unpark(struct recovery *, struct source *);
/* All others have been read: what is behind the end of a doubtful one is cut, or kept set. */
int source_settle(struct recovery *, struct source *);
void source_free_all(struct recovery *, struct source **list);

int recovery_fail(struct recovery *, uint32_t segment, const char *what);
void recovery_tell_damage(struct recovery *, const struct source *);

#endif
