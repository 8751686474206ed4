/*
 * backup_restore.h - a restore under way; what its files share.
 */
#ifndef STORAGE_BACKUP_RESTORE_H
#define STORAGE_BACKUP_RESTORE_H

#include "backup.h"
#include "backup_message.h"
#include "backup_replay.h"
#include "commit/bundle.h"
#include "delivery/uidl_set.h"
#include "index/keywords.h"

#include <postern/directory.h>

struct owner { /* an account of the snapshot: of several with one name the last one made counts */
	uint64_t name; /* its checksum */
	uint64_t id;
};

struct restore {
	struct backup backup;
	struct manifest manifest;
	struct replay replay;
	struct message_reader reader;
	struct bundle bundle;
	MDB_txn *txn; /* of the snapshot's index */
	struct owner *owners;
	void (*each)(struct restore *, uint64_t id, const struct account_row *);
	size_t nowners;
	/* what is asked for */
	const char *user, *into, *message; /* NULL: all, each its own, all */
	char user_name[PSTN_ACCOUNT_NAME_MAX + 1];
	bool dry_run;
	/* the mailbox under way */
	struct pstn_account target; /* id 0: dry run, it would be added */
	const char *folder;
	struct uidl_set there;
	struct keywords keywords;  /* of the snapshot's folder */
	struct keyword_list names; /* of a message */
	bool no_quota;             /* the target holds as much as it may */
	uint64_t refused_here;
	char origin[ORIGIN_MAX + 1];
	/* the result */
	uint64_t accounts_added, folders_added, wanted, seen, total;
	uint64_t keywords_left_out; /* the folder here has 64 others */
	uint64_t restored, octets, present, damaged, refused, left_out;
	int status; /* not PSTN_OK: stop */
};

/* Whether somebody has to stop: it failed, or was cancelled. */
bool restore_stopped(const struct restore *);

/* ---- backup_accounts.c ---- */

/* The accounts of the snapshot that are wanted; those that are not are counted as left out. */
typedef void restore_account(struct restore *, uint64_t id, const struct account_row *);
void restore_each_account(struct restore *, restore_account *);
/* Who had which name last, and how many messages are wanted. false: r->status, or no memory. */
bool restore_gather_owners(struct restore *);
/* Adds the accounts that are missing, as far as they are asked for. false: the person has been
 * told. */
bool restore_prepare_accounts(struct restore *);
/* --into is an account, and goes with --user. false: the person has been told. */
bool restore_check_into(struct restore *);

#endif
