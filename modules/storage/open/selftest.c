/*
 * selftest.c - a message is delivered to an account that nobody can have, read back, removed; then
 * the account is forgotten. It goes through the same code as real mail: locks, commit, checksums.
 */
#include "selftest.h"

#include "delivery/delivery.h"
#include "format/bytes.h"
#include "index/apply.h"
#include "maildrop/view.h"
#include "segment/fetch.h"
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char text[] = "Subject: self-test\n\n.A line that begins with a dot\nand no end";
static const char wire[] =
    "Subject: self-test\r\n\r\n.A line that begins with a dot\r\nand no end\r\n";

static const char *deliver(struct store *st, const struct pstn_account *account)
{
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = account, .folder = "INBOX", .received = 1};
	struct pstn_delivery *d;
	struct pending *p;
	int status = delivery_begin(st, &q, NULL, &d);

	if (status != PSTN_OK)
		return "a delivery could not be begun";
	status = delivery_write(d, text, sizeof(text) - 1);
	p = status == PSTN_OK ? delivery_seal(d, &status) : NULL;
	if (p) {
		commit_wait(st, p);
		status = p->status;
	}
	delivery_free(d);
	/* Mail can be read on a full disk; that is worth a start. */
	if (status == PSTN_E_FULL)
		return "";
	return status == PSTN_OK ? NULL : "a message could not be stored";
}

static const char *read_back(struct view *v)
{
	struct pstn_content c;
	struct fetch_key key = {v->account, v->folder, view_uid(v, v->messages)};
	struct message_row row;
	MDB_txn *txn;
	bool same;
	int rc = index_read(&v->store->index, &txn);

	if (rc == 0) {
		rc = index_message(&v->store->index, txn, key.account, key.folder, key.uid, &row);
		index_read_end(&v->store->index, txn);
	}
	if (rc != 0)
		return "the message just stored is not in the index";
	if (fetch(v->store, &key, &row, true, &c) != PSTN_OK)
		return "the message just stored could not be read";
	same = c.length == sizeof(wire) - 1 && memcmp(c.bytes, wire, sizeof(wire) - 1) == 0 &&
	       c.ndots == 1 && c.dots[0] == 22 && c.header_length == 22;
	c.release(c.ref);
	return same ? NULL : "the message just stored came back as another one";
}

static const char *look(struct store *st, uint64_t account)
{
	struct view v;
	const char *fault = "the message just stored is not in its folder";

	if (view_open(&v, st, account, "INBOX") == PSTN_OK && view_map(&v, true) == PSTN_OK &&
	    v.messages > 0)
		fault = read_back(&v);
	view_close(&v);
	return fault;
}

static const char *forget(struct store *st, uint64_t account)
{
	struct pending p = {.kind = PENDING_FORGET, .account = account};

	commit_wait(st, &p);
	return p.status == PSTN_OK ? NULL : "the test's account could not be removed";
}

int selftest_run(struct store *st, char *err, size_t n)
{
	/* Two generations may test at the same time. */
	struct pstn_account account = {.size = sizeof(account),
				       .id = SCRATCH_ACCOUNT - (uint64_t)getpid(),
				       .name = "self-test"};
	const char *fault = deliver(st, &account);

	if (fault && !*fault)
		return 0;
	if (!fault)
		fault = look(st, account.id);
	if (fault)
		forget(st, account.id);
	else
		fault = forget(st, account.id);
	if (!fault)
		return 0;
	snprintf(err, n, "%s: %s; the log has more", st->path, fault);
	return -1;
}

/* Of self-tests: what was said of their end may be gone sooner than what they left. */
int selftest_forget(struct apply *a)
{
	unsigned char key[KEY_ACCOUNT];
	int rc;

	do {
		MDB_val k = {.mv_size = sizeof(key), .mv_data = key}, v;
		MDB_cursor *c;

		key_account(key, SCRATCH_FIRST);
		rc = mdb_cursor_open(a->txn, a->index->accounts, &c);
		if (rc != 0)
			return rc;
		rc = mdb_cursor_get(c, &k, &v, MDB_SET_RANGE);
		if (rc == 0)
			memcpy(key, k.mv_data, sizeof(key));
		mdb_cursor_close(c);
		if (rc == 0)
			rc = apply_account_removed(a, get64be(key));
	} while (rc == 0);
	return rc == MDB_NOTFOUND ? 0 : rc;
}
