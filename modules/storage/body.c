/*
 * body.c - bodies of the records that are not messages, and the way from any record to the index.
 */
#include "apply.h"

#include "bytes.h"
#include <errno.h>
#include <stdio.h>

size_t body_put_ranges(const struct uid_range *ranges, uint32_t n, unsigned char *out)
{
	for (uint32_t i = 0; i < n; i++) {
		put32(out + i * BODY_RANGE, ranges[i].first);
		put32(out + i * BODY_RANGE + 4, ranges[i].count);
	}
	return (size_t)n * BODY_RANGE;
}

size_t body_put_flags(const struct flag_entry *entries, uint32_t n, unsigned char *out)
{
	for (uint32_t i = 0; i < n; i++) {
		put32(out + i * BODY_FLAG, entries[i].uid);
		put32(out + i * BODY_FLAG + 4, entries[i].flags);
		put64(out + i * BODY_FLAG + 8, entries[i].keywords);
		put32(out + i * BODY_FLAG + 16, entries[i].before);
		put32(out + i * BODY_FLAG + 20, 0);
		put64(out + i * BODY_FLAG + 24, entries[i].keywords_before);
	}
	return (size_t)n * BODY_FLAG;
}

size_t body_put_folder(const struct folder_row *f, unsigned char *out)
{
	size_t name = strlen(f->name);

	memset(out, 0, 24);
	put32(out, f->uidvalidity);
	put32(out + 4, f->uidnext);
	put32(out + 8, f->flags);
	memcpy(out + 24, f->name, name);
	return 24 + name;
}

bool body_get_folder(struct folder_row *f, const unsigned char *p, size_t n)
{
	if (n < 24 || n > BODY_FOLDER_MAX || memchr(p + 24, '\0', n - 24))
		return false;
	*f = (struct folder_row){
	    .uidvalidity = get32(p), .uidnext = get32(p + 4), .flags = get32(p + 8)};
	memcpy(f->name, p + 24, n - 24);
	return f->uidnext != 0;
}

static int record_expunge(struct apply *a, const struct record *r, const unsigned char *body)
{
	int rc = 0;

	if (r->body_length != (uint64_t)r->count * BODY_RANGE)
		return EINVAL;
	for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
		struct uid_range range = {get32(body + i * BODY_RANGE),
					  get32(body + i * BODY_RANGE + 4)};

		if (range.first == 0 || range.count == 0 ||
		    range.count - 1 > UINT32_MAX - range.first)
			return EINVAL;
		rc = apply_expunge(a, r, &range, 1);
	}
	return rc;
}

static int record_flags(struct apply *a, const struct record *r, const unsigned char *body)
{
	int rc = 0;

	if (r->body_length != (uint64_t)r->count * BODY_FLAG)
		return EINVAL;
	for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
		const unsigned char *p = body + i * BODY_FLAG;
		struct flag_entry entry = {.uid = get32(p),
					   .flags = get32(p + 4),
					   .keywords = get64(p + 8),
					   .before = get32(p + 16),
					   .keywords_before = get64(p + 24)};

		rc = apply_flags(a, r, &entry, 1);
	}
	return rc;
}

static bool body_name(char name[ROW_NAME_MAX + 1], const struct record *r,
		      const unsigned char *body)
{
	if (r->body_length > ROW_NAME_MAX || memchr(body, '\0', r->body_length))
		return false;
	memcpy(name, body, r->body_length);
	name[r->body_length] = '\0';
	return true;
}

static int record_account(struct apply *a, const struct record *r, const unsigned char *body)
{
	char name[ROW_NAME_MAX + 1];

	return body_name(name, r, body) ? apply_account(a, r->account, name) : EINVAL;
}

static int record_keyword(struct apply *a, const struct record *r, const unsigned char *body)
{
	char name[ROW_NAME_MAX + 1];

	return r->uid < 64 && body_name(name, r, body) ? apply_keyword(a, r, name) : EINVAL;
}

static int record_folder(struct apply *a, const struct record *r, const unsigned char *body)
{
	struct folder_row said;

	if (!body_get_folder(&said, body, r->body_length))
		return EINVAL;
	return apply_folder_state(a, r, &said);
}

/*
 * A message whose folder was never told of: the record that made the folder is damaged. The
 * message is worth more than the name.
 */
static int make_lost_folder(struct apply *a, const struct record *r)
{
	struct record told = {.account = r->account, .folder = r->folder, .change = 0};
	struct folder_row lost = {.uidvalidity = (uint32_t)(r->time / 1000), .uidnext = 1};

	if (r->folder == FOLDER_INBOX)
		snprintf(lost.name, sizeof(lost.name), "INBOX");
	else
		snprintf(lost.name, sizeof(lost.name), "Recovered-%u", r->folder);
	return apply_folder_state(a, &told, &lost);
}

static int record_message(struct apply *a, const struct record *r, uint32_t segment,
			  uint64_t offset)
{
	int rc = apply_message(a, r, segment, offset);

	if (rc != MDB_NOTFOUND)
		return rc;
	rc = make_lost_folder(a, r);
	return rc == 0 ? apply_message(a, r, segment, offset) : rc;
}

int apply_record(struct apply *a, const struct record *r, const unsigned char *body,
		 uint32_t segment, uint64_t offset)
{
	switch (r->type) {
	case RECORD_MESSAGE:
		return record_message(a, r, segment, offset);
	case RECORD_EXPUNGE:
		return record_expunge(a, r, body);
	case RECORD_FLAGS:
		return record_flags(a, r, body);
	case RECORD_FOLDER:
		return record_folder(a, r, body);
	case RECORD_KEYWORD:
		return record_keyword(a, r, body);
	case RECORD_ACCOUNT:
		return record_account(a, r, body);
	case RECORD_ACCOUNT_REMOVED:
		return apply_account_removed(a, r->account);
	default:
		return 0;
	}
}
