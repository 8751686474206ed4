/*
 * check.c - storage check and storage repair: a walk through the whole store, its faults named,
 * resumable; what it was told to mend is mended.
 */
#include "checker.h"
#include "command/commands.h"
#include "repair.h"
#include "segment/sums.h"
#include "store.h"

#include <errno.h>
#include <string.h>

#define TOLD_MAX   1000 /* faults named one by one; more are counted, and stand in the log */
#define SAVE_EVERY 2000 /* ms */
#define ROUNDS_MAX 4    /* of a repair: what was mended may show what it hid */

enum { WANT_TEXTS = 1, WANT_DROP = 2 };

struct run {
	struct checker checker;
	struct repair repair;
	struct pstn_call *call;
	struct sums sums;
	const char *name; /* of the pass's file; NULL: it is not kept */
	uint64_t told, saved;
	bool repairing;
};

/* ---- telling ---- */

static void answer_fault(struct run *run, const struct fault *f, const struct fault_named *n,
			 const char *mended)
{
	const struct pstn_call_ops *call = run->checker.store->host->call;
	struct pstn_call *c = run->call;

	call->open_object(c, NULL);
	call->text(c, "account", n->account);
	call->text(c, "folder", n->folder);
	call->integer(c, "uid", f->uid);
	call->text(c, "uidl", f->uidl);
	call->text(c, "segment", n->segment);
	call->integer(c, "offset", n->segment[0] ? (int64_t)f->offset : 0);
	call->integer(c, "octets", (int64_t)f->octets);
	call->text(c, "name", f->name);
	call->text(c, "what", n->what);
	call->text(c, mended ? "result" : "do", mended ? mended : n->advice);
	call->close(c);
}

static void found(struct checker *k, const struct fault *f)
{
	struct run *run = k->arg;
	struct fault_named n;
	const char *mended = NULL;

	fault_name(k->store, f, &n);
	if (!*k->pass.first)
		fault_text(f, &n, k->pass.first, sizeof(k->pass.first));
	if (run->repairing)
		mended = repair_fault(&run->repair, f);
	fault_log(k->store, f, &n);
	if (run->told++ < TOLD_MAX)
		answer_fault(run, f, &n, mended);
}

static bool go_on(struct checker *k, uint64_t octets)
{
	struct run *run = k->arg;
	const struct pstn_call_ops *call = k->store->host->call;
	uint64_t now = store_time();

	(void)octets;
	if (k->pass.phase == PASS_SEGMENTS)
		call->progress(run->call, k->pass.octets, run->sums.octets, "octets of segments");
	else
		call->progress(run->call, k->pass.messages,
			       run->sums.messages + run->sums.tombstones, "messages in the index");
	if (run->name && now - run->saved >= SAVE_EVERY) {
		run->saved = now;
		(void)pass_save(k->store, run->name, &k->pass);
	}
	return !call->cancelled(run->call);
}

/* ---- a run ---- */

static bool wants(struct run *run, const char *name)
{
	return run->checker.store->host->call->arg(run->call, name) != NULL;
}

/* An interrupted one with the same wishes goes on. */
static bool begin(struct run *run)
{
	struct checker *k = &run->checker;
	struct store *st = k->store;
	uint32_t options = (k->texts ? WANT_TEXTS : 0) | (run->repair.drop_damaged ? WANT_DROP : 0);
	MDB_txn *txn;

	if (index_read(&st->index, &txn) == 0) {
		sums_make(st, txn, &run->sums);
		index_read_end(&st->index, txn);
	}
	if (run->name && !wants(run, "restart") && pass_load(st, run->name, &k->pass) &&
	    k->pass.phase != PASS_DONE && k->pass.options == options)
		return true;
	k->pass = (struct pass){.options = options, .begun = store_time()};
	return false;
}

static void next_round(struct run *run)
{
	struct checker *k = &run->checker;
	struct pass fresh = {.options = k->pass.options, .begun = k->pass.begun};

	fresh.mended = k->pass.mended;
	memcpy(fresh.first, k->pass.first, sizeof(fresh.first));
	k->pass = fresh;
	memset(&k->segment, 0, sizeof(k->segment));
}

/* A repair goes round until there is nothing more to mend. */
static bool walk(struct run *run)
{
	struct checker *k = &run->checker;

	for (unsigned round = 1;; round++) {
		struct repair *r = &run->repair;
		uint64_t before = r->mended;

		r->left = 0;
		if (!checker_run(k))
			return false;
		k->pass.mended += r->mended - before;
		if (!run->repairing || r->dry_run || round == ROUNDS_MAX ||
		    (r->mended == before && (r->left == 0 || r->last_round)))
			return true;
		r->last_round = round > 1 || r->mended == before;
		next_round(run);
	}
}

static void summary(struct run *run, bool resumed, bool done)
{
	const struct checker *k = &run->checker;
	const struct pstn_call_ops *call = k->store->host->call;
	struct pstn_call *c = run->call;

	call->integer(c, "accounts", (int64_t)k->pass.accounts);
	call->integer(c, "folders", (int64_t)k->pass.folders);
	call->integer(c, "messages", (int64_t)k->pass.messages);
	call->integer(c, "octets", (int64_t)k->pass.octets);
	call->integer(c, "faults", (int64_t)k->pass.faults);
	if (run->repairing)
		call->integer(c, "mended", (int64_t)run->repair.mended);
	if (run->told > TOLD_MAX)
		call->text(c, "note", "only the first 1000 faults are listed; the log has all");
	if (resumed)
		call->text(c, "resumed",
			   "an interrupted run went on; what it had found before stands in the "
			   "log as storage-fault");
	call->boolean(c, "complete", done);
}

static void carry_out(struct run *run)
{
	struct checker *k = &run->checker;
	const struct pstn_call_ops *call = k->store->host->call;
	struct pstn_call *c = run->call;
	bool resumed = begin(run), done;

	call->open_object(c, NULL);
	call->open_array(c, "damage");
	done = walk(run);
	checker_tell(k);
	call->close(c);
	if (done)
		k->pass.ended = store_time();
	if (run->name)
		(void)pass_save(k->store, run->name, &k->pass);
	summary(run, resumed, done);
	call->close(c);
	if (k->error)
		call->fail(c, "The index cannot be read: %s.", index_error(k->error));
}

static void run_command(struct store *st, struct pstn_call *c, bool repairing)
{
	const struct pstn_call_ops *call = st->host->call;
	struct pstn_account account = {.size = sizeof(account)};
	struct run run = {.call = c, .repairing = repairing};
	struct checker *k = &run.checker;

	if (call->arg(c, "user") && !command_account(st, c, &account))
		return;
	if (checker_open(k, st) != 0) {
		call->fail(c, "There is not enough memory to check the store.");
		return;
	}
	k->only = account.id;
	k->texts = call->arg(c, "quick") == NULL;
	k->found = found;
	k->go_on = go_on;
	k->arg = &run;
	run.name = k->only ? NULL : repairing ? PASS_REPAIR : PASS_CHECK;
	run.repair = (struct repair){.checker = k,
				     .dry_run = call->arg(c, "dry-run") != NULL,
				     .drop_damaged = call->arg(c, "drop-damaged") != NULL};
	if (run.repair.dry_run)
		run.name = NULL;
	carry_out(&run);
	if (repairing)
		repair_end(&run.repair);
	checker_close(k);
}

void command_check(void *inst, struct pstn_call *c)
{
	run_command(inst, c, false);
}

void command_repair(void *inst, struct pstn_call *c)
{
	run_command(inst, c, true);
}
