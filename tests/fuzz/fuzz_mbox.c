/*
 * fuzz_mbox.c - any file as an mbox, whole and in pieces: the same messages, no octet made up.
 */
#include "modules/storage/import/mbox.h"

#include <xxhash.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

struct seen {
	XXH3_state_t *sum;
	size_t octets;
	unsigned begun, ended;
};

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_mbox: %s\n", what);
	abort();
}

static bool begins(void *arg, const struct mbox_message *m)
{
	struct seen *s = arg;

	must(s->begun == s->ended, "a message begins in another");
	s->begun++;
	XXH3_64bits_update(s->sum, &m->offset, sizeof(m->offset));
	return true;
}

static bool text(void *arg, const char *bytes, size_t n)
{
	struct seen *s = arg;

	must(s->begun == s->ended + 1, "text outside a message");
	s->octets += n;
	XXH3_64bits_update(s->sum, bytes, n);
	return true;
}

static bool ends(void *arg, const struct mbox_message *m)
{
	struct seen *s = arg;

	s->ended++;
	XXH3_64bits_update(s->sum, &m->flags, sizeof(m->flags));
	return true;
}

static uint64_t parse(const uint8_t *octets, size_t n, size_t piece)
{
	struct seen s = {.sum = XXH3_createState()};
	struct mbox m = {.begin = begins, .text = text, .end = ends, .arg = &s};
	uint64_t sum;

	XXH3_64bits_reset(s.sum);
	for (size_t i = 0; i < n; i += piece)
		must(mbox_feed(&m, (const char *)octets + i, n - i < piece ? n - i : piece),
		     "it stopped by itself");
	must(mbox_end(&m), "it stopped by itself");
	must(s.begun == s.ended, "a message has no end");
	must(s.octets <= n, "text was made up");
	sum = XXH3_64bits_digest(s.sum);
	XXH3_freeState(s.sum);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	uint64_t whole;

	if (n < 1)
		return 0;
	whole = parse(octets + 1, n - 1, n);
	must(whole == parse(octets + 1, n - 1, 1U + octets[0]), "pieces give another result");
	return 0;
}
