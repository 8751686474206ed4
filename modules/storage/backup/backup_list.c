/*
 * backup_list.c - backup list and backup prune: which snapshots there are, and fewer of them.
 */
#include "backup.h"

#include "recall/when.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- list ---- */

static void list_row(const struct backup *b, const char *name, const struct manifest *m, int status)
{
	char when[WHEN_TEXT] = "";
	uint64_t octets = 0;

	for (size_t i = 0; i < m->nsegments; i++)
		octets += m->segments[i].length;
	if (status == PSTN_OK)
		when_text(m->time, when);
	b->ops->open_object(b->call, NULL);
	b->ops->text(b->call, "snapshot", name);
	b->ops->text(b->call, "time", when);
	b->ops->integer(b->call, "messages", (int64_t)m->messages);
	b->ops->integer(b->call, "octets", (int64_t)m->octets);
	b->ops->integer(b->call, "accounts", (int64_t)m->naccounts);
	b->ops->integer(b->call, "segments", (int64_t)m->nsegments);
	b->ops->integer(b->call, "segment_octets", (int64_t)octets);
	b->ops->text(b->call, "note",
		     status != PSTN_OK ? "its manifest cannot be used"
		     : m->ndamage      ? "the store was damaged in places"
				       : "");
	b->ops->close(b->call);
}

void command_backup_list(void *inst, struct pstn_call *c)
{
	struct backup b;
	struct backup_names s;

	if (!backup_begin(&b, inst, c, BACKUP_READ))
		return;
	if (backup_names_list(&b, &s)) {
		b.ops->open_array(c, NULL);
		for (size_t i = 0; i < s.count && !b.ops->cancelled(c); i++) {
			struct manifest m;
			int status = backup_read_manifest(&b, s.names[i], &m);

			list_row(&b, s.names[i], &m, status);
			manifest_clear(&m);
		}
		b.ops->close(c);
	}
	backup_names_clear(&s);
	backup_end(&b);
}

/* ---- prune ---- */

struct prune {
	struct backup backup;
	struct backup_names snapshots;
	size_t keep_from; /* the first of the snapshots that stays */
	struct backup_segment *needed;
	size_t nneeded, needed_room;
	uint64_t removed_snapshots, removed_segments;
	bool failed;
};

static bool choose_by_number(struct prune *p, const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '1' || *text > '9' || *end) {
		p->backup.ops->fail(p->backup.call,
				    "--keep takes how many snapshots stay, 1 or more, not \"%s\".",
				    text);
		return false;
	}
	p->keep_from = p->snapshots.count > n ? p->snapshots.count - n : 0;
	return true;
}

/* Names sort as their times do; the latest always stays. */
static bool choose_by_time(struct prune *p, const char *text)
{
	char oldest[BACKUP_NAME];
	uint64_t moment;
	time_t seconds;
	struct tm t;

	if (!when_parse(text, store_time(), &moment)) {
		p->backup.ops->fail(
		    p->backup.call,
		    "--older-than takes a time, not \"%s\"; write " WHEN_EXAMPLES ".", text);
		return false;
	}
	seconds = (time_t)(moment / 1000);
	gmtime_r(&seconds, &t);
	strftime(oldest, sizeof(oldest), "%Y%m%dT%H%M%SZ", &t);
	while (p->keep_from + 1 < p->snapshots.count &&
	       strcmp(p->snapshots.names[p->keep_from], oldest) < 0)
		p->keep_from++;
	return true;
}

static bool choose(struct prune *p)
{
	const char *keep = p->backup.ops->arg(p->backup.call, "keep");
	const char *older = p->backup.ops->arg(p->backup.call, "older-than");

	if ((keep != NULL) == (older != NULL)) {
		p->backup.ops->fail(p->backup.call,
				    "Say which snapshots go: --keep N or --older-than TIME.");
		return false;
	}
	return keep ? choose_by_number(p, keep) : choose_by_time(p, older);
}

static bool need(struct prune *p, const struct backup_segment *s)
{
	if (p->nneeded == p->needed_room) {
		size_t room = p->needed_room ? p->needed_room * 2 : 256;
		struct backup_segment *larger =
		    store_alloc(p->backup.store, room * sizeof(*larger));

		if (!larger) {
			p->backup.ops->fail(p->backup.call, "There is not enough memory.");
			return false;
		}
		if (p->nneeded)
			memcpy(larger, p->needed, p->nneeded * sizeof(*larger));
		store_free(p->backup.store, p->needed);
		p->needed = larger;
		p->needed_room = room;
	}
	p->needed[p->nneeded++] = *s;
	return true;
}

static int by_place(const void *x, const void *y)
{
	const struct backup_segment *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->seed < b->seed ? -1 : a->seed > b->seed;
}

/* What the snapshots that stay consist of. If one of them cannot be read nothing may go. */
static bool gather_needed(struct prune *p)
{
	bool good = true;

	for (size_t i = p->keep_from; good && i < p->snapshots.count; i++) {
		struct manifest m;
		char path[BACKUP_PATH];

		backup_snapshot_path(p->snapshots.names[i], ".snapshot", path);
		good = backup_read_manifest(&p->backup, p->snapshots.names[i], &m) == PSTN_OK;
		if (!good)
			backup_fail(&p->backup, path,
				    "cannot be used, and so it is not known which segments it "
				    "needs: nothing is removed. If it is of no use, remove it by "
				    "hand");
		for (size_t j = 0; good && j < m.nsegments; j++)
			good = need(p, &m.segments[j]);
		manifest_clear(&m);
	}
	if (p->nneeded)
		qsort(p->needed, p->nneeded, sizeof(*p->needed), by_place);
	return good;
}

static bool remove_file(struct prune *p, const char *path)
{
	const struct backup *b = &p->backup;

	if (b->ops->remove(b->call, BACKUP_DIRECTORY, path) == 0 || errno == ENOENT)
		return true;
	backup_fail_errno(b, path, errno);
	p->failed = true;
	return false;
}

/* First nothing names the segments any more, for good; then they go. */
static bool remove_snapshots(struct prune *p)
{
	char path[BACKUP_PATH];

	for (size_t i = 0; i < p->keep_from; i++) {
		backup_snapshot_path(p->snapshots.names[i], ".snapshot", path);
		if (!remove_file(p, path))
			return false;
		backup_snapshot_path(p->snapshots.names[i], ".accounts", path);
		if (!remove_file(p, path))
			return false;
		p->removed_snapshots++;
	}
	if (backup_sync(&p->backup, "snapshots") == 0)
		return true;
	backup_fail_errno(&p->backup, "snapshots", errno);
	return false;
}

static bool remove_if_unneeded(void *arg, const char *name)
{
	struct prune *p = arg;
	struct backup_segment s = {0};
	char path[BACKUP_PATH];

	if (sscanf(name, "%8" SCNu32 "-%16" SCNx64 ".seg", &s.id, &s.seed) != 2)
		return true;
	backup_segment_path(&s, path);
	if (strcmp(path + strlen("segments/"), name) != 0 ||
	    (p->nneeded && bsearch(&s, p->needed, p->nneeded, sizeof(s), by_place)))
		return true;
	p->removed_segments++;
	return remove_file(p, path);
}

static bool prune(struct prune *p)
{
	struct backup *b = &p->backup;

	if (!backup_names_list(b, &p->snapshots) || !choose(p) || !gather_needed(p) ||
	    !remove_snapshots(p))
		return false;
	if (backup_each(b, "segments", remove_if_unneeded, p) != 0) {
		backup_fail_errno(b, "segments", errno);
		return false;
	}
	return !p->failed;
}

void command_backup_prune(void *inst, struct pstn_call *c)
{
	struct prune p = {.snapshots = {.store = inst}};

	if (!backup_begin(&p.backup, inst, c, BACKUP_PRUNE))
		return;
	if (prune(&p)) {
		p.backup.ops->open_object(c, NULL);
		p.backup.ops->integer(c, "snapshots_removed", (int64_t)p.removed_snapshots);
		p.backup.ops->integer(c, "snapshots_left",
				      (int64_t)(p.snapshots.count - p.keep_from));
		p.backup.ops->integer(c, "segments_removed", (int64_t)p.removed_segments);
		p.backup.ops->close(c);
	}
	backup_names_clear(&p.snapshots);
	store_free(inst, p.needed);
	backup_end(&p.backup);
}
