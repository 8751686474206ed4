/*
 * fuzz_normalise.c - any text in pieces of any size becomes the wire form that a plain model makes.
 * The first two octets say how large pieces and room are.
 */
#include "tests/unit/wire_model.h"

#include "modules/storage/format/wire.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_normalise: %s\n", what);
	abort();
}

static void feed(struct wire *w, struct wire_out *all, const char *in, size_t n, size_t piece,
		 size_t room)
{
	wire_begin(w);
	for (size_t i = 0; i < n; i += piece) {
		size_t left = n - i < piece ? n - i : piece, taken = 0;

		while (taken < left) {
			struct wire_out some = *all;
			size_t now;

			some.room = all->used + room < all->room ? all->used + room : all->room;
			now = wire_feed(w, in + i + taken, left - taken, &some);
			must(now > 0, "nothing was taken though there was room");
			must(some.used <= some.room, "more was made than there is room for");
			taken += now;
			all->used = some.used;
			all->ndots = some.ndots;
		}
	}
	wire_end(w, all);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	struct wire_out out = {0};
	struct wire_model m;
	struct wire w;

	if (n < 2)
		return 0;
	out.bytes = malloc(n * 2 + 2);
	out.dots = malloc((n + 1) * sizeof(*out.dots));
	out.room = n * 2 + 2;
	out.dots_room = n + 1;
	feed(&w, &out, (const char *)octets + 2, n - 2, 1U + octets[0], 2U + octets[1]);
	wire_model_make(&m, octets + 2, n - 2);
	must(out.used == m.length && memcmp(out.bytes, m.text, m.length) == 0, "another text");
	must(w.octets == m.length && w.header_octets == m.header, "another length");
	must(out.ndots == m.ndots && memcmp(out.dots, m.dots, m.ndots * sizeof(*out.dots)) == 0,
	     "other dots");
	wire_model_free(&m);
	free(out.bytes);
	free(out.dots);
	return 0;
}
