/*
 * disk.h - a disk that remembers and that fails.
 *
 * Every call by which the test program, or LMDB inside of it, changes files below one directory is
 * caught (disk_calls.c: symbols of a program win over libc's, also for its shared libraries), done,
 * and recorded in order. What is recorded lies in memory that is shared with child processes, so
 * that the history of several processes is one. Or the n-th of the calls is made to fail.
 *
 * What is written through a mapping is not seen: of a store these are the lock pages, whose contents
 * do not outlast a power cut anyway.
 */
#ifndef TESTS_DISK_H
#define TESTS_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DISK_NAME 40

enum disk_kind {
	DISK_WRITE,    /* bytes NULL: zeros */
	DISK_TRUNCATE, /* offset: the new size */
	DISK_EXTEND,   /* to at least this size: offset */
	DISK_ENTER,    /* a name in a directory, for a file or directory: made or linked */
	DISK_REMOVE,   /* a name */
	DISK_RENAME,
	DISK_SYNC,     /* of an object: a file's data and size, a directory's names */
	DISK_SYNC_ALL, /* of the file system */
	DISK_MARK      /* not the disk's: what somebody was told, see disk_mark() */
};

struct disk_op {
	enum disk_kind kind;
	uint32_t object;    /* what is written, synced or named */
	uint32_t directory; /* of the name; of a rename both */
	uint32_t mark, value;
	uint64_t offset, length;
	const unsigned char *bytes;
	char name[DISK_NAME], to[DISK_NAME];
};

struct disk_history {
	const struct disk_op *ops;
	uint32_t count;
	uint32_t first;          /* before it: what was there at the begin, durably */
	uint32_t objects;        /* numbered from 1; 1 is the directory itself */
	const bool *directories; /* by number: whether it is one */
};

/* Before the first fork. From now on what happens below the directory is recorded. */
void disk_record(const char *directory);
/* What was recorded so far; stays until the next disk_record(). */
void disk_stop(struct disk_history *);
/* Notes in the history what a client was told at this moment. */
void disk_mark(uint32_t mark, uint32_t value);

/* From now on zeros are holes: allocations and long runs of zeros take no memory where files lie in
 * memory. What a reader sees is the same. */
void disk_sparse(bool sparse);

/* ---- failing ---- */

struct disk_fault {
	uint32_t at;     /* the n-th call that counts fails, from 1; 0: none */
	uint32_t times;  /* how many calls in a row; 0: all from then on */
	int error;       /* errno, or 0: the call is cut short, if it can be */
	bool space_only; /* only calls that need new space fail */
	bool read_only;  /* syncs go on: a file system that may be read only now */
	bool reads;      /* reads count and fail instead */
};

/* For files below the directory; counts from 1 again. Not shared: a child has its own. */
void disk_fail(const char *directory, const struct disk_fault *);
/* A file is about to be made by a call that is not caught: 0, or the errno that it fails with. */
int disk_makes_file(void);
/* All works again. The number of calls that counted; *hit: how many failed. */
uint32_t disk_heal(uint32_t *hit);

#endif
