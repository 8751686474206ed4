/*
 * maildrop.c - interface storage.maildrop: hot data is answered at once, the rest by a job.
 */
#include "index/mend.h"
#include "maildrop_parts.h"
#include "store.h"

#include <string.h>
#include <strings.h>

/* ---- calls ---- */

void maildrop_release(struct pstn_maildrop *d)
{
	if (atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	maildrop_forget_rows(d);
	view_close(&d->view);
	store_free(d->view.store, d);
}

static void call_end(struct call *c)
{
	struct store *st = c->drop->view.store;

	maildrop_release(c->drop);
	store_free(st, c);
}

static int call_work(void *arg)
{
	struct call *c = arg;

	return c->run(c, true);
}

static void call_done(void *arg, int status)
{
	struct call *c = arg;
	pstn_done *done = c->done;
	void *done_arg = c->arg;

	if (status == PSTN_OK)
		c->give(c);
	else
		c->discard(c);
	call_end(c);
	done(done_arg, status);
}

static void call_orphan(void *arg)
{
	struct call *c = arg;

	c->discard(c);
	call_end(c);
}

static void nothing(struct call *c)
{
	(void)c;
}

static int call_later(const struct call *model)
{
	struct pstn_maildrop *d = model->drop;
	struct store *st = d->view.store;
	struct call *c = store_alloc(st, sizeof(*c));

	if (!c)
		return PSTN_E_NO_MEMORY;
	*c = *model;
	atomic_fetch_add(&d->refs, 1);
	if (st->host->job(st->self, d->session, call_work, call_done, call_orphan, c))
		return PSTN_LATER;
	call_end(c);
	return PSTN_E_NO_MEMORY;
}

/* Without a session the caller is on a job thread and waits. */
int maildrop_call(struct call *c)
{
	struct pstn_maildrop *d = c->drop;
	bool may_block = !d->session;
	int status = VIEW_COLD;

	if (may_block || warm_is(d->view.store, d->view.account) || maildrop_was_near(d))
		status = c->run(c, may_block);
	if (status == PSTN_OK)
		c->give(c);
	return status == VIEW_COLD ? call_later(c) : status;
}

/* ---- open ---- */

/* A job brings the rows of a small folder as well, so that what follows needs none; INBOX is then
 * opened on the reactor for a while. */
static int open_run(struct call *c, bool may_block)
{
	struct view *v = &c->drop->view;
	bool inbox = strcasecmp(c->open.folder, "INBOX") == 0;
	int status;

	if (!may_block && !inbox)
		return VIEW_COLD;
	status = view_open(v, v->store, v->account, c->open.folder);
	if (status != PSTN_OK)
		return status;
	if (!may_block) {
		maildrop_set_all_near(c->drop);
		return PSTN_OK;
	}
	if (c->drop->session)
		maildrop_bring_all_near(c->drop);
	if (c->drop->session && inbox)
		warm_set(v->store, v->account);
	return PSTN_OK;
}

static void open_give(struct call *c)
{
	atomic_fetch_add(&c->drop->refs, 1);
	*c->open.out = c->drop;
}

static int drop_open(void *inst, struct pstn_session *s, const struct pstn_account *account,
		     const char *folder, struct pstn_maildrop **out, pstn_done *done, void *arg)
{
	struct store *st = inst;
	struct call c = {
	    .run = open_run, .give = open_give, .discard = nothing, .done = done, .arg = arg};
	size_t n = strlen(folder);
	int status;

	if (n > FOLDER_NAME_MAX)
		return PSTN_E_NOT_FOUND;
	c.drop = store_alloc(st, sizeof(*c.drop));
	if (!c.drop)
		return PSTN_E_NO_MEMORY;
	c.drop->view.store = st;
	c.drop->view.account = account->id;
	c.drop->session = s;
	atomic_init(&c.drop->refs, 1);
	c.open.out = out;
	memcpy(c.open.folder, folder, n + 1);
	status = maildrop_call(&c);
	/* The caller's reference is the one that open_give() took. */
	maildrop_release(c.drop);
	return status;
}

/* ---- totals ---- */

static int totals_run(struct call *c, bool may_block)
{
	return view_recount(&c->drop->view, may_block);
}

static void totals_give(struct call *c)
{
	struct view *v = &c->drop->view;

	v->told = true;
	*c->totals.out = (struct pstn_maildrop_totals){
	    .messages = v->messages, .zombies = v->zombies, .octets = v->octets};
}

static int drop_totals(struct pstn_maildrop *d, struct pstn_maildrop_totals *out, pstn_done *done,
		       void *arg)
{
	struct call c = {.drop = d,
			 .run = totals_run,
			 .give = totals_give,
			 .discard = nothing,
			 .done = done,
			 .arg = arg,
			 .totals = {.out = out}};

	/* Counts are as they are now, and rows that are read after them too. */
	maildrop_forget_rows(d);
	return maildrop_call(&c);
}

/* ---- read ---- */

static int find_message(struct view *v, uint32_t number, bool may_block, struct fetch_key *key,
			struct message_row *row)
{
	MDB_txn *txn;
	int rc;

	*key = (struct fetch_key){v->account, v->folder, view_uid(v, number)};
	if (key->uid == 0)
		return PSTN_E_NOT_FOUND;
	rc = index_read(&v->store->index, &txn);
	if (rc != 0)
		return index_status(rc);
	rc = index_message(&v->store->index, txn, key->account, key->folder, key->uid, row);
	index_read_end(&v->store->index, txn);
	if (rc == MDB_CORRUPTED && !may_block)
		return VIEW_COLD;
	if (rc == MDB_CORRUPTED)
		rc = mend_now(&v->store->index, false, key->account, key->folder, key->uid, row);
	return rc == MDB_NOTFOUND ? PSTN_E_GONE : index_status(rc);
}

static int read_run(struct call *c, bool may_block)
{
	struct view *v = &c->drop->view;
	struct fetch_key key;
	struct message_row row;
	bool here = may_block || maildrop_is_near(c->drop, c->read.number);
	int status = here ? view_map(v, may_block) : VIEW_COLD;

	if (status == PSTN_OK && may_block)
		maildrop_bring_near(c->drop, c->read.number);
	if (status == PSTN_OK)
		status = find_message(v, c->read.number, may_block, &key, &row);
	if (status == PSTN_OK)
		status = fetch(v->store, &key, &row, may_block, &c->read.content);
	return status;
}

static void read_give(struct call *c)
{
	struct store *st = c->drop->view.store;

	*c->read.out = c->read.content;
	c->drop->mapped = true;
	st->host->count(st->self, METRIC_READ, 1);
}

static void read_discard(struct call *c)
{
	if (c->read.content.release)
		c->read.content.release(c->read.content.ref);
}

static int drop_read(struct pstn_maildrop *d, uint32_t number, struct pstn_content *out,
		     pstn_done *done, void *arg)
{
	struct call c = {.drop = d,
			 .run = read_run,
			 .give = read_give,
			 .discard = read_discard,
			 .done = done,
			 .arg = arg,
			 .read = {.number = number, .out = out}};

	if (number == 0 || number > d->view.messages)
		return PSTN_E_NOT_FOUND;
	return maildrop_call(&c);
}

/* ---- flags ---- */

static void drop_flag(struct pstn_maildrop *d, uint32_t number, uint32_t add, uint32_t remove)
{
	struct view *v = &d->view;
	struct flag_change f = {.add = add, .remove = remove};

	/* Flags follow a read or a list, which made the map. One may be making it just now. */
	if (!d->mapped && atomic_load(&d->refs) == 1 && (!d->session || maildrop_is_all_near(d)))
		d->mapped = view_map(v, !d->session) == PSTN_OK;
	if (!d->mapped)
		return;
	f.uid = view_uid(v, number);
	if (!f.uid)
		return;
	d->flagged = true;
	commit_flag(v->store, d->session ? v->store->host->id(d->session) : "", v->account,
		    v->folder, f);
}

static void drop_close(struct pstn_maildrop *d)
{
	if (d->flagged)
		commit_soon(d->view.store);
	maildrop_release(d);
}

const struct pstn_maildrops maildrop_table = {
    .size = sizeof(struct pstn_maildrops),
    .open = drop_open,
    .totals = drop_totals,
    .list = maildrop_list,
    .read = drop_read,
    .flag = drop_flag,
    .expunge = maildrop_expunge,
    .close = drop_close,
};
