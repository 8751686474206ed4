/*
 * log_ring.c - a ring of log events with one writer and one reader.
 */
#include "config.h"

#include "log_ring.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct record {
	uint32_t length; /* of all, a multiple of 8; 0: the rest of the ring is not used */
	uint8_t level, nfields;
	uint16_t names_at;             /* behind the fields: service, session, event */
	uint16_t session_at, event_at; /* from names_at */
	uint32_t generation;
	uint64_t time;
	struct pstn_field fields[];
};

static char *place(const struct log_ring *r, uint64_t pos)
{
	return (char *)(uintptr_t)r->bytes + (pos & (LOG_RING_BYTES - 1));
}

struct log_ring *log_ring_new(void)
{
	struct log_ring *r = aligned_alloc(64, sizeof(*r));
	if (!r)
		return NULL;
	memset(r, 0,
	       offsetof(struct log_ring, bytes)); /* the bytes are touched when they are used */
	return r;
}

/* ---- writing ---- */

static size_t name_length(const char *name)
{
	return strnlen(name, LOG_NAME_MAX - 1);
}

/* A long value keeps its beginning and tells how long it was: "abc...(5000 octets)". */
static uint32_t cut_length(const struct pstn_field *f)
{
	return f->length <= LOG_VALUE_MAX ? f->length : LOG_VALUE_MAX;
}

static char *copy_name(char *to, const char *name)
{
	size_t n = name_length(name);
	memcpy(to, name, n);
	to[n] = '\0';
	return to + n + 1;
}

static char *copy_value(char *to, const struct pstn_field *f, uint32_t length)
{
	memcpy(to, f->str, length);
	if (length < f->length) {
		char mark[32];
		int n = snprintf(mark, sizeof(mark), "...(%u octets)", f->length);
		memcpy(to + length - n, mark, (size_t)n);
	}
	to[length] = '\0';
	return to + length + 1;
}

static size_t record_length(const struct pstn_log_event *e, uint32_t nfields)
{
	size_t n = sizeof(struct record) + nfields * sizeof(struct pstn_field);
	n += name_length(e->service) + name_length(e->session) + name_length(e->event) + 3;
	for (uint32_t i = 0; i < nfields; i++)
		if (e->fields[i].kind == PSTN_F_STR)
			n += cut_length(&e->fields[i]) + 1;
	return (n + 7) & ~(size_t)7;
}

static void fill(struct record *rec, const struct pstn_log_event *e, uint32_t nfields,
		 size_t length)
{
	rec->length = (uint32_t)length;
	rec->level = (uint8_t)e->level;
	rec->nfields = (uint8_t)nfields;
	rec->time = e->time;
	rec->generation = e->generation;
	char *to = (char *)&rec->fields[nfields];
	rec->names_at = (uint16_t)(to - (char *)rec);
	char *names = to;
	to = copy_name(to, e->service);
	rec->session_at = (uint16_t)(to - names);
	to = copy_name(to, e->session);
	rec->event_at = (uint16_t)(to - names);
	to = copy_name(to, e->event);
	for (uint32_t i = 0; i < nfields; i++) {
		struct pstn_field *f = &rec->fields[i];
		*f = e->fields[i];
		if (f->kind != PSTN_F_STR)
			continue;
		f->length = cut_length(&e->fields[i]);
		f->str = to;
		to = copy_value(to, &e->fields[i], f->length);
	}
}

static bool has_room(struct log_ring *r, uint64_t head, size_t n)
{
	if (head + n - r->seen_tail <= LOG_RING_BYTES)
		return true;
	r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return head + n - r->seen_tail <= LOG_RING_BYTES;
}

bool log_ring_put(struct log_ring *r, const struct pstn_log_event *e)
{
	uint32_t nfields = e->nfields < LOG_FIELDS_MAX ? e->nfields : LOG_FIELDS_MAX;
	size_t n = record_length(e, nfields);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t to_end = LOG_RING_BYTES - (head & (LOG_RING_BYTES - 1));
	size_t skip = n > to_end ? to_end : 0; /* records do not wrap */
	if (!has_room(r, head, skip + n)) {
		atomic_fetch_add_explicit(&r->dropped, 1, memory_order_relaxed);
		return false;
	}
	if (skip)
		((struct record *)(void *)place(r, head))->length = 0;
	fill((struct record *)(void *)place(r, head + skip), e, nfields, n);
	atomic_store_explicit(&r->head, head + skip + n, memory_order_release);
	return true;
}

bool log_ring_filling(struct log_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	return !has_room(r, head, LOG_RING_BYTES / 2);
}

/* ---- reading ---- */

bool log_ring_get(const struct log_ring *r, uint64_t *pos, uint64_t end, struct pstn_log_event *out)
{
	const struct record *rec = (const void *)place(r, *pos);
	if (*pos == end)
		return false;
	if (rec->length == 0) {
		*pos += LOG_RING_BYTES - (*pos & (LOG_RING_BYTES - 1));
		rec = (const void *)place(r, *pos);
	}
	const char *names = (const char *)rec + rec->names_at;
	*out = (struct pstn_log_event){.size = sizeof(*out),
				       .level = rec->level,
				       .time = rec->time,
				       .service = names,
				       .session = names + rec->session_at,
				       .event = names + rec->event_at,
				       .generation = rec->generation,
				       .nfields = rec->nfields,
				       .fields = rec->fields};
	*pos += rec->length;
	return true;
}
