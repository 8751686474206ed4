/*
 * unwire.c - from wire form to lines that end with LF. Pure.
 */
#include "unwire.h"

#include <string.h>

void unwire_look(struct unwire *u, const char *in, size_t n)
{
	for (size_t i = 0; i < n && !u->keep; i++) {
		if (in[i] == '\n' && u->seen > 1)
			u->keep = true;
		u->seen = in[i] == '\r' ? u->seen + (u->seen < 2) : 0;
	}
}

size_t unwire_feed(struct unwire *u, const char *in, size_t n, char *out)
{
	size_t used = 0;

	if (u->keep) {
		memcpy(out, in, n);
		return n;
	}
	for (size_t i = 0; i < n; i++) {
		if (u->cr && in[i] != '\n')
			out[used++] = '\r';
		u->cr = in[i] == '\r';
		if (!u->cr)
			out[used++] = in[i];
	}
	return used;
}

size_t unwire_end(struct unwire *u, char *out)
{
	size_t n = u->cr;

	if (n)
		out[0] = '\r';
	u->cr = false;
	return n;
}
