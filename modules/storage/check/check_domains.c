/*
 * check_domains.c - the totals of domains against those of the accounts whose names end in them:
 * all in one transaction, one row for each account.
 */
#include "checker.h"

#include "format/checksum.h"
#include "store.h"

#include <errno.h>
#include <string.h>

struct sum { /* found by the hash of the domain's name: memory for names is not needed */
	uint64_t hash, messages, octets;
	bool used, seen;
};

struct sums {
	struct checker *k;
	MDB_txn *txn;
	struct sum *table; /* open addressing */
	size_t room;
};

const char *check_domain_of(const char *account)
{
	const char *at = strrchr(account, '@');

	return at && at[1] && strlen(at + 1) <= DOMAIN_MAX ? at + 1 : NULL;
}

static struct sum *place(struct sums *s, const char *domain)
{
	uint64_t hash = XXH3_64bits(domain, strlen(domain));
	size_t i = (size_t)(hash % s->room);

	while (s->table[i].used && s->table[i].hash != hash)
		i = (i + 1) % s->room;
	s->table[i].used = true;
	s->table[i].hash = hash;
	return &s->table[i];
}

static void differs(struct sums *s, const char *domain)
{
	struct fault f = {.kind = FAULT_DOMAIN_TOTALS};

	memcpy(f.name, domain, strlen(domain) + 1);
	checker_add(s->k, &f);
}

static int each_account(struct sums *s,
			void (*each)(struct sums *, const char *domain, const struct account_row *))
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(s->txn, s->k->store->index.accounts, &c);

	if (rc != 0)
		return rc;
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		struct account_row row;
		const char *domain;

		if (k.mv_size != KEY_ACCOUNT ||
		    !account_row_get(&row, k.mv_data, v.mv_data, v.mv_size))
			continue;
		domain = check_domain_of(row.name);
		if (domain)
			each(s, domain, &row);
	}
	mdb_cursor_close(c);
	return 0;
}

static void add(struct sums *s, const char *domain, const struct account_row *row)
{
	struct sum *sum = place(s, domain);

	sum->messages += row->messages;
	sum->octets += row->octets;
}

static int compare_rows(struct sums *s)
{
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(s->txn, s->k->store->index.domains, &c);

	if (rc != 0)
		return rc;
	while (mdb_cursor_get(c, &k, &v, MDB_NEXT) == 0) {
		char domain[DOMAIN_MAX + 1] = "";
		struct domain_row row;
		struct sum *sum;

		if (k.mv_size == 0 || k.mv_size > DOMAIN_MAX)
			continue;
		memcpy(domain, k.mv_data, k.mv_size);
		sum = place(s, domain);
		sum->seen = true;
		if (!domain_row_get(&row, domain, v.mv_data, v.mv_size) ||
		    row.messages != sum->messages || row.octets != sum->octets)
			differs(s, domain);
	}
	mdb_cursor_close(c);
	return 0;
}

/* A domain without a row holds nothing. */
static void look_for_row(struct sums *s, const char *domain, const struct account_row *row)
{
	struct sum *sum = place(s, domain);

	(void)row;
	if (!sum->seen && (sum->messages || sum->octets))
		differs(s, domain);
	sum->seen = true;
}

void check_domains(struct checker *k)
{
	struct sums s = {.k = k};
	struct store *st = k->store;
	MDB_stat accounts, domains;

	k->error = index_read(&st->index, &s.txn);
	if (k->error)
		return;
	k->error = mdb_stat(s.txn, st->index.accounts, &accounts);
	if (k->error == 0)
		k->error = mdb_stat(s.txn, st->index.domains, &domains);
	if (k->error == 0) {
		s.room = (accounts.ms_entries + domains.ms_entries) * 2 + 8;
		s.table = store_alloc(st, s.room * sizeof(*s.table));
		k->error = s.table ? each_account(&s, add) : ENOMEM;
	}
	if (k->error == 0)
		k->error = compare_rows(&s);
	if (k->error == 0)
		k->error = each_account(&s, look_for_row);
	store_free(st, s.table);
	index_read_end(&st->index, s.txn);
}
