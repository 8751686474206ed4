/*
 * maildrop_parts.h - what maildrop.c, listing.c and removal.c share.
 */
#ifndef STORAGE_MAILDROP_PARTS_H
#define STORAGE_MAILDROP_PARTS_H

#include "maildrop.h"
#include "segment/fetch.h"
#include "view.h"

#include <stdatomic.h>

/* Numbers whose rows a job has brought into memory a moment ago. */
struct near {
	uint64_t first, end;
	uint64_t until; /* host->now() */
};

/* Rows that a job has read and that have not been asked for yet: a listing asks for a few at a time. */
struct listed {
	struct pstn_message *rows; /* NULL: none */
	uint32_t room;
	uint32_t first, next,
	    end; /* numbers: of rows[0]; of the next to be given; after the last */
};

struct pstn_maildrop {
	struct view view;
	struct pstn_session *session;
	atomic_uint refs; /* the session's, and one of each job under way */
	struct near near;
	struct listed listed;
	bool flagged; /* flags were changed, for which nobody waits */
	bool mapped;  /* the map from numbers to uids is made and will not change */
};

/* One call, which is tried on the reactor first, where it must not wait, and again on a job thread
 * if it says VIEW_COLD. Results go to the caller's memory on the reactor only, because that memory is
 * gone when the session is. */
struct call {
	struct pstn_maildrop *drop;
	int (*run)(struct call *, bool may_block);
	void (*give)(struct call *);    /* results to the caller */
	void (*discard)(struct call *); /* results to nobody */
	pstn_done *done;
	void *arg;
	union {
		struct {
			struct pstn_maildrop **out;
			char folder[FOLDER_NAME_MAX + 1];
		} open;
		struct {
			struct pstn_maildrop_totals *out;
		} totals;
		struct {
			uint32_t first, max;
			struct pstn_message *out;
			uint32_t *count;
			bool many;    /* a listing, not one that is looked up */
			bool batched; /* by a job, else the rows are out already */
		} list;
		struct {
			uint32_t number;
			struct pstn_content content, *out;
		} read;
	};
};

int maildrop_call(struct call *);
void maildrop_release(struct pstn_maildrop *);

/* ---- rows near by, for calls that need one ---- */

/* Whether a job has read of the folder a moment ago, so that its totals can be had without waiting. */
bool maildrop_was_near(const struct pstn_maildrop *);
/* Whether a reactor can read the row without waiting. */
bool maildrop_is_near(const struct pstn_maildrop *, uint32_t number);
/* Makes it so, for those that follow as well. After view_map(), on a job thread. */
void maildrop_bring_near(struct pstn_maildrop *, uint32_t number);
/* The same of a whole folder that is small; of a large one nothing is done, and it is never so. What
 * cannot be read is not near, and whoever asks for it is told by a job. */
bool maildrop_is_all_near(const struct pstn_maildrop *);
void maildrop_bring_all_near(struct pstn_maildrop *);
/* A job has done so for the same folder a moment ago. */
void maildrop_set_all_near(struct pstn_maildrop *);

/* ---- members of the table ---- */

int maildrop_list(struct pstn_maildrop *, uint32_t first, struct pstn_message *rows, uint32_t max,
		  uint32_t *count, pstn_done *, void *arg);
/* What a job has read for a listing is read again when it is next asked for. */
void maildrop_forget_rows(struct pstn_maildrop *);
int maildrop_expunge(struct pstn_maildrop *, const uint32_t *numbers, uint32_t n, pstn_done *,
		     void *arg);

#endif
