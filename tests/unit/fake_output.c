/*
 * fake_output.c - output of the fake host's sessions: gathered, and rendered late, so that a
 * content which does not stay valid until its release is found out.
 */
#include "fake_session.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chunk { /* octets, or a part of a content */
	struct chunk *next;
	bool is_content;
	struct pstn_content content;
	uint64_t length;
	char *bytes;
};

static void emit(struct pstn_session *s, const void *bytes, size_t n)
{
	if (s->output_length + n + 1 > s->output_room) {
		s->output_room = 2 * (s->output_length + n + 1);
		s->output = fake_must(realloc(s->output, s->output_room));
	}
	memcpy(s->output + s->output_length, bytes, n);
	s->output_length += n;
	s->output[s->output_length] = '\0';
}

static void read_content(const struct pstn_content *c, char *to, uint64_t n)
{
	if (c->bytes) {
		memcpy(to, c->bytes, n);
		return;
	}
	for (uint64_t got = 0; got < n;) {
		ssize_t r = pread(c->fd, to + got, n - got, (off_t)(c->offset + got));
		if (r <= 0)
			fake_die("a content's file ends or fails after %llu of %llu octets",
				 (unsigned long long)got, (unsigned long long)n);
		got += (uint64_t)r;
	}
}

static void emit_content(struct pstn_session *s, const struct pstn_content *c, uint64_t n)
{
	char *text = fake_must(malloc(n + 1));
	read_content(c, text, n);
	uint64_t at = 0;
	for (uint32_t i = 0; i < c->ndots && c->dots[i] < n; i++) {
		if (c->dots[i] < at)
			fake_die("a content's dots do not ascend");
		if (text[c->dots[i]] != '.')
			fake_die("there is no dot at offset %llu of a content",
				 (unsigned long long)c->dots[i]);
		emit(s, text + at, c->dots[i] - at);
		emit(s, ".", 1);
		at = c->dots[i];
	}
	emit(s, text + at, n - at);
	free(text);
}

static void release(struct chunk *c)
{
	if (c->is_content && c->content.release)
		c->content.release(c->content.ref);
	free(c->bytes);
	free(c);
}

void fake_flush(struct pstn_session *s, bool send)
{
	struct chunk *c;
	while ((c = s->chunks)) {
		if (!(s->chunks = c->next))
			s->last_chunk = &s->chunks;
		if (send && c->is_content)
			emit_content(s, &c->content, c->length);
		else if (send)
			emit(s, c->bytes, c->length);
		release(c);
	}
}

static struct chunk *add_chunk(struct pstn_session *s, uint64_t length)
{
	struct chunk *c = fake_must(calloc(1, sizeof(*c)));
	c->length = length;
	*s->last_chunk = c;
	s->last_chunk = &c->next;
	return c;
}

/* After finish() or drop() nothing that a service still says reaches the client. */
bool fake_mute(const struct pstn_session *s)
{
	return s->finished || s->dropped;
}

void fake_write(struct pstn_session *s, const void *bytes, size_t n)
{
	fake_session_check(s, "write");
	if (fake_mute(s) || n == 0)
		return;
	struct chunk *c = add_chunk(s, n);
	c->bytes = fake_must(malloc(n));
	memcpy(c->bytes, bytes, n);
}

void fake_printf(struct pstn_session *s, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		fake_die("printf cannot format %s", fmt);
	fake_write(s, text, (size_t)n);
	free(text);
}

void fake_send(struct pstn_session *s, const struct pstn_content *c, uint64_t length)
{
	fake_session_check(s, "send");
	if (!PSTN_HAS(struct pstn_content, c, ref))
		fake_die("send of a content that does not tell its size");
	if (length > c->length)
		fake_die("send of %llu octets of a content of %llu", (unsigned long long)length,
			 (unsigned long long)c->length);
	if (fake_mute(s)) {
		if (c->release)
			c->release(c->ref);
		return;
	}
	struct chunk *chunk = add_chunk(s, length);
	chunk->is_content = true;
	chunk->content = *c;
}

uint64_t fake_queued(const struct pstn_session *s)
{
	uint64_t n = s->queued_more;
	for (const struct chunk *c = s->chunks; c; c = c->next)
		n += c->length;
	return n;
}

uint64_t fake_host_queued(struct pstn_session *s)
{
	fake_session_check(s, "queued");
	return fake_queued(s);
}

void fake_want_drained(struct pstn_session *s)
{
	fake_session_check(s, "want_drained");
	if (s->service && !s->service->drained)
		fake_die("want_drained by a service without drained()");
	s->want_drained = true;
}

const char *fake_output(struct pstn_session *s)
{
	if (!s->closed && !s->blocked)
		fake_flush(s, true);
	return s->output;
}

size_t fake_output_length(struct pstn_session *s)
{
	fake_output(s);
	return s->output_length;
}

void fake_clear_output(struct pstn_session *s)
{
	fake_output(s);
	s->output_length = 0;
	s->output[0] = '\0';
}

void fake_block(struct pstn_session *s, bool blocked)
{
	s->blocked = blocked;
	if (!blocked && s->closed)
		fake_flush(s, true); /* the last output of a session that finished */
	else if (!blocked)
		fake_turn(s);
}
