/*
 * backup_verify.c - backup verify: every record of every segment of one snapshot or of all, by its
 * checksums, and the copies of the accounts. Needs nothing of the store that is running.
 */
#include "backup.h"

#include "segment/scan.h"
#include "store.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct part { /* of a segment, as a snapshot has it */
	struct backup_segment segment;
	const struct manifest *manifest;
};

struct verify {
	struct backup backup;
	struct manifest *manifests;
	size_t nmanifests;
	struct part *parts; /* by segment, the longest first */
	size_t nparts;
	unsigned char *window;
	uint64_t records, octets, total, segments;
	uint64_t damaged, damaged_in_store;
};

__attribute__((format(printf, 3, 4))) static void tell(struct verify *v, const char *path,
						       const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	v->damaged++;
	v->backup.ops->note(v->backup.call, "%s/%s: %s", v->backup.path, path, text);
}

/* ---- one segment ---- */

static void tell_octets(struct verify *v, const struct part *p, const char *path, uint64_t from,
			uint64_t to)
{
	if (manifest_knows_damage(p->manifest, p->segment.id, from)) {
		v->damaged_in_store++;
		v->backup.ops->note(v->backup.call,
				    "%s/%s: %" PRIu64 " octets at %" PRIu64
				    " were damaged in the store already",
				    v->backup.path, path, to - from, from);
	} else {
		tell(v, path, "%" PRIu64 " octets at %" PRIu64 " are damaged", to - from, from);
	}
}

static bool check_head(struct verify *v, const struct part *p, const char *path, int fd)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	struct stat info;

	if (fstat(fd, &info) != 0 || (uint64_t)info.st_size < p->segment.length) {
		tell(v, path, "is %" PRIu64 " octets long, %" PRIu64 " are needed",
		     (uint64_t)info.st_size, p->segment.length);
		return (uint64_t)info.st_size > SEGMENT_HEAD;
	}
	if (pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	    segment_head_decode(&head, bytes, sizeof(bytes)) == RECORD_OK &&
	    head.id == p->segment.id && head.seed == p->segment.seed &&
	    memcmp(head.store, v->backup.id, sizeof(head.store)) == 0)
		return true;
	tell(v, path, "its header is damaged or another segment's");
	return true; /* the seed is in the file's name */
}

/* Whether a shorter part of it, which an earlier snapshot has, ends with a record. */
static void check_ends(struct verify *v, size_t first, size_t count, const char *path, uint64_t at,
		       uint64_t next)
{
	for (size_t i = first; i < first + count; i++)
		if (v->parts[i].segment.length > at && v->parts[i].segment.length < next)
			tell(v, path, "snapshot %s ends within the record at %" PRIu64,
			     v->parts[i].manifest->name, at);
}

static void scan_segment(struct verify *v, size_t first, size_t count, const char *path, int fd)
{
	const struct part *p = &v->parts[first];
	const struct backup *b = &v->backup;
	uint64_t begun = v->octets;
	struct scan s;

	scan_begin(&s, fd, p->segment.length, p->segment.seed, SEGMENT_HEAD, v->window);
	while (!b->ops->cancelled(b->call)) {
		enum scan_result result = scan_next(&s);

		if (result == SCAN_END)
			break;
		if (result == SCAN_GAP || (result == SCAN_RECORD && !scan_verify(&s)))
			tell_octets(v, p, path, s.at, s.next);
		else
			v->records++;
		check_ends(v, first, count, path, s.at, s.next);
		v->octets = begun + s.next;
		b->ops->progress(b->call, v->octets, v->total, "octets");
	}
	if (s.at < p->segment.length && !b->ops->cancelled(b->call))
		tell_octets(v, p, path, s.at, p->segment.length);
	v->octets = begun + p->segment.length;
}

static void verify_segment(struct verify *v, size_t first, size_t count)
{
	char path[BACKUP_PATH];
	int fd;

	backup_segment_path(&v->parts[first].segment, path);
	fd = backup_open(&v->backup, path, PSTN_FILE_READ);
	v->segments++;
	if (fd < 0) {
		tell(v, path, "%s", strerror(errno));
		return;
	}
	if (check_head(v, &v->parts[first], path, fd))
		scan_segment(v, first, count, path, fd);
	close(fd);
}

/* ---- all of them ---- */

static int by_place(const void *x, const void *y)
{
	const struct part *a = x, *b = y;

	if (a->segment.id != b->segment.id)
		return a->segment.id < b->segment.id ? -1 : 1;
	if (a->segment.seed != b->segment.seed)
		return a->segment.seed < b->segment.seed ? -1 : 1;
	return a->segment.length > b->segment.length ? -1 : a->segment.length < b->segment.length;
}

static bool same_file(const struct part *a, const struct part *b)
{
	return a->segment.id == b->segment.id && a->segment.seed == b->segment.seed;
}

static bool gather_parts(struct verify *v)
{
	size_t room = 1;

	for (size_t i = 0; i < v->nmanifests; i++)
		room += v->manifests[i].nsegments;
	v->parts = store_alloc(v->backup.store, room * sizeof(*v->parts));
	if (!v->parts)
		return false;
	for (size_t i = 0; i < v->nmanifests; i++)
		for (size_t j = 0; j < v->manifests[i].nsegments; j++)
			v->parts[v->nparts++] =
			    (struct part){v->manifests[i].segments[j], &v->manifests[i]};
	qsort(v->parts, v->nparts, sizeof(*v->parts), by_place);
	for (size_t i = 0; i < v->nparts; i++)
		if (i == 0 || !same_file(&v->parts[i - 1], &v->parts[i]))
			v->total += v->parts[i].segment.length;
	return true;
}

static void verify_segments(struct verify *v)
{
	for (size_t i = 0, next; i < v->nparts && !v->backup.ops->cancelled(v->backup.call);
	     i = next) {
		for (next = i + 1; next < v->nparts && same_file(&v->parts[i], &v->parts[next]);)
			next++;
		verify_segment(v, i, next - i);
	}
}

static void verify_accounts(struct verify *v, const struct manifest *m)
{
	char path[BACKUP_PATH];
	uint64_t length, sum;
	int fd;

	backup_snapshot_path(m->name, ".accounts", path);
	fd = backup_open(&v->backup, path, PSTN_FILE_READ);
	if (fd < 0)
		tell(v, path, "%s", strerror(errno));
	else if (backup_sum(v->backup.store, fd, &length, &sum) != 0 ||
		 length != m->accounts_length || sum != m->accounts_sum)
		tell(v, path, "is damaged");
	if (fd >= 0)
		close(fd);
}

/* ---- which snapshots ---- */

static bool read_all(struct verify *v)
{
	struct backup_names s;
	bool good = backup_names_list(&v->backup, &s);

	if (good && s.count == 0) {
		backup_fail(&v->backup, "", "there is no snapshot yet; `backup create` makes one");
		good = false;
	}
	if (good)
		v->manifests = store_alloc(v->backup.store, s.count * sizeof(*v->manifests));
	if (good && !v->manifests) {
		v->backup.ops->fail(v->backup.call, "There is not enough memory.");
		good = false;
	}
	for (size_t i = 0; good && i < s.count; i++) {
		struct manifest *m = &v->manifests[v->nmanifests];
		char path[BACKUP_PATH];

		if (backup_read_manifest(&v->backup, s.names[i], m) == PSTN_OK) {
			v->nmanifests++;
			continue;
		}
		backup_snapshot_path(s.names[i], ".snapshot", path);
		tell(v, path, "is damaged, or of a later version of the server");
		manifest_clear(m);
	}
	backup_names_clear(&s);
	return good;
}

static bool read_chosen(struct verify *v)
{
	if (!v->backup.ops->arg(v->backup.call, "snapshot"))
		return read_all(v);
	v->manifests = store_alloc(v->backup.store, sizeof(*v->manifests));
	if (!v->manifests) {
		v->backup.ops->fail(v->backup.call, "There is not enough memory.");
		return false;
	}
	v->nmanifests = 1;
	return backup_chosen_manifest(&v->backup, v->manifests);
}

/* ---- the command ---- */

static void answer(struct verify *v)
{
	const struct pstn_call_ops *ops = v->backup.ops;
	struct pstn_call *c = v->backup.call;

	if (ops->cancelled(c)) {
		ops->fail(c, "Cancelled.");
		return;
	}
	if (v->damaged) {
		ops->fail(c,
			  "The backup is damaged in %" PRIu64 " places, told above; %" PRIu64
			  " records in %" PRIu64 " segments are sound. Make a new snapshot in an "
			  "empty directory while the store is whole.",
			  v->damaged, v->records, v->segments);
		return;
	}
	ops->open_object(c, NULL);
	ops->integer(c, "snapshots", (int64_t)v->nmanifests);
	ops->integer(c, "segments", (int64_t)v->segments);
	ops->integer(c, "records", (int64_t)v->records);
	ops->integer(c, "octets", (int64_t)v->octets);
	ops->integer(c, "damaged", 0);
	ops->integer(c, "damaged_in_store", (int64_t)v->damaged_in_store);
	ops->close(c);
}

void command_backup_verify(void *inst, struct pstn_call *c)
{
	struct verify v = {.window = store_alloc(inst, SCAN_WINDOW)};

	if (backup_begin(&v.backup, inst, c, BACKUP_READ)) {
		bool good = read_chosen(&v);

		if (good && (!v.window || !gather_parts(&v))) {
			v.backup.ops->fail(c, "There is not enough memory.");
			good = false;
		}
		for (size_t i = 0; good && i < v.nmanifests; i++)
			verify_accounts(&v, &v.manifests[i]);
		if (good) {
			verify_segments(&v);
			answer(&v);
		}
		backup_end(&v.backup);
	}
	for (size_t i = 0; i < v.nmanifests; i++)
		manifest_clear(&v.manifests[i]);
	store_free(inst, v.manifests);
	store_free(inst, v.parts);
	store_free(inst, v.window);
}
