/*
 * check_segments.c - the segments' phase of a check: every record by its checksums, and what it
 * says against what the index knows.
 */
#include "checker.h"

#include "format/bytes.h"
#include "store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEP_OCTETS ((uint64_t)1 << 20) /* after which go_on() is asked */

static void found(struct checker *k, enum fault_kind kind, const struct record *r, uint64_t at,
		  uint64_t octets)
{
	struct fault f = {.kind = kind, .segment = k->pass.segment, .offset = at, .octets = octets};

	if (r) {
		f.account = r->account;
		f.folder = r->folder;
		f.uid = r->type == RECORD_MESSAGE ? r->uid : 0;
		memcpy(f.uidl, r->uidl, sizeof(f.uidl));
	}
	checker_add(k, &f);
}

/* ---- messages ---- */

enum place {
	PLACE_LIVE,
	PLACE_TOMBSTONE,
	PLACE_ELSEWHERE,
	PLACE_BEHIND, /* elsewhere, but this record is a later copy of it */
	PLACE_FORGOTTEN,
	PLACE_UNREADABLE, /* its row fails its checksum: this record or another copy is what it told of */
	PLACE_NONE
};

int check_expunge_of(struct index *ix, MDB_txn *txn, const struct record *r, uint64_t *change,
		     struct change_row *row)
{
	unsigned char key[KEY_CHANGE], prefix[KEY_FOLDER];
	MDB_val kv = {.mv_size = sizeof(key), .mv_data = key}, v;
	bool found = false;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, ix->changes, &c);

	if (rc != 0)
		return rc;
	key_folder(prefix, r->account, r->folder);
	key_change(key, r->account, r->folder, r->change, 0);
	for (rc = mdb_cursor_get(c, &kv, &v, MDB_SET_RANGE); rc == 0 && !found;
	     rc = mdb_cursor_get(c, &kv, &v, MDB_NEXT)) {
		uint32_t first;

		if (kv.mv_size != KEY_CHANGE || memcmp(kv.mv_data, prefix, KEY_FOLDER) != 0)
			break;
		first = get32be((unsigned char *)kv.mv_data + 20);
		*change = get64be((unsigned char *)kv.mv_data + 12);
		found = change_row_get(row, kv.mv_data, v.mv_data, v.mv_size) &&
			row->kind == CHANGE_EXPUNGE && r->uid >= first &&
			r->uid - first < row->count;
	}
	mdb_cursor_close(c);
	return found ? 0 : rc != 0 ? rc : MDB_NOTFOUND;
}

static bool was_expunged(struct checker *k, MDB_txn *txn, const struct record *r)
{
	struct change_row row;
	uint64_t change;

	return check_expunge_of(&k->store->index, txn, r, &change, &row) != MDB_NOTFOUND;
}

/* A record that the index has no row for: either it was told to forget it, or it is missing. */
static enum place place_of_unknown(struct checker *k, MDB_txn *txn, const struct record *r)
{
	struct index *ix = &k->store->index;
	struct account_row account;
	struct folder_row folder;

	if (index_account(ix, txn, r->account, &account) != 0 ||
	    index_folder(ix, txn, r->account, r->folder, &folder) != 0)
		return PLACE_FORGOTTEN;
	if (folder.flags & FOLDER_DELETED || r->expunged_change || r->change <= folder.forgotten ||
	    was_expunged(k, txn, r))
		return PLACE_FORGOTTEN;
	return PLACE_NONE;
}

static enum place place_of(struct checker *k, const struct record *r, uint64_t at)
{
	struct index *ix = &k->store->index;
	enum place place = PLACE_LIVE;
	struct message_row row;
	MDB_txn *txn;
	int rc = k->error = index_read(ix, &txn);

	if (rc != 0)
		return PLACE_FORGOTTEN;
	rc = index_message(ix, txn, r->account, r->folder, r->uid, &row);
	if (rc == MDB_NOTFOUND) {
		place = PLACE_TOMBSTONE;
		rc = index_tombstone(ix, txn, r->account, r->folder, r->uid, &row);
	}
	if (rc == MDB_NOTFOUND)
		place = place_of_unknown(k, txn, r);
	else if (rc == MDB_CORRUPTED)
		place = PLACE_UNREADABLE;
	else if (rc != 0 || row.segment != k->pass.segment || row.offset != at)
		place = rc == 0 && r->flags & RECORD_MOVED && row.change < r->change
			    ? PLACE_BEHIND
			    : PLACE_ELSEWHERE;
	index_read_end(ix, txn);
	return place;
}

static void check_message(struct checker *k, struct scan *s, bool sound)
{
	const struct record *r = &s->record;
	enum place place = place_of(k, r, s->at);
	uint64_t length = s->next - s->at;

	if (place == PLACE_LIVE)
		k->segment.live += length;
	else if (place == PLACE_UNREADABLE)
		k->segment.whole = false;
	else if (place == PLACE_ELSEWHERE && !sound)
		k->segment.unsure += length;
	else if (place != PLACE_NONE)
		k->segment.dead += length;
	k->pass.messages++;
	if ((place == PLACE_NONE || place == PLACE_UNREADABLE) && sound)
		found(k, FAULT_UNKNOWN, r, s->at, r->octets);
	else if (place == PLACE_BEHIND && sound)
		found(k, FAULT_FLAGS, r, s->at, r->octets);
	/* It was being written when the power went, others of its group are there: recovery left it
	 * out, and nobody was told that it is safe. */
	else if (place == PLACE_NONE)
		found(k, FAULT_GAP, NULL, s->at, length);
	/* Nobody reads a copy that was left behind, or what the index was told to forget. */
	else if (!sound && place != PLACE_ELSEWHERE && place != PLACE_BEHIND &&
		 place != PLACE_FORGOTTEN)
		found(k, FAULT_TEXT, r, s->at, r->octets);
}

/* ---- changes ---- */

static bool is_behind(struct checker *k, MDB_txn *txn, const struct record *r, uint32_t uid)
{
	struct message_row row;

	return index_message(&k->store->index, txn, r->account, r->folder, uid, &row) == 0 &&
	       row.change < r->change;
}

static bool flags_behind(struct checker *k, MDB_txn *txn, const struct record *r,
			 const unsigned char *body)
{
	for (uint32_t i = 0; i < r->count && (uint64_t)(i + 1) * BODY_FLAG <= r->body_length; i++)
		if (is_behind(k, txn, r, get32(body + (size_t)i * BODY_FLAG)))
			return true;
	return false;
}

/* A range may name many uids that had gone before: only rows that are there are looked at. */
static bool range_behind(struct checker *k, MDB_txn *txn, const struct record *r, uint32_t first,
			 uint32_t count)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val kv = {.mv_size = sizeof(key), .mv_data = key}, v;
	bool behind = false;
	MDB_cursor *c;

	if (count == 0 || mdb_cursor_open(txn, k->store->index.messages, &c) != 0)
		return false;
	key_message(key, r->account, r->folder, first);
	for (int rc = mdb_cursor_get(c, &kv, &v, MDB_SET_RANGE); rc == 0 && !behind;
	     rc = mdb_cursor_get(c, &kv, &v, MDB_NEXT)) {
		uint32_t uid;

		if (kv.mv_size != KEY_MESSAGE || memcmp(kv.mv_data, key, KEY_FOLDER) != 0)
			break;
		uid = get32be((unsigned char *)kv.mv_data + 12);
		if (uid - first >= count)
			break;
		behind = is_behind(k, txn, r, uid);
	}
	mdb_cursor_close(c);
	return behind;
}

static bool expunge_behind(struct checker *k, MDB_txn *txn, const struct record *r,
			   const unsigned char *body)
{
	for (uint32_t i = 0; i < r->count && (uint64_t)(i + 1) * BODY_RANGE <= r->body_length; i++)
		if (range_behind(k, txn, r, get32(body + (size_t)i * BODY_RANGE),
				 get32(body + (size_t)i * BODY_RANGE + 4)))
			return true;
	return false;
}

static void check_change(struct checker *k, struct scan *s)
{
	const struct record *r = &s->record;
	const unsigned char *body = scan_body(s);
	bool behind;
	MDB_txn *txn;

	if (!body || (k->error = index_read(&k->store->index, &txn)) != 0)
		return;
	behind = r->type == RECORD_FLAGS ? flags_behind(k, txn, r, body)
					 : expunge_behind(k, txn, r, body);
	index_read_end(&k->store->index, txn);
	if (behind)
		found(k, r->type == RECORD_FLAGS ? FAULT_FLAGS : FAULT_EXPUNGED, r, s->at,
		      r->body_length);
}

/* ---- a segment ---- */

static void check_record(struct checker *k, struct scan *s)
{
	const struct record *r = &s->record;
	bool sound = scan_verify(s);

	if (s->stopped)
		return;
	k->pass.records++;
	k->pass.octets += s->next - s->at;
	if (r->type == RECORD_MESSAGE)
		check_message(k, s, sound);
	else if (!sound)
		found(k, FAULT_RECORD, r, s->at, r->body_length);
	else if (r->type == RECORD_FLAGS || r->type == RECORD_EXPUNGE)
		check_change(k, s);
}

/* The next segment from `from` on and its row; false: no more. */
static bool next_segment(struct checker *k, uint32_t from, uint32_t *id, struct segment_row *row)
{
	struct index *ix = &k->store->index;
	unsigned char key[4];
	MDB_val kv = {.mv_size = sizeof(key), .mv_data = key}, v;
	bool any = false;
	MDB_cursor *c;
	MDB_txn *txn;

	k->error = index_read(ix, &txn);
	if (k->error)
		return false;
	put32be(key, from);
	k->error = mdb_cursor_open(txn, ix->segments, &c);
	if (k->error == 0) {
		for (int rc = mdb_cursor_get(c, &kv, &v, MDB_SET_RANGE); rc == 0 && !any;
		     rc = mdb_cursor_get(c, &kv, &v, MDB_NEXT)) {
			struct fault f = {.kind = FAULT_SEGMENT_ROW};

			if (kv.mv_size != 4)
				continue;
			*id = f.segment = get32be(kv.mv_data);
			any = segment_row_get(row, *id, v.mv_data, v.mv_size);
			if (!any)
				checker_add(k, &f);
			any = any && !(row->flags & SEGMENT_GONE);
		}
		mdb_cursor_close(c);
	}
	index_read_end(ix, txn);
	return any;
}

/* Deliveries and expunges go on meanwhile: only a row that stayed as it was can be compared. */
static void check_totals(struct checker *k)
{
	struct checker_segment *cs = &k->segment;
	struct segment_row now;
	MDB_txn *txn;
	int rc;

	if (!cs->whole || cs->id != k->pass.segment ||
	    (k->error = index_read(&k->store->index, &txn)) != 0)
		return;
	rc = index_segment(&k->store->index, txn, cs->id, &now);
	index_read_end(&k->store->index, txn);
	if (rc != 0 || memcmp(&now, &cs->row, sizeof(now)) != 0)
		return;
	if (now.live != cs->live || now.dead < cs->dead || now.dead > cs->dead + cs->unsure ||
	    now.other != now.end - SEGMENT_HEAD - now.live - now.dead)
		found(k, FAULT_SEGMENT_TOTALS, NULL, 0, now.end);
}

/* By its name: a file that is open here may not be in the directory any more. */
static bool is_there(struct checker *k, uint32_t id, const struct segment_row *row)
{
	char name[SEGMENT_NAME];
	struct stat info;

	segment_name(name, id);
	return fstatat(k->store->segment_dir, name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)info.st_size >= row->end;
}

static void begin_segment(struct checker *k, uint32_t id, const struct segment_row *row)
{
	struct pass *p = &k->pass;

	if (p->segment != id) {
		p->segment = id;
		p->offset = 0;
	}
	if (k->segment.id == id && p->offset != 0)
		return;
	k->segment = (struct checker_segment){.id = id, .whole = p->offset == 0};
	memcpy(&k->segment.row, row, sizeof(*row));
}

static void end_segment(struct checker *k)
{
	k->pass.segment++;
	k->pass.offset = 0;
}

/* Some records; false: the segment is done. */
static bool check_some(struct checker *k, struct scan *s)
{
	uint64_t until = k->octets + STEP_OCTETS;

	while (k->octets < until && k->error == 0) {
		enum scan_result result = scan_next(s);

		if (s->stopped)
			return true;
		switch (result) {
		case SCAN_GAP:
			found(k, FAULT_GAP, NULL, s->at, s->next - s->at);
			break;
		case SCAN_END:
			if (s->failed)
				found(k, FAULT_SEGMENT_SHORT, NULL, s->at, s->size - s->at);
			else if (s->at < s->size)
				found(k, FAULT_GAP, NULL, s->at, s->size - s->at);
			return false;
		case SCAN_UNKNOWN:
			break;
		case SCAN_RECORD:
			check_record(k, s);
			break;
		}
		if (s->stopped)
			return true;
		k->pass.offset = s->next;
	}
	return true;
}

static void check_file(struct checker *k, const struct file *file)
{
	const struct segment_row *row = &k->segment.row;
	uint64_t from = k->pass.offset ? k->pass.offset : SEGMENT_HEAD;
	struct scan s;
	bool more;

	scan_begin(&s, file->fd, row->end, file->seed, from, k->window);
	s.read = checker_reads;
	s.leave_no_pages = k->leave_no_pages;
	s.arg = k;
	more = check_some(k, &s);
	if (more || k->error)
		return;
	check_totals(k);
	end_segment(k);
}

bool check_next_segment(struct checker *k)
{
	struct segment_row row;
	struct file *file;
	uint32_t id;
	int status;

	if (!next_segment(k, k->pass.segment, &id, &row))
		return false;
	begin_segment(k, id, &row);
	file = is_there(k, id, &row) ? files_get(k->store, id, true, &status) : NULL;
	if (file) {
		check_file(k, file);
		file_release(file);
		return k->error == 0;
	}
	if (row.live || row.dead)
		found(k, FAULT_SEGMENT_SHORT, NULL, 0, row.end);
	end_segment(k);
	return true;
}
