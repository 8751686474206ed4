/*
 * stream_input.c - from the socket to the service, line by line.
 *
 * Octets are read into a room that all sessions of the reactor share and delivered from there. Only
 * what is left over, a part of a line or what a service does not listen to yet, is copied to memory
 * of the session's own, as much as there is.
 */
#include "runtime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool input_waits(const struct pstn_session *s)
{
	return s->input && !s->starved;
}

void input_discard(struct pstn_session *s)
{
	free(s->input);
	s->input = NULL;
}

static size_t kept(const struct pstn_session *s)
{
	return s->input ? s->input->end - s->input->start : 0;
}

/* Replaces what is kept by a copy of [at, end), which may be a part of it. */
static void keep(struct pstn_session *s, const char *at, const char *end)
{
	size_t n = (size_t)(end - at);
	struct input *in = NULL;

	if (n) {
		in = malloc(sizeof(*in) + n);
		if (in) {
			*in = (struct input){.end = (uint32_t)n};
			memcpy(in->bytes, at, n);
		} else {
			session_drop(s, "out of memory");
		}
	}
	input_discard(s);
	s->input = in;
}

/* ---- delivering ------------------------------------------------------------------------------ */

static char *deliver_data(struct pstn_session *s, char *at, char *end)
{
	size_t n = (size_t)(end - at);
	size_t used = session_service(s)->data(s->listening->handle, s, s->service_state, at, n);

	if (used > n)
		used = n;
	if (used)
		s->active = s->reactor->now;
	/* None used, and nothing changed that makes it worth asking again: it wants to see more. */
	s->starved = !used && s->raw && !s->held;
	return at + used;
}

static char *deliver_line(struct pstn_session *s, char *at, char *end)
{
	const struct pstn_service *service = session_service(s);
	char *line, *next;
	size_t n;

	switch (line_cut(&s->cutter, at, end, &line, &n, &next)) {
	case LINE_NONE:
		s->starved = true;
		return next;
	case LINE_WHOLE:
		s->active = s->reactor->now;
		s->in_line = true;
		service->line(s->listening->handle, s, s->service_state, line, n);
		s->in_line = false;
		return next;
	case LINE_TOO_LONG:
		s->active = s->reactor->now;
		service->overlong(s->listening->handle, s, s->service_state);
		return next;
	}
	return next;
}

/* Returns where the rest begins. */
static char *deliver(struct pstn_session *s, char *at, char *end)
{
	s->starved = false;
	while (at < end && s->lines && !s->starved && session_listens(s)) {
		s->lines--;
		at = s->raw ? deliver_data(s, at, end) : deliver_line(s, at, end);
	}
	if (at == end)
		s->starved = true;
	return at;
}

void input_deliver(struct pstn_session *s)
{
	struct input *in = s->input;
	char *at, *end;

	if (!input_waits(s) || !session_listens(s))
		return;
	end = in->bytes + in->end;
	at = deliver(s, in->bytes + in->start, end);
	in->start = (uint32_t)(at - in->bytes);
	/* The start of a line may have to wait long: let it cost its own length only. */
	if (at == end)
		input_discard(s);
	else if (s->starved && in->start)
		keep(s, at, end);
}

/* ---- reading --------------------------------------------------------------------------------- */

static ssize_t receive(struct pstn_session *s, char *at)
{
	ssize_t n = recv(s->fd, at, READ_SIZE, 0);

	if (n < 0 && errno != EAGAIN && errno != EINTR)
		session_drop(s, "connection lost");
	if (n == 0)
		s->eof = true;
	if (n <= 0)
		return n;
	s->octets_in += (uint64_t)n;
	s->read_full = n == READ_SIZE;
	return n;
}

void input_read(struct pstn_session *s)
{
	char *room = s->reactor->input;
	bool listens = session_listens(s);
	size_t before = kept(s);
	char *at, *end;
	ssize_t n;

	/* First what is there already; or, while the service does not listen, not too much. */
	if (listens ? input_waits(s) : before >= HELD_INPUT_MAX)
		return;
	if (before > INPUT_ROOM - READ_SIZE) {
		session_drop(s, "data not consumed");
		return;
	}
	n = receive(s, room + before);
	if (n <= 0)
		return;
	if (before)
		memcpy(room, s->input->bytes + s->input->start, before);
	at = room;
	end = room + before + n;
	if (listens)
		at = deliver(s, at, end);
	else
		s->starved = false;
	keep(s, at, end);
}
