/*
 * scram.c - SCRAM-SHA-256 keys: from a password, to and from text.
 */
#include "scram.h"

#include "verifier.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

enum { KEY = SHA256_DIGEST_LENGTH, SALT_NEW = 16, SALT_MAX = 64 };

struct scram {
	unsigned iterations;
	size_t salt_length;
	unsigned char salt[SALT_MAX];
	unsigned char stored_key[KEY], server_key[KEY];
};

static const char prefix[] = "SCRAM-SHA-256$";
static const char malformed[] = "is not SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY";

bool scram_is(const char *text)
{
	return strncmp(text, prefix, sizeof(prefix) - 1) == 0;
}

/* Strict base64 (RFC 4648, canonical padding bits) up to `end`; moves *text behind it. */
static bool take_base64(const char **text, char end, unsigned char *out, size_t max, size_t *length)
{
	const char *s = *text, *stop = strchr(s, end);
	unsigned char decoded[SALT_MAX + 8];
	char again[2 * (SALT_MAX + 8)];
	size_t n = stop ? (size_t)(stop - s) : 0, pad;
	int got;

	if (n == 0 || n % 4 != 0 || n / 4 * 3 > sizeof(decoded))
		return false;
	pad = s[n - 1] != '=' ? 0 : s[n - 2] != '=' ? 1 : 2;
	got = EVP_DecodeBlock(decoded, (const unsigned char *)s, (int)n);
	if (got < (int)pad || (size_t)got - pad > max)
		return false;
	*length = (size_t)got - pad;
	/* libcrypto skips blanks and odd bits; only what encodes to itself is taken. */
	if (EVP_EncodeBlock((unsigned char *)again, decoded, (int)*length) != (int)n ||
	    memcmp(again, s, n) != 0)
		return false;
	memcpy(out, decoded, *length);
	*text = stop + 1;
	return true;
}

static const char *parse(const char *text, struct scram *v)
{
	const char *s = text + sizeof(prefix) - 1;
	unsigned long n;
	size_t stored, server;
	char *end;

	if (*s < '1' || *s > '9')
		return malformed;
	n = strtoul(s, &end, 10);
	if (*end != ':')
		return malformed;
	s = end + 1;
	if (!take_base64(&s, '$', v->salt, SALT_MAX, &v->salt_length) ||
	    !take_base64(&s, ':', v->stored_key, KEY, &stored) || stored != KEY ||
	    !take_base64(&s, '\0', v->server_key, KEY, &server) || server != KEY)
		return malformed;
	if (n < VERIFIER_ITERATIONS_MIN)
		return "has fewer than 4096 iterations";
	if (n > VERIFIER_ITERATIONS_MAX)
		return "has more than 1000000 iterations";
	v->iterations = (unsigned)n;
	return NULL;
}

const char *scram_refusal(const char *text)
{
	struct scram v;

	return parse(text, &v);
}

static bool hmac(const unsigned char *key, const char *label, unsigned char *out)
{
	return HMAC(EVP_sha256(), key, KEY, (const unsigned char *)label, strlen(label), out, NULL);
}

/* RFC 5802 section 3, from salt and iterations; false: no memory. */
static bool derive(struct scram *v, const char *password)
{
	unsigned char salted[KEY], client[KEY];
	bool ok;

	ok = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), v->salt, (int)v->salt_length,
			       (int)v->iterations, EVP_sha256(), KEY, salted) == 1 &&
	     hmac(salted, "Client Key", client) && hmac(salted, "Server Key", v->server_key) &&
	     SHA256(client, KEY, v->stored_key);
	OPENSSL_cleanse(salted, sizeof(salted));
	OPENSSL_cleanse(client, sizeof(client));
	return ok;
}

int scram_check(const char *text, const char *password)
{
	struct scram kept, given;

	if (parse(text, &kept))
		return -1;
	given = kept;
	if (!derive(&given, password))
		return -1;
	return CRYPTO_memcmp(given.stored_key, kept.stored_key, KEY) == 0;
}

int scram_make(unsigned iterations, const char *password, char *out)
{
	struct scram v = {.iterations = iterations, .salt_length = SALT_NEW};
	unsigned char salt[32], stored[64], server[64];
	int n;

	if (getentropy(v.salt, SALT_NEW) != 0 || !derive(&v, password))
		return -1;
	EVP_EncodeBlock(salt, v.salt, SALT_NEW);
	EVP_EncodeBlock(stored, v.stored_key, KEY);
	EVP_EncodeBlock(server, v.server_key, KEY);
	n = snprintf(out, VERIFIER_SIZE, "%s%u:%s$%s:%s", prefix, iterations, (char *)salt,
		     (char *)stored, (char *)server);
	return n > 0 && n < VERIFIER_SIZE ? 0 : -1;
}
