/*
 * verifier.h - what is kept instead of a password.
 *
 * Two forms, told apart by their beginning:
 *   SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>   RFC 5803, parts in base64
 *   $y$ $6$ $5$ $2b$ $2y$ $2a$                                  crypt(3)
 * One whose cost is out of bounds is no verifier: a login must not hold a job thread for hours.
 */
#ifndef ACCOUNTS_VERIFIER_H
#define ACCOUNTS_VERIFIER_H

#include <stddef.h>

enum {
	VERIFIER_SIZE = 385,            /* crypt(3)'s CRYPT_OUTPUT_SIZE and the NUL */
	VERIFIER_SCRATCH = 32768,       /* what crypt(3) works in; wiped after use */
	VERIFIER_ITERATIONS_MIN = 4096, /* RFC 7677 section 4 */
	VERIFIER_ITERATIONS_MAX = 1000000,
	VERIFIER_PASSWORD_MAX = 1024
};

enum verifier_scheme { VERIFIER_SCRAM_SHA_256, VERIFIER_YESCRYPT, VERIFIER_SCHEMES };

extern const char *const verifier_scheme_names[VERIFIER_SCHEMES + 1]; /* NULL ends */

/* NULL if it is a verifier that can be checked, else why not, as the end of a sentence. */
const char *verifier_refusal(const char *text);
/* "scram-sha-256", "yescrypt", "sha512crypt" ..., for people. */
const char *verifier_kind(const char *text);

/* 1: the password is right, 0: wrong, -1: it could not be found out. scratch is zeroed memory. */
int verifier_check(const char *text, const char *password, void *scratch);
/* out holds VERIFIER_SIZE octets; 0, or -1 when there are no random numbers or no memory. */
int verifier_make(enum verifier_scheme, unsigned iterations, const char *password, char *out,
		  void *scratch);

#endif
