/*
 * disk_parts.h - between disk.c, which remembers, and disk_calls.c, which catches the calls.
 */
#ifndef TESTS_DISK_PARTS_H
#define TESTS_DISK_PARTS_H

#include "disk.h"

enum disk_call {
	CALL_WRITE,
	CALL_TRUNCATE,
	CALL_ALLOCATE,
	CALL_ENTER,
	CALL_REMOVE,
	CALL_SYNC,
	CALL_READ
};

/* Whether calls have to be looked at; false: let them pass. */
bool disk_watches(void);
/* What disk_sparse() said. */
bool disk_is_sparse(void);
/* Nothing else happens to the disk until leave. errno survives. */
void disk_enter(void);
void disk_leave(void);
/* The number of an open file or directory below the watched one; 0: it is elsewhere. */
uint32_t disk_object(int fd);
/* Likewise of the directory that holds `path`, and the last part of the name; 0: elsewhere. */
uint32_t disk_parent(int dirfd, const char *path, char name[DISK_NAME]);
/* The object that has this name now; 0: none. */
uint32_t disk_named(int dirfd, const char *path);
/* A new object for what has just been made. */
uint32_t disk_made(int dirfd, const char *path, bool directory);
/* What the call has to fail with: an errno; 0: it goes on; -1: only *length octets of it. `end` is
 * where the file would end. */
int disk_verdict(enum disk_call, uint32_t object, uint64_t end, size_t *length);
/* The call was done. */
void disk_note(const struct disk_op *);
void disk_note_size(uint32_t object, uint64_t end, bool allocation);
void disk_note_write(uint32_t object, const void *bytes, size_t length, uint64_t offset);

#endif
