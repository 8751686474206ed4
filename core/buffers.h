/*
 * buffers.h - a reactor's pool of output buffers.
 *
 * A session borrows a buffer while it has small output queued and gives it back when the kernel
 * took the bytes. Two sizes: most replies fit the small one, and a slow reader with many small
 * replies between long contents keeps little.
 */
#ifndef CORE_BUFFERS_H
#define CORE_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What an output queue consists of: a buffer, or a content (stream_content.h). */
struct segment {
	struct segment *next;
	bool is_content;
};

struct buffer {
	struct segment segment; /* first */
	bool large;
	uint32_t start, end, size; /* bytes[start, end) are queued */
	char bytes[];
};

struct buffers {
	struct buffer *small, *large;
	unsigned nsmall, nlarge; /* kept for reuse */
	uint64_t lent;
};

struct buffer *buffer_take(struct buffers *, bool large); /* NULL: no memory */
void buffer_give(struct buffers *, struct buffer *);
void buffers_clear(struct buffers *);

#endif
