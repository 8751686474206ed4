/*
 * view.c - one folder as it was at one moment.
 */
#include "view.h"

#include "expunged.h"
#include "format/bytes.h"
#include "index/ahead.h"
#include "index/mend.h"
#include "store.h"

#include <errno.h>
#include <string.h>

/* ---- opening ---- */

static int load(struct view *v, MDB_txn *txn, const char *name)
{
	struct index *ix = &v->store->index;
	struct folder_row f;
	int rc = index_folder_id(ix, txn, v->account, name, &v->folder);

	if (rc == 0)
		rc = index_folder(ix, txn, v->account, v->folder, &f);
	/* Nothing has ever come: INBOX exists all the same. */
	if (rc == MDB_NOTFOUND && v->folder == FOLDER_INBOX) {
		v->uidnext = 1;
		return 0;
	}
	if (rc != 0)
		return rc;
	if (f.flags & FOLDER_DELETED)
		return MDB_NOTFOUND;
	if (f.uidnext == 0)
		return MDB_CORRUPTED;
	v->uidnext = f.uidnext;
	v->change = v->counted = f.change;
	v->messages = f.messages < f.uidnext ? (uint32_t)f.messages : f.uidnext - 1;
	if (f.messages >= f.uidnext)
		mend_tell_total(&v->store->index, txn, v->account, v->folder, f.messages);
	v->octets = f.octets;
	v->tombstones = f.tombstones;
	return 0;
}

int view_open(struct view *v, struct store *st, uint64_t account, const char *folder)
{
	MDB_txn *txn;
	int rc;

	*v = (struct view){.store = st, .account = account};
	snapshots_open(st, v);
	rc = index_read(&st->index, &txn);
	if (rc == 0) {
		rc = load(v, txn, folder);
		index_read_end(&st->index, txn);
	}
	if (rc != 0)
		snapshots_close(st, v);
	return index_status(rc);
}

void view_close(struct view *v)
{
	snapshots_close(v->store, v);
	store_free(v->store, v->runs);
	v->runs = NULL;
}

/* ---- zombies since ---- */

static int count_range(struct view *v, MDB_txn *txn, const struct expunged *e)
{
	struct index *ix = &v->store->index;

	for (uint32_t i = 0; i < e->count && e->first + i < v->uidnext; i++) {
		struct message_row row;
		int rc = index_tombstone(ix, txn, v->account, v->folder, e->first + i, &row);

		/* A range may name a uid that had gone before. */
		if (rc == MDB_NOTFOUND || (rc == 0 && row.expunged_change != e->change))
			continue;
		if (rc != 0 && rc != MDB_CORRUPTED)
			return rc;
		v->zombies++;
		if (rc == 0)
			v->octets -= row.octets < v->octets ? row.octets : v->octets;
	}
	return 0;
}

static int recount(struct view *v, MDB_txn *txn, bool may_block)
{
	struct folder_row f;
	struct expunged_walk walk;
	struct expunged e;
	int rc = index_folder(&v->store->index, txn, v->account, v->folder, &f);

	if (rc != 0)
		return rc == MDB_NOTFOUND ? 0 : rc;
	if (f.change == v->counted)
		return 0;
	if (!may_block && (f.change - v->counted > VIEW_INLINE_CHANGES ||
			   f.tombstones > v->tombstones + VIEW_INLINE_CHANGES))
		return VIEW_COLD;
	if (f.expunge_change > v->counted) {
		rc =
		    expunged_begin(&walk, &v->store->index, txn, v->account, v->folder, v->counted);
		while (rc == 0 && (rc = expunged_next(&walk, &e)) == 0)
			rc = count_range(v, txn, &e);
		expunged_end(&walk);
		if (rc != MDB_NOTFOUND)
			return rc;
	}
	v->counted = f.change;
	v->tombstones = f.tombstones;
	return 0;
}

static int status_of(int rc)
{
	return rc == VIEW_COLD ? VIEW_COLD : index_status(rc);
}

int view_recount(struct view *v, bool may_block)
{
	struct view trial = *v;
	MDB_txn *txn;
	int rc = index_read(&v->store->index, &txn);

	if (rc != 0)
		return index_status(rc);
	rc = recount(&trial, txn, may_block);
	index_read_end(&v->store->index, txn);
	if (rc != 0)
		return status_of(rc);
	/* Nothing else is written here: flags may be set meanwhile, from the map. */
	v->counted = trial.counted;
	v->tombstones = trial.tombstones;
	v->zombies = trial.zombies;
	v->octets = trial.octets;
	return PSTN_OK;
}

/* ---- numbers to uids ---- */

struct map {
	struct view *view;
	struct run *runs;
	uint32_t used, room;
	uint32_t number; /* given out so far */
};

static bool map_add(struct map *m, uint32_t uid)
{
	struct run *last = m->used ? &m->runs[m->used - 1] : NULL;

	if (last && last->uid + last->count == uid) {
		last->count++;
		m->number++;
		return true;
	}
	if (m->used == m->room) {
		uint32_t room = m->room ? m->room * 2 : 16;
		struct run *larger = store_alloc(m->view->store, room * sizeof(*larger));

		if (!larger)
			return false;
		if (m->used)
			memcpy(larger, m->runs, m->used * sizeof(*larger));
		store_free(m->view->store, m->runs);
		m->runs = larger;
		m->room = room;
	}
	m->runs[m->used++] = (struct run){++m->number, uid, 1};
	return true;
}

bool view_holds(const struct view *v, const MDB_val *key)
{
	unsigned char prefix[KEY_FOLDER];

	key_folder(prefix, v->account, v->folder);
	return key->mv_size == KEY_MESSAGE && memcmp(key->mv_data, prefix, KEY_FOLDER) == 0;
}

/* The first live uid from `uid` on; MDB_NOTFOUND: none that belongs to the snapshot. */
static int seek(struct view *v, MDB_cursor *c, uint32_t uid, MDB_cursor_op op, uint32_t *found)
{
	unsigned char key[KEY_MESSAGE];
	MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, value;
	int rc;

	key_message(key, v->account, v->folder, uid);
	rc = mdb_cursor_get(c, &k, &value, op);
	if (rc != 0)
		return rc;
	if (!view_holds(v, &k))
		return MDB_NOTFOUND;
	*found = get32be((unsigned char *)k.mv_data + 12);
	return *found < v->uidnext ? 0 : MDB_NOTFOUND;
}

/* Merge what is there with what has gone since, in the order of uids. */
static int merge(struct map *m, MDB_cursor *c, const struct expunged_set *gone)
{
	struct view *v = m->view;
	uint32_t live = 0, i = 0, k = 0;
	int rc = seek(v, c, 1, MDB_SET_RANGE, &live);

	for (;;) {
		bool more = i < gone->count && gone->ranges[i].first + k < v->uidnext;
		uint32_t dead = more ? gone->ranges[i].first + k : 0;
		bool added;

		if (rc != 0 && (rc != MDB_NOTFOUND || !more))
			return rc == MDB_NOTFOUND ? 0 : rc;
		if (more && (rc == MDB_NOTFOUND || dead < live)) {
			added = map_add(m, dead);
			if (++k == gone->ranges[i].count) {
				i++;
				k = 0;
			}
		} else {
			added = map_add(m, live);
			rc = seek(v, c, 0, MDB_NEXT, &live);
		}
		if (!added)
			return ENOMEM;
	}
}

/* One unbroken row of uids up to the last: no map is needed. */
static int try_dense(struct view *v, MDB_cursor *c, const struct expunged_set *gone)
{
	uint32_t first = v->uidnext, live;
	int rc = seek(v, c, 1, MDB_SET_RANGE, &live);

	if (rc == 0)
		first = live;
	else if (rc != MDB_NOTFOUND)
		return rc;
	if (gone->count && gone->ranges[0].first < first)
		first = gone->ranges[0].first;
	if (v->messages == v->uidnext - first)
		v->dense = (struct run){1, first, v->messages};
	return 0;
}

static int make_runs(struct view *v, MDB_cursor *c, const struct expunged_set *gone)
{
	struct map m = {.view = v};
	int rc;

	ahead_messages(&v->store->index, mdb_cursor_txn(c), v->account, v->folder, 1, v->uidnext,
		       AHEAD_ASK | AHEAD_MAP);
	rc = merge(&m, c, gone);
	if (rc != 0) {
		store_free(v->store, m.runs);
		return rc;
	}
	/* A total that has drifted closes no mailbox: what is there is what counts. But whoever has
	 * been told how many there are is given no more than that. */
	if (m.number != v->messages)
		mend_tell_total(&v->store->index, mdb_cursor_txn(c), v->account, v->folder,
				v->messages);
	if (m.number < v->messages || !v->told)
		v->messages = m.number;
	v->runs = m.runs;
	v->nruns = m.used;
	return 0;
}

/* Somebody may have emptied a large folder meanwhile: that is too much to look at here and now. */
static int judge_changes(struct view *v, MDB_txn *txn)
{
	struct folder_row f;
	int rc = index_folder(&v->store->index, txn, v->account, v->folder, &f);

	if (rc != 0)
		return rc;
	return f.change - v->change > VIEW_INLINE_CHANGES ||
		       f.tombstones > v->tombstones - v->zombies + VIEW_INLINE_CHANGES
		   ? VIEW_COLD
		   : 0;
}

static int make_map(struct view *v, MDB_txn *txn, bool may_block)
{
	struct expunged_set gone;
	MDB_cursor *c;
	int rc = may_block ? 0 : judge_changes(v, txn);

	if (rc == 0)
		rc = expunged_collect(&gone, v->store, txn, v->account, v->folder, v->change,
				      v->uidnext);
	if (rc != 0)
		return rc;
	rc = mdb_cursor_open(txn, v->store->index.messages, &c);
	if (rc == 0) {
		rc = try_dense(v, c, &gone);
		if (rc == 0 && v->dense.count == 0)
			rc = !may_block && v->messages > VIEW_INLINE_MESSAGES
				 ? VIEW_COLD
				 : make_runs(v, c, &gone);
		mdb_cursor_close(c);
	}
	expunged_free(&gone, v->store);
	return rc;
}

int view_map(struct view *v, bool may_block)
{
	MDB_txn *txn;
	int rc;

	if (v->messages == 0 || v->dense.count || v->runs)
		return PSTN_OK;
	rc = index_read(&v->store->index, &txn);
	if (rc != 0)
		return index_status(rc);
	rc = make_map(v, txn, may_block);
	index_read_end(&v->store->index, txn);
	return status_of(rc);
}

static const struct run *run_of(const struct view *v, uint32_t number)
{
	uint32_t low = 0, high = v->nruns;

	if (number == 0 || number > v->messages)
		return NULL;
	if (v->dense.count)
		return &v->dense;
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		const struct run *r = &v->runs[middle];

		if (number < r->number)
			high = middle;
		else if (number - r->number >= r->count)
			low = middle + 1;
		else
			return r;
	}
	return NULL;
}

uint32_t view_uid(const struct view *v, uint32_t number)
{
	const struct run *r = run_of(v, number);

	return r ? r->uid + (number - r->number) : 0;
}

static bool add_range(struct uid_range *ranges, uint32_t *used, uint32_t uid)
{
	struct uid_range *last = *used ? &ranges[*used - 1] : NULL;

	if (last && last->first + last->count == uid)
		last->count++;
	else if (last && uid < last->first + last->count)
		return false; /* not ascending */
	else
		ranges[(*used)++] = (struct uid_range){uid, 1};
	return true;
}

static uint32_t count_ranges(const struct view *v, const uint32_t *numbers, uint32_t n)
{
	uint32_t count = 0, last = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t uid = view_uid(v, numbers[i]);

		count += i == 0 || uid != last + 1;
		last = uid;
	}
	return count;
}

int view_ranges(const struct view *v, const uint32_t *numbers, uint32_t n, struct uid_range **out,
		uint32_t *count)
{
	uint32_t room = count_ranges(v, numbers, n);
	struct uid_range *ranges = store_alloc(v->store, (room ? room : 1) * sizeof(*ranges));

	*count = 0;
	if (!ranges)
		return PSTN_E_NO_MEMORY;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t uid = view_uid(v, numbers[i]);

		if (uid == 0 || !add_range(ranges, count, uid)) {
			store_free(v->store, ranges);
			return uid ? PSTN_E_INVALID : PSTN_E_NOT_FOUND;
		}
	}
	*out = ranges;
	return PSTN_OK;
}
