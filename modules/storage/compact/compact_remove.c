/*
 * compact_remove.c - segments of which nothing is needed any more lose their files: first no state
 * of the index that recovery could start from needs them, then they go, then their rows.
 */
#include "compact.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

void compactor_tell_blocked(struct compactor *c, uint32_t segment, const char *why)
{
	struct store *st = c->store;
	char name[SEGMENT_NAME] = "";

	if (segment)
		segment_name(name, segment);
	c->tally.blocked++;
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "compaction-blocked",
				 PSTN_S("path", st->path), PSTN_S("segment", name),
				 PSTN_S("reason", why)));
}

static bool remove_file(struct compactor *c, const struct compact_gone *gone, uint64_t *octets)
{
	struct store *st = c->store;
	char name[SEGMENT_NAME];
	struct stat info;

	*octets = 0;
	segment_name(name, gone->id);
	if (fstatat(st->segment_dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0)
		*octets = (uint64_t)info.st_blocks * 512;
	if (unlinkat(st->segment_dir, name, 0) == 0 || errno == ENOENT)
		return true;
	compactor_tell_blocked(c, gone->id, "its file cannot be removed");
	return false;
}

static void tell_removed(struct compactor *c, const struct compact_gone *gone, uint64_t octets)
{
	struct store *st = c->store;
	uint64_t won = octets > gone->written ? octets - gone->written : 0;
	char name[SEGMENT_NAME];

	segment_name(name, gone->id);
	c->tally.segments++;
	c->tally.octets += won;
	c->tally.moved += gone->written;
	st->host->count(st->self, METRIC_COMPACTED, 1);
	st->host->count(st->self, METRIC_RECLAIMED_OCTETS, (int64_t)won);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_INFO, "compaction-end",
				 PSTN_S("path", st->path), PSTN_S("segment", name),
				 PSTN_U("octets_reclaimed", won),
				 PSTN_U("octets_moved", gone->written)));
}

static bool forget_rows(struct compactor *c, const uint32_t *ids, uint32_t n)
{
	struct pending p = {.kind = PENDING_SEGMENT,
			    .segments = {.ids = ids, .count = n, .fate = SEGMENT_REMOVED}};

	if (n == 0)
		return true;
	commit_wait(c->store, &p);
	return p.status == PSTN_OK;
}

bool compactor_remove(struct compactor *c)
{
	struct store *st = c->store;
	uint32_t ids[COMPACT_GONE_MAX], n = 0, all = c->gone_count;
	uint64_t octets;
	int rc = c->gone_count ? store_checkpoint_now(st) : 0;

	if (rc != 0) {
		compactor_tell_blocked(c, c->gone[0].id, index_error(rc));
		return false;
	}
	for (uint32_t i = 0; i < c->gone_count; i++) {
		if (!remove_file(c, &c->gone[i], &octets))
			continue;
		ids[n++] = c->gone[i].id;
		tell_removed(c, &c->gone[i], octets);
	}
	c->gone_count = 0;
	/* A file that comes back in a power cut needs its row, which says that it is gone. After one
	 * failure a sync that succeeds says nothing of what came before. */
	if (n && !st->compaction.unsynced && fsync(st->segment_dir) != 0)
		st->compaction.unsynced = true;
	if (n && st->compaction.unsynced) {
		compactor_tell_blocked(c, ids[0], "that its file was removed cannot be synced");
		return false;
	}
	files_tidy(&st->files);
	if (!forget_rows(c, ids, n)) {
		compactor_tell_blocked(c, ids[0], "the index cannot be changed; the log has more");
		return false;
	}
	/* Copies of messages in a file that stays would be believed by an index made anew, once what is
	 * told of them elsewhere was gone too. */
	return n == all;
}
