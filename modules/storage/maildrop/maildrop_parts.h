/*
 * maildrop_parts.h - what maildrop.c and removal.c share.
 */
#ifndef STORAGE_MAILDROP_PARTS_H
#define STORAGE_MAILDROP_PARTS_H

#include "maildrop.h"
#include "view.h"

#include <stdatomic.h>

/* Numbers whose rows a job has brought into memory a moment ago. */
struct near {
	uint64_t first, end;
	uint64_t until; /* host->now() */
};

struct pstn_maildrop {
	struct view view;
	struct pstn_session *session;
	atomic_uint refs; /* the session's, and one of each job under way */
	struct near near;
	bool flagged; /* flags were changed, for which nobody waits */
	bool mapped;  /* the map from numbers to uids is made and will not change */
};

void maildrop_release(struct pstn_maildrop *);
int maildrop_expunge(struct pstn_maildrop *, const uint32_t *numbers, uint32_t n, pstn_done *,
		     void *arg);

#endif
