/*
 * backup_create.c - backup create: a snapshot of one moment, while mail comes and goes.
 *
 * One short look at the index tells how far each segment goes at one commit. What is before that
 * never changes, so it is copied without holding up anybody; only segments must not be removed
 * meanwhile.
 */
#include "backup.h"
#include "command/commands.h"

#include "format/bytes.h"
#include "open/maintenance.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct create {
	struct backup backup;
	struct manifest manifest, before;
	struct backup_progress progress;
};

/* ---- options ---- */

/* Octets a second, with K, M or G behind them. */
static bool read_rate(struct create *k)
{
	static const char units[] = "KMG";
	const char *text = k->backup.ops->arg(k->backup.call, "rate"), *unit;
	unsigned long long n;
	char *end;

	if (!text)
		return true;
	errno = 0;
	n = strtoull(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (*text >= '1' && *text <= '9' && errno == 0 && n < 1000000000000 &&
	    (*end == '\0' || (unit && end[1] == '\0'))) {
		k->progress.rate = n << (unit ? 10 * (unit - units + 1) : 0);
		return true;
	}
	k->backup.ops->fail(k->backup.call, "--rate takes octets a second, as in 20M, not \"%s\".",
			    text);
	return false;
}

/* ---- the moment ---- */

static int take_segments(struct create *k, MDB_txn *txn)
{
	MDB_val key, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, k->backup.store->index.segments, &c);

	if (rc != 0)
		return rc;
	while (rc == 0 && (rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) == 0) {
		struct segment_row row;
		struct backup_segment s = {0};

		if (key.mv_size != 4 ||
		    !segment_row_get(&row, get32be(key.mv_data), v.mv_data, v.mv_size))
			rc = MDB_CORRUPTED;
		s.id = rc == 0 ? get32be(key.mv_data) : 0;
		s.kind = row.kind;
		s.length = row.end;
		if (rc == 0 && !(row.flags & SEGMENT_GONE) && row.end > SEGMENT_HEAD &&
		    manifest_add(&k->manifest, &s) != PSTN_OK)
			rc = ENOMEM;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static int take_totals(struct create *k, MDB_txn *txn)
{
	MDB_val key, v;
	MDB_cursor *c;
	int rc = mdb_cursor_open(txn, k->backup.store->index.accounts, &c);

	if (rc != 0)
		return rc;
	while (rc == 0 && (rc = mdb_cursor_get(c, &key, &v, MDB_NEXT)) == 0) {
		struct account_row row;

		if (key.mv_size != KEY_ACCOUNT ||
		    !account_row_get(&row, key.mv_data, v.mv_data, v.mv_size))
			continue;
		k->manifest.messages += row.messages;
		k->manifest.octets += row.octets;
	}
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

static bool take_moment(struct create *k)
{
	struct index *ix = &k->backup.store->index;
	struct state_row state;
	MDB_txn *txn;
	int rc = index_read(ix, &txn);

	if (rc == 0) {
		k->manifest.time = store_time();
		rc = index_state(ix, txn, &state);
		k->manifest.sequence = rc == 0 ? state.sequence : 0;
		if (rc == 0)
			rc = take_segments(k, txn);
		if (rc == 0)
			rc = take_totals(k, txn);
		index_read_end(ix, txn);
	}
	if (rc != 0)
		k->backup.ops->fail(k->backup.call, "The index cannot be read: %s.",
				    index_error(rc));
	return rc == 0;
}

/* With less than full durability the disk may lag behind: after a power cut the store would go on
 * from before this moment, with other octets in the places that were copied. */
static bool sync_moment(struct create *k)
{
	struct store *st = k->backup.store;

	if (st->options.durability == DURABILITY_FULL || syncfs(st->segment_dir) == 0)
		return true;
	k->backup.ops->fail(k->backup.call, "%s/segments cannot be synced: %s.", st->path,
			    strerror(errno));
	return false;
}

/* ---- what is there already ---- */

static bool give_name(struct create *k)
{
	const struct timespec pause = {.tv_nsec = 50000000};
	const struct backup *b = &k->backup;
	char path[BACKUP_PATH];

	for (;;) {
		time_t now = time(NULL);
		struct tm t;
		int fd;

		gmtime_r(&now, &t);
		strftime(k->manifest.name, sizeof(k->manifest.name), "%Y%m%dT%H%M%SZ", &t);
		backup_snapshot_path(k->manifest.name, ".snapshot", path);
		fd = backup_open(b, path, PSTN_FILE_READ);
		if (fd < 0 && errno == ENOENT)
			return true;
		if (fd < 0) {
			backup_fail_errno(b, path, errno);
			return false;
		}
		close(fd);
		nanosleep(&pause, NULL);
	}
}

static bool is_leftover(const char *name)
{
	size_t n = strlen(name);

	return n > 4 && strcmp(name + n - 4, ".new") == 0;
}

static bool remove_leftover(void *arg, const char *name)
{
	const struct backup *b = arg;
	char path[BACKUP_PATH];

	if (is_leftover(name) && strlen(name) < 40) {
		snprintf(path, sizeof(path), "snapshots/%.40s", name);
		b->ops->remove(b->call, BACKUP_DIRECTORY, path);
	}
	return true;
}

/* The latest snapshot whose manifest is sound: what it names need not be copied again. */
static bool find_before(struct create *k)
{
	const struct backup *b = &k->backup;
	struct backup_names s;
	bool good = backup_names_list(b, &s);

	for (size_t i = s.count; good && i > 0; i--) {
		if (backup_read_manifest(b, s.names[i - 1], &k->before) == PSTN_OK)
			break;
		b->ops->note(b->call, "%s: snapshot %s is damaged", b->path, s.names[i - 1]);
		manifest_clear(&k->before);
	}
	backup_names_clear(&s);
	return good;
}

static void estimate(struct create *k)
{
	for (size_t i = 0; i < k->manifest.nsegments; i++) {
		const struct backup_segment *s = &k->manifest.segments[i];
		const struct backup_segment *old = manifest_find(&k->before, s->id);

		k->progress.total += s->length - (old && old->length < s->length ? old->length
						  : old                          ? s->length
										 : 0);
	}
	k->progress.begun = store_time();
}

/* ---- copying ---- */

static bool copy_segments(struct create *k)
{
	struct manifest *m = &k->manifest;
	size_t kept = 0;

	for (size_t i = 0; i < m->nsegments; i++) {
		bool lost = false;

		if (!backup_copy_segment(&k->backup, &m->segments[i], &k->before, m, &k->progress,
					 &lost))
			return false;
		if (!lost)
			m->segments[kept++] = m->segments[i];
	}
	m->nsegments = kept;
	if (backup_sync(&k->backup, "segments") == 0)
		return true;
	backup_fail_errno(&k->backup, "segments", errno);
	return false;
}

static bool take_account(void *arg, const struct pstn_account *account)
{
	return manifest_add_account(arg, account->id) == PSTN_OK;
}

static bool fail_accounts(struct create *k, const char *path, int status)
{
	if (status == PSTN_E_FULL)
		backup_fail_errno(&k->backup, path, ENOSPC);
	else
		backup_fail(&k->backup, path, "the accounts could not be copied; the log has more");
	return false;
}

/* After the moment: whoever has mail in the snapshot is in the copy, unless removed since. */
static bool copy_accounts(struct create *k)
{
	struct store *st = k->backup.store;
	struct manifest *m = &k->manifest;
	char path[BACKUP_PATH];
	int fd, status;

	if (st->directory->each(st->directory_inst, take_account, m) != PSTN_OK)
		return fail_accounts(k, "snapshots", PSTN_E_TEMPORARY);
	manifest_sort_accounts(m);
	backup_snapshot_path(m->name, ".accounts", path);
	k->backup.ops->remove(k->backup.call, BACKUP_DIRECTORY, path);
	fd = backup_open(&k->backup, path, PSTN_FILE_CREATE);
	if (fd < 0) {
		backup_fail_errno(&k->backup, path, errno);
		return false;
	}
	status = st->directory->save(st->directory_inst, fd);
	if (status == PSTN_OK &&
	    (fsync(fd) != 0 || backup_sum(st, fd, &m->accounts_length, &m->accounts_sum) != 0))
		status = PSTN_E_TEMPORARY;
	close(fd);
	return status == PSTN_OK || fail_accounts(k, path, status);
}

/* ---- the command ---- */

static bool gives_up(void *arg)
{
	const struct backup *b = arg;

	return b->ops->cancelled(b->call);
}

static bool create_snapshot(struct create *k)
{
	struct backup *b = &k->backup;

	memcpy(k->manifest.id, b->id, sizeof(k->manifest.id));
	if (!find_before(k) || !give_name(k) || !take_moment(k) || !sync_moment(k))
		return false;
	backup_each(b, "snapshots", remove_leftover, b);
	estimate(k);
	if (!copy_segments(k) || !copy_accounts(k))
		return false;
	if (backup_write_manifest(b, &k->manifest) == 0)
		return true;
	backup_fail_errno(b, "snapshots", errno);
	return false;
}

static void answer(const struct create *k)
{
	const struct pstn_call_ops *ops = k->backup.ops;
	struct pstn_call *c = k->backup.call;

	ops->open_object(c, NULL);
	ops->text(c, "snapshot", k->manifest.name);
	ops->integer(c, "messages", (int64_t)k->manifest.messages);
	ops->integer(c, "message_octets", (int64_t)k->manifest.octets);
	ops->integer(c, "accounts", (int64_t)k->manifest.naccounts);
	ops->integer(c, "octets_copied", (int64_t)k->progress.copied);
	ops->integer(c, "octets_reused", (int64_t)k->progress.reused);
	ops->integer(c, "damaged_in_store", (int64_t)k->manifest.ndamage);
	ops->close(c);
}

void command_backup_create(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	struct create k = {0};
	bool good;

	manifest_begin(&k.manifest, st);
	manifest_begin(&k.before, st);
	if (!backup_begin(&k.backup, st, c, BACKUP_ADD))
		return;
	good = read_rate(&k);
	if (good && !maintenance_wait(st, c, gives_up, &k.backup)) {
		k.backup.ops->fail(c,
				   "Cancelled while waiting for other maintenance of the store.");
		good = false;
	} else if (good) {
		good = create_snapshot(&k);
		maintenance_end(st);
	}
	if (good)
		answer(&k);
	manifest_clear(&k.manifest);
	manifest_clear(&k.before);
	backup_end(&k.backup);
}
