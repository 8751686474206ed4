/*
 * commands.c - the table of commands, and what all of them need.
 */
#include "commands.h"

#include "backup/backup.h"
#include "delivery/delivery.h"
#include "delivery/quota.h"
#include "recall/when.h"
#include "store.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- what all of them need ---- */

const char *command_reason(int status)
{
	switch (status) {
	case PSTN_E_NOT_FOUND:
		return "there is no such folder or message";
	case PSTN_E_GONE:
		return "the message has been removed";
	case PSTN_E_FULL:
		return "the disk is full; make space and try again";
	case PSTN_E_TEMPORARY:
		return "an input or output error; the log has more";
	case PSTN_E_DAMAGED:
		return "the data is damaged; the log says where, `storage check` finds all such "
		       "places";
	case PSTN_E_INVALID:
		return "an argument cannot be used";
	case PSTN_E_NO_MEMORY:
		return "there is not enough memory";
	case PSTN_E_TOO_LARGE:
		return "the message is larger than message_size_limit, or has more than 1048576 "
		       "lines that begin with a dot";
	case PSTN_E_QUOTA:
		return "the account or its domain holds as much as it may; `mailbox quota` tells "
		       "which, --over-quota brings it all the same";
	case PSTN_E_EXISTS:
		return "it is there already";
	case PSTN_E_CANCELLED:
		return "it was cancelled";
	default:
		return "it failed; the log has more";
	}
}

bool command_account(struct store *st, struct pstn_call *c, struct pstn_account *out)
{
	const struct pstn_call_ops *call = st->host->call;
	const char *user = call->arg(c, "user");
	int status = PSTN_E_INVALID;

	out->size = sizeof(*out);
	if (user)
		status = st->directory->lookup(st->directory_inst, user, out);
	if (status == PSTN_OK)
		return true;
	if (status == PSTN_E_NOT_FOUND)
		call->fail_as(c, status,
			      "There is no account \"%s\". `account list` shows all, `account add` "
			      "makes one.",
			      user);
	else if (status == PSTN_E_INVALID)
		call->fail_as(c, PSTN_E_NOT_FOUND,
			      "\"%s\" is not an account name; write user@domain.",
			      user ? user : "");
	else
		call->fail_as(c, status, "The account \"%s\" could not be looked up: %s.", user,
			      command_reason(status));
	return false;
}

const char *command_folder(struct store *st, struct pstn_call *c)
{
	const struct pstn_call_ops *call = st->host->call;
	const char *folder = call->arg(c, "folder");
	const char *fault;

	if (!folder)
		return "INBOX";
	fault = folder_name_fault(folder);
	if (!fault)
		return folder;
	call->fail_as(c, PSTN_E_INVALID, "The folder's name %s.", fault);
	return NULL;
}

void command_origin(struct store *st, struct pstn_call *c, const char *what,
		    char out[ORIGIN_MAX + 1])
{
	snprintf(out, ORIGIN_MAX + 1, "ctl:%u %s", (unsigned)st->host->call->uid(c), what);
}

bool command_limit(struct store *st, struct pstn_call *c, uint32_t usual, uint32_t *limit)
{
	const char *text = st->host->call->arg(c, "limit");
	char *end;
	unsigned long n;

	*limit = usual;
	if (!text)
		return true;
	n = strtoul(text, &end, 10);
	*limit = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX - 1;
	if (*text >= '0' && *text <= '9' && *end == '\0')
		return true;
	st->host->call->fail(c, "--limit takes a number, not \"%s\".", text);
	return false;
}

void command_over_quota(struct store *st, struct pstn_call *c, struct pstn_account *account)
{
	if (st->host->call->arg(c, "over-quota"))
		account->quota = account->domain_quota = (struct pstn_quota){0, 0};
}

bool command_moment(struct store *st, struct pstn_call *c, const char *option, uint64_t *ms)
{
	const char *text = st->host->call->arg(c, option);

	if (!text || when_parse(text, store_time(), ms))
		return true;
	st->host->call->fail(c, "--%s: \"%s\" is no moment; write " WHEN_EXAMPLES ".", option,
			     text);
	return false;
}

void command_flags_text(uint32_t flags, char out[64])
{
	static const char *const names[] = {"seen", "answered", "flagged", "deleted", "draft"};
	size_t used = 0;

	out[0] = '\0';
	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (flags & 1U << i)
			used += (size_t)snprintf(out + used, 64 - used, "%s%s", used ? " " : "",
						 names[i]);
	}
}

/* ---- the table ---- */

static const struct pstn_arg no_args[] = {{0}};

static const struct pstn_arg check_args[] = {
    {"user", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "one account's mailbox only"},
    {"quick", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "without reading texts"},
    {"restart", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "do not go on with one that was interrupted"},
    {0},
};

static const struct pstn_arg repair_args[] = {
    {"user", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "one account's mailbox only"},
    {"dry-run", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "only tell what would be done"},
    {"drop-damaged", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL,
     "remove messages that cannot be read any more"},
    {"quick", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "without reading texts"},
    {"restart", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "do not go on with one that was interrupted"},
    {0},
};

static const struct pstn_arg scrub_args[] = {
    {"status", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "only tell how the last one went"},
    {0},
};

static const struct pstn_arg purge_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account that was removed, as `mailbox list` shows it"},
    {"dry-run", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "tell what would go; change nothing"},
    {0},
};

static const struct pstn_arg show_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "folder, INBOX by default"},
    {"limit", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "at most so many messages, 100 by default"},
    {0},
};

static const struct pstn_arg deliver_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"message", PSTN_ARG_INPUT, 0, "the message"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "folder, INBOX by default; made if missing"},
    {0},
};

static const struct pstn_arg import_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"source", PSTN_ARG_FILE, PSTN_ARG_OR_DIRECTORY,
     "mbox file or -, Maildir with its folders, directory of mboxes or of one-message files"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "everything into this folder, made if missing; without the source's subfolders"},
    {"uidls", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL | PSTN_ARG_IS_FILE,
     "listing of unique ids from the old server: dovecot-uidlist, doveadm fetch, "
     "courierpop3dsizelist, mbexamine, or the answers to UIDL and LIST"},
    {"uidl-format", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "Dovecot's pop3_uidl_format; %08Xu%08Xv by default"},
    {"over-quota", PSTN_ARG_SWITCH, 0,
     "also what the quota of the account or its domain does not admit"},
    {"no-uidls", PSTN_ARG_SWITCH, 0, "new unique ids for all, whatever lies in the source"},
    {0},
};

static const struct pstn_arg export_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"directory", PSTN_ARG_DIRECTORY, PSTN_ARG_WRITES,
     "an empty directory, or one with an earlier export of the account"},
    {"format", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "maildir (default) or mbox"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "this folder alone"},
    {0},
};

static const struct pstn_arg uidl_diff_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"listing", PSTN_ARG_FILE, 0, "listing of unique ids from the old server, as for import"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "folder, INBOX by default"},
    {"uidl-format", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "Dovecot's pop3_uidl_format; %08Xu%08Xv by default"},
    {"limit", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "name at most so many of a kind, 20 by default"},
    {0},
};

static const struct pstn_arg quota_args[] = {
    {"owner", PSTN_ARG_TEXT, PSTN_ARG_OPTIONAL, "account user@domain, or domain; all accounts"},
    {0},
};

static const struct pstn_arg fetch_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"message", PSTN_ARG_TEXT, 0, "unique id (UIDL) or number"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "folder, INBOX by default"},
    {0},
};

static const struct pstn_arg undelete_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"since", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "what was deleted since then: " WHEN_EXAMPLES "; all by default"},
    {"uidl", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "the message with this unique id, or several with spaces between them"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "folder, INBOX by default"},
    {"all-folders", PSTN_ARG_SWITCH, 0, "in all folders"},
    {"over-quota", PSTN_ARG_SWITCH, 0,
     "also what the quota of the account or its domain does not admit"},
    {"dry-run", PSTN_ARG_SWITCH, 0, "show what would come back, change nothing"},
    {"limit", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "show at most so many messages in a dry run, 100 by default"},
    {0},
};

static const struct pstn_arg restore_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"at", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "the moment, which has to be given: " WHEN_EXAMPLES},
    {"into", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "another account, which gets a copy of all that was there"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "this folder, all by default"},
    {"exact", PSTN_ARG_SWITCH, 0, "also remove what came later, and set flags back"},
    {"over-quota", PSTN_ARG_SWITCH, 0,
     "also what the quota of the account or its domain does not admit"},
    {"dry-run", PSTN_ARG_SWITCH, 0, "count what would be done, change nothing"},
    {0},
};

static const struct pstn_arg history_args[] = {
    {"user", PSTN_ARG_TEXT, 0, "account, user@domain"},
    {"folder", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "this folder, all by default"},
    {"since", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "from then on: " WHEN_EXAMPLES},
    {"limit", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "the newest so many events, 100 by default"},
    {"uidl", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "of the message with this unique id"},
    {0},
};

static const struct pstn_arg compact_args[] = {
    {"retention", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL,
     "12h, 7d, 0: as if the option `retention` were this, this once; what was deleted longer ago "
     "cannot be brought back any more"},
    {0},
};

#define BACKUP_ARG                                                                 \
	{                                                                          \
		BACKUP_DIRECTORY, PSTN_ARG_DIRECTORY, 0, "where the snapshots are" \
	}
#define BACKUP_ARG_CHANGED                                                                       \
	{                                                                                        \
		BACKUP_DIRECTORY, PSTN_ARG_DIRECTORY, PSTN_ARG_WRITES, "where the snapshots are" \
	}

static const struct pstn_arg backup_create_args[] = {
    BACKUP_ARG_CHANGED,
    {"rate", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "octets a second at most: 500K, 20M"},
    {0},
};

static const struct pstn_arg backup_list_args[] = {BACKUP_ARG, {0}};

static const struct pstn_arg backup_verify_args[] = {
    BACKUP_ARG,
    {"snapshot", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "this one alone; all by default"},
    {0},
};

static const struct pstn_arg backup_restore_args[] = {
    BACKUP_ARG,
    {"snapshot", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "which one; the latest by default"},
    {"user", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "this account's mail alone"},
    {"message", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "the message with this unique id (UIDL) alone"},
    {"into", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "another account that gets it"},
    {"over-quota", PSTN_ARG_SWITCH, 0,
     "also what the quota of the account or its domain does not admit"},
    {"dry-run", PSTN_ARG_SWITCH, PSTN_ARG_OPTIONAL, "tell what would come back; change nothing"},
    {0},
};

static const struct pstn_arg backup_prune_args[] = {
    BACKUP_ARG_CHANGED,
    {"keep", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "how many snapshots stay"},
    {"older-than", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "30d, 2026-11-24: those made before go"},
    {0},
};

static const struct pstn_command rows[] = {
    {"mailbox list", "Mailboxes with their folders and sizes", no_args, 0, 0, command_list},
    {"mailbox show", "The folders and messages of one mailbox", show_args, 0, 0, command_show},
    {"mailbox deliver", "Deliver a message from standard input", deliver_args, PSTN_CHANGES, 0,
     command_deliver},
    {"mailbox import", "Import mail with its unique ids, flags and dates; can be repeated",
     import_args, PSTN_CHANGES, 0, command_import},
    {"mailbox export", "Export mail as a Maildir or mbox files; can be repeated", export_args, 0, 0,
     command_export},
    {"mailbox uidl-diff", "Compare the unique ids with those of an old server, before a cut-over",
     uidl_diff_args, 0, 0, command_uidl_diff},
    {"mailbox fetch", "Write one message to standard output", fetch_args, 0, 0, command_fetch},
    {"mailbox history", "What came, was read, was deleted: when, and by which session",
     history_args, 0, 0, command_history},
    {"mailbox undelete", "Bring deleted messages back; can be repeated", undelete_args,
     PSTN_CHANGES, 0, command_undelete},
    {"mailbox restore", "Bring a mailbox back as it stood at a moment; can be repeated",
     restore_args, PSTN_CHANGES, 0, command_restore},
    {"mailbox quota", "What accounts and domains hold of what they may", quota_args, 0, 0,
     command_quota},
    {"mailbox purge", "Remove at once and for ever what is left of an account that is gone",
     purge_args, PSTN_CHANGES, 0, command_purge},
    {"storage status", "Format, durability, sizes", no_args, 0, 0, command_status},
    {"storage check", "Compare index and segments, verify every checksum; changes nothing",
     check_args, 0, 0, command_check},
    {"storage repair", "Make the index right from the segments where a check finds it wrong",
     repair_args, PSTN_CHANGES, 0, command_repair},
    {"storage scrub", "Verify everything that is stored in the background, now", scrub_args, 0, 0,
     command_scrub},
    {"storage compact", "Give back the disk space of mail deleted longer ago than the retention",
     compact_args, PSTN_CHANGES, 0, command_compact},
    {"storage rebuild-index",
     "Make the index anew from the segments: at the next start, --offline at once", no_args,
     PSTN_CHANGES, 0, command_rebuild},
    {"backup create", "Make a snapshot of all mail and accounts; copies only what is new",
     backup_create_args, PSTN_CHANGES, 0, command_backup_create},
    {"backup list", "The snapshots in a directory", backup_list_args, 0, 0, command_backup_list},
    {"backup verify", "Verify every checksum of the snapshots; changes nothing", backup_verify_args,
     0, 0, command_backup_verify},
    {"backup restore", "Bring back what is missing: all, a mailbox or a message; can be repeated",
     backup_restore_args, PSTN_CHANGES, 0, command_backup_restore},
    {"backup prune", "Remove old snapshots and what only they need", backup_prune_args,
     PSTN_CHANGES, 0, command_backup_prune},
    {0},
};

const struct pstn_commands commands_table = {
    .size = sizeof(struct pstn_commands),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = rows,
};
