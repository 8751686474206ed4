/*
 * quota_report.c - mailbox quota: what accounts and domains hold of what they may.
 */
#include "command/commands.h"
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

struct report {
	struct store *store;
	struct pstn_call *call;
	const char *domain;        /* only its accounts; NULL: all */
	struct pstn_account first; /* of the domain; id 0: none yet */
};

static void answer_share(struct report *r, const char *unit, uint64_t used, uint64_t limit)
{
	const struct pstn_call_ops *call = r->store->host->call;
	double percent = limit ? (double)used * 100 / (double)limit : 0;
	char key[32];

	call->integer(r->call, unit, (int64_t)used);
	snprintf(key, sizeof(key), "%s_limit", unit);
	call->integer(r->call, key, (int64_t)limit);
	snprintf(key, sizeof(key), "%s_percent", unit);
	call->integer(r->call, key, (int64_t)percent);
}

/* One line; first: the scope of its messages, behind which the one of its octets stands. */
static void answer_row(struct report *r, const char *name, const struct quota *q,
		       enum quota_scope first)
{
	const struct pstn_call_ops *call = r->store->host->call;

	call->open_object(r->call, NULL);
	call->text(r->call, "name", name);
	answer_share(r, "messages", q->used[first], q->limit[first]);
	answer_share(r, "octets", q->used[first + 1], q->limit[first + 1]);
	call->close(r->call);
}

static void answer_account(struct report *r, const struct pstn_account *account)
{
	struct quota q;

	quota_usage(r->store, account, &q);
	answer_row(r, account->name, &q, QUOTA_ACCOUNT_MESSAGES);
}

static void answer_domain(struct report *r, const struct pstn_account *account)
{
	const char *at = strrchr(account->name, '@');
	struct quota q;

	quota_usage(r->store, account, &q);
	if (at)
		answer_row(r, at + 1, &q, QUOTA_DOMAIN_MESSAGES);
}

static bool in_domain(const struct report *r, const struct pstn_account *account)
{
	const char *at = strrchr(account->name, '@');

	return at && strcasecmp(at + 1, r->domain) == 0;
}

static bool find_first(void *arg, const struct pstn_account *account)
{
	struct report *r = arg;

	if (in_domain(r, account))
		r->first = *account;
	return r->first.id == 0;
}

static bool report_one(void *arg, const struct pstn_account *account)
{
	struct report *r = arg;

	if (!r->domain || in_domain(r, account))
		answer_account(r, account);
	return !r->store->host->call->cancelled(r->call);
}

static void report_all(struct report *r)
{
	const struct pstn_call_ops *call = r->store->host->call;
	int status;

	call->open_array(r->call, NULL);
	if (r->domain)
		answer_domain(r, &r->first);
	status = r->store->directory->each(r->store->directory_inst, report_one, r);
	call->close(r->call);
	if (status != PSTN_OK)
		call->fail(r->call, "The accounts could not be listed: %s.",
			   command_reason(status));
}

static void report_owner(struct report *r, const char *owner)
{
	struct store *st = r->store;
	const struct pstn_call_ops *call = st->host->call;
	struct pstn_account account = {.size = sizeof(account)};

	if (st->directory->lookup(st->directory_inst, owner, &account) == PSTN_OK) {
		call->open_array(r->call, NULL);
		answer_account(r, &account);
		answer_domain(r, &account);
		call->close(r->call);
		return;
	}
	r->domain = owner;
	st->directory->each(st->directory_inst, find_first, r);
	if (r->first.id)
		report_all(r);
	else
		call->fail(r->call,
			   "There is no account \"%s\", and no domain of that name with accounts. "
			   "`account list` and `domain list` show what there is.",
			   owner);
}

void command_quota(void *inst, struct pstn_call *c)
{
	struct report r = {.store = inst, .call = c};
	const char *owner = r.store->host->call->arg(c, "owner");

	if (owner)
		report_owner(&r, owner);
	else
		report_all(&r);
}
