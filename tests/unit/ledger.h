/*
 * ledger.h - what the clients of a store were told, and whether a store keeps to it.
 *
 * A workload delivers and removes numbered messages through the ledger, which notes in the disk's
 * history what was asked for and what was acknowledged. Whatever image of the disk is opened later
 * has to agree with what had been told by then.
 */
#ifndef TESTS_LEDGER_H
#define TESTS_LEDGER_H

#include "disk.h"
#include "storage_rig.h"

#define LEDGER_MESSAGES 1000

enum ledger_mark {
	LEDGER_NONE,
	LEDGER_SENT,    /* may be there from now on */
	LEDGER_SAFE,    /* has to be there */
	LEDGER_LEAVING, /* may be gone */
	LEDGER_GONE,    /* has to be */
	LEDGER_WEAK,    /* nothing is promised of what was delivered or removed since the last
			    LEDGER_SYNCED: the durability is lowered */
	LEDGER_SYNCED,
	LEDGER_INDEXED /* the index has a checkpoint: it need not be made anew any more */
};

/* Forgets everything; shared by the processes forked afterwards. */
void ledger_begin(void);
/* Message n is delivered: its user, folder, length and text follow from n. A status. */
int ledger_deliver(struct rig *, uint32_t n);
/* That message n was refused was final: it must not come. */
void ledger_refused(uint32_t n);
/* Those from first on at once: they share groups. */
void ledger_deliver_group(struct rig *, uint32_t first, uint32_t count);
/* The same; when all of them wait to be committed something else is done. */
void ledger_deliver_while(struct rig *, uint32_t first, uint32_t count,
			  void (*meanwhile)(struct rig *));
/* Removes message n. A status. */
int ledger_remove(struct rig *, uint32_t n);
/* Sets and clears flags of what is in the folder of message n; nobody waits for them. */
void ledger_flag(struct rig *, uint32_t n, uint32_t add, uint32_t remove);
/* A command (an import, a restore) is about to bring message n: it may be there from now on; and it
 * has brought it. It may have been there before, and been removed. */
void ledger_coming(uint32_t n);
void ledger_came(struct rig *, uint32_t n);
/* The users' accounts, in a directory that can be copied into a backup. */
void ledger_accounts(struct rig *);
/* An mbox file with these messages, which are ann's, in her INBOX; a command imports it. */
void ledger_write_mbox(const uint32_t *messages, size_t n);
const char *ledger_import(struct rig *);
/* A path in the scratch directory, beside the store's; a static buffer. */
const char *ledger_scratch(const char *name);
/* Text of message n in wire form; a static buffer. */
const char *ledger_text(uint32_t n, size_t *length);
const char *ledger_user(uint32_t n);
const char *ledger_folder(uint32_t n);

/* What was told by the first `ops` of the history counts from now on; UINT32_MAX: by all of it. */
void ledger_at(const struct disk_history *, uint32_t ops);
/* Whether the index has a checkpoint at that moment. */
bool ledger_indexed(void);
/* NULL, or what is wrong with the open store: a static sentence. */
const char *ledger_check(struct rig *);
/* Delivers one more message to each folder: NULL, or what is wrong with that. They count from now
 * on for ledger_check(). */
const char *ledger_continue(struct rig *, uint32_t first);

#endif
