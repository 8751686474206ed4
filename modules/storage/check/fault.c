/*
 * fault.c - see fault.h.
 */
#include "fault.h"

#include "segment/segment.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

#define REPAIR  "storage repair"
#define REBUILD "storage rebuild-index, then start the server again"
#define RESTORE "restore the segment from a backup, or storage repair --drop-damaged"

static const struct {
	const char *what, *advice;
	bool mail;
} kinds[] = {
    [FAULT_ROW] = {"the index's row of the message fails its checksum", REPAIR, false},
    [FAULT_NO_RECORD] = {"there is no sound record where the index says", RESTORE, true},
    [FAULT_OTHER_RECORD] = {"the record is another one than the index says", REPAIR, false},
    [FAULT_SEGMENT_MISSING] = {"the message's segment is missing or unreadable", RESTORE, true},
    [FAULT_TEXT] = {"the message's text fails its checksum", RESTORE, true},
    [FAULT_RECORD] = {"a record fails its checksum; the index has what it said",
		      "nothing now; take a backup: a rebuild of the index would miss it", false},
    [FAULT_GAP] = {"octets in a segment are no sound record",
		   "nothing, if no message is named beside it", false},
    [FAULT_UNKNOWN] = {"a stored message is not in the index", REPAIR, true},
    [FAULT_FLAGS] = {"the message's flags are older than the segments say", REPAIR, false},
    [FAULT_EXPUNGED] = {"a message that was expunged is in the index", REPAIR, false},
    [FAULT_FOLDER_ROW] = {"the folder's row fails its checksum or is missing", REBUILD, false},
    [FAULT_FOLDER_TOTALS] = {"the folder's totals are not those of its messages", REPAIR, false},
    [FAULT_ACCOUNT_ROW] = {"the account's row fails its checksum or is missing", REBUILD, false},
    [FAULT_ACCOUNT_TOTALS] = {"the account's totals are not those of its folders", REPAIR, false},
    [FAULT_DOMAIN_TOTALS] = {"the domain's totals are not those of its accounts", REPAIR, false},
    [FAULT_UIDL_MISSING] = {"the message cannot be found by its unique id", REPAIR, false},
    [FAULT_UIDL_STRAY] = {"a unique id leads to no message that has it", REPAIR, false},
    [FAULT_UIDL_TWICE] = {"two messages of the folder have the same unique id",
			  "expunge one of them; clients may take them for one", false},
    [FAULT_NAME_MISSING] = {"the folder cannot be found by its name", REPAIR, false},
    [FAULT_NAME_STRAY] = {"a folder's name leads to no folder that has it", REPAIR, false},
    [FAULT_CHANGE] = {"a row of the history of changes is unreadable", REPAIR, false},
    [FAULT_SEGMENT_ROW] = {"the segment's row fails its checksum", REBUILD, false},
    [FAULT_SEGMENT_SHORT] = {"the segment is missing, unreadable or shorter than it was",
			     "restore it from a backup", true},
    [FAULT_SEGMENT_TOTALS] = {"the segment's totals are not those of its records", REPAIR, false},
    [FAULT_SEGMENT_UNKNOWN] =
	{"a file among the segments that the index does not know",
	 "start the server again, which reads it; if that does not help its header is "
	 "damaged: restore it from a backup or move it away",
	 true},
};
_Static_assert(sizeof(kinds) / sizeof(*kinds) == FAULT_KINDS, "a row for each kind");

bool fault_of_mail(enum fault_kind kind)
{
	return kinds[kind].mail;
}

static void look_up_names(struct store *st, const struct fault *f, struct fault_named *n)
{
	struct account_row account;
	struct folder_row folder;
	MDB_txn *txn;

	if (f->account == 0 || index_read(&st->index, &txn) != 0)
		return;
	if (index_account(&st->index, txn, f->account, &account) == 0)
		memcpy(n->account, account.name, sizeof(n->account));
	if (f->folder && index_folder(&st->index, txn, f->account, f->folder, &folder) == 0)
		memcpy(n->folder, folder.name, sizeof(n->folder));
	index_read_end(&st->index, txn);
}

void fault_name(struct store *st, const struct fault *f, struct fault_named *n)
{
	char segment[SEGMENT_NAME];

	*n = (struct fault_named){.what = kinds[f->kind].what, .advice = kinds[f->kind].advice};
	look_up_names(st, f, n);
	if (f->account && !*n->account)
		snprintf(n->account, sizeof(n->account), "account %llu",
			 (unsigned long long)f->account);
	if (f->folder && !*n->folder)
		snprintf(n->folder, sizeof(n->folder), "folder %u", f->folder);
	if (!f->segment)
		return;
	segment_name(segment, f->segment);
	snprintf(n->segment, sizeof(n->segment), "%s", segment);
}

void fault_text(const struct fault *f, const struct fault_named *n, char *out, size_t size)
{
	char where[160] = "", uid[40] = "";

	if (*n->segment)
		snprintf(where, sizeof(where), " (%s at %llu)", n->segment,
			 (unsigned long long)f->offset);
	if (f->uid)
		snprintf(uid, sizeof(uid), " uid %u", f->uid);
	snprintf(out, size, "%s%s%s%s%s%s%s", n->account, *n->folder ? " " : "", n->folder, uid,
		 *n->account || *uid ? ": " : "", n->what, where);
}

void fault_log(struct store *st, const struct fault *f, const struct fault_named *n)
{
	st->host->log(PSTN_EVENT(
	    st->self, NULL, PSTN_ERROR, "storage-fault", PSTN_S("what", n->what),
	    PSTN_S("account", n->account), PSTN_S("folder", n->folder), PSTN_U("uid", f->uid),
	    PSTN_S("uidl", f->uidl), PSTN_S("name", f->name), PSTN_S("segment", n->segment),
	    PSTN_U("offset", f->offset), PSTN_U("octets", f->octets), PSTN_S("do", n->advice)));
}
