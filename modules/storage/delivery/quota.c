/*
 * quota.c - judging by quota: exactly under the write lock, and early, before anything is sent.
 */
#include "quota.h"

#include "store.h"

#include <string.h>

void quota_of(struct quota *q, const struct pstn_account *account)
{
	*q =
	    (struct quota){.limit = {account->quota.messages, account->quota.octets,
				     account->domain_quota.messages, account->domain_quota.octets}};
}

bool quota_limits(const struct quota *q)
{
	for (unsigned i = 0; i < QUOTA_SCOPES; i++) {
		if (q->limit[i])
			return true;
	}
	return false;
}

static bool counts_octets(unsigned scope)
{
	return scope == QUOTA_ACCOUNT_OCTETS || scope == QUOTA_DOMAIN_OCTETS;
}

static uint64_t added(const struct quota *q, unsigned scope, uint64_t messages)
{
	return counts_octets(scope) ? q->added : messages;
}

/* PSTN_OK, or PSTN_E_QUOTA and the breach. What holds too much already takes nothing more. */
static int compare(struct quota *q, uint64_t messages)
{
	for (unsigned i = 0; i < QUOTA_SCOPES; i++) {
		uint64_t more = added(q, i, messages);

		if (q->limit[i] == 0 || more == 0)
			continue;
		if (q->used[i] < q->limit[i] && more <= q->limit[i] - q->used[i])
			continue;
		q->breach = (enum quota_scope)i;
		return PSTN_E_QUOTA;
	}
	return PSTN_OK;
}

/* How much `percent` of the limit is, rounded up. */
static uint64_t share(uint64_t limit, uint64_t percent)
{
	return limit / 100 * percent + (limit % 100 * percent + 99) / 100;
}

static void find_crossed(struct quota *q, const struct pstn_list *warnings, uint64_t messages)
{
	const int64_t *percents = warnings->items;

	for (unsigned i = 0; i < QUOTA_SCOPES; i++) {
		uint64_t after = q->used[i] + added(q, i, messages);

		q->crossed[i] = 0;
		for (uint32_t k = 0; q->limit[i] && k < warnings->count; k++) {
			uint32_t percent = (uint32_t)percents[k];
			uint64_t at = share(q->limit[i], percent);

			if (q->used[i] < at && after >= at && percent > q->crossed[i])
				q->crossed[i] = percent;
		}
	}
}

int quota_judge(struct apply *a, uint64_t account, struct quota *q, uint64_t messages,
		uint64_t octets, int *status)
{
	struct account_row *owner;
	struct domain_row *domain = NULL;
	int rc;

	*status = PSTN_OK;
	if (!quota_limits(q))
		return 0;
	rc = apply_owner(a, account, &owner);
	if (rc == 0)
		rc = apply_domain(a, owner->name, &domain);
	if (rc != 0)
		return rc;
	q->added = octets;
	q->used[QUOTA_ACCOUNT_MESSAGES] = owner->messages;
	q->used[QUOTA_ACCOUNT_OCTETS] = owner->octets;
	q->used[QUOTA_DOMAIN_MESSAGES] = domain ? domain->messages : 0;
	q->used[QUOTA_DOMAIN_OCTETS] = domain ? domain->octets : 0;
	*status = compare(q, messages);
	find_crossed(q, &a->index->store->options.quota_warnings, messages);
	return 0;
}

static bool read_usage(struct store *st, uint64_t account, const char *name, struct quota *q)
{
	struct account_row owner = {0};
	struct domain_row domain = {0};
	const char *at = strrchr(name, '@');
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	if (rc != 0)
		return false;
	rc = index_account(&st->index, txn, account, &owner);
	if ((rc == 0 || rc == MDB_NOTFOUND) && at)
		rc = index_domain(&st->index, txn, at + 1, &domain);
	index_read_end(&st->index, txn);
	q->used[QUOTA_ACCOUNT_MESSAGES] = owner.messages;
	q->used[QUOTA_ACCOUNT_OCTETS] = owner.octets;
	q->used[QUOTA_DOMAIN_MESSAGES] = domain.messages;
	q->used[QUOTA_DOMAIN_OCTETS] = domain.octets;
	return rc == 0 || rc == MDB_NOTFOUND;
}

void quota_usage(struct store *st, const struct pstn_account *account, struct quota *q)
{
	quota_of(q, account);
	read_usage(st, account->id, account->name, q);
}

int quota_expect(struct store *st, uint64_t account, const char *name, struct quota *q,
		 uint64_t octets)
{
	if (!quota_limits(q) || !read_usage(st, account, name, q))
		return PSTN_OK;
	q->added = octets;
	return compare(q, 1);
}

uint64_t quota_room(const struct quota *q)
{
	uint64_t room = UINT64_MAX;

	for (unsigned i = 0; i < QUOTA_SCOPES; i++) {
		if (!counts_octets(i) || q->limit[i] == 0)
			continue;
		if (q->used[i] >= q->limit[i])
			return 0;
		if (q->limit[i] - q->used[i] < room)
			room = q->limit[i] - q->used[i];
	}
	return room;
}
