/*
 * base64.c - see base64.h.
 */
#include "config.h"

#include "base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(const void *bytes, size_t n, char *out)
{
	const unsigned char *in = bytes;
	char *at = out;

	for (size_t i = 0; i < n; i += 3) {
		unsigned b = i + 1 < n ? in[i + 1] : 0, c = i + 2 < n ? in[i + 2] : 0;
		*at++ = alphabet[in[i] >> 2];
		*at++ = alphabet[(in[i] & 3) << 4 | b >> 4];
		*at++ = i + 1 < n ? alphabet[(b & 15) << 2 | c >> 6] : '=';
		*at++ = i + 2 < n ? alphabet[c & 63] : '=';
	}
	return (size_t)(at - out);
}
