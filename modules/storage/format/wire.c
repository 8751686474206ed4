/*
 * wire.c - a message's text to wire form. Pure; fuzzed against a naive version.
 */
#include "wire.h"

#include <string.h>

void wire_begin(struct wire *w)
{
	*w = (struct wire){.line_start = true};
}

/* What has just been made ends with CRLF. */
static void line_ended(struct wire *w, bool empty)
{
	if (empty && w->header_octets == 0)
		w->header_octets = w->octets;
	w->line_start = true;
	w->cr = false;
}

static void make(struct wire *w, struct wire_out *out, const void *bytes, size_t n)
{
	memcpy(out->bytes + out->used, bytes, n);
	out->used += n;
	w->octets += n;
}

static void make_line_end(struct wire *w, struct wire_out *out, bool had_cr)
{
	/* An empty line is the line end alone: "\n", or "\r\n" whose CR began the line. */
	bool empty = w->line_start && had_cr == w->cr;

	if (had_cr)
		make(w, out, "\n", 1);
	else
		make(w, out, "\r\n", 2);
	line_ended(w, empty);
}

/* A stretch without LF. `line_start` survives a lone CR, since "\r\n" is an empty line. */
static void make_stretch(struct wire *w, struct wire_out *out, const char *in, size_t n)
{
	bool only_cr = w->line_start && !w->cr && n == 1 && in[0] == '\r';

	if (w->line_start && !w->cr && in[0] == '.')
		out->dots[out->ndots++] = w->octets;
	make(w, out, in, n);
	w->cr = in[n - 1] == '\r';
	w->line_start = only_cr;
}

size_t wire_feed(struct wire *w, const char *in, size_t n, struct wire_out *out)
{
	size_t taken = 0;

	while (taken < n) {
		size_t room = out->room - out->used;
		size_t left = n - taken;
		const char *from = in + taken, *lf;
		size_t stretch;

		if (room < 2 || (out->ndots == out->dots_room && w->line_start))
			break;
		if (*from == '\n') {
			make_line_end(w, out, w->cr);
			taken++;
			continue;
		}
		if (left > room)
			left = room;
		lf = memchr(from, '\n', left);
		stretch = lf ? (size_t)(lf - from) : left;
		make_stretch(w, out, from, stretch);
		taken += stretch;
	}
	return taken;
}

void wire_end(struct wire *w, struct wire_out *out)
{
	if (w->octets > 0 && (!w->line_start || w->cr))
		make_line_end(w, out, false);
	if (w->header_octets == 0)
		w->header_octets = w->octets;
}
