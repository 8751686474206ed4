/*
 * row.c - encoding and decoding rows, field by field.
 */
#include "row.h"

#include <string.h>

enum tag {
	TAG_ID = 1,
	TAG_VERIFIER = 2,
	TAG_DISABLED = 3,
	TAG_DENIED = 4, /* once per service */
	TAG_SESSION_LIMIT = 5,
	TAG_CREATED = 6,
	TAG_CHANGED = 7,
	TAG_REVISION = 8,
	TAG_QUOTA_MESSAGES = 9,
	TAG_QUOTA_OCTETS = 10,
	TAG_MUST_UNDERSTAND = 0x8000
};

enum { HEAD = 4 }; /* tag and length, 16 bits each, low octet first */

bool row_may_use(const struct row *row, const char *service)
{
	for (unsigned i = 0; i < row->ndenied; i++) {
		if (strcmp(row->denied[i], service) == 0)
			return false;
	}
	return true;
}

bool row_deny(struct row *row, const char *service)
{
	if (!row_may_use(row, service))
		return true;
	if (row->ndenied == ROW_SERVICES_MAX)
		return false;
	memcpy(row->denied[row->ndenied++], service, strlen(service) + 1);
	return true;
}

void row_allow(struct row *row, const char *service)
{
	for (unsigned i = 0; i < row->ndenied; i++) {
		if (strcmp(row->denied[i], service) != 0)
			continue;
		memmove(row->denied[i], row->denied[i + 1],
			(row->ndenied - i - 1) * sizeof(row->denied[0]));
		row->ndenied--;
		return;
	}
}

/* ---- encoding ---- */

static size_t put_field(unsigned char *out, unsigned tag, const void *value, size_t length)
{
	out[0] = (unsigned char)tag;
	out[1] = (unsigned char)(tag >> 8);
	out[2] = (unsigned char)length;
	out[3] = (unsigned char)(length >> 8);
	memcpy(out + HEAD, value, length);
	return HEAD + length;
}

static size_t put_number(unsigned char *out, unsigned tag, uint64_t value)
{
	unsigned char octets[8];

	for (size_t i = 0; i < sizeof(octets); i++)
		octets[i] = (unsigned char)(value >> (8 * i));
	return put_field(out, tag, octets, sizeof(octets));
}

_Static_assert(7 * (HEAD + 8) + HEAD + 8 + HEAD + VERIFIER_SIZE +
		       ROW_SERVICES_MAX * (HEAD + NAME_SERVICE_MAX) + ROW_OTHER_MAX <=
		   ROW_SIZE_MAX,
	       "every row fits");

size_t row_encode(const struct row *row, unsigned char *out)
{
	size_t n = 0;

	n += put_number(out + n, TAG_ID, row->id);
	n += put_number(out + n, TAG_REVISION, row->revision);
	n += put_number(out + n, TAG_CREATED, row->created);
	n += put_number(out + n, TAG_CHANGED, row->changed);
	n += put_field(out + n, TAG_VERIFIER, row->verifier, strlen(row->verifier));
	if (row->disabled)
		n += put_number(out + n, TAG_DISABLED, 1);
	if (row->session_limit != ROW_DEFAULT_LIMIT)
		n += put_number(out + n, TAG_SESSION_LIMIT, row->session_limit);
	if (row->quota.messages != LIMIT_DEFAULT)
		n += put_number(out + n, TAG_QUOTA_MESSAGES, row->quota.messages);
	if (row->quota.octets != LIMIT_DEFAULT)
		n += put_number(out + n, TAG_QUOTA_OCTETS, row->quota.octets);
	for (unsigned i = 0; i < row->ndenied; i++)
		n += put_field(out + n, TAG_DENIED, row->denied[i], strlen(row->denied[i]));
	memcpy(out + n, row->other, row->other_length);
	return n + row->other_length;
}

/* ---- decoding ---- */

static const char bad_field[] = "has a field of a wrong length";

static const char *take_number(const unsigned char *value, size_t length, uint64_t *number)
{
	if (length != 8)
		return bad_field;
	*number = 0;
	for (size_t i = 0; i < length; i++)
		*number |= (uint64_t)value[i] << (8 * i);
	return NULL;
}

static const char *take_text(const unsigned char *value, size_t length, char *out, size_t size)
{
	if (length == 0 || length >= size || memchr(value, '\0', length))
		return bad_field;
	memcpy(out, value, length);
	out[length] = '\0';
	return NULL;
}

static const char *take_limit(const unsigned char *value, size_t length, struct row *row)
{
	uint64_t limit;

	if (take_number(value, length, &limit) || limit >= ROW_DEFAULT_LIMIT)
		return bad_field;
	row->session_limit = (uint32_t)limit;
	return NULL;
}

static const char *take_denied(const unsigned char *value, size_t length, struct row *row)
{
	char service[NAME_SERVICE_MAX + 1];

	if (take_text(value, length, service, sizeof(service)) || name_service(service) ||
	    !row_deny(row, service))
		return "has a service switch that is none";
	return NULL;
}

/* `field` is the whole field, with its head. */
static const char *keep_other(const unsigned char *field, size_t length, struct row *row)
{
	if (length > ROW_OTHER_MAX - row->other_length)
		return "has more unknown fields than can be kept";
	memcpy(row->other + row->other_length, field, length);
	row->other_length += length;
	return NULL;
}

static const char *take_field(const unsigned char *field, size_t length, struct row *row)
{
	unsigned tag = field[0] | (unsigned)field[1] << 8;
	const unsigned char *value = field + HEAD;
	uint64_t number;

	switch (tag) {
	case TAG_ID:
		return take_number(value, length, &row->id);
	case TAG_REVISION:
		return take_number(value, length, &row->revision);
	case TAG_CREATED:
		return take_number(value, length, &row->created);
	case TAG_CHANGED:
		return take_number(value, length, &row->changed);
	case TAG_VERIFIER:
		return take_text(value, length, row->verifier, sizeof(row->verifier));
	case TAG_DISABLED:
		row->disabled = true;
		return take_number(value, length, &number);
	case TAG_SESSION_LIMIT:
		return take_limit(value, length, row);
	case TAG_QUOTA_MESSAGES:
		return take_number(value, length, &row->quota.messages);
	case TAG_QUOTA_OCTETS:
		return take_number(value, length, &row->quota.octets);
	case TAG_DENIED:
		return take_denied(value, length, row);
	default:
		return tag & TAG_MUST_UNDERSTAND ? "was written by a newer version"
						 : keep_other(field, HEAD + length, row);
	}
}

const char *row_decode(const void *octets, size_t n, struct row *row)
{
	const unsigned char *field = octets, *end = field + n;

	memset(row, 0, sizeof(*row));
	row->session_limit = ROW_DEFAULT_LIMIT;
	while (field < end) {
		size_t left = (size_t)(end - field), length;
		const char *why;

		if (left < HEAD)
			return "is cut short";
		length = field[2] | (size_t)field[3] << 8;
		if (length > left - HEAD)
			return "is cut short";
		why = take_field(field, length, row);
		if (why)
			return why;
		field += HEAD + length;
	}
	return row->id && row->verifier[0] ? NULL : "lacks its id or its verifier";
}
