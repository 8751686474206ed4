/*
 * fuzz_mbox_write.c - any text as a message between two others: in wire form, out to an mbox, in
 * again and to wire form, it is the same, octet by octet. Any name of a folder likewise.
 */
#include "modules/storage/export/mbox_write.h"
#include "modules/storage/format/unwire.h"
#include "modules/storage/format/wire.h"
#include "modules/storage/import/mutf7.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX ((size_t)1 << 14)

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

struct buffer {
	char bytes[TEXT_MAX * 4];
	size_t n;
};

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_mbox_write: %s\n", what);
	abort();
}

static void to_wire(const char *text, size_t n, struct buffer *out)
{
	static uint64_t dots[TEXT_MAX * 4];
	struct wire_out o = {.bytes = (unsigned char *)out->bytes,
			     .room = sizeof(out->bytes),
			     .dots = dots,
			     .dots_room = TEXT_MAX * 4};
	struct wire w;

	wire_begin(&w);
	must(wire_feed(&w, text, n, &o) == n, "no room");
	wire_end(&w, &o);
	out->n = o.used;
}

static bool append(void *arg, const char *bytes, size_t n)
{
	struct buffer *b = arg;

	memcpy(b->bytes + b->n, bytes, n);
	b->n += n;
	return true;
}

/* Words of the text as keywords. */
static struct keyword_list keywords;

static void gather_keywords(const char *text, size_t n)
{
	keyword_list_clear(&keywords);
	for (size_t i = 0, length; i < n && keywords.count < 24; i += length + 1) {
		for (length = 0; i + length < n; length++) {
			if (text[i + length] <= ' ' || text[i + length] > '~')
				break;
		}
		keyword_list_add(&keywords, text + i, length);
	}
}

static void write_message(struct mbox_writer *w, const struct buffer *wire, uint32_t flags,
			  size_t piece)
{
	static char text[TEXT_MAX * 4];
	struct unwire u = {.keep = false};

	for (size_t at = 0; at < wire->n; at += piece)
		unwire_look(&u, wire->bytes + at, wire->n - at < piece ? wire->n - at : piece);
	must(mbox_write_begin(w, 1000000000 + flags, flags, "an-id", &keywords), "it stopped");
	for (size_t at = 0; at < wire->n; at += piece) {
		size_t n = wire->n - at < piece ? wire->n - at : piece;

		n = unwire_feed(&u, wire->bytes + at, n, text);
		must(mbox_write_text(w, text, n), "it stopped");
	}
	must(mbox_write_text(w, text, unwire_end(&u, text)), "it stopped");
	must(mbox_write_end(w), "it stopped");
}

struct reading {
	unsigned message;
	const struct buffer *wire;
	uint32_t flags;
	struct buffer text, again;
};

static bool begins(void *arg, const struct mbox_message *m)
{
	struct reading *r = arg;

	r->text.n = 0;
	must(strcmp(m->uidl, "an-id") == 0, "another id");
	must(m->received == 1000000000 + r->flags, "another time");
	return true;
}

static bool ends(void *arg, const struct mbox_message *m)
{
	struct reading *r = arg;

	must(m->flags == r->flags, "other flags");
	must(strcmp(m->keywords->text, keywords.text) == 0, "other keywords");
	to_wire(r->text.bytes, r->text.n, &r->again);
	must(r->again.n == r->wire->n && memcmp(r->again.bytes, r->wire->bytes, r->wire->n) == 0,
	     "another text");
	r->message++;
	return true;
}

static bool reads(void *arg, const char *bytes, size_t n)
{
	struct reading *r = arg;

	return append(&r->text, bytes, n);
}

static void round_trip(const char *text, size_t n, uint32_t flags, size_t piece)
{
	static struct buffer wire, file;
	static struct reading r;
	struct mbox_writer w = {.out = append, .arg = &file};
	struct mbox m = {.begin = begins, .text = reads, .end = ends, .arg = &r};

	to_wire(text, n, &wire);
	gather_keywords(text, n);
	file.n = 0;
	for (int i = 0; i < 3; i++)
		write_message(&w, &wire, flags, piece);
	r.message = 0;
	r.wire = &wire;
	r.flags = flags;
	for (size_t at = 0; at < file.n; at += piece)
		mbox_feed(&m, file.bytes + at, file.n - at < piece ? file.n - at : piece);
	mbox_end(&m);
	must(r.message == 3, "not three messages");
}

static void name_trip(const uint8_t *octets, size_t n)
{
	char name[256], coded[1024], again[256];

	if (n >= sizeof(name) || memchr(octets, 0, n))
		return;
	memcpy(name, octets, n);
	name[n] = '\0';
	/* What can be decoded at all comes back as itself. */
	if (mutf7_decode(name, again, sizeof(again)) && mutf7_encode(again, coded, sizeof(coded)))
		must(mutf7_decode(coded, name, sizeof(name)) && strcmp(name, again) == 0,
		     "another name");
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	if (n < 2 || n > TEXT_MAX / 4)
		return 0;
	round_trip((const char *)octets + 2, n - 2, octets[0] & 31, 1U + octets[1]);
	name_trip(octets + 2, n - 2);
	return 0;
}
