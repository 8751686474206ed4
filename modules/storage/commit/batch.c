/*
 * batch.c - the records of one group.
 */
#include "batch.h"

#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <string.h>

#define CHUNK   ((size_t)16 << 10)
#define VECTORS 128

struct batch_chunk {
	struct batch_chunk *next;
	size_t used, room;
	_Alignas(16) unsigned char bytes[];
};

static const unsigned char zeros[8];

void batch_begin(struct batch *b, struct store *st, uint64_t base, uint64_t seed, uint64_t sequence)
{
	*b = (struct batch){
	    .store = st, .base = base, .seed = seed, .sequence = sequence, .time = store_time()};
}

void batch_end(struct batch *b)
{
	while (b->chunks) {
		struct batch_chunk *next = b->chunks->next;

		store_free(b->store, b->chunks);
		b->chunks = next;
	}
	store_free(b->store, b->vectors);
	b->vectors = NULL;
}

void *batch_alloc(struct batch *b, size_t n)
{
	struct batch_chunk *c = b->chunks;
	void *p;

	n = (n + 15) & ~(size_t)15;
	if (!c || c->room - c->used < n) {
		size_t room = n > CHUNK ? n : CHUNK;

		c = store_alloc(b->store, sizeof(*c) + room);
		if (!c)
			return NULL;
		c->room = room;
		c->next = b->chunks;
		b->chunks = c;
	}
	p = c->bytes + c->used;
	c->used += n;
	return p;
}

static bool room_for(struct batch *b, size_t more)
{
	size_t room = b->room ? b->room * 2 : VECTORS;
	struct iovec *larger;

	if (b->used + more <= b->room)
		return true;
	larger = store_alloc(b->store, room * sizeof(*larger));
	if (!larger)
		return false;
	if (b->used)
		memcpy(larger, b->vectors, b->used * sizeof(*larger));
	store_free(b->store, b->vectors);
	b->vectors = larger;
	b->room = room;
	return true;
}

static void push(struct batch *b, const void *p, uint64_t n)
{
	uint64_t pad = ALIGN8(n) - n;

	if (n == 0)
		return;
	b->vectors[b->used++] = (struct iovec){(void *)(uintptr_t)p, (size_t)n};
	if (pad)
		b->vectors[b->used++] = (struct iovec){(void *)(uintptr_t)zeros, (size_t)pad};
	b->length += n + pad;
}

static unsigned char *dots_to_disk(struct batch *b, const uint64_t *dots, uint32_t n)
{
	unsigned char *out = batch_alloc(b, (size_t)n * RECORD_DOT);

	for (uint32_t i = 0; out && i < n; i++)
		put64(out + (size_t)i * RECORD_DOT, dots[i]);
	return out;
}

void batch_stamp(const struct batch *b, struct record *r, uint64_t group)
{
	r->sequence = b->sequence;
	/* A change that is written again, or that waited, happened when it did. */
	if (r->type != RECORD_FLAGS && (!(r->flags & RECORD_MOVED) || r->type == RECORD_MESSAGE))
		r->time = b->time;
	r->group = group;
}

int batch_add(struct batch *b, struct record *r, const void *body, const uint64_t *dots,
	      uint64_t *offset)
{
	unsigned char *head = batch_alloc(b, RECORD_HEAD_MAX);
	unsigned char *tail = NULL;
	uint64_t tail_length = record_tail_length(r);

	if (!head || !room_for(b, 6))
		return ENOMEM;
	if (tail_length) {
		tail = dots_to_disk(b, dots, r->count);
		if (!tail)
			return ENOMEM;
		r->tail_sum = record_sum(tail, tail_length, b->seed);
		if (r->flags & RECORD_DOTS_DAMAGED)
			r->tail_sum = ~r->tail_sum;
	}
	r->body_sum = record_sum(body, r->body_length, b->seed);
	if (r->flags & RECORD_TEXT_DAMAGED)
		r->body_sum = ~r->body_sum;
	batch_stamp(b, r, b->base);
	*offset = b->base + b->length;
	record_encode(r, b->seed, *offset, head);
	push(b, head, r->head_length);
	push(b, body, r->body_length);
	push(b, tail, tail_length);
	b->records++;
	return 0;
}
