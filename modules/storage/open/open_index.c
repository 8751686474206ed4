/*
 * open_index.c - the way to an index that can be trusted: the checkpoint's state if it is sound, or an
 * empty one that recovery fills.
 */
#include "open_index.h"

#include "home.h"
#include "index/audit.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

#define ERROR_MAX 512

static int put_first_state(struct store *st, bool building)
{
	struct state_row state = {
	    .format = STORE_FORMAT, .tag = store_tag(st->uuid), .building = building};
	MDB_txn *txn;
	int rc = index_write(&st->index, &txn);

	if (rc != 0)
		return rc;
	memcpy(state.store, st->uuid, sizeof(state.store));
	rc = index_put_state(&st->index, txn, &state);
	if (rc == 0)
		return index_commit(&st->index, txn);
	index_abort(&st->index, txn);
	return rc;
}

/* What an opened index says of itself. 0, 1: it is none of this store's; -1: it cannot be read. */
static int judge_state(struct store *st, char *err, size_t n)
{
	struct state_row state;
	int rc = index_state_now(&st->index, &state);

	if (rc != 0) {
		snprintf(err, n, "the index does not say what it is: %s", index_error(rc));
		return index_is_damaged(rc) ? 1 : -1;
	}
	if (state.format != STORE_FORMAT)
		snprintf(err, n, "the index has format %u, this version of the server reads %u",
			 state.format, STORE_FORMAT);
	else if (memcmp(state.store, st->uuid, sizeof(state.store)) != 0)
		snprintf(err, n, "the index belongs to another store");
	else {
		st->index.tag = state.tag;
		st->building = state.building;
		return 0;
	}
	return 1;
}

/* A new, empty index: for a new store, or one whose index cannot be used. */
static int make_index(struct store *st, const char *path, char *err, size_t n)
{
	int rc;

	if (home_discard_index(st, err, n) != 0 ||
	    index_open(&st->index, st, path, true, err, n) != 0)
		return -1;
	st->index.tag = store_tag(st->uuid);
	st->building = true;
	rc = put_first_state(st, true);
	if (rc == 0)
		return 0;
	snprintf(err, n, "%s: %s", path, index_error(rc));
	index_close(&st->index);
	return -1;
}

/* Whether LMDB may have it: it believes what it reads. One that is not looked at is marked, so that the
 * next start looks if this one does not end well; where it cannot be marked, as on a full disk, it is
 * looked at now. */
static int look_at_index(struct store *st, const char *path, const struct checkpoint_state *c,
			 char *why, size_t n)
{
	enum audit_result result = audit_index(st, path, c, home_index_doubted(st), why, n);

	if (result == AUDIT_SKIPPED && home_doubt_index(st, true) != 0)
		result = audit_index(st, path, c, true, why, n);
	return result == AUDIT_FAILED ? -1 : result == AUDIT_DAMAGED ? 1 : 0;
}

/* The index of the last checkpoint. 1: it is damaged, and how; -1: it cannot be had now, and why,
 * which is no reason to make another. */
static int restore_index(struct store *st, const char *path, char *why, size_t n)
{
	struct checkpoint_state c;
	int rc = checkpoint_read(path, &c);

	if (rc == 0 && !c.found) {
		snprintf(why, n, "there is no sound checkpoint");
		return 1;
	}
	if (rc == 0) {
		rc = look_at_index(st, path, &c, why, n);
		if (rc != 0)
			return rc;
		rc = checkpoint_restore(path, &c);
	}
	if (rc != 0) {
		snprintf(why, n, "%s", index_error(rc));
		return -1;
	}
	home_forget_readers(st);
	rc = index_open(&st->index, st, path, false, why, n);
	if (rc != 0)
		return index_is_damaged(rc) ? 1 : -1;
	rc = judge_state(st, why, n);
	if (rc != 0)
		index_close(&st->index);
	return rc;
}

static void tell_rebuild(struct store *st, const char *path, bool asked, const char *why)
{
	st->host->log(PSTN_EVENT(st->self, NULL, asked ? PSTN_INFO : PSTN_ERROR, "index-rebuild",
				 PSTN_S("path", path), PSTN_S("reason", asked ? "asked for" : why),
				 PSTN_S("hint", "It is made again from the segments; the old "
						"one is kept as index.damaged.")));
}

static int open_first(struct store *st, const char *path, char *err, size_t n)
{
	char why[ERROR_MAX] = "there is none";
	bool had = home_has_index(st), asked = home_rebuild_asked(st);
	int rc = had && !asked ? restore_index(st, path, why, sizeof(why)) : 1;

	if (rc == 0)
		return 0;
	if (rc < 0) {
		snprintf(err, n,
			 "%s cannot be opened now, which does not mean that it is damaged: %s",
			 path, why);
		return -1;
	}
	if (had || home_has_segments(st))
		tell_rebuild(st, path, asked, why);
	return make_index(st, path, err, n);
}

static int open_joining(struct store *st, const char *path, char *err, size_t n)
{
	if (index_open(&st->index, st, path, false, err, n) != 0)
		return -1;
	if (judge_state(st, err, n) == 0)
		return 0;
	index_close(&st->index);
	return -1;
}

int open_index(struct store *st, bool first, const char *path, char *err, size_t n)
{
	return first ? open_first(st, path, err, n) : open_joining(st, path, err, n);
}
