/*
 * segment.h - segment files to be written: making, preallocating, appending, cutting.
 *
 * Who writes a segment holds an exclusive lock (OFD) on its file; the lock dies with the process.
 */
#ifndef STORAGE_SEGMENT_H
#define STORAGE_SEGMENT_H

#include "format/record.h"

#include <pthread.h>
#include <sys/uio.h>

struct store;

#define SEGMENT_NAME      16
#define SEGMENT_TEMPORARY "new-"              /* begins the name of one that is being made */
#define SEGMENT_STEP      ((uint64_t)4 << 20) /* space is taken in steps of this */
#define SEGMENT_RESERVE   ((uint64_t)1 << 20) /* kept for deletions when the disk is full */

struct segment {
	int fd; /* -1: none */
	uint32_t id, kind;
	uint64_t seed;
	uint64_t end;       /* the next group begins here */
	uint64_t allocated; /* space on disk that is ours */
	uint64_t busy;      /* a group is being written up to here */
	uint64_t zeroed;    /* up to here blocks were written once: a sync touches no metadata */
};

void segment_name(char out[SEGMENT_NAME], uint32_t id);
/* The number of the segment whose file has this name; 0: none has. */
uint32_t segment_number(const char *name);
/* A new, locked, empty segment under its final name, durable. enum pstn_status. */
int segment_create(struct store *, enum segment_kind, struct segment *out);
/* Go on writing an existing one at `end`; PSTN_E_BUSY: another process has it. */
int segment_resume(struct store *, uint32_t id, uint64_t end, struct segment *out);
/* Make sure that `need` octets can be written at the end without asking the file system for
 * space; `reserve`: those kept for deletions may be used. PSTN_E_FULL, PSTN_E_TEMPORARY. */
int segment_room(struct segment *, uint64_t need, bool reserve);
/* 0 or errno. */
int segment_write(struct segment *, struct iovec *, size_t n, uint64_t offset);
int segment_sync(struct segment *);
/* What is at `end` and after never was; durable. 0 or errno; *unsure: it looks cut and may come
 * back. */
int segment_cut(struct segment *, uint64_t end, bool *unsure);
/* Write zeros ahead of the writer. */
void segment_prime(struct store *, struct segment *, pthread_mutex_t *, uint64_t limit);
/* Gives space that is not used back, save the reserve if it is to be kept, and lets go. */
void segment_close(struct segment *, bool keep_reserve);
/* An aborted large message: the file goes. */
void segment_discard(struct store *, struct segment *);

/* A file that nobody owns and no index knows goes, if nothing was ever committed in it: what cannot
 * be read is not thrown away. */
void segment_sweep(struct store *, const char *name);
/* Try to take the lock of a segment that nobody writes: 0, or PSTN_E_BUSY. */
int segment_lock(int fd);

#endif
