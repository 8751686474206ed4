/*
 * numbers.c - uids, unique ids, change and sequence numbers are given once, also when recovery could not
 * read all that had some: as many are left out as records can have stood there. If it was not seen
 * that something is missing, and what was missing comes back, two messages have the same uid: then
 * the later one gets another.
 */
#include "numbers.h"

#include "format/bytes.h"
#include "index/apply_parts.h"
#include "source.h"
#include "store.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define AHEAD          ((uint64_t)1 << 20) /* further than others of the time can be */
#define SEGMENTS_AHEAD 1000

/* ---- what was lost ---- */

/* Never more than half of what is left. */
static uint64_t skip(uint64_t number, uint64_t by, uint64_t most)
{
	uint64_t left = number < most ? most - number : 0;

	return number + (by < left / 2 ? by : left / 2);
}

static int skip_in_folder(struct apply *a, uint64_t account, uint32_t folder, uint64_t by)
{
	struct account_row *owner;
	struct folder_row *f;
	int rc = apply_folder(a, account, folder, &f);

	if (rc != 0)
		return rc;
	f->uidnext = (uint32_t)skip(f->uidnext, by, UINT32_MAX);
	f->change = skip(f->change, by, UINT64_MAX);
	rc = apply_owner(a, account, &owner);
	/* Once for each account. */
	if (rc == 0 && folder == FOLDER_INBOX)
		owner->next_folder = (uint32_t)skip(owner->next_folder, by, UINT32_MAX);
	return rc;
}

/* The first folder from *account, *folder on. */
static int next_folder(struct apply *a, uint64_t *account, uint32_t *folder)
{
	unsigned char key[KEY_FOLDER];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(a->txn, a->index->folders, &c);

	if (rc != 0)
		return rc;
	key_folder(key, *account, *folder);
	rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	if (rc == 0) {
		*account = get64be(k.mv_data);
		*folder = get32be((const unsigned char *)k.mv_data + 8);
	}
	mdb_cursor_close(c);
	return rc;
}

static int skip_in_folders(struct apply *a, uint64_t by)
{
	uint64_t account = 0;
	uint32_t folder = 0;
	int rc;

	for (;; folder++) {
		rc = next_folder(a, &account, &folder);
		if (rc == 0)
			rc = skip_in_folder(a, account, folder, by);
		/* A row that nobody can read is a repair's. */
		if (rc != 0 && rc != MDB_CORRUPTED)
			return rc == MDB_NOTFOUND ? 0 : rc;
	}
}

int numbers_skip(struct recovery *r)
{
	struct state_row *state = &r->apply.state;
	uint64_t lost = state->lost + r->lost, by = lost / RECORD_HEAD + 1;

	if (r->highest > state->segment)
		state->segment = r->highest;
	/* Of files that were taken away only the index knew. */
	if (r->rebuilding && state->segment > 0)
		state->segment = (uint32_t)skip(state->segment, SEGMENTS_AHEAD, UINT32_MAX);
	if (lost == 0)
		return 0;
	state->lost = 0;
	state->serial = skip(state->serial, by, SERIAL_MAX);
	state->sequence = skip(state->sequence, by, UINT64_MAX);
	return skip_in_folders(&r->apply, by);
}

/* ---- what has come back ---- */

static uint64_t behind(uint64_t number, uint64_t next)
{
	return number + AHEAD > next ? number + AHEAD : next;
}

static void tell(struct recovery *r, const struct source *s, const struct record *before)
{
	struct store *st = r->store;
	const struct record *now = &s->scan.record;
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	st->host->log(
	    PSTN_EVENT(st->self, NULL, PSTN_ERROR, "message-renumbered", PSTN_S("segment", name),
		       PSTN_U("offset", s->scan.at), PSTN_U("account", now->account),
		       PSTN_U("folder", now->folder), PSTN_U("uid_before", before->uid),
		       PSTN_U("uid", now->uid), PSTN_S("unique_id_before", before->uidl),
		       PSTN_S("unique_id", now->uidl),
		       PSTN_S("reason", "mail that came back has the uid that was given to it")));
}

static int write_head(struct source *s)
{
	struct record *rec = &s->scan.record;
	unsigned char head[RECORD_HEAD_MAX];

	record_encode(rec, s->seed, s->scan.at, head);
	errno = EIO;
	return pwrite(s->fd, head, rec->head_length, (off_t)s->scan.at) ==
			   (ssize_t)rec->head_length &&
		       fdatasync(s->fd) == 0
		   ? 0
		   : errno;
}

int numbers_anew(struct recovery *r, struct source *s)
{
	struct record *rec = &s->scan.record;
	struct state_row *state = &r->apply.state;
	const struct record before = *rec;
	uint32_t tag = r->apply.index->tag;
	struct folder_row *f;
	uint64_t uid;
	int rc = apply_folder(&r->apply, rec->account, rec->folder, &f);

	if (rc != 0)
		return rc;
	uid = behind(rec->uid, f->uidnext);
	if (uid >= UINT32_MAX)
		return EINVAL;
	rec->uid = (uint32_t)uid;
	/* Another may have that, too. The new one has the same length. */
	if (uidl_serial(rec->uidl, tag) != 0)
		uidl_format(rec->uidl, tag, behind(uidl_serial(rec->uidl, tag), state->serial + 1));
	/* Whatever reads the message by its row looks for the uid in the record. */
	rc = write_head(s);
	if (rc != 0)
		return rc;
	tell(r, s, &before);
	return apply_record(&r->apply, rec, NULL, s->id, s->scan.at);
}
