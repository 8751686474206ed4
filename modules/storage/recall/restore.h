/*
 * restore.h - a restore under way; what its files share.
 */
#ifndef STORAGE_RESTORE_H
#define STORAGE_RESTORE_H

#include "burials.h"
#include "command/folder_rows.h"
#include "past.h"
#include "recall.h"

#define RESTORE_CHANGES 64 /* flags that are set back, or ranges that are removed, in one go */

struct restore {
	struct recall recall;
	uint64_t moment; /* ms since 1970 */
	bool elsewhere;  /* into another account */
	bool exact;      /* what came later goes, flags are as they were */
	/* of the folder at present */
	struct past past;
	struct folder_rows live, dead;
	/* restore_exact.c */
	struct burials held; /* tombstones of what was there */
	uint32_t uidnext;    /* what comes while we work stays */
	struct flag_change flags[RESTORE_CHANGES];
	uint32_t nflags;
	struct uid_range ranges[RESTORE_CHANGES];
	uint32_t nranges;
};

/* Before anything is brought back to the folder. enum pstn_status. */
int restore_exact_begin(struct restore *);
/* When it is: sets the rest of the folder back. */
void restore_exact(struct restore *);
void restore_exact_end(struct restore *);

#endif
