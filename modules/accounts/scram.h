/*
 * scram.h - verifiers that also serve SCRAM-SHA-256 (RFC 5802, RFC 7677): the keys, never the
 * password. See verifier.h for their text form.
 */
#ifndef ACCOUNTS_SCRAM_H
#define ACCOUNTS_SCRAM_H

#include <stdbool.h>

bool scram_is(const char *text);
const char *scram_refusal(const char *text);
int scram_check(const char *text, const char *password); /* as verifier_check() */
int scram_make(unsigned iterations, const char *password, char *out);

#endif
