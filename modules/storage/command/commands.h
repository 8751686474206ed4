/*
 * commands.h - what posternctl can ask of the store; the parts of it that are files of their own.
 */
#ifndef STORAGE_COMMANDS_H
#define STORAGE_COMMANDS_H

#include "format/record.h"

#include <postern/commands.h>
#include <postern/directory.h>

struct store;

extern const struct pstn_commands commands_table;

/* The account of argument "user"; false: the call has failed with a sentence. */
bool command_account(struct store *, struct pstn_call *, struct pstn_account *);
/* Option "folder", INBOX by default; NULL: failed. */
const char *command_folder(struct store *, struct pstn_call *);
/* Option "limit", a number; false: failed. */
bool command_limit(struct store *, struct pstn_call *, uint32_t usual, uint32_t *limit);
/* Option "over-quota": what is brought to the account counts, but is not limited. */
void command_over_quota(struct store *, struct pstn_call *, struct pstn_account *);
/* A moment that is given as an option, ms since 1970; untouched if it is not. false: failed. */
bool command_moment(struct store *, struct pstn_call *, const char *option, uint64_t *ms);
/* Their names. */
void command_flags_text(uint32_t flags, char out[64]);
/* Who asks, as the origin of the changes made for it; what: one word of at most 8 letters. */
void command_origin(struct store *, struct pstn_call *, const char *what, char out[ORIGIN_MAX + 1]);
/* A status as the end of a sentence. */
const char *command_reason(int status);

void command_deliver(void *inst, struct pstn_call *);
void command_fetch(void *inst, struct pstn_call *);
void command_import(void *inst, struct pstn_call *);
void command_export(void *inst, struct pstn_call *);
void command_uidl_diff(void *inst, struct pstn_call *);
void command_check(void *inst, struct pstn_call *);
void command_repair(void *inst, struct pstn_call *);
void command_status(void *inst, struct pstn_call *);
void command_rebuild(void *inst, struct pstn_call *);
void command_compact(void *inst, struct pstn_call *);
void command_list(void *inst, struct pstn_call *);
void command_purge(void *inst, struct pstn_call *);
void command_quota(void *inst, struct pstn_call *);
void command_show(void *inst, struct pstn_call *);
void command_undelete(void *inst, struct pstn_call *);
void command_restore(void *inst, struct pstn_call *);
void command_history(void *inst, struct pstn_call *);

/* What `storage status` says of compaction, into an open object. */
void compact_status(struct store *, struct pstn_call *);

/* After so many failed reads of messages in a row a command stops: the disk is gone. With fewer it
 * leaves these messages out and goes on. */
#define COMMAND_UNREADABLE_MAX 16

#endif
