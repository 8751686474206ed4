/*
 * mutf7.c - modified UTF-7: printable ASCII as it is, "&" as "&-", all else as UTF-16 in base64
 * without padding and with "," for "/", between "&" and "-".
 */
#include "mutf7.h"

#include "format/utf8.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

struct out {
	char *text;
	size_t used, room;
	bool full;
};

static void put(struct out *o, char c)
{
	if (o->used + 1 < o->room)
		o->text[o->used++] = c;
	else
		o->full = true;
}

static bool finish(struct out *o)
{
	if (o->room > 0)
		o->text[o->used] = '\0';
	return !o->full;
}

static void put_utf8(struct out *o, uint32_t c)
{
	if (c < 0x80) {
		put(o, (char)c);
		return;
	}
	if (c >= 0x10000)
		put(o, (char)(0xf0 | c >> 18));
	if (c >= 0x800)
		put(o, (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12));
	put(o, (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
	put(o, (char)(0x80 | (c & 0x3f)));
}

/* ---- to UTF-8 ---- */

struct units { /* of UTF-16, as their bits come */
	uint32_t bits, high;
	unsigned nbits;
};

static bool take_unit(struct units *u, struct out *o, uint32_t unit)
{
	if (u->high) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		put_utf8(o, 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00));
		u->high = 0;
		return true;
	}
	if (unit >= 0xdc00 && unit <= 0xdfff)
		return false;
	if (unit >= 0xd800 && unit <= 0xdbff) {
		u->high = unit;
		return true;
	}
	put_utf8(o, unit);
	return unit != 0;
}

/* Behind "&"; to behind "-". */
static bool decode_shifted(const char **at, struct out *o)
{
	struct units u = {0};
	const char *p = *at;

	if (*p == '-') {
		put(o, '&');
		*at = p + 1;
		return true;
	}
	for (; *p && *p != '-'; p++) {
		const char *digit = strchr(alphabet, *p);

		if (!digit)
			return false;
		u.bits = (u.bits << 6 | (uint32_t)(digit - alphabet)) & 0xffffff;
		u.nbits += 6;
		if (u.nbits >= 16) {
			u.nbits -= 16;
			if (!take_unit(&u, o, u.bits >> u.nbits & 0xffff))
				return false;
		}
	}
	if (*p == '\0')
		return false;
	*at = p + 1;
	return !u.high && u.nbits < 6 && (u.bits & ((1U << u.nbits) - 1)) == 0;
}

bool mutf7_decode(const char *in, char *out, size_t room)
{
	struct out o = {.text = out, .room = room};
	bool good = true;

	while (*in && good) {
		unsigned char c = (unsigned char)*in++;

		good = c >= 0x20 && c < 0x7f;
		if (good && c == '&')
			good = decode_shifted(&in, &o);
		else if (good)
			put(&o, (char)c);
	}
	return finish(&o) && good;
}

/* ---- from UTF-8 ---- */

static void encode_unit(struct units *u, struct out *o, uint32_t unit)
{
	u->bits = u->bits << 16 | unit;
	u->nbits += 16;
	while (u->nbits >= 6) {
		u->nbits -= 6;
		put(o, alphabet[u->bits >> u->nbits & 0x3f]);
	}
}

static bool encode_shifted(const char **at, struct out *o)
{
	struct units u = {0};

	put(o, '&');
	while (**at && ((unsigned char)**at < 0x20 || (unsigned char)**at >= 0x7f)) {
		uint32_t c;
		size_t n = utf8_take((const unsigned char *)*at, &c);

		if (n == 0)
			return false;
		*at += n;
		if (c >= 0x10000) {
			encode_unit(&u, o, 0xd800 + ((c - 0x10000) >> 10));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		encode_unit(&u, o, c);
	}
	if (u.nbits)
		put(o, alphabet[u.bits << (6 - u.nbits) & 0x3f]);
	put(o, '-');
	return true;
}

bool mutf7_encode(const char *in, char *out, size_t room)
{
	struct out o = {.text = out, .room = room};
	bool good = true;

	while (*in && good) {
		unsigned char c = (unsigned char)*in;

		if (c < 0x20 || c >= 0x7f) {
			good = encode_shifted(&in, &o);
			continue;
		}
		put(&o, (char)c);
		if (c == '&')
			put(&o, '-');
		in++;
	}
	return finish(&o) && good;
}
