/*
 * evacuate.c - through a sealed segment, record by record: what is needed of it?
 *
 * Nothing is moved out of a segment that cannot be gone through to its end, because a segment of
 * which something has been moved must be emptied before any other (docs/storage-format.md).
 */
#include "evacuate.h"

#include "format/bytes.h"
#include "needed.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MOVES_MAX      128
#define MOVE_OCTETS    ((uint64_t)256 << 10) /* of messages, written by one group */
#define STEP_OCTETS    ((uint64_t)1 << 20)   /* gone through in one step */
#define ROUNDS_MAX     4
#define STATE_LENGTH   (RECORD_HEAD + BODY_STATE)
#define CANNOT_READ    "it cannot be read; the disk may be failing"
#define UNKNOWN_RECORD "it holds records of a later version of the server"
#define DAMAGED_RECORD "one of its records is damaged; `storage check` tells which"
#define NO_MEMORY      "there is not enough memory"
#define INDEX_FAILED   "the index cannot be read"

/* ---- the segment ---- */

static bool block(struct evacuation *e, const char *why)
{
	e->blocked = why;
	return false;
}

static bool read_row(struct evacuation *e, struct segment_row *row)
{
	MDB_txn *txn;
	int rc = index_read(&e->store->index, &txn);

	if (rc != 0)
		return block(e, INDEX_FAILED);
	rc = index_segment(&e->store->index, txn, e->segment, row);
	index_read_end(&e->store->index, txn);
	return rc == 0 ? true : block(e, INDEX_FAILED);
}

static bool open_segment(struct evacuation *e)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	char name[SEGMENT_NAME];

	segment_name(name, e->segment);
	e->fd = openat(e->store->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (e->fd < 0)
		return block(e, errno == ENOENT ? "its file is missing" : CANNOT_READ);
	if (pread(e->fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return block(e, CANNOT_READ);
	if (segment_head_decode(&head, bytes, sizeof(bytes)) != RECORD_OK ||
	    head.id != e->segment || memcmp(head.store, e->store->uuid, sizeof(head.store)) != 0)
		return block(e, "its header is damaged");
	e->seed = head.seed;
	return true;
}

static void from_the_begin(struct evacuation *e)
{
	scan_begin(&e->scan, e->fd, e->end, e->seed, SEGMENT_HEAD, e->window);
}

bool evacuation_begin(struct evacuation *e, struct store *st, uint32_t segment, uint64_t retention)
{
	struct segment_row row;

	*e = (struct evacuation){.store = st, .segment = segment, .retention = retention, .fd = -1};
	e->window = store_alloc(st, SCAN_WINDOW);
	e->moves = store_alloc(st, MOVES_MAX * sizeof(*e->moves));
	if (!e->window || !e->moves)
		return block(e, NO_MEMORY);
	if (!read_row(e, &row) || !open_segment(e))
		return false;
	e->end = row.end;
	e->octets = row.end > SEGMENT_HEAD ? row.end - SEGMENT_HEAD : 0;
	e->counted_live = row.live;
	from_the_begin(e);
	return true;
}

static void drop_moves(struct evacuation *e)
{
	for (uint32_t i = 0; i < e->count; i++)
		store_free(e->store, e->moves[i].body);
	e->count = 0;
	e->body_octets = 0;
}

void evacuation_end(struct evacuation *e)
{
	if (e->moves)
		drop_moves(e);
	store_free(e->store, e->moves);
	store_free(e->store, e->window);
	touched_free(&e->touched, e->store);
	if (e->fd >= 0)
		close(e->fd);
	e->moves = NULL;
	e->window = NULL;
	e->fd = -1;
}

/* ---- a record ---- */

static struct move *add_move(struct evacuation *e)
{
	struct move *m = &e->moves[e->count++];

	*m = (struct move){.record = e->scan.record, .offset = e->scan.at};
	return m;
}

static bool touch(struct evacuation *e)
{
	const struct record *r = &e->scan.record;

	return touched_add(&e->touched, e->store, r->account, r->folder) == 0 ? true
									      : block(e, NO_MEMORY);
}

static bool find_message(struct evacuation *e, enum needed_as *as, struct message_row *row)
{
	MDB_txn *txn;
	int rc = index_read(&e->store->index, &txn);

	if (rc != 0)
		return block(e, INDEX_FAILED);
	row->segment = 0;
	rc =
	    needed_message(&e->store->index, txn, &e->scan.record, e->segment, e->scan.at, as, row);
	index_read_end(&e->store->index, txn);
	return rc == 0 ? true : block(e, INDEX_FAILED);
}

static bool count_needed(struct evacuation *e, enum needed_as as)
{
	uint64_t length = record_length(&e->scan.record);

	e->needed += length;
	if (as == NEEDED_LIVE)
		e->live += length;
	/* What it says is no matter here, but whether it can be read. */
	scan_verify(&e->scan);
	return e->scan.failed ? block(e, CANNOT_READ) : true;
}

static bool consider_message(struct evacuation *e)
{
	struct message_row row;
	enum needed_as as;
	bool expired;

	if (!find_message(e, &as, &row))
		return false;
	expired =
	    as == NEEDED_EXPUNGED && row.expunged_at < snapshots_expired(e->store, e->retention);
	if (as == NEEDED_NOT)
		return row.segment ? true : touch(e);
	if (!e->moving)
		return expired ? touch(e) : count_needed(e, as);
	if (expired) {
		add_move(e);
		return touch(e);
	}
	e->body_octets += record_length(&e->scan.record);
	return evacuation_load(e, add_move(e));
}

/* The body of an expunge or of flags; NULL: blocked. */
static const unsigned char *change_body(struct evacuation *e, size_t entry)
{
	const struct record *r = &e->scan.record;
	const unsigned char *body = NULL;

	if (scan_verify(&e->scan) && r->body_length == (uint64_t)r->count * entry)
		body = scan_body(&e->scan);
	if (!body)
		block(e, e->scan.failed ? CANNOT_READ : DAMAGED_RECORD);
	return body;
}

static int ask_ranges(const struct needed *look, const struct record *r, const unsigned char *body,
		      void *out, uint32_t *n, bool *whole)
{
	struct uid_range *ranges = out, *before;
	size_t size = *n * sizeof(*ranges);
	int rc;

	before = store_alloc(look->store, size + 1);
	if (!before)
		return ENOMEM;
	if (!body_get_ranges(body, *n, ranges)) {
		store_free(look->store, before);
		return EINVAL;
	}
	memcpy(before, ranges, size);
	rc = needed_ranges(look, r, ranges, n);
	*whole = *n == r->count && memcmp(before, ranges, size) == 0;
	store_free(look->store, before);
	return rc;
}

static int ask_flags(const struct needed *look, const struct record *r, const unsigned char *body,
		     void *out, uint32_t *n, bool *whole)
{
	int rc;

	body_get_flags(body, *n, out);
	rc = needed_flags(look, r, out, n);
	*whole = *n == r->count;
	return rc;
}

struct change_kind_of {
	size_t entry, memory; /* octets of an entry on disk and in memory */
	int (*ask)(const struct needed *, const struct record *, const unsigned char *body,
		   void *out, uint32_t *n, bool *whole);
};

static const struct change_kind_of expunges = {BODY_RANGE, sizeof(struct uid_range), ask_ranges};
static const struct change_kind_of flag_changes = {BODY_FLAG, sizeof(struct flag_entry), ask_flags};

static bool ask_change(struct evacuation *e, const struct change_kind_of *kind, struct move *m)
{
	struct needed look = {.index = &e->store->index, .leaving = e->segment, .store = e->store};
	const unsigned char *body = change_body(e, kind->entry);
	int rc;

	if (!body)
		return false;
	m->body = store_alloc(e->store, m->record.count * kind->memory + 1);
	if (!m->body)
		return block(e, NO_MEMORY);
	rc = index_read(&e->store->index, &look.txn);
	if (rc != 0)
		return block(e, INDEX_FAILED);
	rc = kind->ask(&look, &e->scan.record, body, m->body, &m->record.count, &m->whole);
	index_read_end(&e->store->index, look.txn);
	if (rc == 0)
		return true;
	return block(e, rc == EINVAL ? DAMAGED_RECORD : rc == ENOMEM ? NO_MEMORY : INDEX_FAILED);
}

static bool consider_change(struct evacuation *e, const struct change_kind_of *kind)
{
	struct move *m = add_move(e);

	if (!ask_change(e, kind, m))
		return false;
	if (!e->moving && m->record.count)
		e->needed += RECORD_CHANGE_HEAD + ALIGN8((uint64_t)m->record.count * kind->entry);
	if (!m->whole && !touch(e))
		return false;
	if (!e->moving)
		drop_moves(e);
	return true;
}

/* What an account or a folder is called, and that an account is gone. */
static bool consider_name(struct evacuation *e)
{
	const struct record *r = &e->scan.record;
	struct account_row row;
	MDB_txn *txn;
	int rc;

	if (r->type == RECORD_ACCOUNT_REMOVED && r->account < SCRATCH_FIRST) {
		rc = index_read(&e->store->index, &txn);
		if (rc != 0)
			return block(e, INDEX_FAILED);
		rc = index_account(&e->store->index, txn, r->account, &row);
		index_read_end(&e->store->index, txn);
		/* Told again now it would remove what came after. */
		if (rc != MDB_NOTFOUND)
			return block(e, "it says that an account was removed which is there again");
	}
	if (e->moving)
		add_move(e);
	else if (r->account < SCRATCH_FIRST)
		e->needed += record_length(r);
	return true;
}

static bool consider(struct evacuation *e)
{
	const struct record *r = &e->scan.record;

	if (r->flags & RECORD_SKIPPABLE)
		return block(e, UNKNOWN_RECORD);
	switch (r->type) {
	case RECORD_MESSAGE:
		return consider_message(e);
	case RECORD_EXPUNGE:
		return consider_change(e, &expunges);
	case RECORD_FLAGS:
		return consider_change(e, &flag_changes);
	case RECORD_FOLDER:
		return touch(e);
	case RECORD_KEYWORD:
	case RECORD_ACCOUNT:
	case RECORD_ACCOUNT_REMOVED:
		return consider_name(e);
	case RECORD_STATE:
		return true;
	default:
		return block(e, UNKNOWN_RECORD);
	}
}

/* The next record; more is false at the end of the segment. */
static bool next_record(struct evacuation *e, bool *more)
{
	enum scan_result result = scan_next(&e->scan);

	*more = result == SCAN_RECORD;
	if (e->scan.failed)
		return block(e, CANNOT_READ);
	if (result == SCAN_UNKNOWN)
		return block(e, UNKNOWN_RECORD);
	if (result == SCAN_GAP || (result == SCAN_END && e->scan.at < e->end))
		return block(e, DAMAGED_RECORD);
	return true;
}

/* ---- the first time ---- */

static bool count_folders(struct evacuation *e)
{
	struct touched_folder which;
	uint32_t at = 0;
	MDB_txn *txn;

	if (index_read(&e->store->index, &txn) != 0)
		return block(e, INDEX_FAILED);
	while (touched_take(&e->touched, &at, &which)) {
		struct folder_row f;

		if (index_folder(&e->store->index, txn, which.account, which.folder, &f) == 0)
			e->needed += RECORD_HEAD + ALIGN8(BODY_FOLDER + strlen(f.name));
	}
	index_read_end(&e->store->index, txn);
	return true;
}

/* Whether all that the index has in the segment was found in it. */
static bool all_found(struct evacuation *e)
{
	struct segment_row now;

	if (!read_row(e, &now))
		return false;
	if (e->live <= e->counted_live && e->live >= now.live)
		return true;
	return block(e, "the index counts other messages in it than it holds; `storage check` "
			"tells which");
}

enum evacuation_result evacuation_inspect(struct evacuation *e)
{
	uint64_t begun = e->scan.next;
	bool more = true;

	while (more && e->scan.next - begun < STEP_OCTETS) {
		if (!next_record(e, &more) || (more && !consider(e)))
			return EVACUATION_BLOCKED;
		if (e->touched.used >= TOUCHED_MAX && !count_folders(e))
			return EVACUATION_BLOCKED;
	}
	e->read = e->scan.next - begun;
	if (more)
		return EVACUATION_MORE;
	if (!count_folders(e) || !all_found(e))
		return EVACUATION_BLOCKED;
	e->needed += STATE_LENGTH;
	from_the_begin(e);
	return EVACUATION_DONE;
}

/* ---- the second time ---- */

static bool write_moves(struct evacuation *e)
{
	struct pending p = {.kind = PENDING_MOVE,
			    .move = {.moves = e->moves,
				     .count = e->count,
				     .segment = e->segment,
				     .retention = e->retention,
				     .body_octets = e->body_octets,
				     .from_reserve = e->from_reserve}};

	if (e->count == 0)
		return true;
	commit_wait(e->store, &p);
	drop_moves(e);
	if (p.status == PSTN_E_FULL)
		return block(e, "the disk is full");
	if (p.status != PSTN_OK)
		return block(e, "what is needed of it cannot be written; the log has more");
	e->written += p.move.octets;
	e->again |= p.move.again;
	e->store->host->count(e->store->self, METRIC_MOVED_OCTETS, (int64_t)p.move.octets);
	return true;
}

/* The present state of the folders of which something goes: next uids and change numbers must not
 * go with it. */
static bool tell_folders(struct evacuation *e)
{
	struct touched_folder which;

	while (e->count < MOVES_MAX && touched_take(&e->touched, &e->told, &which)) {
		struct move *m = &e->moves[e->count++];

		*m = (struct move){.record = {.type = RECORD_FOLDER,
					      .account = which.account,
					      .folder = which.folder}};
	}
	e->telling = e->count == MOVES_MAX;
	if (!e->telling)
		e->told = 0;
	return write_moves(e);
}

static enum evacuation_result move_end(struct evacuation *e)
{
	if (!e->again)
		return EVACUATION_DONE;
	/* A snapshot was opened meanwhile which has what could have gone before. */
	e->again = false;
	if (++e->rounds == ROUNDS_MAX) {
		e->blocked = "sessions that are open hold on to what it has";
		return EVACUATION_BLOCKED;
	}
	from_the_begin(e);
	return EVACUATION_MORE;
}

static bool batch_full(const struct evacuation *e)
{
	return e->count == MOVES_MAX || e->body_octets >= MOVE_OCTETS ||
	       e->touched.used >= TOUCHED_MAX;
}

enum evacuation_result evacuation_move(struct evacuation *e)
{
	uint64_t begun = e->scan.next;
	bool more = true;

	e->moving = true;
	e->read = 0;
	if (e->telling)
		return tell_folders(e) ? EVACUATION_MORE : EVACUATION_BLOCKED;
	while (more && !batch_full(e) && e->scan.next - begun < STEP_OCTETS) {
		if (!next_record(e, &more) || (more && !consider(e)))
			return EVACUATION_BLOCKED;
	}
	e->read = e->scan.next - begun;
	if (!write_moves(e))
		return EVACUATION_BLOCKED;
	e->telling = e->touched.used > 0 && (!more || e->touched.used >= TOUCHED_MAX);
	return more || e->telling ? EVACUATION_MORE : move_end(e);
}
