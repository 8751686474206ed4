/*
 * files.h - open segments to read from: a bounded number of descriptors, shared and counted.
 */
#ifndef STORAGE_FILES_H
#define STORAGE_FILES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FILES_MAX 128

struct store;

struct file {
	struct store *store;
	int fd;
	uint32_t id;
	uint64_t seed;
	_Atomic uint64_t length; /* it was at least that long */
	atomic_uint refs;
	struct file *left;
};

struct files {
	pthread_mutex_t mutex;
	struct file *slots[FILES_MAX]; /* by id modulo; each holds a reference */
	struct file *left;             /* nobody's any more, still to be closed */
};

int files_init(struct files *);
void files_clear(struct files *);
/* A reference to the segment's file; NULL and *status, PSTN_E_NOT_FOUND if there is none. Without
 * may_block only what is open. */
struct file *files_get(struct store *, uint32_t id, bool may_block, int *status);
void file_release(struct file *);
/* The same on a reactor. Who closes a removed file last waits until its blocks are free: that is left
 * to files_tidy(). */
void file_leave(struct file *);
/* Closes what was left. Segments whose files were removed are not kept open, so that their space is
 * given back. May wait for the disk. */
void files_tidy(struct files *);
/* Whether the file is as long; asks the system only for more than was known. */
bool file_reaches(struct file *, uint64_t end);

#endif
