/*
 * fault.h - what is wrong with a store: kinds, what they mean, what to do; told to whoever asked.
 */
#ifndef STORAGE_FAULT_H
#define STORAGE_FAULT_H

#include "format/rows.h"

struct store;

enum fault_kind {
	FAULT_ROW,             /* a message's row fails its checksum */
	FAULT_NO_RECORD,       /* a row, and no sound record where it says */
	FAULT_OTHER_RECORD,    /* the record there is not what the row says */
	FAULT_SEGMENT_MISSING, /* a row, and its segment is not there or unreadable */
	FAULT_TEXT,            /* a message's text or dots fail their checksum */
	FAULT_RECORD,          /* another record's body fails its checksum */
	FAULT_GAP,             /* octets of a segment that are no sound record */
	FAULT_UNKNOWN,         /* a message that the index does not know */
	FAULT_FLAGS,           /* flags older than the segments say */
	FAULT_EXPUNGED,        /* a message that was expunged is shown */
	FAULT_FOLDER_ROW,      /* a folder's row fails its checksum */
	FAULT_FOLDER_TOTALS,
	FAULT_ACCOUNT_ROW,
	FAULT_ACCOUNT_TOTALS,
	FAULT_DOMAIN_TOTALS,
	FAULT_UIDL_MISSING, /* a brought unique id that cannot be looked up */
	FAULT_UIDL_STRAY,   /* a unique id's row that leads to no such message */
	FAULT_UIDL_TWICE,   /* two messages of a folder have the same one */
	FAULT_NAME_MISSING, /* a folder that cannot be found by its name */
	FAULT_NAME_STRAY,   /* a name that leads to no such folder */
	FAULT_CHANGE,       /* a row of the changes is unreadable */
	FAULT_SEGMENT_ROW,  /* a segment's row fails its checksum */
	FAULT_SEGMENT_SHORT,
	FAULT_SEGMENT_TOTALS,  /* live, dead, other are not what is in it */
	FAULT_SEGMENT_UNKNOWN, /* a file that no row tells of */
	FAULT_KINDS
};

struct fault {
	enum fault_kind kind;
	uint64_t account;
	uint32_t folder, uid;
	bool expunged; /* the row is a tombstone */
	uint32_t segment;
	uint64_t offset, octets; /* of a change: offset is its number */
	char uidl[UIDL_MAX + 1];
	char name[DOMAIN_MAX + 1]; /* a domain's, a folder's name or the like; "": none */
};

/* A fault with the names that an administrator knows. */
struct fault_named {
	const char *what, *advice;
	char account[ROW_NAME_MAX + 1], folder[FOLDER_NAME_MAX + 1], segment[24];
};

void fault_name(struct store *, const struct fault *, struct fault_named *);
/* A sentence, cut to size. */
void fault_text(const struct fault *, const struct fault_named *, char *out, size_t size);
/* An error event of the log. */
void fault_log(struct store *, const struct fault *, const struct fault_named *);
/* Whether mail is damaged or lost by it, not only what is looked up. */
bool fault_of_mail(enum fault_kind);

#endif
