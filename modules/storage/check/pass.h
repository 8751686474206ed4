/*
 * pass.h - where a walk through the whole store has come to, kept in a small file so that one that
 * was interrupted goes on.
 *
 * Written beside and renamed; versioned and checked. A file that cannot be used is none: the walk
 * begins anew, which costs time and nothing else.
 */
#ifndef STORAGE_PASS_H
#define STORAGE_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

#define PASS_CHECK  "check.pass" /* names of files in the store's directory */
#define PASS_REPAIR "repair.pass"
#define PASS_SCRUB  "scrub.pass"

#define PASS_FIRST_MAX 127

enum pass_step { STEP_ACCOUNT, STEP_FOLDER, STEP_MESSAGES, STEP_TOMBSTONES };
enum pass_phase { PASS_INDEX, PASS_SEGMENTS, PASS_DONE };

struct pass {
	uint32_t phase;
	uint32_t options; /* what was asked for: another wish begins anew */
	uint32_t step;    /* PASS_INDEX: what comes next, enum pass_step, */
	uint64_t account; /* of this account, */
	uint64_t folder;  /* from this folder on, */
	uint64_t uid;     /* from this message on */
	uint32_t segment; /* PASS_SEGMENTS: the one being read, */
	uint64_t offset;  /* from here on; 0: from its begin */
	uint64_t begun;   /* ms since 1970 */
	uint64_t ended;   /* likewise; 0: not yet */
	uint64_t accounts, folders, messages, records, octets; /* looked at */
	uint64_t faults, mended;
	char first[PASS_FIRST_MAX + 1]; /* the first fault, a sentence */
};

/* false: there is none that can be used. */
bool pass_load(struct store *, const char *name, struct pass *);
/* 0 or errno. */
int pass_save(struct store *, const char *name, const struct pass *);

#endif
