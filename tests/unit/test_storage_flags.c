/*
 * test_storage_flags.c - flags that nobody waits for: how long they wait, with whom they go, what the
 * history tells of them, and what a crash costs.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/recall/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"

/* ---- maildrops of sessions ---- */

struct reader {
	struct pstn_session *session;
	struct pstn_maildrop *drop;
	int status;
};

static void told(void *arg, int status)
{
	struct reader *u = arg;

	u->status = status;
}

static void enter(struct reader *u, struct rig *r, const char *user)
{
	struct pstn_account account;
	struct pstn_content text = {.size = sizeof(text)};

	rig_account(&account, user);
	u->session = fake_session(r->self);
	u->status = maildrop_table.open(r->store, u->session, &account, "INBOX", &u->drop, told, u);
	fake_settle();
	CU_ASSERT_EQUAL_FATAL(u->status, PSTN_OK);
	/* Flags follow a read. */
	u->status = maildrop_table.read(u->drop, 1, &text, told, u);
	fake_settle();
	CU_ASSERT_EQUAL_FATAL(u->status, PSTN_OK);
	text.release(text.ref);
}

static void see(struct reader *u, uint32_t first, uint32_t last)
{
	for (uint32_t number = first; number <= last; number++)
		maildrop_table.flag(u->drop, number, PSTN_SEEN, 0);
	fake_settle();
}

static void expunge(struct reader *u, const uint32_t *numbers, uint32_t n)
{
	u->status = maildrop_table.expunge(u->drop, numbers, n, told, u);
	fake_settle();
	CU_ASSERT_EQUAL(u->status, PSTN_OK);
}

static void leave(struct reader *u)
{
	maildrop_table.close(u->drop);
	fake_close(u->session, "test");
	fake_settle();
}

/* How many messages are Seen for somebody who comes now. */
static unsigned seen(struct rig *r, const char *user)
{
	struct rig_listing *l = calloc(1, sizeof(*l));
	unsigned n = 0;
	int status;
	struct pstn_maildrop *d = rig_drop(r, user, &status);

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	rig_list(d, l);
	for (uint32_t i = 0; i < l->count; i++)
		n += l->rows[i].flags == PSTN_SEEN;
	maildrop_table.close(d);
	free(l);
	return n;
}

static void begin(struct rig *r, const char *user, unsigned messages)
{
	int status;

	for (unsigned i = 0; i < messages; i++)
		CU_ASSERT(rig_deliver(r, user, "x\n", &status) > 0);
}

static int64_t groups(struct rig *r)
{
	return fake_metric(r->self, METRIC_GROUPS);
}

/* ---- with whom they go ---- */

static void go_with_the_deletions(void)
{
	struct rig r;
	struct reader u;
	int64_t before;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 50);
	enter(&u, &r, ANN);
	before = groups(&r);
	see(&u, 1, 50);
	CU_ASSERT_EQUAL(groups(&r), before);
	CU_ASSERT_EQUAL(seen(&r, ANN), 0);
	expunge(&u, (uint32_t[]){1, 2, 3}, 3);
	CU_ASSERT_EQUAL(groups(&r), before + 1);
	CU_ASSERT_EQUAL(seen(&r, ANN), 47);
	leave(&u);
	CU_ASSERT_EQUAL(groups(&r), before + 1);
	rig_end(&r);
}

/* Those of all who read; but whoever read nothing hurries nobody. */
static void go_when_a_maildrop_is_closed(void)
{
	struct rig r;
	struct reader ann, bob, other;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 3);
	begin(&r, BOB, 3);
	enter(&ann, &r, ANN);
	enter(&bob, &r, BOB);
	enter(&other, &r, BOB);
	see(&ann, 1, 2);
	see(&bob, 1, 3);
	leave(&other);
	CU_ASSERT_EQUAL(seen(&r, ANN), 0);
	leave(&bob);
	CU_ASSERT_EQUAL(seen(&r, ANN), 2);
	CU_ASSERT_EQUAL(seen(&r, BOB), 3);
	leave(&ann);
	rig_end(&r);
}

static void wait_not_for_ever(void)
{
	struct rig r;
	struct reader u;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 3);
	enter(&u, &r, ANN);
	see(&u, 1, 2);
	fake_advance(r.options.checkpoint_interval);
	fake_settle();
	CU_ASSERT_EQUAL(seen(&r, ANN), 2);
	see(&u, 3, 3);
	leave(&u);
	CU_ASSERT_EQUAL(seen(&r, ANN), 3);
	rig_end(&r);
}

static void wait_in_bounded_number(void)
{
	struct rig r;
	struct reader ann, bob;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 64);
	begin(&r, BOB, 32);
	enter(&ann, &r, ANN);
	enter(&bob, &r, BOB);
	/* Two in turn: each change is an entry of its own. */
	for (uint32_t i = 1; i <= 31; i++) {
		see(&ann, i, i);
		see(&bob, i, i);
	}
	see(&ann, 32, 32);
	CU_ASSERT_EQUAL(seen(&r, ANN) + seen(&r, BOB), 0);
	see(&bob, 32, 32);
	CU_ASSERT_EQUAL(seen(&r, ANN), 32);
	CU_ASSERT_EQUAL(seen(&r, BOB), 32);
	/* One alone. */
	for (int i = 0; i < 63; i++)
		maildrop_table.flag(ann.drop, 33, i % 2 ? 0 : PSTN_SEEN, i % 2 ? PSTN_SEEN : 0);
	fake_settle();
	CU_ASSERT_EQUAL(seen(&r, ANN), 32);
	see(&ann, 34, 34);
	CU_ASSERT_EQUAL(seen(&r, ANN), 34);
	leave(&ann);
	leave(&bob);
	rig_end(&r);
}

static void go_when_the_server_stops(void)
{
	struct rig r;
	struct reader u;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 3);
	enter(&u, &r, ANN);
	see(&u, 1, 2);
	maildrop_table.close(u.drop);
	fake_close(u.session, "test");
	CU_ASSERT_FATAL(rig_reopen(&r));
	CU_ASSERT_EQUAL(seen(&r, ANN), 2);
	rig_end(&r);
}

/* ---- what the history tells ---- */

static const char *history(struct rig *r, uint64_t since)
{
	char text[WHEN_TEXT];

	when_text(since, text);
	return rig_command(r, "mailbox history", ANN, "since", text, NULL, -1);
}

/* A message was read before it was deleted, when it was read, by who read it. */
static void are_told_with_their_time(void)
{
	struct rig r;
	struct reader first, second;
	const char *answer, *read, *deleted;
	char who[64];
	uint64_t begun, after;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 2);
	begun = rig_moment();
	enter(&first, &r, ANN);
	enter(&second, &r, ANN);
	see(&first, 1, 1);
	after = rig_moment();
	expunge(&second, (uint32_t[]){1}, 1);
	answer = history(&r, begun);
	read = strstr(answer, "\"event\":\"flags\",\"flags\":\"seen\",\"uid\":1,");
	deleted = strstr(answer, "\"event\":\"expunged\"");
	CU_ASSERT_PTR_NOT_NULL(deleted);
	CU_ASSERT_PTR_NOT_NULL_FATAL(read);
	CU_ASSERT_TRUE(read < deleted);
	snprintf(who, sizeof(who), "\"session\":\"%s\"", fake_host()->id(first.session));
	CU_ASSERT_TRUE(strstr(read, who) && strstr(read, who) < deleted);
	snprintf(who, sizeof(who), "\"session\":\"%s\"", fake_host()->id(second.session));
	CU_ASSERT_TRUE(deleted && strstr(deleted, who));
	answer = history(&r, after);
	CU_ASSERT_PTR_NULL(strstr(answer, "\"event\":\"flags\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"event\":\"expunged\""));
	leave(&first);
	leave(&second);
	rig_end(&r);
}

/* ---- a crash ---- */

static void are_all_that_a_crash_costs(void)
{
	struct rig r;
	struct reader u;
	char killed[600];
	int status;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 4);
	enter(&u, &r, ANN);
	see(&u, 1, 2);
	expunge(&u, (uint32_t[]){1}, 1);
	see(&u, 3, 4);
	snprintf(killed, sizeof(killed), "%s.killed", r.path);
	rig_copy_store(r.path, killed);
	leave(&u);
	CU_ASSERT_EQUAL(seen(&r, ANN), 3);
	rig_close(&r);
	r.options.path = killed;
	CU_ASSERT_FATAL(rig_open(&r));
	CU_ASSERT_EQUAL(seen(&r, ANN), 1);
	CU_ASSERT_EQUAL(rig_deliver(&r, ANN, "x\n", &status), 5);
	rig_end(&r);
}

static void need_memory(void)
{
	struct rig r;
	struct reader u;

	rig_begin(&r);
	CU_ASSERT_FATAL(rig_open(&r));
	begin(&r, ANN, 3);
	enter(&u, &r, ANN);
	fake_fail_alloc(1);
	see(&u, 1, 1);
	CU_ASSERT_TRUE(fake_alloc_failed());
	see(&u, 2, 2);
	leave(&u);
	CU_ASSERT_EQUAL(seen(&r, ANN), 1);
	rig_end(&r);
}

static const struct suite_case cases[] = {
    {"flags go with the deletions", go_with_the_deletions},
    {"flags go when a maildrop is closed", go_when_a_maildrop_is_closed},
    {"flags wait at most for a checkpoint", wait_not_for_ever},
    {"flags wait in bounded number", wait_in_bounded_number},
    {"flags go when the server stops", go_when_the_server_stops},
    {"flags are told with their time and session", are_told_with_their_time},
    {"flags are all that a crash costs", are_all_that_a_crash_costs},
    {"flags need memory", need_memory},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage: flags", cases, argc > 1 ? argv[1] : NULL);
}
