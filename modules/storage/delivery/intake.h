/*
 * intake.h - a delivery, and what takes its text.
 */
#ifndef STORAGE_INTAKE_H
#define STORAGE_INTAKE_H

#include "delivery.h"
#include "format/rows.h"
#include "format/wire.h"
#include "segment/segment.h"

#include <postern/directory.h>

#include <stdatomic.h>

#define DOT_LINES_MAX \
	((uint64_t)1 << 20) /* of a message: their positions are held while it is read */

struct pstn_delivery {
	struct store *store;
	struct pstn_session *session;
	struct pending pending;
	struct wire wire;
	struct wire_out out;
	struct segment large;
	void *sum_memory; /* of sum_state() */
	uint64_t room;    /* octets that may come before the quota has to be asked again */
	uint64_t written; /* octets of a large one in the file */
	bool dots_lost;
	uint64_t dots_before; /* how many of them */
	bool sealed;          /* given to the group */
	bool committed;       /* else its segment is discarded */
	atomic_uint refs;     /* the deliverer's, and one of a job under way */
	int status;           /* not PSTN_OK: nothing more is taken */
	uint64_t expected;    /* octets that were announced; 0: unknown */
	/* the call under way */
	struct pstn_delivery **begun;
	const char *in;
	size_t in_length;
	char *copy; /* of what a job takes */
	char *keywords;
	struct pstn_delivered *delivered;
	pstn_done *done;
	void *arg;
	char account_name[PSTN_ACCOUNT_NAME_MAX + 1];
	char folder_name[FOLDER_NAME_MAX + 1];
};

/* Takes d->in; VIEW_COLD leaves what has to be taken where it may wait. */
int intake_take(struct pstn_delivery *, bool may_block);
/* A status that is not PSTN_OK stays: nothing more is taken. */
int intake_settle(struct pstn_delivery *, int status);

#endif
