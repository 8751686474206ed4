/*
 * test_storage_quota.c - quotas: what is refused and when, what is counted, what is said.
 */
#include "storage_rig.h"
#include "suite.h"

#include "modules/storage/command/commands.h"
#include "modules/storage/delivery/intake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANN "ann@example.org"
#define BOB "bob@example.org"
#define TEN "12345678\r\n" /* octets */

static struct rig r;

static void begin(struct pstn_quota account, struct pstn_quota domain)
{
	static int64_t percents[] = {80, 95};

	rig_begin(&r);
	r.options.quota_warnings = (struct pstn_list){2, percents};
	rig_quota(account, domain);
	CU_ASSERT_FATAL(rig_open(&r));
}

static void end(void)
{
	const struct pstn_quota none = {0, 0};

	rig_quota(none, none);
	rig_end(&r);
}

static int deliver(const char *user, const char *text)
{
	int status;

	rig_deliver(&r, user, text, &status);
	return status;
}

static void expunge_all(const char *user)
{
	struct pstn_maildrop_totals totals;
	uint32_t numbers[512];
	int status;
	struct pstn_maildrop *d = rig_drop(&r, user, &status);

	maildrop_table.totals(d, &totals, NULL, NULL);
	for (uint32_t i = 0; i < totals.messages; i++)
		numbers[i] = i + 1;
	CU_ASSERT_EQUAL(rig_expunge(d, numbers, totals.messages), PSTN_OK);
	maildrop_table.close(d);
}

static void usage(const char *user, struct quota *q)
{
	struct pstn_account account;

	rig_account(&account, user);
	quota_usage(r.store, &account, q);
}

static unsigned events(const char *name)
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_log_count(); i++)
		n += strcmp(fake_log_at(i)->event, name) == 0;
	return n;
}

/* ---- each limit ---- */

/* How many messages of ten octets each fit, delivered to two accounts of a domain in turn. */
static const struct limit_case {
	struct pstn_quota account, domain;
	unsigned ann, bob;
} limit_cases[] = {
    {{3, 0}, {0, 0}, 3, 3},   {{0, 30}, {0, 0}, 3, 3},  {{0, 39}, {0, 0}, 3, 3},
    {{0, 9}, {0, 0}, 0, 0},   {{0, 0}, {3, 0}, 2, 1},   {{0, 0}, {0, 35}, 2, 1},
    {{5, 20}, {0, 0}, 2, 2},  {{1, 0}, {10, 0}, 1, 1},  {{0, 0}, {0, 0}, 6, 6},
    {{2, 0}, {3, 100}, 2, 1}, {{0, 10}, {0, 10}, 1, 0},
};

static void refuses_beyond_each_limit(void)
{
	for (size_t i = 0; i < sizeof(limit_cases) / sizeof(*limit_cases); i++) {
		const struct limit_case *c = &limit_cases[i];
		unsigned ann = 0, bob = 0, refused = 0;

		begin(c->account, c->domain);
		for (unsigned k = 0; k < 6; k++) {
			int status = deliver(ANN, TEN);

			ann += status == PSTN_OK;
			refused += status == PSTN_E_QUOTA;
			status = deliver(BOB, TEN);
			bob += status == PSTN_OK;
			refused += status == PSTN_E_QUOTA;
		}
		CU_ASSERT_EQUAL(ann, c->ann);
		CU_ASSERT_EQUAL(bob, c->bob);
		CU_ASSERT_EQUAL(ann + bob + refused, 12);
		CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_REFUSED_QUOTA), refused);
		end();
	}
}

/* ---- a group ---- */

static struct pstn_delivery *sealed(const char *user, const char *folder, const char *text,
				    const char *uidl)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = folder, .uidl = uidl};
	struct pstn_delivery *d;
	int status;

	rig_account(&account, user);
	CU_ASSERT_EQUAL_FATAL(delivery_begin(r.store, &q, NULL, &d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_write(d, text, strlen(text)), PSTN_OK);
	CU_ASSERT_PTR_NOT_NULL(delivery_seal(d, &status));
	return d;
}

static void commit_together(struct pstn_delivery **d, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		d[i]->pending.next = i + 1 < n ? &d[i + 1]->pending : NULL;
	commit_wait(r.store, &d[0]->pending);
}

static void counts_within_a_group(void)
{
	const char *const users[] = {ANN, BOB, ANN, ANN, BOB, BOB};
	const int expected[] = {PSTN_OK,      PSTN_OK,      PSTN_OK,
				PSTN_E_QUOTA, PSTN_E_QUOTA, PSTN_E_QUOTA};
	const struct pstn_quota account = {2, 0}, domain = {0, 30};
	struct pstn_delivery *d[6];
	struct quota q;

	begin(account, domain);
	for (unsigned i = 0; i < 6; i++)
		d[i] = sealed(users[i], "INBOX", TEN, NULL);
	commit_together(d, 6);
	for (unsigned i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(d[i]->pending.status, expected[i]);
		delivery_free(d[i]);
	}
	usage(ANN, &q);
	CU_ASSERT_EQUAL(q.used[QUOTA_ACCOUNT_MESSAGES], 2);
	CU_ASSERT_EQUAL(q.used[QUOTA_DOMAIN_OCTETS], 30);
	end();
}

static void refusal_makes_nothing(void)
{
	const struct pstn_quota account = {1, 0}, none = {0, 0};
	struct pstn_delivery *d;

	begin(account, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	d = sealed(ANN, "Archive", TEN, NULL);
	commit_together(&d, 1);
	CU_ASSERT_EQUAL(d->pending.status, PSTN_E_QUOTA);
	delivery_free(d);
	CU_ASSERT_PTR_NULL(
	    strstr(rig_command(&r, "mailbox show", ANN, NULL, NULL, NULL, -1), "Archive"));
	end();
}

/* Who brings what is there already is told so, full or not. */
static void there_already_comes_first(void)
{
	const struct pstn_quota account = {1, 0}, none = {0, 0};
	struct pstn_delivery *d[2];

	begin(account, none);
	d[0] = sealed(ANN, "INBOX", TEN, "mine");
	d[1] = sealed(ANN, "INBOX", TEN, "mine");
	commit_together(d, 2);
	CU_ASSERT_EQUAL(d[0]->pending.status, PSTN_OK);
	CU_ASSERT_EQUAL(d[1]->pending.status, PSTN_E_EXISTS);
	delivery_free(d[0]);
	delivery_free(d[1]);
	end();
}

/* ---- early ---- */

static int begin_delivery(uint64_t expected, struct pstn_delivery **d)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {
	    .size = sizeof(q), .account = &account, .folder = "INBOX", .expected = expected};

	rig_account(&account, ANN);
	return delivery_table.begin(r.store, NULL, &q, d, NULL, NULL);
}

static void refuses_what_is_announced(void)
{
	const struct pstn_quota account = {0, 100}, none = {0, 0};
	struct pstn_delivery *d;

	begin(account, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	CU_ASSERT_EQUAL(begin_delivery(91, &d), PSTN_E_QUOTA);
	CU_ASSERT_EQUAL(begin_delivery(UINT64_C(200000000), &d), PSTN_E_QUOTA);
	CU_ASSERT_EQUAL(begin_delivery(90, &d), PSTN_OK);
	delivery_table.abort(d);
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_REFUSED_QUOTA), 2);
	end();
}

/* Nothing was announced: the first piece that is too much ends it, unless room was made. */
static void refuses_while_it_comes(void)
{
	const struct pstn_quota account = {0, 100}, none = {0, 0};
	struct pstn_delivery *d;
	char line[60];

	memset(line, 'x', sizeof(line));
	begin(account, none);
	for (unsigned i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	CU_ASSERT_EQUAL(begin_delivery(0, &d), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.write(d, line, 50, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.write(d, line, 1, NULL, NULL), PSTN_E_QUOTA);
	CU_ASSERT_EQUAL(delivery_table.write(d, line, 1, NULL, NULL), PSTN_E_QUOTA);
	delivery_table.abort(d);
	CU_ASSERT_EQUAL(begin_delivery(0, &d), PSTN_OK);
	expunge_all(ANN);
	CU_ASSERT_EQUAL(delivery_table.write(d, line, 60, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.write(d, line, 30, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.commit(d, &(struct pstn_delivered){0}, NULL, NULL), PSTN_OK);
	end();
}

static int told;

static void tell(void *arg, int status)
{
	(void)arg;
	told = status;
}

/* On a reactor: what is held may be on the disk, so a job asks. */
static void refuses_sessions_by_jobs(void)
{
	static const struct {
		uint64_t expected;
		size_t octets; /* that come */
		int begun, written;
	} cases[] = {
	    {91, 0, PSTN_E_QUOTA, 0},        {90, 90, PSTN_OK, PSTN_OK},
	    {0, 91, PSTN_OK, PSTN_E_QUOTA},  {0, 90, PSTN_OK, PSTN_OK},
	    {10, 91, PSTN_OK, PSTN_E_QUOTA}, {200000000, 0, PSTN_E_QUOTA, 0},
	};
	const struct pstn_quota account = {0, 100}, none = {0, 0};
	struct pstn_account who;
	char text[100];

	memset(text, 'x', sizeof(text));
	begin(account, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	rig_account(&who, ANN);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pstn_delivery_request q = {.size = sizeof(q),
						  .account = &who,
						  .folder = "INBOX",
						  .expected = cases[i].expected};
		struct pstn_session *s = fake_session(r.self);
		struct pstn_delivery *d = NULL;

		CU_ASSERT_EQUAL_FATAL(delivery_table.begin(r.store, s, &q, &d, tell, NULL),
				      PSTN_LATER);
		CU_ASSERT_PTR_NULL(d);
		fake_settle();
		CU_ASSERT_EQUAL_FATAL(told, cases[i].begun);
		CU_ASSERT_EQUAL(d != NULL, told == PSTN_OK);
		if (d) {
			told = delivery_table.write(d, text, cases[i].octets, tell, NULL);
			CU_ASSERT_EQUAL(told, cases[i].octets > 90 ? PSTN_LATER : cases[i].written);
			fake_settle();
			CU_ASSERT_EQUAL(told, cases[i].written);
			delivery_table.abort(d);
		}
		/* One whose session ends meanwhile is forgotten. */
		CU_ASSERT_EQUAL(delivery_table.begin(r.store, s, &q, &d, tell, NULL), PSTN_LATER);
		fake_close(s, "test");
		fake_settle();
	}
	end();
}

/* ---- what frees and what does not ---- */

static void deletes_free_at_once(void)
{
	const struct pstn_quota account = {2, 0}, none = {0, 0};

	begin(account, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_E_QUOTA);
	expunge_all(ANN);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	end();
}

static void lowered_quota_deletes_nothing(void)
{
	const struct pstn_quota none = {0, 0}, one = {1, 5};
	struct quota q;

	begin(none, none);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	rig_quota(one, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_E_QUOTA);
	usage(ANN, &q);
	CU_ASSERT_EQUAL(q.used[QUOTA_ACCOUNT_MESSAGES], 3);
	CU_ASSERT_EQUAL(deliver(ANN, ""), PSTN_E_QUOTA);
	rig_quota(none, none);
	CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	end();
}

/* ---- totals through everything ---- */

static void is_used(const char *user, uint64_t messages, uint64_t domain_messages)
{
	struct quota q;

	usage(user, &q);
	CU_ASSERT_EQUAL(q.used[QUOTA_ACCOUNT_MESSAGES], messages);
	CU_ASSERT_EQUAL(q.used[QUOTA_ACCOUNT_OCTETS], messages * 10);
	CU_ASSERT_EQUAL(q.used[QUOTA_DOMAIN_MESSAGES], domain_messages);
	CU_ASSERT_EQUAL(q.used[QUOTA_DOMAIN_OCTETS], domain_messages * 10);
}

static void totals_survive_a_rebuild(void)
{
	const struct pstn_quota none = {0, 0};
	struct pstn_account account;
	struct pending p = {.kind = PENDING_FORGET};

	begin(none, none);
	for (unsigned i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
		CU_ASSERT_EQUAL(deliver(BOB, TEN), PSTN_OK);
	}
	expunge_all(BOB);
	CU_ASSERT_EQUAL(deliver(BOB, TEN), PSTN_OK);
	is_used(ANN, 5, 6);
	is_used(BOB, 1, 6);
	CU_ASSERT_TRUE(rig_reopen(&r));
	is_used(BOB, 1, 6);
	rig_command(&r, "storage rebuild-index", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_TRUE(rig_reopen(&r));
	is_used(ANN, 5, 6);
	is_used(BOB, 1, 6);
	rig_account(&account, ANN);
	p.account = account.id;
	commit_wait(r.store, &p);
	is_used(ANN, 0, 1);
	is_used(BOB, 1, 1);
	end();
}

/* The same account under a name in another domain: what it holds goes with it. */
static void totals_follow_a_rename(void)
{
	const struct pstn_quota none = {0, 0}, four = {4, 0};
	struct pstn_delivery *d;
	struct pstn_account account;

	begin(none, none);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_OK);
	CU_ASSERT_EQUAL(deliver("carl@example.net", TEN), PSTN_OK);
	rig_account(&account, ANN);
	rig_quota(none, four);
	d = sealed(ANN, "INBOX", TEN, NULL);
	snprintf(d->account_name, sizeof(d->account_name), "ann@example.net");
	commit_together(&d, 1);
	/* The three that came along count before the fourth is judged. */
	CU_ASSERT_EQUAL(d->pending.status, PSTN_E_QUOTA);
	CU_ASSERT_EQUAL(d->pending.quota.used[QUOTA_DOMAIN_MESSAGES], 4);
	delivery_free(d);
	is_used(BOB, 0, 0);
	is_used("carl@example.net", 1, 4);
	end();
}

/* ---- what is said ---- */

static void warns_once_per_crossing(void)
{
	const struct pstn_quota account = {10, 0}, domain = {0, 200};

	begin(account, domain);
	for (unsigned i = 0; i < 7; i++)
		deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-warning"), 0);
	deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-warning"), 1);
	CU_ASSERT_TRUE(
	    fake_log_contains("account=" ANN " percent=80 unit=messages used=8 limit=10"));
	deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-warning"), 1);
	deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-warning"), 2);
	CU_ASSERT_TRUE(fake_log_contains("percent=95 unit=messages used=10 limit=10"));
	for (unsigned i = 0; i < 6; i++)
		deliver(BOB, TEN);
	CU_ASSERT_EQUAL(events("quota-warning"), 3);
	CU_ASSERT_TRUE(
	    fake_log_contains("domain=example.org percent=80 unit=octets used=160 limit=200"));
	expunge_all(ANN);
	for (unsigned i = 0; i < 8; i++)
		deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-exceeded"), 0);
	CU_ASSERT_EQUAL(events("quota-warning"), 4);
	end();
}

static void tells_refusals_seldom(void)
{
	const struct pstn_quota account = {1, 0}, none = {0, 0};

	begin(account, none);
	deliver(ANN, TEN);
	deliver(BOB, TEN);
	for (unsigned i = 0; i < 50; i++) {
		CU_ASSERT_EQUAL(deliver(ANN, TEN), PSTN_E_QUOTA);
		CU_ASSERT_EQUAL(deliver(BOB, TEN), PSTN_E_QUOTA);
	}
	CU_ASSERT_EQUAL(events("quota-exceeded"), 2);
	CU_ASSERT_EQUAL(fake_metric(r.self, METRIC_REFUSED_QUOTA), 100);
	CU_ASSERT_TRUE(fake_log_contains("account set " ANN " --quota-messages N"));
	fake_advance(700000);
	deliver(ANN, TEN);
	CU_ASSERT_EQUAL(events("quota-exceeded"), 3);
	end();
}

static int file_with(const char *text)
{
	FILE *f = tmpfile();
	int fd = dup(fileno(f));

	fputs(text, f);
	fclose(f);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static const char *deliver_by_command(const char *user, const char *text)
{
	int fd = file_with(text);
	const char *answer = rig_command(&r, "mailbox deliver", user, NULL, NULL, "message", fd);

	close(fd);
	return answer;
}

static const struct sentence_case {
	struct pstn_quota account, domain;
	const char *sentence;
} sentence_cases[] = {
    {{2, 0},
     {0, 0},
     "ann@example.org holds 2 of 2 messages: the message was not delivered. Delete mail, or raise "
     "the quota: posternctl account set ann@example.org --quota-messages N"},
    {{0, 2048},
     {0, 0},
     "ann@example.org holds 20 octets of 2 KiB, and the message has 2.0 KiB: it was not delivered. "
     "Delete mail, or raise the quota: posternctl account set ann@example.org --quota-octets "
     "SIZE"},
    {{0, 0},
     {2, 0},
     "The domain example.org holds 2 of 2 messages: the message was not delivered. Delete mail, or "
     "raise the quota: posternctl domain set example.org --quota-messages N"},
    {{0, 0},
     {0, 2048},
     "The domain example.org holds 20 octets of 2 KiB, and the message has 2.0 KiB: it was not "
     "delivered. Delete mail, or raise the quota: posternctl domain set example.org --quota-octets "
     "SIZE"},
};

static void tells_the_deliverer(void)
{
	static char text[2041];

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < sizeof(sentence_cases) / sizeof(*sentence_cases); i++) {
		begin((struct pstn_quota){0, 0}, (struct pstn_quota){0, 0});
		deliver_by_command(ANN, TEN);
		CU_ASSERT_FALSE(rig_command_failed());
		deliver_by_command(ANN, TEN);
		rig_quota(sentence_cases[i].account, sentence_cases[i].domain);
		CU_ASSERT_STRING_EQUAL(deliver_by_command(ANN, text), sentence_cases[i].sentence);
		CU_ASSERT_TRUE(rig_command_failed());
		r.store->options.message_size_limit = 1024;
		rig_quota((struct pstn_quota){0, 0}, (struct pstn_quota){0, 0});
		CU_ASSERT_STRING_EQUAL(
		    deliver_by_command(ANN, text),
		    "The message was not delivered: it is larger than message_size_limit (1 KiB).");
		end();
	}
}

static void reports_usage(void)
{
	const struct pstn_quota account = {10, 0}, domain = {0, 80};
	const char *answer;

	begin(account, domain);
	deliver(ANN, TEN);
	deliver(ANN, TEN);
	answer = rig_command(&r, "mailbox quota", NULL, NULL, NULL, NULL, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(
	    answer,
	    "[{\"name\":\"ann@example.org\",\"messages\":2,\"messages_limit\":10,"
	    "\"messages_percent\":20,\"octets\":20,\"octets_limit\":0,\"octets_percent\":0}"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "{\"name\":\"empty@example.org\",\"messages\":0,"));
	answer = rig_command(&r, "mailbox quota", NULL, "owner", ANN, NULL, -1);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(answer, "{\"name\":\"example.org\",\"messages\":2,\"messages_limit\":0,"
			   "\"messages_percent\":0,\"octets\":20,\"octets_limit\":80,"
			   "\"octets_percent\":25}"));
	answer = rig_command(&r, "mailbox quota", NULL, "owner", "Example.ORG", NULL, -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "[{\"name\":\"example.org\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "empty@example.org"));
	answer = rig_command(&r, "mailbox quota", NULL, "owner", "example.com", NULL, -1);
	CU_ASSERT_TRUE(rig_command_failed());
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "no account \"example.com\""));
	end();
}

static void sizes_are_readable(void)
{
	static const struct {
		uint64_t octets;
		const char *text;
	} sizes[] = {{0, "0 octets"},
		     {1023, "1023 octets"},
		     {1024, "1 KiB"},
		     {1536, "1.5 KiB"},
		     {UINT64_C(256) << 20, "256 MiB"},
		     {UINT64_MAX, "16.0 EiB"}};
	char text[QUOTA_SIZE];

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		quota_size(sizes[i].octets, text);
		CU_ASSERT_STRING_EQUAL(text, sizes[i].text);
	}
}

static const struct suite_case cases[] = {
    {"each limit refuses beyond itself", refuses_beyond_each_limit},
    {"deliveries of one group count one after the other", counts_within_a_group},
    {"a refusal makes no folder", refusal_makes_nothing},
    {"what is there already is told so", there_already_comes_first},
    {"what is announced is refused at once", refuses_what_is_announced},
    {"what was not announced is refused while it comes", refuses_while_it_comes},
    {"deletes free quota at once", deletes_free_at_once},
    {"a lowered quota deletes nothing", lowered_quota_deletes_nothing},
    {"totals survive restart, rebuild, removal", totals_survive_a_rebuild},
    {"totals follow a renamed account", totals_follow_a_rename},
    {"a warning for each crossing", warns_once_per_crossing},
    {"a session is refused by a job", refuses_sessions_by_jobs},
    {"refusals are counted, and logged seldom", tells_refusals_seldom},
    {"the deliverer is told what is full", tells_the_deliverer},
    {"mailbox quota", reports_usage},
    {"sizes", sizes_are_readable},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("storage_quota", cases, argc > 1 ? argv[1] : NULL);
}
