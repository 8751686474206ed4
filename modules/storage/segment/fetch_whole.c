/*
 * fetch_whole.c - a message's record for those who copy it: its head, and its text from beginning
 * to end with its checksum. (Whoever shows a large text to a client cannot wait for that.)
 */
#include "fetch.h"

#include "format/checksum.h"
#include "store.h"

#include <errno.h>
#include <unistd.h>

#define PIECE ((size_t)256 << 10)

struct whole {
	struct store *store;
	const struct fetch_key *key;
	struct message_row row;
	struct record record;
	uint64_t seed;
	int (*piece)(void *arg, const char *bytes, size_t n);
	void *arg;
};

/* ---- the head ---- */

static int decode(struct whole *w, const struct file *file)
{
	unsigned char bytes[RECORD_HEAD_MAX];
	struct record *r = &w->record;
	ssize_t n;

	do
		n = pread(file->fd, bytes, sizeof(bytes), (off_t)w->row.offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return fetch_unreadable(w->store, w->key, &w->row, errno);
	if (record_decode(r, bytes, (size_t)n, file->seed, w->row.offset) != RECORD_OK)
		return fetch_damaged(w->store, w->key, &w->row,
				     "the record's head fails its checksum");
	if (r->type != RECORD_MESSAGE || r->account != w->key->account ||
	    r->folder != w->key->folder || r->uid != w->key->uid || r->octets != w->row.octets)
		return fetch_damaged(w->store, w->key, &w->row,
				     "the record is another one than the index says");
	w->seed = file->seed;
	return PSTN_OK;
}

static int read_head(struct whole *w)
{
	int status;
	struct file *file = files_get(w->store, w->row.segment, true, &status);

	while (!file && status == PSTN_E_NOT_FOUND) {
		status = fetch_moved(w->store, w->key, &w->row);
		if (status == PSTN_OK)
			file = files_get(w->store, w->row.segment, true, &status);
	}
	if (!file)
		return status == PSTN_E_DAMAGED
			   ? fetch_damaged(w->store, w->key, &w->row, "its segment cannot be used")
			   : status;
	status = decode(w, file);
	file_release(file);
	return status;
}

int fetch_head(struct store *st, const struct fetch_key *key, const struct message_row *row,
	       struct record *out)
{
	struct whole w = {.store = st, .key = key, .row = *row};
	int status = read_head(&w);

	*out = w.record;
	return status;
}

/* ---- the text ---- */

static int read_pieces(const struct whole *w, const struct pstn_content *c, char *bytes,
		       XXH3_state_t *sum)
{
	uint64_t done = 0;
	int status = PSTN_OK;

	while (status == PSTN_OK && done < c->length) {
		uint64_t left = c->length - done;
		ssize_t n = pread(c->fd, bytes, left < PIECE ? (size_t)left : PIECE,
				  (off_t)(c->offset + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fetch_unreadable(w->store, w->key, &w->row, errno);
		if (n == 0)
			return fetch_damaged(w->store, w->key, &w->row,
					     "the segment ends before the message does");
		XXH3_64bits_update(sum, bytes, (size_t)n);
		status = w->piece(w->arg, bytes, (size_t)n);
		done += (uint64_t)n;
	}
	return status;
}

/* The state of the checksum wants more alignment than memory comes with. */
static int read_large(struct whole *w, const struct pstn_content *c)
{
	char *memory = store_alloc(w->store, sizeof(XXH3_state_t) + 64 + PIECE);
	XXH3_state_t *sum = (XXH3_state_t *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
	int status;

	if (!memory)
		return PSTN_E_NO_MEMORY;
	status = read_head(w);
	if (status == PSTN_OK) {
		XXH3_64bits_reset_withSeed(sum, w->seed);
		status = read_pieces(w, c, (char *)(sum + 1), sum);
	}
	if (status == PSTN_OK && XXH3_64bits_digest(sum) != w->record.body_sum)
		status = fetch_damaged(w->store, w->key, &w->row, "the text fails its checksum");
	store_free(w->store, memory);
	return status;
}

int fetch_text(struct store *st, const struct fetch_key *key, const struct message_row *row,
	       int (*piece)(void *arg, const char *bytes, size_t n), void *arg)
{
	struct whole w = {.store = st, .key = key, .row = *row, .piece = piece, .arg = arg};
	struct pstn_content c;
	int status = fetch(st, key, row, true, &c);

	if (status != PSTN_OK)
		return status;
	if (!c.bytes)
		status = read_large(&w, &c);
	else if (c.length)
		status = piece(arg, c.bytes, (size_t)c.length);
	c.release(c.ref);
	return status;
}
