/*
 * trouble.c - see trouble.h.
 */
#include "trouble.h"

#include "open/facts.h"
#include "store.h"

void trouble_group_failed(struct store *st, int rc)
{
	bool full = index_status(rc) == PSTN_E_FULL;

	if (full && st->commit.told_full)
		return;
	st->commit.told_full = full;
	if (full)
		facts_full(st, true);
	st->host->log(PSTN_EVENT(st->self, NULL, full ? PSTN_CRITICAL : PSTN_ERROR,
				 full ? "storage-full" : "commit-failed", PSTN_S("path", st->path),
				 PSTN_S("error", index_error(rc)),
				 PSTN_S("hint", full ? "Mail is refused until there is space; "
						       "deletions go on."
						     : "Nothing of this group was acknowledged.")));
}

void trouble_space(struct store *st)
{
	if (!st->commit.told_full)
		return;
	st->commit.told_full = false;
	facts_full(st, false);
}

static void tell(struct store *st, const char *event, int rc, const char *hint)
{
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_CRITICAL, event, PSTN_S("path", st->path),
				 PSTN_S("error", index_error(rc)), PSTN_U("segment", st->log.id),
				 PSTN_S("hint", hint)));
}

void trouble_broken(struct store *st, int rc, const char *hint)
{
	st->commit.broken = true;
	facts_broken(st);
	tell(st, "storage-broken", rc, hint);
}

/* What is in memory of the index may be dropped and read again from a disk that has older pages:
 * uids would be given twice. */
void trouble_unsynced(struct store *st, int rc)
{
	if (atomic_exchange(&st->commit.told_unsynced, true))
		return;
	facts_broken(st);
	tell(st, "storage-broken", rc,
	     "A sync failed, and nobody knows what of the index is on disk. Nothing is accepted "
	     "until the disk works and the server is stopped and started; no mail is lost.");
}

void trouble_uncut(struct store *st, int rc)
{
	st->commit.uncut = true;
	facts_unwritable(st, true);
	tell(st, "storage-unwritable", rc,
	     "A write failed and cannot be taken back now. Nothing is accepted until the disk can "
	     "be written to; reading goes on, and all goes on by itself then.");
}

void trouble_cut(struct store *st)
{
	st->commit.uncut = false;
	facts_unwritable(st, false);
	st->host->log(
	    PSTN_EVENT(st->self, NULL, PSTN_INFO, "storage-writable", PSTN_S("path", st->path)));
}
