/*
 * store_domains.c - the domains that accounts are in, each with how many there are.
 *
 * A domain's value is numbers of eight octets, low octet first: created, accounts, then the limits,
 * which may be missing. Whatever later versions put behind them is carried along.
 */
#include "store_private.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { NUMBERS = 6, NUMBERS_MIN = 2, VALUE_MAX = 1024 };

static int decode(const MDB_val *data, struct domain *d)
{
	uint64_t numbers[NUMBERS] = {0};

	if (data->mv_size < NUMBERS_MIN * sizeof(*numbers) || data->mv_size > VALUE_MAX)
		return MDB_CORRUPTED;
	for (size_t i = 0; i < sizeof(numbers) && i < data->mv_size; i++)
		numbers[i / 8] |= (uint64_t)((unsigned char *)data->mv_data)[i] << (8 * (i % 8));
	*d = (struct domain){.created = numbers[0],
			     .accounts = numbers[1],
			     .quota = {numbers[2], numbers[3]},
			     .account_quota = {numbers[4], numbers[5]}};
	return 0;
}

/* old: the value so far, or NULL. */
static int put(struct store *st, MDB_txn *txn, MDB_val key, const struct domain *d,
	       const MDB_val *old)
{
	unsigned char octets[VALUE_MAX];
	const uint64_t numbers[NUMBERS] = {d->created,
					   d->accounts,
					   d->quota.messages,
					   d->quota.octets,
					   d->account_quota.messages,
					   d->account_quota.octets};
	MDB_val data = {sizeof(numbers), octets};

	if (old)
		memcpy(octets, old->mv_data, old->mv_size);
	if (old && old->mv_size > sizeof(numbers))
		data.mv_size = old->mv_size;
	for (size_t i = 0; i < sizeof(numbers); i++)
		octets[i] = (unsigned char)(numbers[i / 8] >> (8 * (i % 8)));
	return mdb_put(txn, st->domains, &key, &data, 0);
}

static int get(struct store *st, MDB_txn *txn, MDB_val key, struct domain *d, MDB_val *data)
{
	int rc = mdb_get(txn, st->domains, &key, data);

	return rc ? rc : decode(data, d);
}

int store_domain_count(struct store *st, MDB_txn *txn, const char *account, int by,
		       bool *new_domain)
{
	MDB_val key = store_key(strchr(account, '@') + 1), data;
	struct domain d = {.created = (uint64_t)time(NULL)};
	int rc = get(st, txn, key, &d, &data);

	*new_domain = rc == MDB_NOTFOUND;
	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	if (by > 0 || d.accounts > 0)
		d.accounts += (uint64_t)(int64_t)by;
	return put(st, txn, key, &d, *new_domain ? NULL : &data);
}

int store_domain_limits(struct store *st, MDB_txn *txn, const char *account, struct row *row)
{
	struct domain d = {0};
	MDB_val data;
	int rc = get(st, txn, store_key(strchr(account, '@') + 1), &d, &data);

	if (rc != 0 && rc != MDB_NOTFOUND)
		return rc;
	row->domain_quota = d.quota;
	row->domain_default = d.account_quota;
	return 0;
}

int store_domain_add(struct store *st, const char *name)
{
	static const char doing[] = "adding a domain";
	const struct domain d = {.created = (uint64_t)time(NULL)};
	struct domain old;
	MDB_val data;
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	rc = get(st, txn, store_key(name), &old, &data);
	if (rc == MDB_NOTFOUND)
		rc = put(st, txn, store_key(name), &d, NULL);
	else if (rc == 0)
		rc = PSTN_E_EXISTS;
	return store_end(st, txn, rc, doing);
}

int store_domain_change(struct store *st, const char *name,
			void (*edit)(void *arg, struct domain *), void *arg, struct domain *out)
{
	static const char doing[] = "changing a domain";
	MDB_val data;
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	rc = get(st, txn, store_key(name), out, &data);
	if (rc == 0) {
		edit(arg, out);
		rc = put(st, txn, store_key(name), out, &data);
	}
	return store_end(st, txn, rc, doing);
}

int store_domain_remove(struct store *st, const char *name, uint64_t *accounts)
{
	static const char doing[] = "removing a domain";
	MDB_val key = store_key(name), data;
	struct domain d;
	MDB_txn *txn;
	int rc = store_begin(st, 0, &txn);

	if (rc != 0)
		return store_end(st, NULL, rc, doing);
	rc = get(st, txn, key, &d, &data);
	if (rc == 0) {
		*accounts = d.accounts;
		rc = d.accounts ? PSTN_E_BUSY : mdb_del(txn, st->domains, &key, NULL);
	}
	return store_end(st, txn, rc, doing);
}

int store_domain_each(struct store *st,
		      bool (*each)(void *, const char *name, const struct domain *), void *arg)
{
	MDB_cursor *cursor = NULL;
	MDB_val key, data;
	MDB_txn *txn = NULL;
	char name[NAME_SIZE];
	struct domain d;
	int rc = store_begin(st, MDB_RDONLY, &txn);

	if (rc == 0)
		rc = mdb_cursor_open(txn, st->domains, &cursor);
	while (rc == 0 && (rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT)) == 0) {
		rc = decode(&data, &d);
		snprintf(name, sizeof(name), "%.*s", (int)key.mv_size, (char *)key.mv_data);
		if (rc == 0 && !each(arg, name, &d))
			break;
	}
	if (cursor)
		mdb_cursor_close(cursor);
	if (txn)
		mdb_txn_abort(txn);
	return store_end(st, NULL, rc == MDB_NOTFOUND ? 0 : rc, "listing domains");
}
