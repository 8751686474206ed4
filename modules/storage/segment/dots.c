/*
 * dots.c - the positions of dots behind the text of a large message.
 */
#include "dots.h"

#include "format/bytes.h"
#include "format/checksum.h"
#include "store.h"

#include <errno.h>
#include <unistd.h>

#define AT_ONCE 8192 /* positions written at once, and half the octets read at once */

struct dots {
	const struct dots_place *place;
	XXH3_state_t sum;
	uint64_t at; /* where the next go */
	uint32_t count;
	unsigned used;
	unsigned char bytes[AT_ONCE * RECORD_DOT];
	unsigned char text[AT_ONCE * 2];
};

static int flush(struct dots *d)
{
	struct iovec v = {d->bytes, d->used * (size_t)RECORD_DOT};
	int rc;

	if (d->used == 0)
		return 0;
	XXH3_64bits_update(&d->sum, d->bytes, v.iov_len);
	rc = segment_write(d->place->segment, &v, 1, d->at);
	d->at += (uint64_t)d->used * RECORD_DOT;
	d->used = 0;
	return rc;
}

static int add(struct dots *d, uint64_t position)
{
	put64(d->bytes + d->used * (size_t)RECORD_DOT, position);
	d->count++;
	return ++d->used == AT_ONCE ? flush(d) : 0;
}

static struct dots *begin(const struct dots_place *place, void **memory)
{
	struct dots *d;

	/* XXH3's state wants more alignment than memory comes with. */
	*memory = store_alloc(place->store, sizeof(*d) + _Alignof(struct dots));
	if (!*memory)
		return NULL;
	d = (struct dots *)(((uintptr_t)*memory + _Alignof(struct dots) - 1) &
			    ~(uintptr_t)(_Alignof(struct dots) - 1));
	d->place = place;
	d->at = ALIGN8(place->text + place->octets);
	XXH3_64bits_reset_withSeed(&d->sum, place->segment->seed);
	return d;
}

static int end(struct dots *d, void *memory, int rc, uint32_t *n, uint64_t *sum)
{
	if (rc == 0)
		rc = flush(d);
	*n = d->count;
	*sum = d->count ? XXH3_64bits_digest(&d->sum) : 0;
	/* The file ends where the record does, padding included. */
	if (rc == 0 && ftruncate(d->place->segment->fd, (off_t)ALIGN8(d->at)) != 0)
		rc = errno;
	store_free(d->place->store, memory);
	return rc;
}

int dots_write(const struct dots_place *place, const uint64_t *dots, uint32_t n, uint64_t *sum)
{
	void *memory;
	struct dots *d = begin(place, &memory);
	int rc = 0;

	if (!d)
		return ENOMEM;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = add(d, dots[i]);
	return end(d, memory, rc, &n, sum);
}

/* In wire form every LF ends a line. */
static int look_at(struct dots *d, const unsigned char *p, size_t n, uint64_t from,
		   bool *line_start)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (*line_start && p[i] == '.')
			rc = add(d, from + i);
		*line_start = p[i] == '\n';
	}
	return rc;
}

int dots_find(const struct dots_place *place, uint32_t *n, uint64_t *sum)
{
	void *memory;
	struct dots *d = begin(place, &memory);
	bool line_start = true;
	int rc = 0;

	if (!d)
		return ENOMEM;
	for (uint64_t from = 0; rc == 0 && from < place->octets;) {
		uint64_t left = place->octets - from;
		ssize_t got = pread(place->segment->fd, d->text,
				    left < sizeof(d->text) ? (size_t)left : sizeof(d->text),
				    (off_t)(place->text + from));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			rc = got < 0 ? errno : EIO;
		else
			rc = look_at(d, d->text, (size_t)got, from, &line_start);
		from += got > 0 ? (uint64_t)got : 0;
	}
	return end(d, memory, rc, n, sum);
}
