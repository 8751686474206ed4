/*
 * gone.c - accounts that are gone, and mailbox purge, which removes what is left of one.
 */
#include "gone.h"

#include "commands.h"
#include "format/bytes.h"
#include "store.h"

#include <string.h>

#define IDS_MAX 64 /* of one name; who has more asks again */

/* 1: gone; 0: not, or a self-test's; else below 0: nobody can say. */
static int is_gone(struct store *st, uint64_t account, const struct account_row *row)
{
	struct pstn_account known = {.size = sizeof(known)};
	int status;

	if (account >= SCRATCH_FIRST)
		return 0;
	status = st->directory->lookup(st->directory_inst, row->name, &known);
	if (status == PSTN_OK)
		return known.id != account;
	return status == PSTN_E_NOT_FOUND || status == PSTN_E_INVALID ? 1 : status;
}

int gone_each(struct store *st, MDB_txn *txn, each_gone *each, void *arg)
{
	int status = PSTN_OK, rc;
	MDB_cursor *c;
	MDB_val k, v;

	rc = mdb_cursor_open(txn, st->index.accounts, &c);
	if (rc != 0)
		return index_status(rc);
	for (MDB_cursor_op op = MDB_FIRST; (rc = mdb_cursor_get(c, &k, &v, op)) == 0;
	     op = MDB_NEXT) {
		struct account_row row;
		int gone;

		if (k.mv_size != KEY_ACCOUNT ||
		    !account_row_get(&row, k.mv_data, v.mv_data, v.mv_size)) {
			status = PSTN_E_DAMAGED;
			continue;
		}
		gone = is_gone(st, get64be(k.mv_data), &row);
		if (gone < 0)
			status = gone;
		else if (gone && !each(arg, get64be(k.mv_data), &row))
			break;
	}
	mdb_cursor_close(c);
	return rc == 0 || rc == MDB_NOTFOUND ? status : index_status(rc);
}

/* ---- mailbox purge ---- */

struct purge {
	const char *name;
	uint64_t ids[IDS_MAX];
	uint32_t count;
	uint64_t messages, octets;
};

static bool is_asked_for(void *arg, uint64_t account, const struct account_row *row)
{
	struct purge *p = arg;

	if (strcmp(row->name, p->name) != 0)
		return true;
	p->ids[p->count++] = account;
	p->messages += row->messages;
	p->octets += row->octets;
	return p->count < IDS_MAX;
}

static int find(struct store *st, struct purge *p)
{
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn), status;

	if (rc != 0)
		return index_status(rc);
	status = gone_each(st, txn, is_asked_for, p);
	index_read_end(&st->index, txn);
	return status;
}

static int forget(struct store *st, const struct purge *p)
{
	int status = PSTN_OK;

	for (uint32_t i = 0; i < p->count && status == PSTN_OK; i++) {
		struct pending pending = {.kind = PENDING_FORGET, .account = p->ids[i]};

		commit_wait(st, &pending);
		status = pending.status;
	}
	return status;
}

static void answer(struct store *st, struct pstn_call *c, const struct purge *p)
{
	const struct pstn_call_ops *call = st->host->call;

	call->open_object(c, NULL);
	call->text(c, "account", p->name);
	call->integer(c, "messages", (int64_t)p->messages);
	call->integer(c, "octets", (int64_t)p->octets);
	call->close(c);
}

void command_purge(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const struct pstn_call_ops *call = st->host->call;
	struct purge p = {.name = call->arg(c, "user")};
	int status = find(st, &p);

	if (status == PSTN_OK && p.count == 0) {
		call->fail_as(
		    c, PSTN_E_NOT_FOUND,
		    "There is no mail of an account \"%s\" that is gone. `mailbox list` shows "
		    "whose there is, `account remove` removes an account.",
		    p.name);
		return;
	}
	if (status == PSTN_OK && !call->arg(c, "dry-run"))
		status = forget(st, &p);
	if (status == PSTN_OK)
		answer(st, c, &p);
	else
		call->fail_as(c, status, "The mail of \"%s\" was not removed: %s.", p.name,
			      command_reason(status));
}
