/*
 * stream_content.h - a content on its way out: where it stands and how it becomes wire form.
 */
#ifndef CORE_STREAM_CONTENT_H
#define CORE_STREAM_CONTENT_H

#include "runtime.h"

#include <sys/uio.h>

/* A place in a content. If a dot is due at pos, it goes before the octet there. */
struct cursor {
	uint64_t pos;
	uint32_t dot; /* index of the first dot not sent */
};

struct outgoing {
	struct segment segment; /* first */
	bool no_sendfile;       /* the file's system cannot */
	bool no_probe;          /* nor tell cold data from hot: tried and answered */
	bool in_memory;         /* a file that lives in memory is never cold */
	struct cursor at;
	uint64_t end;
	uint64_t left; /* octets on the wire */
	uint64_t warm; /* up to this position the file was read ahead */
	struct pstn_content content;
};

/* What one system call is going to send. */
struct layout {
	struct iovec iov[64];
	unsigned n;
	size_t octets;
	char *stage;
	size_t staged;
	bool more; /* what follows goes out at once, too */
};

enum laid {
	LAID_ALL,   /* the content is in it up to its end */
	LAID_FULL,  /* no more room */
	LAID_FILE,  /* a long piece of a file comes next: sendfile */
	LAID_COLD,  /* what comes next has to be read from disk first */
	LAID_BROKEN /* it cannot be read */
};

bool layout_ref(struct layout *, const char *bytes, size_t n);
bool layout_copy(struct layout *, const char *bytes, size_t n);

uint64_t content_wire_length(const struct pstn_content *, uint64_t length);
enum laid content_lay(struct outgoing *, struct layout *);
/* The part of it that sendfile may send now; 0: none worth it. */
uint64_t content_file_piece(const struct outgoing *);
/* False: not in memory as far as can be told. */
bool content_is_hot(struct outgoing *, uint64_t pos, uint64_t n);
/* Takes up to n octets of wire form as sent; returns how many it had. */
size_t content_sent(struct outgoing *, size_t n);
/* On a job thread: reads ahead from the cursor on. Returns up to where. */
uint64_t content_warm(const struct outgoing *);

#endif
