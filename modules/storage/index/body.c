/*
 * body.c - bodies of the records that are not messages, and the way from any record to the index.
 */
#include "apply.h"

#include "format/bytes.h"
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

bool body_get_ranges(const unsigned char *p, uint32_t n, struct uid_range *out)
{
	for (uint32_t i = 0; i < n; i++, p += BODY_RANGE) {
		out[i] = (struct uid_range){get32(p), get32(p + 4)};
		if (out[i].first == 0 || out[i].count == 0 ||
		    out[i].count - 1 > UINT32_MAX - out[i].first)
			return false;
	}
	return true;
}

void body_get_flags(const unsigned char *p, uint32_t n, struct flag_entry *out)
{
	for (uint32_t i = 0; i < n; i++, p += BODY_FLAG)
		out[i] = (struct flag_entry){.uid = get32(p),
					     .flags = get32(p + 4),
					     .keywords = get64(p + 8),
					     .before = get32(p + 16),
					     .keywords_before = get64(p + 24)};
}

size_t body_put_folder(const struct folder_row *f, unsigned char *out)
{
	size_t name = strlen(f->name);

	memset(out, 0, BODY_FOLDER);
	put32(out, f->uidvalidity);
	put32(out + 4, f->uidnext);
	put32(out + 8, f->flags);
	put64(out + 16, f->forgotten);
	put64(out + 24, f->expunge_change);
	memcpy(out + BODY_FOLDER, f->name, name);
	return BODY_FOLDER + name;
}

bool body_get_folder(struct folder_row *f, const unsigned char *p, size_t n)
{
	if (n < BODY_FOLDER || n > BODY_FOLDER_MAX ||
	    memchr(p + BODY_FOLDER, '\0', n - BODY_FOLDER))
		return false;
	*f = (struct folder_row){.uidvalidity = get32(p),
				 .uidnext = get32(p + 4),
				 .flags = get32(p + 8),
				 .forgotten = get64(p + 16),
				 .expunge_change = get64(p + 24)};
	memcpy(f->name, p + BODY_FOLDER, n - BODY_FOLDER);
	return f->uidnext != 0;
}

size_t body_put_state(const struct state_row *s, unsigned char out[BODY_STATE])
{
	memset(out, 0, BODY_STATE);
	put64(out, s->serial);
	put32(out + 8, s->segment);
	return BODY_STATE;
}

static int record_expunge(struct apply *a, const struct record *r, const unsigned char *body)
{
	int rc = 0;

	if (r->body_length != (uint64_t)r->count * BODY_RANGE)
		return EINVAL;
	for (uint32_t i = 0; rc == 0 && i < r->count; i++) {
		struct uid_range range;

		if (!body_get_ranges(body + (size_t)i * BODY_RANGE, 1, &range))
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
		struct flag_entry entry;

		body_get_flags(body + (size_t)i * BODY_FLAG, 1, &entry);
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

/* Numbers that are given once, also if all that they were given to is gone. */
static int record_state(struct apply *a, const struct record *r, const unsigned char *body)
{
	if (r->body_length != BODY_STATE)
		return EINVAL;
	if (get64(body) > a->state.serial)
		a->state.serial = get64(body);
	if (get32(body + 8) > a->state.segment)
		a->state.segment = get32(body + 8);
	return 0;
}

static int record_folder(struct apply *a, const struct record *r, const unsigned char *body)
{
	struct folder_row said;

	if (!body_get_folder(&said, body, r->body_length))
		return EINVAL;
	return apply_folder_state(a, r, &said);
}

/*
 * Of a folder that was not told of yet: it will be, because compaction has written its record
 * again; or the record that made it is damaged, and its messages are worth more than its name.
 */
static int make_lost_folder(struct apply *a, const struct record *r)
{
	struct record told = {.account = r->account, .folder = r->folder, .change = 0};
	uint64_t time = r->stored ? r->stored : r->time;
	struct folder_row lost = {.uidvalidity = (uint32_t)(time / 1000), .uidnext = 1};

	if (r->folder == FOLDER_INBOX)
		snprintf(lost.name, sizeof(lost.name), "INBOX");
	else
		snprintf(lost.name, sizeof(lost.name), "Recovered-%u", r->folder);
	return apply_folder_state(a, &told, &lost);
}

static int need_folder(struct apply *a, const struct record *r)
{
	struct folder_row *f;
	int rc = apply_folder(a, r->account, r->folder, &f);

	return rc == MDB_NOTFOUND ? make_lost_folder(a, r) : rc;
}

static bool is_about_messages(const struct record *r)
{
	return r->type == RECORD_MESSAGE || r->type == RECORD_EXPUNGE || r->type == RECORD_FLAGS;
}

int apply_record(struct apply *a, const struct record *r, const unsigned char *body,
		 uint32_t segment, uint64_t offset)
{
	int rc = is_about_messages(r) ? need_folder(a, r) : 0;

	if (rc != 0)
		return rc;
	a->replay = true;
	switch (r->type) {
	case RECORD_MESSAGE:
		return apply_message(a, r, segment, offset);
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
	case RECORD_STATE:
		return record_state(a, r, body);
	default:
		return 0;
	}
}
