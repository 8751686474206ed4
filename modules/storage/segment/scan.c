/*
 * scan.c - reading a segment record by record. Where a record should be and none is, the scan
 * looks for the next sound head; heads are keyed with the segment's seed and their own offset, so
 * that no text of a message can pass for one.
 */
#include "scan.h"

#include "format/bytes.h"
#include "format/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

void scan_begin(struct scan *s, int fd, uint64_t size, uint64_t seed, uint64_t from,
		unsigned char *window)
{
	*s = (struct scan){.fd = fd, .size = size, .seed = seed, .next = from, .window = window};
}

/* What is in memory already is somebody's, and stays; what is not was read for us alone. */
static ssize_t read_at(struct scan *s, void *to, size_t n, off_t at)
{
	struct iovec v = {to, n};
	ssize_t got;

	if (!s->leave_no_pages)
		return pread(s->fd, to, n, at);
	got = preadv2(s->fd, &v, 1, at, RWF_NOWAIT);
	if (got == (ssize_t)n)
		return got;
	got = pread(s->fd, to, n, at);
	if (got > 0)
		(void)posix_fadvise(s->fd, at, got, POSIX_FADV_DONTNEED);
	return got;
}

static bool fill(struct scan *s, uint64_t at)
{
	s->window_at = at;
	s->window_length = 0;
	if (s->stopped)
		return false;
	while (s->window_length < SCAN_WINDOW) {
		ssize_t n = read_at(s, s->window + s->window_length, SCAN_WINDOW - s->window_length,
				    (off_t)(at + s->window_length));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			s->failed = true;
		if (n <= 0)
			break;
		s->window_length += (size_t)n;
	}
	if (s->read && !s->read(s->arg, s->window_length)) {
		s->stopped = true;
		s->window_length = 0;
	}
	if (at + s->window_length > s->size)
		s->window_length = s->size > at ? (size_t)(s->size - at) : 0;
	return s->window_length > 0;
}

/* Octets at `at`: at least min(n, what the file has) of them; *got says how many. */
static const unsigned char *peek(struct scan *s, uint64_t at, size_t n, size_t *got)
{
	if (at < s->window_at || at + n > s->window_at + s->window_length)
		fill(s, at);
	if (at >= s->window_at + s->window_length) {
		*got = 0;
		return s->window;
	}
	*got = (size_t)(s->window_at + s->window_length - at);
	return s->window + (at - s->window_at);
}

static enum record_verdict head_at(struct scan *s, uint64_t at, struct record *r)
{
	size_t got;
	const unsigned char *p = peek(s, at, RECORD_HEAD_MAX, &got);
	enum record_verdict verdict = record_decode(r, p, got, s->seed, at);

	if (verdict == RECORD_BAD)
		return verdict;
	if (r->sequence < s->sequence || record_length(r) > s->size - at)
		return RECORD_BAD;
	return verdict;
}

/* How far behind p, of which n octets are a head at least, a head might begin. */
static size_t distance(const unsigned char *p, size_t n)
{
	const unsigned char *q = memchr(p, RECORD_MAGIC & 0xff, n - RECORD_HEAD + 1);

	return ALIGN8(q ? (size_t)(q - p) : n - RECORD_HEAD + 1);
}

/* The next offset from `from` on where a sound head stands; 0: none. Mostly there are megabytes of
 * zeros and none. */
static uint64_t look_for_head(struct scan *s, uint64_t from)
{
	struct record r;

	for (uint64_t at = ALIGN8(from); at + RECORD_HEAD <= s->size;) {
		size_t got, skip;
		const unsigned char *p = peek(s, at, RECORD_HEAD, &got);

		if (got < RECORD_HEAD)
			return 0;
		skip = distance(p, got);
		at += skip;
		if (skip > 0)
			continue;
		if (record_magic(p) && head_at(s, at, &r) != RECORD_BAD)
			return at;
		at += 8;
	}
	return 0;
}

enum scan_result scan_next(struct scan *s)
{
	enum record_verdict verdict;

	s->at = s->next;
	if (s->at >= s->size)
		return SCAN_END;
	verdict = head_at(s, s->at, &s->record);
	if (verdict == RECORD_BAD) {
		s->next = look_for_head(s, s->at + 8);
		if (s->next)
			return SCAN_GAP;
		s->next = s->at;
		return SCAN_END;
	}
	s->next = s->at + record_length(&s->record);
	s->sequence = s->record.sequence;
	if (verdict == RECORD_UNKNOWN && !(s->record.flags & RECORD_SKIPPABLE))
		return SCAN_UNKNOWN;
	return SCAN_RECORD;
}

static bool verify_part(struct scan *s, uint64_t at, uint64_t length, uint64_t sum)
{
	XXH3_state_t state;

	XXH3_INITSTATE(&state);
	state.extSecret = NULL;
	XXH3_64bits_reset_withSeed(&state, s->seed);
	while (length > 0) {
		size_t got, n;
		const unsigned char *p = peek(s, at, 1, &got);

		if (got == 0)
			return false;
		n = got < length ? got : (size_t)length;
		XXH3_64bits_update(&state, p, n);
		at += n;
		length -= n;
	}
	return XXH3_64bits_digest(&state) == sum;
}

bool scan_verify(struct scan *s)
{
	const struct record *r = &s->record;
	uint64_t body = s->at + r->head_length;
	uint64_t tail = record_tail_length(r);

	return verify_part(s, body, r->body_length, r->body_sum) &&
	       (tail == 0 || verify_part(s, body + ALIGN8(r->body_length), tail, r->tail_sum));
}

const unsigned char *scan_body(struct scan *s)
{
	size_t got;
	const unsigned char *p;

	if (s->record.body_length > SCAN_WINDOW)
		return NULL;
	p = peek(s, s->at + s->record.head_length, (size_t)s->record.body_length, &got);
	return got >= s->record.body_length ? p : NULL;
}

bool scan_clean_end(struct scan *s)
{
	for (uint64_t at = s->at; at < s->size;) {
		size_t got;
		const unsigned char *p = peek(s, at, 1, &got);

		if (got == 0)
			return false;
		if (p[0] != 0 || (got > 1 && memcmp(p, p + 1, got - 1) != 0))
			return false;
		at += got;
	}
	return true;
}
