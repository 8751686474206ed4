/*
 * facts.c - see facts.h.
 */
#include "facts.h"

#include "home.h"
#include "store.h"

const char *const durability_names[] = {"full", "relaxed", "none", NULL};

const char *durability_meaning(int level)
{
	static const char *const meaning[] = {
	    "what was acknowledged is on disk",
	    "a power cut can lose what came since the last checkpoint",
	    "a power cut can lose minutes",
	};

	return meaning[level];
}

void facts_opened(struct store *st)
{
	st->host->tell(st->self, "durability", durability_names[st->options.durability]);
	if (home_rebuild_asked(st))
		facts_rebuild_asked(st);
	if (st->rebuilt)
		st->host->tell(st->self, "index", "made anew from the segments at the last start");
}

void facts_full(struct store *st, bool full)
{
	st->host->tell(st->self, "disk",
		       full ? "full: deliveries are refused, deletions go on" : NULL);
}

void facts_broken(struct store *st)
{
	st->host->tell(st->self, "writing",
		       "broken: a write failed, and what is on disk is not known; nothing is "
		       "accepted, stop and start the server when the disk works");
}

void facts_unwritable(struct store *st, bool unwritable)
{
	st->host->tell(st->self, "writing",
		       unwritable ? "failing: nothing is accepted until the disk can be written "
				    "to; reading goes on"
				  : NULL);
}

void facts_rebuild_asked(struct store *st)
{
	st->host->tell(st->self, "index", "will be made anew when the server starts again");
}
