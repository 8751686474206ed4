/*
 * evacuate_load.c - a message's text and dots are read from the segment that is being emptied.
 * What fails its checksum is taken as it is: it stays damaged, and is told.
 */
#include "evacuate.h"

#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <unistd.h>

static bool read_all(struct evacuation *e, unsigned char *to, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t got = pread(e->fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return true;
}

static void tell_damage(struct evacuation *e, const struct move *m)
{
	struct store *st = e->store;
	char name[SEGMENT_NAME];

	segment_name(name, e->segment);
	st->host->log(PSTN_EVENT(
	    st->self, NULL, PSTN_ERROR, "message-damaged", PSTN_U("account", m->record.account),
	    PSTN_U("folder", m->record.folder), PSTN_U("uid", m->record.uid),
	    PSTN_S("segment", name), PSTN_U("offset", m->offset),
	    PSTN_S("what", "it fails its checksum; compaction keeps it as it is")));
	st->host->count(st->self, METRIC_DAMAGED, 1);
}

static void judge(struct evacuation *e, struct move *m, const unsigned char *tail, uint64_t n)
{
	struct record *r = &m->record;
	bool known = r->flags & RECORD_DAMAGED;

	r->flags &= (uint16_t)~RECORD_DAMAGED;
	if (record_sum(m->body, r->body_length, e->seed) != r->body_sum)
		r->flags |= RECORD_TEXT_DAMAGED;
	if (n && record_sum(tail, n, e->seed) != r->tail_sum)
		r->flags |= RECORD_DOTS_DAMAGED;
	if (r->flags & RECORD_DAMAGED && !known)
		tell_damage(e, m);
}

bool evacuation_load(struct evacuation *e, struct move *m)
{
	struct record *r = &m->record;
	uint64_t body = ALIGN8(r->body_length), tail = record_tail_length(r);
	unsigned char *bytes = store_alloc(e->store, (size_t)(body + tail) + 1);

	if (!bytes) {
		e->blocked = "there is not enough memory for one of its messages";
		return false;
	}
	m->body = bytes;
	if (!read_all(e, bytes, (size_t)(body + tail), m->offset + r->head_length)) {
		e->blocked = "it cannot be read; the disk may be failing";
		return false;
	}
	judge(e, m, bytes + body, tail);
	m->dots = (uint64_t *)(void *)(bytes + body);
	for (uint32_t i = 0; i < r->count; i++)
		m->dots[i] = get64(bytes + body + (size_t)i * RECORD_DOT);
	m->loaded = true;
	return true;
}
