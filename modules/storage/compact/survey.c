/*
 * survey.c - which segments are worth emptying. The rows of segments tell what is live and what is
 * dead; the rows of expunged messages tell how much of the dead has to stay.
 */
#include "survey.h"

#include "format/bytes.h"
#include "index/apply_parts.h"
#include "store.h"

#include <errno.h>

#define ROWS_AT_ONCE 10000

static int add_segment(struct survey *s, size_t *room, uint32_t id, const struct segment_row *row)
{
	if (s->count == *room) {
		size_t larger_room = *room ? *room * 2 : 64;
		struct survey_segment *larger =
		    store_alloc(s->store, larger_room * sizeof(*larger));

		if (!larger)
			return ENOMEM;
		if (s->count)
			memcpy(larger, s->segments, s->count * sizeof(*larger));
		store_free(s->store, s->segments);
		s->segments = larger;
		*room = larger_room;
	}
	s->segments[s->count++] = (struct survey_segment){.id = id, .row = *row};
	return 0;
}

static int list_segments(struct survey *s, MDB_txn *txn)
{
	MDB_cursor *c;
	MDB_val k, v;
	size_t room = 0;
	int rc = mdb_cursor_open(txn, s->store->index.segments, &c);

	if (rc != 0)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		struct segment_row row;
		uint32_t id = k.mv_size == 4 ? get32be(k.mv_data) : 0;

		if (!id || !segment_row_get(&row, id, v.mv_data, v.mv_size))
			continue;
		rc = add_segment(s, &room, id, &row);
		if (rc != 0)
			break;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

int survey_begin(struct survey *s, struct store *st, uint64_t retention)
{
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	*s = (struct survey){.store = st};
	if (rc != 0)
		return rc;
	s->expired = snapshots_expired(st, retention);
	rc = list_segments(s, txn);
	index_read_end(&st->index, txn);
	return rc;
}

static struct survey_segment *find(struct survey *s, uint32_t id)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->segments[middle].id == id)
			return &s->segments[middle];
		if (s->segments[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void look_at(struct survey *s, const MDB_val *k, const MDB_val *v)
{
	struct survey_segment *segment;
	struct message_row row;

	if (!message_row_get(&row, k->mv_data, s->store->index.tag, v->mv_data, v->mv_size))
		return;
	segment = find(s, row.segment);
	if (segment && row.expunged_at >= s->expired)
		segment->kept += apply_row_length(&row);
}

static int walk_some(struct survey *s, MDB_txn *txn)
{
	MDB_val k = {.mv_size = KEY_MESSAGE, .mv_data = s->key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, s->store->index.tombstones, &c);

	if (rc != 0)
		return rc;
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0 && s->begun && k.mv_size == KEY_MESSAGE &&
	    memcmp(k.mv_data, s->key, KEY_MESSAGE) == 0)
		rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	for (unsigned n = 0; rc == 0; rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) {
		if (k.mv_size != KEY_MESSAGE)
			continue;
		look_at(s, &k, &v);
		if (++n == ROWS_AT_ONCE)
			break;
	}
	if (rc == 0) {
		memcpy(s->key, k.mv_data, KEY_MESSAGE);
		s->begun = true;
	}
	mdb_cursor_close(c);
	return rc;
}

int survey_step(struct survey *s)
{
	MDB_txn *txn;
	int rc = index_read(&s->store->index, &txn);

	if (rc != 0)
		return rc;
	rc = walk_some(s, txn);
	index_read_end(&s->store->index, txn);
	return rc;
}

void survey_end(struct survey *s)
{
	store_free(s->store, s->segments);
	s->segments = NULL;
	s->count = 0;
}

uint64_t survey_octets(const struct survey_segment *s)
{
	return s->row.end > SEGMENT_HEAD ? s->row.end - SEGMENT_HEAD : 0;
}

uint64_t survey_reclaimable(const struct survey_segment *s)
{
	if (s->row.flags & SEGMENT_GONE)
		return survey_octets(s);
	return s->row.dead > s->kept ? s->row.dead - s->kept : 0;
}
