/*
 * prepare_known.c - whether a delivery is there already, and the unique id that it brings along.
 */
#include "prepare.h"

#include "store.h"

#include <postern/maildrop.h>

#include <string.h>

static bool row_there(struct apply *a, MDB_dbi dbi, const unsigned char *key, size_t n, int *rc)
{
	MDB_val k = {.mv_size = n, .mv_data = (void *)(uintptr_t)key}, v;

	*rc = mdb_get(a->txn, dbi, &k, &v);
	if (*rc == MDB_NOTFOUND) {
		*rc = 0;
		return false;
	}
	return *rc == 0;
}

bool prepare_imported(struct apply *a, const struct pending *p, int *rc)
{
	static const unsigned char none[16];
	unsigned char key[KEY_IMPORT];

	*rc = 0;
	if (memcmp(p->deliver.record.import_key, none, sizeof(none)) == 0)
		return false;
	key_import(key, p->account, p->deliver.record.import_key);
	return row_there(a, a->index->imports, key, sizeof(key), rc);
}

/* A unique id of our own making that somebody brings back: rows keep its serial alone, so that
 * finding it takes a walk through the folder. Rare: restored or re-imported mail. */
static bool serial_there(struct apply *a, uint64_t account, uint32_t folder, uint64_t serial,
			 int *rc)
{
	unsigned char prefix[KEY_MESSAGE];
	MDB_val k = {.mv_size = KEY_FOLDER, .mv_data = prefix}, v;
	MDB_cursor *c;
	bool found = false;

	key_message(prefix, account, folder, 0);
	*rc = mdb_cursor_open(a->txn, a->index->messages, &c);
	if (*rc != 0)
		return false;
	*rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
	while (*rc == 0 && !found && memcmp(k.mv_data, prefix, KEY_FOLDER) == 0) {
		struct message_row row;

		found = message_row_get(&row, k.mv_data, a->index->tag, v.mv_data, v.mv_size) &&
			row.serial == serial;
		*rc = mdb_cursor_get(c, &k, &v, MDB_NEXT);
	}
	mdb_cursor_close(c);
	if (*rc == MDB_NOTFOUND)
		*rc = 0;
	return found;
}

/* known_free: no message that is there was given this id by us. */
static bool uidl_taken(struct apply *a, uint64_t account, uint32_t folder, const char *uidl,
		       bool known_free, int *rc)
{
	unsigned char key[KEY_UIDL_MAX];
	uint64_t serial = uidl_serial(uidl, a->index->tag);

	if (row_there(a, a->index->uidls, key, key_uidl(key, account, folder, uidl), rc))
		return true;
	return *rc == 0 && serial && !known_free && serial_there(a, account, folder, serial, rc);
}

/* A unique id of ours with a serial far ahead of all that were given is none: the message gets a new
 * one, of the same length. */
static void drop_far_uidl(const struct apply *a, struct pending *p)
{
	struct store *st = a->index->store;
	const char *uidl = p->deliver.record.uidl;

	if (!p->deliver.named ||
	    uidl_serial_near(uidl_serial(uidl, a->index->tag), a->state.serial))
		return;
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "unique-id-replaced",
				 PSTN_S("account", p->deliver.account_name),
				 PSTN_S("unique_id", uidl),
				 PSTN_S("reason", "it is one that this store will give to a later "
						  "message; clients will download the message "
						  "again")));
	p->deliver.named = false;
}

int prepare_uidl(struct apply *a, struct pending *p, uint32_t folder)
{
	int rc = 0;

	drop_far_uidl(a, p);
	if (!p->deliver.named && a->state.serial >= SERIAL_MAX)
		p->status = PSTN_E_FULL;
	else if (folder && p->deliver.named &&
		 uidl_taken(a, p->account, folder, p->deliver.record.uidl, p->deliver.known_free,
			    &rc))
		p->status = PSTN_E_EXISTS;
	return rc;
}
