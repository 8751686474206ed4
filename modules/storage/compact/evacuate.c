/*
 * evacuate.c - twice through a sealed segment: what is needed of it is counted, then moved.
 *
 * Nothing is moved out of a segment that cannot be gone through to its end, because a segment of
 * which something has been moved must be emptied before any other (docs/storage-format.md).
 */
#include "evacuate_parts.h"

#include "format/bytes.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MOVES_MAX    128
#define MOVE_OCTETS  ((uint64_t)256 << 10) /* of messages, written by one group */
#define STEP_OCTETS  ((uint64_t)1 << 20)   /* gone through in one step */
#define ROUNDS_MAX   4
#define STATE_LENGTH (RECORD_HEAD + BODY_STATE)

/* ---- the segment ---- */

bool evacuation_block(struct evacuation *e, const char *why)
{
	e->blocked = why;
	return false;
}

static bool read_row(struct evacuation *e, struct segment_row *row)
{
	MDB_txn *txn;
	int rc = index_read(&e->store->index, &txn);

	if (rc != 0)
		return evacuation_block(e, BLOCKED_INDEX_FAILED);
	rc = index_segment(&e->store->index, txn, e->segment, row);
	index_read_end(&e->store->index, txn);
	return rc == 0 ? true : evacuation_block(e, BLOCKED_INDEX_FAILED);
}

static bool open_segment(struct evacuation *e)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	char name[SEGMENT_NAME];

	segment_name(name, e->segment);
	e->fd = openat(e->store->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (e->fd < 0)
		return evacuation_block(e, errno == ENOENT ? "its file is missing"
							   : BLOCKED_CANNOT_READ);
	if (pread(e->fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return evacuation_block(e, BLOCKED_CANNOT_READ);
	if (segment_head_decode(&head, bytes, sizeof(bytes)) != RECORD_OK ||
	    head.id != e->segment || memcmp(head.store, e->store->uuid, sizeof(head.store)) != 0)
		return evacuation_block(e, "its header is damaged");
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
		return evacuation_block(e, BLOCKED_NO_MEMORY);
	if (!read_row(e, &row) || !open_segment(e))
		return false;
	e->end = row.end;
	e->octets = row.end > SEGMENT_HEAD ? row.end - SEGMENT_HEAD : 0;
	e->counted_live = row.live;
	from_the_begin(e);
	return true;
}

void evacuation_drop_moves(struct evacuation *e)
{
	for (uint32_t i = 0; i < e->count; i++)
		store_free(e->store, e->moves[i].body);
	e->count = 0;
	e->body_octets = 0;
}

void evacuation_end(struct evacuation *e)
{
	if (e->moves)
		evacuation_drop_moves(e);
	store_free(e->store, e->moves);
	store_free(e->store, e->window);
	touched_free(&e->touched, e->store);
	if (e->fd >= 0)
		close(e->fd);
	e->moves = NULL;
	e->window = NULL;
	e->fd = -1;
}

/* ---- through its records ---- */

/* The next record; more is false at the end of the segment. */
static bool next_record(struct evacuation *e, bool *more)
{
	enum scan_result result = scan_next(&e->scan);

	*more = result == SCAN_RECORD;
	if (e->scan.failed)
		return evacuation_block(e, BLOCKED_CANNOT_READ);
	if (result == SCAN_UNKNOWN)
		return evacuation_block(e, BLOCKED_UNKNOWN_RECORD);
	if (result == SCAN_GAP || (result == SCAN_END && e->scan.at < e->end))
		return evacuation_block(e, BLOCKED_DAMAGED_RECORD);
	return true;
}

/* ---- the first time ---- */

static bool count_folders(struct evacuation *e)
{
	struct touched_folder which;
	uint32_t at = 0;
	MDB_txn *txn;

	if (index_read(&e->store->index, &txn) != 0)
		return evacuation_block(e, BLOCKED_INDEX_FAILED);
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
	return evacuation_block(
	    e, "the index counts other messages in it than it holds; `storage check` "
	       "tells which");
}

enum evacuation_result evacuation_inspect(struct evacuation *e)
{
	uint64_t begun = e->scan.next;
	bool more = true;

	while (more && e->scan.next - begun < STEP_OCTETS) {
		if (!next_record(e, &more) || (more && !evacuation_consider(e)))
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
	evacuation_drop_moves(e);
	if (p.status == PSTN_E_FULL)
		return evacuation_block(e, "the disk is full");
	if (p.status != PSTN_OK)
		return evacuation_block(e,
					"what is needed of it cannot be written; the log has more");
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
		if (!next_record(e, &more) || (more && !evacuation_consider(e)))
			return EVACUATION_BLOCKED;
	}
	e->read = e->scan.next - begun;
	if (!write_moves(e))
		return EVACUATION_BLOCKED;
	e->telling = e->touched.used > 0 && (!more || e->touched.used >= TOUCHED_MAX);
	return more || e->telling ? EVACUATION_MORE : move_end(e);
}
