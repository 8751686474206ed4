/*
 * fetch.c - a message's text from its segment. Small ones are read with their record's head and
 * checked against all checksums; of large ones the head and the dots are checked, and the text is
 * handed out as a part of the file.
 */
#include "fetch.h"

#include "format/bytes.h"
#include "maildrop/view.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#define READ_AHEAD ((size_t)1 << 20)

#define POOLED_MIN  ((size_t)4096)
#define POOLED_ROOM ((size_t)FETCH_COPY_MAX + RECORD_HEAD_MAX + 512)

struct fetched { /* what a content holds until it is released; the octets follow */
	struct store *store;
	struct file *file;
	bool pooled;
	_Alignas(16) unsigned char bytes[];
};

struct fetching {
	struct store *store;
	const struct fetch_key *key;
	const struct message_row *row;
	struct file *file;
	struct fetched *got;
	uint32_t head;
	uint64_t tail;
	bool may_block;
};

/* ---- memory of texts ---- */

/* Memory from the host is zeroed, which costs as much as reading the text into it: some is kept. */
static struct fetched *take_pooled(struct store *st)
{
	struct fetch_pool *pool = &st->texts;
	struct fetched *f;

	for (unsigned i = 0; i < FETCH_POOL; i++) {
		if (!atomic_load_explicit(&pool->idle[i], memory_order_relaxed))
			continue;
		f = atomic_exchange(&pool->idle[i], NULL);
		if (f)
			return f;
	}
	if (atomic_load_explicit(&pool->made, memory_order_relaxed) >= FETCH_POOL)
		return NULL;
	f = store_alloc(st, sizeof(*f) + POOLED_ROOM);
	if (f) {
		atomic_fetch_add(&pool->made, 1);
		f->pooled = true;
	}
	return f;
}

static void give_pooled(struct store *st, struct fetched *f)
{
	struct fetch_pool *pool = &st->texts;

	for (unsigned i = 0; i < FETCH_POOL; i++) {
		struct fetched *none = NULL;

		if (atomic_compare_exchange_strong(&pool->idle[i], &none, f))
			return;
	}
	atomic_fetch_sub(&pool->made, 1);
	store_free(st, f);
}

void fetch_clear(struct store *st)
{
	for (unsigned i = 0; i < FETCH_POOL; i++)
		store_free(st, atomic_exchange(&st->texts.idle[i], NULL));
}

static struct fetched *take_memory(struct store *st, uint64_t room)
{
	struct fetched *f = NULL;

	if (room >= POOLED_MIN && room <= POOLED_ROOM)
		f = take_pooled(st);
	return f ? f : store_alloc(st, sizeof(*f) + room);
}

static void release(void *ref)
{
	struct fetched *f = ref;

	if (f->file)
		file_leave(f->file);
	if (f->pooled)
		give_pooled(f->store, f);
	else
		store_free(f->store, f);
}

/* ---- reading ---- */

int fetch_damaged(struct store *st, const struct fetch_key *key, const struct message_row *row,
		  const char *what)
{
	char name[SEGMENT_NAME];

	segment_name(name, row->segment);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_ERROR, "message-damaged",
				 PSTN_U("account", key->account), PSTN_U("folder", key->folder),
				 PSTN_U("uid", key->uid), PSTN_S("segment", name),
				 PSTN_U("offset", row->offset), PSTN_S("what", what)));
	st->host->count(st->self, METRIC_DAMAGED, 1);
	return PSTN_E_DAMAGED;
}

int fetch_unreadable(struct store *st, const struct fetch_key *key, const struct message_row *row,
		     int error)
{
	char name[SEGMENT_NAME];

	segment_name(name, row->segment);
	st->host->log(PSTN_EVENT(
	    st->self, NULL, PSTN_ERROR, "message-unreadable", PSTN_U("account", key->account),
	    PSTN_U("folder", key->folder), PSTN_U("uid", key->uid), PSTN_S("segment", name),
	    PSTN_U("offset", row->offset), PSTN_S("error", strerror(error)),
	    PSTN_S("hint", "The disk does not give the message; it is tried again whenever "
			   "somebody asks for it.")));
	return PSTN_E_TEMPORARY;
}

static int damaged(const struct fetching *f, const char *what)
{
	return fetch_damaged(f->store, f->key, f->row, what);
}

/* All n octets, or VIEW_COLD if some are not in memory and it may not wait. */
static int read_all(const struct fetching *f, void *to, size_t n, uint64_t at)
{
	size_t done = 0;

	while (done < n) {
		struct iovec v = {(char *)to + done, n - done};
		ssize_t got = f->may_block
				  ? preadv(f->file->fd, &v, 1, (off_t)(at + done))
				  : preadv2(f->file->fd, &v, 1, (off_t)(at + done), RWF_NOWAIT);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && !f->may_block && (errno == EAGAIN || errno == EOPNOTSUPP))
			return VIEW_COLD;
		if (got < 0)
			return fetch_unreadable(f->store, f->key, f->row, errno);
		if (got == 0)
			return damaged(f, "the segment ends before the message does");
		done += (size_t)got;
	}
	return PSTN_OK;
}

/* The record is the one the index means. */
static int check_head(const struct fetching *f, const unsigned char *bytes, struct record *r)
{
	if (record_decode(r, bytes, f->head, f->file->seed, f->row->offset) != RECORD_OK)
		return damaged(f, "the record's head fails its checksum");
	if (r->type != RECORD_MESSAGE || r->account != f->key->account ||
	    r->folder != f->key->folder || r->uid != f->key->uid || r->octets != f->row->octets ||
	    r->count != f->row->dots || r->head_length != f->head)
		return damaged(f, "the record is another one than the index says");
	return PSTN_OK;
}

/* Dots as the core wants them: native, ascending, inside the text. */
static int check_dots(const struct fetching *f, unsigned char *tail, const struct record *r)
{
	uint64_t *dots = (uint64_t *)(void *)tail;
	uint64_t least = 0;

	if (f->tail && record_sum(tail, f->tail, f->file->seed) != r->tail_sum)
		return damaged(f, "the positions of dots fail their checksum");
	for (uint32_t i = 0; i < r->count; i++) {
		dots[i] = get64(tail + (size_t)i * RECORD_DOT);
		if (dots[i] < least || dots[i] >= r->octets)
			return damaged(f, "the positions of dots make no sense");
		least = dots[i] + 1;
	}
	return PSTN_OK;
}

static void fill_content(const struct fetching *f, const struct record *r, struct pstn_content *out)
{
	*out = (struct pstn_content){
	    .size = sizeof(*out),
	    .fd = f->file->fd,
	    .offset = f->row->offset + f->head,
	    .length = r->octets,
	    .ndots = r->count,
	    .header_length = r->header_octets,
	    .release = release,
	    .ref = f->got,
	};
}

/* ---- small texts ---- */

static int fetch_copy(struct fetching *f, struct pstn_content *out)
{
	uint64_t body = ALIGN8(f->row->octets);
	unsigned char *text = f->got->bytes + f->head;
	struct record r;
	int status = read_all(f, f->got->bytes, (size_t)(f->head + body + f->tail), f->row->offset);

	if (status == PSTN_OK)
		status = check_head(f, f->got->bytes, &r);
	if (status == PSTN_OK && record_sum(text, r.octets, f->file->seed) != r.body_sum)
		status = damaged(f, "the text fails its checksum");
	if (status == PSTN_OK)
		status = check_dots(f, text + body, &r);
	if (status != PSTN_OK)
		return status;
	fill_content(f, &r, out);
	out->bytes = (const char *)text;
	out->offset = 0;
	out->fd = -1;
	out->dots = (const uint64_t *)(void *)(text + body);
	/* The octets stand in memory; the file is not needed any more. */
	file_leave(f->file);
	f->got->file = NULL;
	return PSTN_OK;
}

/* ---- large ones ---- */

static int fetch_part(struct fetching *f, struct pstn_content *out)
{
	unsigned char *tail = f->got->bytes + RECORD_HEAD_MAX;
	uint64_t text = f->row->offset + f->head, end = text + f->row->octets;
	struct record r;
	int status = read_all(f, f->got->bytes, f->head, f->row->offset);

	if (status == PSTN_OK)
		status = check_head(f, f->got->bytes, &r);
	if (status == PSTN_OK)
		status = read_all(f, tail, (size_t)f->tail, text + ALIGN8(f->row->octets));
	if (status == PSTN_OK)
		status = check_dots(f, tail, &r);
	if (status == PSTN_OK && !file_reaches(f->file, end))
		status = damaged(f, "the segment ends before the message does");
	if (status != PSTN_OK)
		return status;
	if (f->may_block)
		readahead(f->file->fd, (off_t)text, READ_AHEAD);
	fill_content(f, &r, out);
	out->dots = (const uint64_t *)(void *)tail;
	return PSTN_OK;
}

/* ---- either ---- */

static uint32_t head_of(const struct message_row *row)
{
	return (uint32_t)(RECORD_MESSAGE_HEAD + ALIGN8(strlen(row->uidl)));
}

static int begin(struct fetching *f, bool copy)
{
	uint64_t room =
	    copy ? f->head + ALIGN8(f->row->octets) + f->tail : RECORD_HEAD_MAX + f->tail;
	int status;

	f->file = files_get(f->store, f->row->segment, f->may_block, &status);
	if (!f->file)
		return status == PSTN_E_DAMAGED ? damaged(f, "its segment cannot be used") : status;
	f->got = take_memory(f->store, room);
	if (!f->got) {
		file_release(f->file);
		return PSTN_E_NO_MEMORY;
	}
	f->got->store = f->store;
	f->got->file = f->file;
	return PSTN_OK;
}

static int try_fetch(struct store *st, const struct fetch_key *key, const struct message_row *row,
		     bool may_block, struct pstn_content *out)
{
	struct fetching f = {.store = st,
			     .key = key,
			     .row = row,
			     .head = head_of(row),
			     .tail = (uint64_t)row->dots * RECORD_DOT,
			     .may_block = may_block};
	bool copy = row->octets <= FETCH_COPY_MAX;
	int status;

	if (row->dots > row->octets || row->octets > RECORD_BODY_MAX)
		return damaged(&f, "the index's row makes no sense");
	status = begin(&f, copy);
	if (status != PSTN_OK)
		return status;
	status = copy ? fetch_copy(&f, out) : fetch_part(&f, out);
	if (status != PSTN_OK)
		release(f.got);
	else
		st->host->count(st->self, METRIC_READ_OCTETS, (int64_t)row->octets);
	return status;
}

int fetch_moved(struct store *st, const struct fetch_key *key, struct message_row *row)
{
	uint32_t before = row->segment;
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = index_message(&st->index, txn, key->account, key->folder, key->uid, row);
	if (rc == MDB_NOTFOUND)
		rc = index_tombstone(&st->index, txn, key->account, key->folder, key->uid, row);
	index_read_end(&st->index, txn);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? PSTN_E_GONE : index_status(rc);
	return row->segment == before ? fetch_damaged(st, key, row, "its segment is missing")
				      : PSTN_OK;
}

int fetch(struct store *st, const struct fetch_key *key, const struct message_row *row,
	  bool may_block, struct pstn_content *out)
{
	struct message_row now = *row;
	int status = try_fetch(st, key, &now, may_block, out);

	while (status == PSTN_E_NOT_FOUND) {
		status = fetch_moved(st, key, &now);
		if (status == PSTN_OK)
			status = try_fetch(st, key, &now, may_block, out);
	}
	return status;
}
