/*
 * record.c - segment headers and record heads to bytes and back.
 */
#include "record.h"

#include "bytes.h"
#include "checksum.h"

static const char segment_magic[8] = {'P', 'S', 'T', 'N', 'S', 'E', 'G', '1'};
#define RECORD_VERSION 2
#define SUM_AT         88

/* ---- the file's header ---- */

/* The header stands twice: all of the segment would be lost with it. */
void segment_head_encode(const struct segment_head *h, unsigned char out[SEGMENT_HEAD])
{
	memset(out, 0, SEGMENT_HEAD);
	memcpy(out, segment_magic, 8);
	put32(out + 8, STORE_FORMAT);
	put32(out + 12, SEGMENT_HEAD);
	put32(out + 16, h->id);
	put32(out + 20, h->kind);
	memcpy(out + 24, h->store, 16);
	put64(out + 40, h->seed);
	put64(out + 48, h->created);
	put64(out + 56, checksum(out, 56, 0));
	memcpy(out + SEGMENT_HEAD_COPY, out, 64);
}

static bool head_sound(const unsigned char *p)
{
	return memcmp(p, segment_magic, 8) == 0 && get64(p + 56) == checksum(p, 56, 0);
}

enum record_verdict segment_head_decode(struct segment_head *h, const unsigned char *p, size_t n)
{
	if (n < SEGMENT_HEAD)
		return RECORD_BAD;
	if (!head_sound(p))
		p += SEGMENT_HEAD_COPY;
	if (!head_sound(p))
		return RECORD_BAD;
	if (get32(p + 8) != STORE_FORMAT || get32(p + 12) != SEGMENT_HEAD)
		return RECORD_UNKNOWN;
	h->id = get32(p + 16);
	h->kind = get32(p + 20);
	memcpy(h->store, p + 24, 16);
	h->seed = get64(p + 40);
	h->created = get64(p + 48);
	return RECORD_OK;
}

/* ---- records ---- */

uint32_t record_head_length(const struct record *r)
{
	if (r->type == RECORD_EXPUNGE || r->type == RECORD_FLAGS)
		return RECORD_CHANGE_HEAD;
	if (r->type != RECORD_MESSAGE)
		return RECORD_HEAD;
	return (uint32_t)(RECORD_MESSAGE_HEAD + ALIGN8(strlen(r->uidl)));
}

uint64_t record_tail_length(const struct record *r)
{
	return r->type == RECORD_MESSAGE ? (uint64_t)r->count * RECORD_DOT : 0;
}

uint64_t record_length(const struct record *r)
{
	return r->head_length + ALIGN8(r->body_length) + ALIGN8(record_tail_length(r));
}

uint64_t record_sum(const void *p, size_t n, uint64_t seed)
{
	return checksum(p, n, seed);
}

/* The head with its own checksum's field left out; the offset enters so that a copy of a record at
 * another place is none. */
static uint64_t head_sum(const unsigned char *p, size_t n, uint64_t seed, uint64_t offset)
{
	uint64_t first = checksum(p, SUM_AT, seed ^ offset);

	return n == RECORD_HEAD ? first : checksum(p + RECORD_HEAD, n - RECORD_HEAD, first);
}

void record_encode(struct record *r, uint64_t seed, uint64_t offset,
		   unsigned char out[RECORD_HEAD_MAX])
{
	r->head_length = record_head_length(r);
	memset(out, 0, r->head_length);
	put32(out, RECORD_MAGIC);
	out[4] = RECORD_VERSION;
	out[5] = r->type;
	put16(out + 6, r->flags);
	put32(out + 8, r->head_length);
	put32(out + 12, r->uid);
	put64(out + 16, r->body_length);
	put32(out + 24, r->folder);
	put32(out + 28, r->count);
	put64(out + 32, r->account);
	put64(out + 40, r->change);
	put64(out + 48, r->sequence);
	put64(out + 56, r->time);
	put64(out + 64, r->body_sum);
	put64(out + 72, r->tail_sum);
	put64(out + 80, r->group);
	if (r->head_length == RECORD_CHANGE_HEAD)
		memcpy(out + RECORD_HEAD, r->origin, strnlen(r->origin, ORIGIN_MAX));
	if (r->type == RECORD_MESSAGE) {
		size_t length = strlen(r->uidl);

		put64(out + 96, r->received);
		put64(out + 104, r->octets);
		put64(out + 112, r->header_octets);
		put64(out + 120, r->keywords);
		put32(out + 128, r->message_flags);
		put16(out + 132, (uint16_t)length);
		put64(out + 136, r->expunged_change);
		put64(out + 144, r->expunged_at);
		memcpy(out + 152, r->import_key, 16);
		put64(out + 168, r->stored);
		memcpy(out + 176, r->origin, strnlen(r->origin, ORIGIN_MAX));
		memcpy(out + RECORD_MESSAGE_HEAD, r->uidl, length);
	}
	put64(out + SUM_AT, head_sum(out, r->head_length, seed, offset));
}

static bool decode_message(struct record *r, const unsigned char *p)
{
	uint16_t length = get16(p + 132);

	r->received = get64(p + 96);
	r->octets = get64(p + 104);
	r->header_octets = get64(p + 112);
	r->keywords = get64(p + 120);
	r->message_flags = get32(p + 128);
	r->expunged_change = get64(p + 136);
	r->expunged_at = get64(p + 144);
	memcpy(r->import_key, p + 152, 16);
	r->stored = get64(p + 168);
	memcpy(r->origin, p + 176, ORIGIN_MAX);
	if (length > UIDL_MAX || r->head_length != RECORD_MESSAGE_HEAD + ALIGN8(length) ||
	    !uidl_valid((const char *)p + RECORD_MESSAGE_HEAD, length))
		return false;
	memcpy(r->uidl, p + RECORD_MESSAGE_HEAD, length);
	r->uidl[length] = '\0';
	return r->octets == r->body_length && r->header_octets <= r->octets &&
	       r->body_length <= RECORD_BODY_MAX && r->count <= r->octets && r->uid != 0;
}

enum record_verdict record_decode(struct record *r, const unsigned char *p, size_t n, uint64_t seed,
				  uint64_t offset)
{
	uint32_t length;

	if (n < RECORD_HEAD || get32(p) != RECORD_MAGIC)
		return RECORD_BAD;
	length = get32(p + 8);
	if (length < RECORD_HEAD || length > n || length > RECORD_HEAD_MAX || length % 8 != 0 ||
	    get64(p + SUM_AT) != head_sum(p, length, seed, offset))
		return RECORD_BAD;
	memset(r, 0, sizeof(*r));
	r->type = p[5];
	r->flags = get16(p + 6);
	r->head_length = length;
	r->uid = get32(p + 12);
	r->body_length = get64(p + 16);
	r->folder = get32(p + 24);
	r->count = get32(p + 28);
	r->account = get64(p + 32);
	r->change = get64(p + 40);
	r->sequence = get64(p + 48);
	r->time = get64(p + 56);
	r->body_sum = get64(p + 64);
	r->tail_sum = get64(p + 72);
	r->group = get64(p + 80);
	/* Of records of later formats too: how long one is has to stay known. */
	if (r->body_length > RECORD_BODY_MAX)
		return RECORD_BAD;
	if (p[4] != RECORD_VERSION)
		return RECORD_UNKNOWN;
	if (r->type == RECORD_MESSAGE)
		return length > RECORD_MESSAGE_HEAD && decode_message(r, p) ? RECORD_OK
									    : RECORD_BAD;
	if (r->body_length > RECORD_SMALL_MAX)
		return RECORD_BAD;
	if (r->type == RECORD_EXPUNGE || r->type == RECORD_FLAGS) {
		if (length != RECORD_CHANGE_HEAD)
			return RECORD_BAD;
		memcpy(r->origin, p + RECORD_HEAD, ORIGIN_MAX);
	}
	return r->type >= RECORD_MESSAGE && r->type <= RECORD_STATE ? RECORD_OK : RECORD_UNKNOWN;
}

uint64_t record_claimed_sequence(const unsigned char *p)
{
	return get64(p + 48);
}

bool record_magic(const unsigned char *p)
{
	return get32(p) == RECORD_MAGIC;
}

/* ---- unique ids ---- */

bool uidl_valid(const char *s, size_t n)
{
	if (n == 0 || n > UIDL_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < 0x21 || s[i] > 0x7e)
			return false;
	}
	return true;
}

/* Crockford's alphabet in lower case: no two characters that people mix up. */
static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";
#define TAG_DIGITS    7
#define SERIAL_DIGITS 13

static void to_base32(char *out, int digits, uint64_t v)
{
	while (digits-- > 0) {
		out[digits] = base32[v & 31];
		v >>= 5;
	}
}

static bool from_base32(const char *s, int digits, uint64_t *out)
{
	uint64_t v = 0;

	for (int i = 0; i < digits; i++) {
		const char *at = s[i] ? strchr(base32, s[i]) : NULL;

		if (!at || v >> 59)
			return false;
		v = v << 5 | (uint64_t)(at - base32);
	}
	*out = v;
	return true;
}

void uidl_format(char out[UIDL_MAX + 1], uint32_t tag, uint64_t serial)
{
	to_base32(out, TAG_DIGITS, tag);
	to_base32(out + TAG_DIGITS, SERIAL_DIGITS, serial);
	out[TAG_DIGITS + SERIAL_DIGITS] = '\0';
}

uint64_t uidl_serial(const char *uidl, uint32_t tag)
{
	uint64_t t, serial;

	if (strlen(uidl) != TAG_DIGITS + SERIAL_DIGITS || !from_base32(uidl, TAG_DIGITS, &t) ||
	    t != tag || !from_base32(uidl + TAG_DIGITS, SERIAL_DIGITS, &serial))
		return 0;
	return serial;
}

bool uidl_serial_near(uint64_t serial, uint64_t last)
{
	return serial <= SERIAL_MAX && (serial <= last || serial - last <= SERIAL_AHEAD);
}
