/*
 * backup_copy.c - the part of a segment that a backup does not have yet.
 *
 * A segment only grows, so what the backup has of it stays as it is. What an earlier run copied
 * and no snapshot names yet is used as far as its checksums are right.
 */
#include "backup.h"

#include "format/bytes.h"
#include "segment/scan.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PIECE   ((size_t)256 << 10)
#define PAGE    ((size_t)4096)
#define COMPARE ((size_t)64 << 10) /* octets before the new ones that have to be the same */

struct copy {
	const struct backup *backup;
	struct backup_segment *segment;
	struct manifest *manifest;
	struct backup_progress *progress;
	char path[BACKUP_PATH];
	int from, to;
	unsigned char *window, *piece; /* SCAN_WINDOW, PIECE */
};

static bool out_of_memory(const struct backup *b)
{
	b->ops->fail(b->call, "There is not enough memory.");
	return false;
}

/* ---- damage that the store has ---- */

static bool tell_damage(const struct backup *b, struct manifest *m, uint32_t segment,
			uint64_t offset, uint64_t octets)
{
	b->ops->note(b->call,
		     "%s/segments/%08" PRIu32 ".seg: %" PRIu64 " octets at %" PRIu64
		     " are damaged; they are copied as they are (`storage check` tells more)",
		     b->store->path, segment, octets, offset);
	return manifest_add_damage(m, segment, offset, octets) == PSTN_OK || out_of_memory(b);
}

/* ---- octets ---- */

/* What cannot be read is zeros; its checksums have said so already. */
static void read_piece(struct copy *c, size_t n, uint64_t at)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(c->from, c->piece + done, n - done, (off_t)(at + done));
		size_t skip = n - done < PAGE ? n - done : PAGE;

		if (got > 0) {
			done += (size_t)got;
			continue;
		}
		if (got < 0 && errno == EINTR)
			continue;
		memset(c->piece + done, 0, skip);
		done += skip;
	}
}

/* false: cancelled, and the person told. */
static bool wait_for_rate(struct copy *c)
{
	const struct timespec pause = {.tv_nsec = 20000000};
	struct backup_progress *p = c->progress;
	const struct backup *b = c->backup;

	for (;;) {
		if (b->ops->cancelled(b->call)) {
			b->ops->fail(b->call, "Cancelled. What was copied is used by the next run; "
					      "earlier snapshots are whole.");
			return false;
		}
		if (!p->rate || p->copied <= (store_time() - p->begun) * p->rate / 1000)
			return true;
		nanosleep(&pause, NULL);
	}
}

static bool copy_octets(struct copy *c, uint64_t at, uint64_t end)
{
	const struct backup *b = c->backup;

	while (at < end) {
		size_t n = end - at < PIECE ? (size_t)(end - at) : PIECE;

		read_piece(c, n, at);
		if (backup_write(c->to, c->piece, n, at) != 0) {
			backup_fail_errno(b, c->path, errno);
			return false;
		}
		at += n;
		c->progress->copied += n;
		b->ops->progress(b->call, c->progress->copied, c->progress->total, "octets");
		if (!wait_for_rate(c))
			return false;
	}
	return true;
}

/* Record by record, so that each is read once from the disk: verified, then copied. */
static bool copy_records(struct copy *c, uint64_t from)
{
	uint64_t end = c->segment->length, done = from;
	struct scan s;

	scan_begin(&s, c->from, end, c->segment->seed, from, c->window);
	while (done < end) {
		enum scan_result result = scan_next(&s);
		uint64_t next = result == SCAN_END ? end : s.next;
		bool sound = result == SCAN_UNKNOWN || (result == SCAN_RECORD && scan_verify(&s));

		if (!sound &&
		    !tell_damage(c->backup, c->manifest, c->segment->id, s.at, next - s.at))
			return false;
		if (next - done < PIECE && next < end)
			continue;
		if (!copy_octets(c, done, next))
			return false;
		done = next;
	}
	return true;
}

/* ---- where to go on ---- */

/* The end of what an earlier run copied and nobody has vouched for yet. */
static uint64_t end_of_sound(struct copy *c, uint64_t from, uint64_t size)
{
	struct scan s;
	uint64_t end = size < c->segment->length ? size : c->segment->length;

	scan_begin(&s, c->to, end, c->segment->seed, from, c->window);
	while (scan_next(&s) == SCAN_RECORD && scan_verify(&s))
		from = s.next;
	return from;
}

/* A store that lost its last moments in a power cut (durability relaxed or none), or was put back
 * from a copy of its disk, may have written something else in their place. */
static bool same_before(struct copy *c, uint64_t at)
{
	size_t n = at < COMPARE ? (size_t)at : COMPARE;

	read_piece(c, n, at - n);
	if (pread(c->to, c->window, n, (off_t)(at - n)) == (ssize_t)n &&
	    memcmp(c->window, c->piece, n) == 0)
		return true;
	backup_fail(c->backup, c->path,
		    "is another file than the store's segment by now: the store was set back after "
		    "the last snapshot, or the backup is damaged (`backup verify` tells); make the "
		    "next snapshot in an empty directory");
	return false;
}

static bool copy_head(struct copy *c)
{
	read_piece(c, SEGMENT_HEAD, 0);
	if (backup_write(c->to, c->piece, SEGMENT_HEAD, 0) == 0)
		return true;
	backup_fail_errno(c->backup, c->path, errno);
	return false;
}

static bool find_start(struct copy *c, uint64_t known, uint64_t *from)
{
	struct stat info;

	if (fstat(c->to, &info) != 0) {
		backup_fail_errno(c->backup, c->path, errno);
		return false;
	}
	*from = known && (uint64_t)info.st_size >= known ? known : SEGMENT_HEAD;
	if (*from == SEGMENT_HEAD && !copy_head(c))
		return false;
	*from = end_of_sound(c, *from, (uint64_t)info.st_size);
	return same_before(c, *from);
}

/* ---- the files ---- */

/* false: it cannot be copied. */
static bool open_source(struct copy *c)
{
	struct segment_head head;
	char name[SEGMENT_NAME];

	segment_name(name, c->segment->id);
	c->from = openat(c->backup->store->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (c->from < 0)
		return false;
	read_piece(c, SEGMENT_HEAD, 0);
	if (segment_head_decode(&head, c->piece, SEGMENT_HEAD) != RECORD_OK ||
	    head.id != c->segment->id)
		return false;
	c->segment->seed = head.seed;
	c->segment->kind = head.kind;
	backup_segment_path(c->segment, c->path);
	return true;
}

static uint64_t known_octets(const struct copy *c, const struct manifest *before)
{
	const struct backup_segment *s = manifest_find(before, c->segment->id);

	return s && s->seed == c->segment->seed ? s->length : 0;
}

/* Whether an earlier snapshot has all of it, and the file is there. */
static bool is_there(struct copy *c, uint64_t known)
{
	struct stat info = {0};
	int fd;

	if (known < c->segment->length)
		return false;
	fd = backup_open(c->backup, c->path, PSTN_FILE_READ);
	if (fd < 0 || fstat(fd, &info) != 0)
		info.st_size = 0;
	if (fd >= 0)
		close(fd);
	return (uint64_t)info.st_size >= c->segment->length;
}

static bool open_target(struct copy *c)
{
	c->to = backup_open(c->backup, c->path, PSTN_FILE_WRITE);
	if (c->to < 0 && errno == ENOENT)
		c->to = backup_open(c->backup, c->path, PSTN_FILE_CREATE);
	if (c->to < 0)
		backup_fail_errno(c->backup, c->path, errno);
	return c->to >= 0;
}

static bool copy_new(struct copy *c, uint64_t known)
{
	uint64_t from;

	if (!open_target(c) || !find_start(c, known, &from))
		return false;
	c->progress->reused += from;
	if (c->progress->total > from - (known < from ? known : from))
		c->progress->total -= from - (known < from ? known : from);
	if (!copy_records(c, from))
		return false;
	if (fdatasync(c->to) == 0)
		return true;
	backup_fail_errno(c->backup, c->path, errno);
	return false;
}

static bool copy_segment(struct copy *c, const struct manifest *before, bool *lost)
{
	uint64_t known;

	*lost = !open_source(c);
	if (*lost)
		return tell_damage(c->backup, c->manifest, c->segment->id, 0, c->segment->length);
	known = known_octets(c, before);
	if (is_there(c, known)) {
		c->progress->reused += c->segment->length;
		return true;
	}
	return copy_new(c, known);
}

/* Damage that the snapshot before has found is not found again by what is only copied now. */
static bool inherit_damage(const struct backup_segment *s, const struct manifest *before,
			   struct manifest *m)
{
	const struct backup_segment *old = manifest_find(before, s->id);

	for (size_t i = 0; old && i < before->ndamage; i++) {
		const struct backup_damage *d = &before->damage[i];

		if (d->segment == s->id && d->offset < old->length &&
		    !manifest_knows_damage(m, s->id, d->offset) &&
		    manifest_add_damage(m, d->segment, d->offset, d->octets) != PSTN_OK)
			return false;
	}
	return true;
}

bool backup_copy_segment(const struct backup *b, struct backup_segment *s,
			 const struct manifest *before, struct manifest *m,
			 struct backup_progress *progress, bool *lost)
{
	struct copy c = {.backup = b,
			 .segment = s,
			 .manifest = m,
			 .progress = progress,
			 .from = -1,
			 .to = -1,
			 .window = store_alloc(b->store, SCAN_WINDOW),
			 .piece = store_alloc(b->store, PIECE)};
	bool good = c.window && c.piece ? copy_segment(&c, before, lost) : out_of_memory(b);

	if (good && !inherit_damage(s, before, m))
		good = out_of_memory(b);
	if (c.from >= 0)
		close(c.from);
	if (c.to >= 0)
		close(c.to);
	store_free(b->store, c.window);
	store_free(b->store, c.piece);
	return good;
}
