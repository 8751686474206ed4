/*
 * fuzz_account_name.c - any octets as an account's name: what is accepted is canonical and harmless.
 */
#include "modules/accounts/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_account_name: %s\n", what);
	abort();
}

static void check_accepted(const char *name)
{
	char again[NAME_SIZE];

	must(strlen(name) < NAME_SIZE, "longer than names can be");
	must(!name_account(name, "", again) && strcmp(name, again) == 0, "not canonical");
	must(!strchr(name, '/') && !strstr(name, "..") && name[0] != '.', "a path");
	must(strchr(name, '@') && strchr(name, '@') == strrchr(name, '@'), "not one '@'");
	for (const unsigned char *c = (const unsigned char *)name; *c; c++)
		must(*c > ' ' && *c != 0x7f && (*c < 'A' || *c > 'Z'), "a control or a capital");
}

/* The first octet says whether there is a default domain; the name ends in a block of its own size,
 * so that reading behind it is noticed. */
int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	char out[NAME_SIZE], *text;

	if (n == 0)
		return 0;
	text = malloc(n);
	must(text, "no memory");
	memcpy(text, octets + 1, n - 1);
	text[n - 1] = '\0';
	if (!name_account(text, octets[0] & 1 ? "Example.org" : "", out))
		check_accepted(out);
	if (!name_domain(text, out))
		must(strlen(out) < NAME_SIZE && !strchr(out, '/') && !strchr(out, '@'), "a domain");
	(void)name_service(text);
	free(text);
	return 0;
}
