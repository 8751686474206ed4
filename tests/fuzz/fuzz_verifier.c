/*
 * fuzz_verifier.c - any octets as a verifier, and as a row: what is accepted can be checked, soon,
 * and what was read is written back the same.
 */
#include "modules/accounts/row.h"
#include "modules/accounts/verifier.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_verifier: %s\n", what);
	abort();
}

static void try_verifier(const uint8_t *octets, size_t n)
{
	static _Alignas(16) char scratch[VERIFIER_SCRATCH];
	char *text = malloc(n + 1);

	must(text, "no memory");
	memcpy(text, octets, n);
	text[n] = '\0';
	if (verifier_refusal(text)) {
		must(verifier_check(text, "pencil", scratch) == -1, "refused and checked");
	} else {
		must(strlen(text) < VERIFIER_SIZE, "too long");
		must(strcmp(verifier_kind(text), "unknown") != 0, "accepted and unknown");
		/* Costly ones are what the bounds allow; a few octets of salt suffice here. */
		if (!strstr(text, "rounds=") && text[1] != 'y' && text[1] != '2' && text[0] == '$')
			must(verifier_check(text, "pencil", scratch) >= 0, "cannot be checked");
	}
	free(text);
}

static void try_row(const uint8_t *octets, size_t n)
{
	unsigned char written[ROW_SIZE_MAX], rewritten[ROW_SIZE_MAX];
	struct row row, again;
	size_t length;

	if (row_decode(octets, n, &row))
		return;
	length = row_encode(&row, written);
	must(length <= sizeof(written), "a row too long");
	must(!row_decode(written, length, &again), "written, not readable");
	must(row_encode(&again, rewritten) == length, "rewritten with another length");
	must(memcmp(written, rewritten, length) == 0, "rewritten, not the same");
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	try_verifier(octets, n);
	try_row(octets, n);
	return 0;
}
