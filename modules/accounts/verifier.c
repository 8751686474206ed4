/*
 * verifier.c - which kinds of verifiers there are; crypt(3)'s are checked here.
 */
#include "verifier.h"

#include "scram.h"

#include <crypt.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>

_Static_assert(sizeof(struct crypt_data) <= VERIFIER_SCRATCH, "crypt(3) works in the scratch");

const char *const verifier_scheme_names[VERIFIER_SCHEMES + 1] = {"scram-sha-256", "yescrypt", NULL};

static const char crypt64[] = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const char malformed[] = "is not a complete crypt(3) string";
static const char too_costly[] = "would take too long or too much memory to check";

/* Each checks the parameters after the prefix and returns what follows them and their '$'; or NULL,
 * and *why not. */

static const char *refuse(const char **why, const char *reason)
{
	*why = reason;
	return NULL;
}

/* j, log2 of the blocks, block size: "j9T". Up to 128 MiB, the eighth of the costs in crypt(5). */
static const char *yescrypt_parameters(const char *s, const char **why)
{
	if (s[0] != 'j' || !s[1] || !strchr(crypt64, s[1]) || !s[2] || !strchr("5T", s[2]) ||
	    s[3] != '$')
		return refuse(why, malformed);
	return strchr("789ABC", s[1]) ? s + 4 : refuse(why, too_costly);
}

static const char *sha_parameters(const char *s, const char **why)
{
	static const char rounds[] = "rounds=";
	char *end;
	unsigned long n;

	if (strncmp(s, rounds, sizeof(rounds) - 1) != 0)
		return s;
	s += sizeof(rounds) - 1;
	if (*s < '1' || *s > '9')
		return refuse(why, malformed);
	n = strtoul(s, &end, 10);
	if (*end != '$')
		return refuse(why, malformed);
	if (n < 1000 || n > 1000000)
		return refuse(why, n < 1000 ? "has too few rounds" : too_costly);
	return end + 1;
}

static const char *bcrypt_parameters(const char *s, const char **why)
{
	int cost;

	if (s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' || s[2] != '$')
		return refuse(why, malformed);
	cost = (s[0] - '0') * 10 + (s[1] - '0');
	if (cost < 4 || cost > 14)
		return refuse(why, cost < 4 ? "has too low a cost" : too_costly);
	return s + 3;
}

struct crypt_kind {
	const char *prefix, *name;
	const char *(*parameters)(const char *s, const char **why);
	unsigned salt_min, salt_max; /* characters; bcrypt's salt has no '$' behind it */
	unsigned hash;
};

static const struct crypt_kind crypt_kinds[] = {
    {"$y$", "yescrypt", yescrypt_parameters, 1, 86, 43},
    {"$6$", "sha512crypt", sha_parameters, 1, 16, 86},
    {"$5$", "sha256crypt", sha_parameters, 1, 16, 43},
    {"$2b$", "bcrypt", bcrypt_parameters, 0, 0, 53},
    {"$2y$", "bcrypt", bcrypt_parameters, 0, 0, 53},
    {"$2a$", "bcrypt", bcrypt_parameters, 0, 0, 53},
};

static const struct crypt_kind *crypt_kind_of(const char *text)
{
	for (size_t i = 0; i < sizeof(crypt_kinds) / sizeof(crypt_kinds[0]); i++) {
		if (strncmp(text, crypt_kinds[i].prefix, strlen(crypt_kinds[i].prefix)) == 0)
			return &crypt_kinds[i];
	}
	return NULL;
}

static const char *crypt_refusal(const struct crypt_kind *kind, const char *text)
{
	const char *why = NULL;
	const char *hash = kind->parameters(text + strlen(kind->prefix), &why);
	size_t salt;

	if (!hash)
		return why;
	if (kind->salt_max) {
		salt = strspn(hash, crypt64);
		if (salt < kind->salt_min || salt > kind->salt_max || hash[salt] != '$')
			return malformed;
		hash += salt + 1;
	}
	return strspn(hash, crypt64) == kind->hash && hash[kind->hash] == '\0' ? NULL : malformed;
}

const char *verifier_refusal(const char *text)
{
	const struct crypt_kind *kind = crypt_kind_of(text);

	if (strnlen(text, VERIFIER_SIZE) >= VERIFIER_SIZE)
		return "is too long";
	if (kind)
		return crypt_refusal(kind, text);
	if (scram_is(text))
		return scram_refusal(text);
	return "is of a kind that is not accepted; use SCRAM-SHA-256$, $y$, $6$, $5$ or $2b$";
}

const char *verifier_kind(const char *text)
{
	const struct crypt_kind *kind = crypt_kind_of(text);

	return kind ? kind->name : scram_is(text) ? "scram-sha-256" : "unknown";
}

static int crypt_check(const char *text, const char *password, void *scratch)
{
	const char *made;
	size_t length = strlen(text);
	int right = -1;

	made = crypt_rn(password, text, scratch, (int)sizeof(struct crypt_data));
	if (made && *made != '*')
		right = strlen(made) == length && CRYPTO_memcmp(made, text, length) == 0;
	explicit_bzero(scratch, VERIFIER_SCRATCH);
	return right;
}

int verifier_check(const char *text, const char *password, void *scratch)
{
	if (verifier_refusal(text))
		return -1;
	return scram_is(text) ? scram_check(text, password) : crypt_check(text, password, scratch);
}

static int yescrypt_make(const char *password, char *out, void *scratch)
{
	char random[16], setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *made;
	int result = -1;

	if (getentropy(random, sizeof(random)) != 0 ||
	    !crypt_gensalt_rn("$y$", 0, random, sizeof(random), setting, sizeof(setting)))
		return -1;
	made = crypt_rn(password, setting, scratch, (int)sizeof(struct crypt_data));
	if (made && *made != '*') {
		memcpy(out, made, strlen(made) + 1);
		result = 0;
	}
	explicit_bzero(scratch, VERIFIER_SCRATCH);
	return result;
}

int verifier_make(enum verifier_scheme scheme, unsigned iterations, const char *password, char *out,
		  void *scratch)
{
	return scheme == VERIFIER_YESCRYPT ? yescrypt_make(password, out, scratch)
					   : scram_make(iterations, password, out);
}
