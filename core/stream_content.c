/*
 * stream_content.c - a content becomes wire form (see stream_content.h).
 *
 * Nothing of a content is kept in buffers. Each time the socket takes more, the next window is laid
 * out anew: memory by reference, files and small pieces through the reactor's stage, dots between.
 * What the kernel did not take is simply laid out again.
 */
#include "stream_content.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
	COPY_MAX = 256,           /* pieces up to this size are copied rather than referred to */
	SENDFILE_MIN = 32 * 1024, /* shorter pieces are read: the copy costs less than the call */
	SENDFILE_MAX = 256 * 1024,
	TAIL = 4096, /* left for the stage, so that it leaves with what follows */
	WARM_WINDOW = 256 * 1024,
	READ_MIN = 2048 /* less room on the stage is not worth a read */
};

/* ---- layouts --------------------------------------------------------------------------------- */

bool layout_ref(struct layout *l, const char *bytes, size_t n)
{
	if (l->n == sizeof(l->iov) / sizeof(l->iov[0]))
		return false;
	l->iov[l->n++] = (struct iovec){.iov_base = (char *)bytes, .iov_len = n};
	l->octets += n;
	return true;
}

/* The next n octets of the stage, filled by the caller, join the layout. */
static bool add_staged(struct layout *l, size_t n)
{
	char *at = l->stage + l->staged;
	struct iovec *last = l->n ? &l->iov[l->n - 1] : NULL;

	if (last && (char *)last->iov_base + last->iov_len == at) {
		last->iov_len += n;
		l->octets += n;
	} else if (!layout_ref(l, at, n)) {
		return false;
	}
	l->staged += n;
	return true;
}

bool layout_copy(struct layout *l, const char *bytes, size_t n)
{
	if (n > STAGE_SIZE - l->staged)
		return false;
	memcpy(l->stage + l->staged, bytes, n);
	return add_staged(l, n);
}

/* ---- dots ------------------------------------------------------------------------------------ */

/* How many dots lie before pos. */
static uint32_t dots_before(const struct pstn_content *c, uint64_t pos)
{
	uint32_t low = 0, high = c->ndots;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (c->dots[mid] < pos)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint64_t content_wire_length(const struct pstn_content *c, uint64_t length)
{
	return length + dots_before(c, length);
}

static bool dot_due(const struct outgoing *o, const struct cursor *at)
{
	return at->dot < o->content.ndots && o->content.dots[at->dot] == at->pos &&
	       at->pos < o->end;
}

/* Octets up to the next dot or the end. */
static uint64_t piece_length(const struct outgoing *o, const struct cursor *at)
{
	uint64_t end = o->end;

	if (at->dot < o->content.ndots && o->content.dots[at->dot] < end)
		end = o->content.dots[at->dot];
	return end > at->pos ? end - at->pos : 0;
}

size_t content_sent(struct outgoing *o, size_t n)
{
	size_t done = 0;

	while (done < n && o->at.pos < o->end) {
		uint64_t piece;

		if (dot_due(o, &o->at)) {
			o->at.dot++;
			done++;
			continue;
		}
		piece = piece_length(o, &o->at);
		if (piece > n - done)
			piece = n - done;
		o->at.pos += piece;
		done += piece;
	}
	return done;
}

/* ---- contents in memory ---------------------------------------------------------------------- */

static enum laid lay_memory(struct outgoing *o, struct layout *l)
{
	struct cursor at = o->at;

	while (at.pos < o->end) {
		const char *bytes = o->content.bytes + at.pos;
		uint64_t n;

		if (dot_due(o, &at)) {
			if (!layout_copy(l, ".", 1))
				return LAID_FULL;
			at.dot++;
		}
		n = piece_length(o, &at);
		if (n <= COPY_MAX ? !layout_copy(l, bytes, n) : !layout_ref(l, bytes, n))
			return LAID_FULL;
		at.pos += n;
	}
	return LAID_ALL;
}

/* ---- contents in files ----------------------------------------------------------------------- */

uint64_t content_file_piece(const struct outgoing *o)
{
	uint64_t n;

	if (o->no_sendfile || o->content.bytes || dot_due(o, &o->at))
		return 0;
	n = piece_length(o, &o->at);
	if (n < SENDFILE_MIN + TAIL)
		return 0;
	n -= TAIL;
	return n < SENDFILE_MAX ? n : SENDFILE_MAX;
}

/* The file's system cannot say what is hot. If it is memory itself, everything is. */
static bool lives_in_memory(struct outgoing *o)
{
	struct statfs fs;

	if (!o->no_probe) {
		o->no_probe = true;
		o->in_memory = fstatfs(o->content.fd, &fs) == 0 &&
			       (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
	}
	return o->in_memory;
}

/* Reads without waiting for a disk. -1 with EAGAIN: it is cold. */
static ssize_t read_hot(struct outgoing *o, void *to, size_t n, uint64_t pos)
{
	struct iovec iov = {.iov_base = to, .iov_len = n};
	off_t offset = (off_t)(o->content.offset + pos);
	ssize_t got;

	if (pos + n <= o->warm || o->in_memory)
		return pread(o->content.fd, to, n, offset);
	if (!o->no_probe) {
		got = preadv2(o->content.fd, &iov, 1, offset, RWF_NOWAIT);
		if (got >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
			return got;
	}
	if (lives_in_memory(o))
		return pread(o->content.fd, to, n, offset);
	errno = EAGAIN;
	return -1;
}

bool content_is_hot(struct outgoing *o, uint64_t pos, uint64_t n)
{
	char octet;

	if (pos + n <= o->warm || o->in_memory)
		return true;
	if (read_hot(o, &octet, 1, pos) < 0 || read_hot(o, &octet, 1, pos + n - 1) < 0)
		return errno != EAGAIN; /* let the call that reads it find out what is wrong */
	return true;
}

uint64_t content_warm(const struct outgoing *o)
{
	uint64_t n = o->end - o->at.pos;
	char page[16 * 1024];

	if (n > WARM_WINDOW)
		n = WARM_WINDOW;
	readahead(o->content.fd, (off_t)(o->content.offset + o->at.pos), (size_t)n);
	for (uint64_t done = 0; done < n;) {
		uint64_t pos = o->content.offset + o->at.pos + done;
		ssize_t got = pread(o->content.fd, page, sizeof(page), (off_t)pos);

		if (got <= 0)
			break; /* whoever sends it meets the same */
		done += (uint64_t)got;
	}
	return o->at.pos + n;
}

/* `read` octets stand `ndots` behind where they belong; puts the dots between them. */
static void stuff(const struct outgoing *o, struct cursor *at, char *to, size_t read, size_t ndots)
{
	const char *from = to + ndots;
	uint64_t end = at->pos + read;

	while (at->pos < end) {
		uint64_t n;

		if (dot_due(o, at)) {
			*to++ = '.';
			at->dot++;
		}
		n = piece_length(o, at);
		if (n > end - at->pos)
			n = end - at->pos;
		memmove(to, from, n);
		to += n;
		from += n;
		at->pos += n;
	}
}

/* How many octets of the text, with their dots, are sure to fit into room. */
static size_t fitting(const struct outgoing *o, const struct cursor *at, size_t room)
{
	uint64_t left = o->end - at->pos;
	size_t n = left < room ? (size_t)left : room;
	size_t ndots = dots_before(&o->content, at->pos + n) - at->dot;

	if (n + ndots <= room)
		return n;
	/* were each octet a dot, half would fit */
	return room - ndots > room / 2 ? room - ndots : room / 2;
}

static enum laid lay_file(struct outgoing *o, struct layout *l)
{
	struct cursor at = o->at;

	while (at.pos < o->end) {
		char *to = l->stage + l->staged;
		size_t room = STAGE_SIZE - l->staged, n, ndots;
		ssize_t got;

		if (room < READ_MIN)
			return LAID_FULL;
		n = fitting(o, &at, room);
		ndots = dots_before(&o->content, at.pos + n) - at.dot;
		got = read_hot(o, to + ndots, n, at.pos);
		if (got == 0)
			errno = 0;
		if (got <= 0)
			return got < 0 && errno == EAGAIN ? LAID_COLD : LAID_BROKEN;
		/* With fewer octets there may be fewer dots: the gap is what stuff() is told. */
		if ((size_t)got < n) {
			size_t fewer = dots_before(&o->content, at.pos + (uint64_t)got) - at.dot;

			memmove(to + fewer, to + ndots, (size_t)got);
			ndots = fewer;
		}
		stuff(o, &at, to, (size_t)got, ndots);
		if (!add_staged(l, (size_t)got + ndots))
			return LAID_FULL;
	}
	return LAID_ALL;
}

enum laid content_lay(struct outgoing *o, struct layout *l)
{
	if (o->content.bytes)
		return lay_memory(o, l);
	if (content_file_piece(o))
		return LAID_FILE;
	return lay_file(o, l);
}
