/*
 * ledger.c - what the clients of a store were told, and whether a store keeps to it.
 */
#include "ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LIVES 3

struct told {
	uint32_t uid[LIVES]; /* another one each time it has come back */
	char uidl[PSTN_UIDL_MAX + 1];
};

/* Filled when a message was acknowledged; shared by the processes of a workload. */
static struct told *shared;
/* The same, or a copy of it in which an image that is looked at may have its own say. */
static struct told *told, copy[LEDGER_MESSAGES];

/* As of the moment that ledger_at() was given. */
static enum ledger_mark state[LEDGER_MESSAGES];
static unsigned life[LEDGER_MESSAGES]; /* how often it has come back */
static bool seen[LEDGER_MESSAGES], indexed;

static char fault[512];

void ledger_begin(void)
{
	const size_t n = LEDGER_MESSAGES * sizeof(*shared);

	if (!shared)
		shared = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		abort();
	memset(shared, 0, n);
	told = shared;
	memset(state, 0, sizeof(state));
	memset(life, 0, sizeof(life));
}

/* What somebody was told becomes the present state. */
static void note(uint32_t n, enum ledger_mark mark)
{
	life[n] += mark == LEDGER_SENT && state[n] == LEDGER_GONE;
	state[n] = mark;
}

static void mark(uint32_t n, enum ledger_mark mark)
{
	note(n, mark);
	disk_mark(mark, n);
}

static uint32_t *uid_of(uint32_t n)
{
	return &told[n].uid[life[n]];
}

/* ---- messages ---- */

const char *ledger_user(uint32_t n)
{
	return n % 3 == 2 ? "bob@example.org" : "ann@example.org";
}

const char *ledger_folder(uint32_t n)
{
	return n % 7 == 3 ? "Archive" : "INBOX";
}

static const char *unique_id(uint32_t n)
{
	static char id[32];

	snprintf(id, sizeof(id), "brought.along.%u", n);
	return n % 11 == 5 ? id : NULL;
}

/* Every tenth is longer than two pages, every 50th longer than the workloads' stream_threshold. */
static size_t lines(uint32_t n)
{
	return n % 50 == 49 ? 400 : n % 10 == 9 ? 130 : n % 10;
}

const char *ledger_text(uint32_t n, size_t *length)
{
	static char text[65536];
	size_t used = (size_t)snprintf(text, sizeof(text), "Subject: %u\r\n\r\n", n);

	for (size_t i = 0; i < lines(n); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "%sline %zu of the message number %u, %08x\r\n",
					 i % 5 == 1 ? "." : "", i, n,
					 (unsigned)(n * 2654435761U + i * 40503U));
	*length = used;
	return text;
}

static void learn(struct rig *r, uint32_t n, uint32_t uid)
{
	struct pstn_account account;
	struct message_row row;
	uint32_t folder;
	MDB_txn *txn;

	rig_account(&account, ledger_user(n));
	CU_ASSERT_EQUAL_FATAL(index_read(&r->store->index, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(
	    index_folder_id(&r->store->index, txn, account.id, ledger_folder(n), &folder), 0);
	CU_ASSERT_EQUAL_FATAL(index_message(&r->store->index, txn, account.id, folder, uid, &row),
			      0);
	index_read_end(&r->store->index, txn);
	*uid_of(n) = uid;
	if (life[n])
		CU_ASSERT_STRING_EQUAL(row.uidl, told[n].uidl);
	snprintf(told[n].uidl, sizeof(told[n].uidl), "%s", row.uidl);
}

static void acknowledged(struct rig *r, uint32_t n, uint32_t uid)
{
	learn(r, n, uid);
	mark(n, LEDGER_SAFE);
}

int ledger_deliver(struct rig *r, uint32_t n)
{
	size_t length;
	const char *text = ledger_text(n, &length);
	uint32_t uid;
	int status;

	mark(n, LEDGER_SENT);
	uid = rig_deliver_bytes(r, ledger_user(n), ledger_folder(n), text, length, unique_id(n),
				&status);
	if (status == PSTN_OK)
		acknowledged(r, n, uid);
	return status;
}

void ledger_refused(uint32_t n)
{
	state[n] = state[n] == LEDGER_SENT ? LEDGER_NONE : state[n];
}

/* ---- several at once ---- */

struct waiting {
	struct rig *rig;
	struct pstn_delivery *delivery;
	uint32_t n;
	int status;
	bool committing;
	struct pstn_delivered out;
};

static void done(void *arg, int status)
{
	struct waiting *w = arg;

	w->status = status;
	if (w->committing && status == PSTN_OK)
		acknowledged(w->rig, w->n, w->out.uid);
}

static void send_text(struct waiting *w, struct pstn_session *s)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &account,
					  .folder = ledger_folder(w->n),
					  .uidl = unique_id(w->n),
					  .received = 1000000000};
	size_t length;
	const char *text = ledger_text(w->n, &length);

	rig_account(&account, ledger_user(w->n));
	mark(w->n, LEDGER_SENT);
	w->status = delivery_table.begin(w->rig->store, s, &q, &w->delivery, done, w);
	if (w->status != PSTN_OK) {
		w->delivery = NULL;
		return;
	}
	w->status = delivery_table.write(w->delivery, text, length, done, w);
	if (w->status == PSTN_LATER)
		fake_settle();
	if (w->status == PSTN_OK)
		return;
	delivery_table.abort(w->delivery);
	w->delivery = NULL;
}

void ledger_deliver_while(struct rig *r, uint32_t first, uint32_t count,
			  void (*meanwhile)(struct rig *))
{
	struct pstn_session *s = fake_session(r->self);
	struct waiting *all = calloc(count, sizeof(*all));

	for (uint32_t i = 0; i < count; i++) {
		all[i] = (struct waiting){.rig = r, .n = first + i};
		send_text(&all[i], s);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct waiting *w = &all[i];

		w->committing = true;
		if (w->delivery)
			w->status = delivery_table.commit(w->delivery, &w->out, done, w);
	}
	if (meanwhile)
		meanwhile(r);
	fake_settle();
	fake_close(s, "done");
	free(all);
}

void ledger_deliver_group(struct rig *r, uint32_t first, uint32_t count)
{
	ledger_deliver_while(r, first, count, NULL);
}

/* ---- changes ---- */

static uint32_t number_of(struct pstn_maildrop *d, uint32_t uid)
{
	static struct rig_listing l;

	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++) {
		if (l.rows[i].uid == uid)
			return l.rows[i].number;
	}
	return 0;
}

int ledger_remove(struct rig *r, uint32_t n)
{
	int status;
	struct pstn_maildrop *d = rig_folder(r, ledger_user(n), ledger_folder(n), &status);
	uint32_t number;

	if (!d)
		return status;
	number = number_of(d, *uid_of(n));
	CU_ASSERT_NOT_EQUAL(number, 0);
	mark(n, LEDGER_LEAVING);
	status = rig_expunge(d, &number, 1);
	if (status == PSTN_OK)
		mark(n, LEDGER_GONE);
	maildrop_table.close(d);
	return status;
}

void ledger_flag(struct rig *r, uint32_t n, uint32_t add, uint32_t remove)
{
	int status;
	struct pstn_maildrop *d = rig_folder(r, ledger_user(n), ledger_folder(n), &status);

	if (!d)
		return;
	maildrop_table.flag(d, number_of(d, *uid_of(n)), add, remove);
	maildrop_table.close(d);
}

/* ---- what commands bring ---- */

static const char *read_number(struct pstn_maildrop *d, uint32_t number, uint32_t *n,
			       size_t *length)
{
	int status;
	const char *text = rig_text(d, number, length, &status);

	if (!text || sscanf(text, "Subject: %u\r\n", n) != 1)
		*n = LEDGER_MESSAGES;
	return text;
}

void ledger_coming(uint32_t n)
{
	mark(n, LEDGER_SENT);
}

void ledger_came(struct rig *r, uint32_t n)
{
	static struct rig_listing l;
	int status;
	struct pstn_maildrop *d = rig_folder(r, ledger_user(n), ledger_folder(n), &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, &l);
	for (uint32_t i = 0; i < l.count; i++) {
		uint32_t found;
		size_t length;

		read_number(d, l.rows[i].number, &found, &length);
		if (found == n)
			acknowledged(r, n, l.rows[i].uid);
	}
	maildrop_table.close(d);
	CU_ASSERT_EQUAL(state[n], LEDGER_SAFE);
}

/* ---- what was told at a moment ---- */

static void weaken(const enum ledger_mark *synced)
{
	for (uint32_t n = 0; n < LEDGER_MESSAGES; n++) {
		if (state[n] == synced[n])
			continue;
		/* Delivered since: may be there. Removed since: may be there again. */
		state[n] = state[n] == LEDGER_GONE ? LEDGER_LEAVING : LEDGER_SENT;
		if (synced[n] < LEDGER_SAFE && state[n] == LEDGER_LEAVING)
			state[n] = LEDGER_SENT;
	}
}

void ledger_at(const struct disk_history *h, uint32_t ops)
{
	enum ledger_mark synced[LEDGER_MESSAGES] = {0};
	bool weak = false;

	indexed = false;
	memset(state, 0, sizeof(state));
	memset(life, 0, sizeof(life));
	memcpy(copy, shared, sizeof(copy));
	told = copy;
	for (uint32_t i = 0; i < h->count && i < ops; i++) {
		const struct disk_op *op = &h->ops[i];

		if (op->kind != DISK_MARK)
			continue;
		weak |= op->mark == LEDGER_WEAK;
		indexed |= op->mark == LEDGER_INDEXED;
		if (op->mark == LEDGER_SYNCED)
			memcpy(synced, state, sizeof(synced));
		else if (op->mark <= LEDGER_GONE)
			note(op->value, op->mark);
	}
	if (weak)
		weaken(synced);
}

bool ledger_indexed(void)
{
	return indexed;
}

/* ---- checking ---- */

static const char *wrong(const struct pstn_message *m, const char *what)
{
	snprintf(fault, sizeof(fault), "uid %u (%s): %s", m->uid, m->uidl, what);
	return fault;
}

static void keep(const struct pstn_message *m, uint32_t n)
{
	*uid_of(n) = m->uid;
	snprintf(told[n].uidl, sizeof(told[n].uidl), "%s", m->uidl);
}

static bool had_uid(uint32_t n, uint32_t uid)
{
	for (unsigned i = 0; i <= life[n]; i++) {
		if (told[n].uid[i] == uid)
			return true;
	}
	return false;
}

static const char *check_identity(const struct pstn_message *m, uint32_t n)
{
	if (life[n] && strcmp(m->uidl, told[n].uidl) != 0)
		return wrong(m, "is back with another unique id");
	if (state[n] == LEDGER_SENT)
		keep(m, n);
	else if (*uid_of(n) && (m->uid != *uid_of(n) || strcmp(m->uidl, told[n].uidl) != 0))
		return wrong(m, "its uid or unique id is not the one that was told");
	for (uint32_t i = 0; i < LEDGER_MESSAGES; i++) {
		/* One that had been told for sure belongs to its message for ever. */
		if (i == n || state[i] < LEDGER_SAFE || !told[i].uid[0])
			continue;
		if (strcmp(ledger_user(i), ledger_user(n)) != 0 ||
		    strcmp(ledger_folder(i), ledger_folder(n)) != 0)
			continue;
		if (had_uid(i, m->uid) || strcmp(m->uidl, told[i].uidl) == 0)
			return wrong(m, "its uid or unique id was another message's");
	}
	return NULL;
}

static const char *check_message(struct pstn_maildrop *d, const struct pstn_message *m,
				 const char *user, const char *folder)
{
	size_t length, sent_length;
	uint32_t n;
	const char *sent, *text = read_number(d, m->number, &n, &length);

	if (!text)
		return wrong(m, "cannot be read");
	if (n >= LEDGER_MESSAGES)
		return wrong(m, "is not a message that was sent");
	if (state[n] < LEDGER_SENT || strcmp(user, ledger_user(n)) != 0 ||
	    strcmp(folder, ledger_folder(n)) != 0)
		return wrong(m, "was not sent here");
	if (state[n] == LEDGER_GONE)
		return wrong(m, "was removed and is back");
	if (seen[n])
		return wrong(m, "is there twice");
	seen[n] = true;
	sent = ledger_text(n, &sent_length);
	if (length != sent_length || length != m->octets || memcmp(text, sent, length) != 0)
		return wrong(m, "is not what was sent");
	return check_identity(m, n);
}

static const char *check_folder(struct rig *r, const char *user, const char *folder)
{
	static struct rig_listing l;
	struct pstn_maildrop_totals totals;
	const char *bad = NULL;
	uint64_t octets = 0;
	int status;
	struct pstn_maildrop *d = rig_folder(r, user, folder, &status);

	if (!d && status == PSTN_E_NOT_FOUND)
		return NULL;
	if (!d || maildrop_table.totals(d, &totals, NULL, NULL) != PSTN_OK) {
		snprintf(fault, sizeof(fault), "%s %s cannot be opened: %d", user, folder, status);
		return fault;
	}
	rig_list(d, &l);
	for (uint32_t i = 0; !bad && i < l.count; i++) {
		octets += l.rows[i].octets;
		bad = check_message(d, &l.rows[i], user, folder);
	}
	if (!bad && (totals.messages != l.count || totals.octets != octets || totals.zombies)) {
		snprintf(fault, sizeof(fault), "%s %s: totals are wrong", user, folder);
		bad = fault;
	}
	maildrop_table.close(d);
	return bad;
}

static const char *check_missing(void)
{
	for (uint32_t n = 0; n < LEDGER_MESSAGES; n++) {
		if (state[n] != LEDGER_SAFE || seen[n])
			continue;
		snprintf(fault, sizeof(fault), "message %u (uid %u) was acknowledged and is lost",
			 n, *uid_of(n));
		return fault;
	}
	return NULL;
}

/* What was left of a group that was torn apart stays between sound records, and belongs to nobody. */
static bool finds_only_gaps(const char *report)
{
	static const char gap[] = "\"octets in a segment are no sound record\"";
	const char *count = strstr(report, "\"faults\":");
	unsigned long gaps = 0;

	for (const char *p = report; (p = strstr(p, gap)) != NULL; p++)
		gaps++;
	return count && strtoul(count + sizeof("\"faults\":") - 1, NULL, 10) == gaps;
}

const char *ledger_check(struct rig *r)
{
	static const char *const users[] = {"ann@example.org", "bob@example.org"};
	const char *bad = NULL, *report;

	memset(seen, 0, sizeof(seen));
	for (int i = 0; !bad && i < 2; i++) {
		bad = check_folder(r, users[i], "INBOX");
		if (!bad)
			bad = check_folder(r, users[i], "Archive");
	}
	if (!bad)
		bad = check_missing();
	if (bad)
		return bad;
	report = rig_command(r, "storage check", NULL, NULL, NULL, NULL, -1);
	if (rig_command_failed() || !finds_only_gaps(report)) {
		snprintf(fault, sizeof(fault), "storage check: %.400s", report);
		return fault;
	}
	return NULL;
}

const char *ledger_continue(struct rig *r, uint32_t first)
{
	/* What was there for a client to see stays, and has its uid and unique id for good; what was
	 * not there does not come any more. */
	for (uint32_t n = 0; n < LEDGER_MESSAGES; n++)
		state[n] = seen[n]                   ? LEDGER_SAFE
			   : state[n] >= LEDGER_SAFE ? LEDGER_GONE
						     : LEDGER_NONE;
	/* Folders of both users, by the remainders that ledger_user() and ledger_folder() take. */
	for (uint32_t n = first; n < first + 4; n++) {
		int status = ledger_deliver(r, n);

		if (status != PSTN_OK) {
			snprintf(fault, sizeof(fault), "nothing can be delivered: status %d",
				 status);
			return fault;
		}
	}
	return NULL;
}
