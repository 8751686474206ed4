/*
 * utf8.h - UTF-8, a character at a time (RFC 3629).
 */
#ifndef STORAGE_UTF8_H
#define STORAGE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Octets of the character at p, of a terminated text, and its code point; 0 and 0: it is none. */
static inline size_t utf8_take(const unsigned char *p, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? *p : n == 0 ? 0 : *p & (0x7fU >> n);

	*code = 0;
	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*code = c;
	return n;
}

#endif
