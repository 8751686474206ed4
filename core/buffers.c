/*
 * buffers.c - a reactor's pool of output buffers (see buffers.h).
 */
#include "buffers.h"

#include <stdlib.h>

enum {
	SMALL_SIZE = 512 - 48, /* header and malloc's own word included: 512 bytes */
	LARGE_SIZE = 4096 - 48,
	KEEP_SMALL = 256, /* what an idle reactor keeps: 128 KiB and 256 KiB */
	KEEP_LARGE = 64
};

static struct buffer *pop(struct buffer **list, unsigned *count)
{
	struct buffer *b = *list;

	if (b) {
		*list = (struct buffer *)b->segment.next;
		--*count;
	}
	return b;
}

static void push(struct buffer **list, unsigned *count, struct buffer *b)
{
	b->segment.next = (struct segment *)*list;
	*list = b;
	++*count;
}

struct buffer *buffer_take(struct buffers *pool, bool large)
{
	uint32_t size = large ? LARGE_SIZE : SMALL_SIZE;
	struct buffer *b =
	    large ? pop(&pool->large, &pool->nlarge) : pop(&pool->small, &pool->nsmall);

	if (!b)
		b = malloc(sizeof(*b) + size);
	if (!b)
		return NULL;
	*b = (struct buffer){.large = large, .size = size};
	pool->lent++;
	return b;
}

void buffer_give(struct buffers *pool, struct buffer *b)
{
	pool->lent--;
	if (b->large && pool->nlarge < KEEP_LARGE)
		push(&pool->large, &pool->nlarge, b);
	else if (!b->large && pool->nsmall < KEEP_SMALL)
		push(&pool->small, &pool->nsmall, b);
	else
		free(b);
}

void buffers_clear(struct buffers *pool)
{
	struct buffer *b;

	while ((b = pop(&pool->small, &pool->nsmall)))
		free(b);
	while ((b = pop(&pool->large, &pool->nlarge)))
		free(b);
}
