/*
 * recall.h - messages of a mailbox are brought back: what undelete and restore share. A message
 * comes back as a new one, with a new uid, but with its unique id, flags, dates and octets.
 */
#ifndef STORAGE_RECALL_H
#define STORAGE_RECALL_H

#include "command/commands.h"
#include "commit/bundle.h"
#include "delivery/uidl_set.h"
#include "format/rows.h"
#include "index/keywords.h"

#define RECALL_LOST_MAX 100 /* named one by one; more are counted */

struct recall_folder {
	uint32_t id; /* of the account from which messages are brought back */
	char name[FOLDER_NAME_MAX + 1];
	uint64_t restored, octets;
	uint64_t kept;          /* there already */
	uint64_t removed;       /* came later, and are expunged */
	uint64_t reset;         /* have flags as they were */
	uint64_t keywords_lost; /* the target's folder has 64 others */
	uint64_t lost;          /* damaged, or not to be delivered; see recall.lost */
	uint64_t expired;       /* given up by compaction meanwhile */
};

struct recall_lost {
	const struct recall_folder *folder;
	uint32_t uid;
	int status;
	char uidl[UIDL_MAX + 1];
};

struct recall {
	struct store *store;
	struct pstn_call *call;
	const char *what;            /* "undelete": for messages and origins */
	struct pstn_account account; /* whose messages are looked at */
	struct pstn_account target;  /* who gets them */
	bool dry_run;                /* only count them */
	bool live_too;               /* messages that are there are looked at, too */
	char origin[ORIGIN_MAX + 1];
	struct recall_folder *folders;
	uint32_t nfolders;
	struct recall_folder *folder; /* at present */
	struct uidl_set there;        /* of the target's folder */
	struct keywords keywords;     /* of the folder: bits are its own, so they go by name */
	struct keyword_list names;    /* of a message */
	struct bundle bundle;
	struct pstn_delivery *current;
	bool taken;                 /* what was read of it could be written */
	uint64_t unreadable;        /* left out: reading them failed */
	unsigned unreadable_in_row; /* the last so many */
	struct recall_lost lost[RECALL_LOST_MAX];
	unsigned nlost;
	uint64_t done, total; /* messages looked at, for progress */
	int status;           /* not PSTN_OK: stop */
};

/* Accounts and folders; false: the call has failed. recall_end() in any case. */
bool recall_begin(struct recall *, struct store *, struct pstn_call *, const char *what);
/* One folder by its name, or all; PSTN_E_NOT_FOUND: no such folder. */
int recall_find_folders(struct recall *, const char *name);
void recall_end(struct recall *);

/* Between these messages of one folder come back. Status is in the recall. */
void recall_begin_folder(struct recall *, struct recall_folder *);
void recall_end_folder(struct recall *);
/* Brings one back, unless its unique id is there; false: stop. */
bool recall_message(struct recall *, uint32_t uid, const struct message_row *, uint32_t flags,
		    uint64_t keywords);
/* One whose row cannot be read does not come back. */
void recall_lose(struct recall *, uint32_t uid, const struct message_row *, int status);
/* One was looked at; false: stop. */
bool recall_step(struct recall *);

/* What has become of all: the members "folders" and "not_restored" of the answer. */
void recall_answer(struct recall *);
/* The call has failed for recall.status, or for what could not be read. */
void recall_fail(struct recall *);

#endif
