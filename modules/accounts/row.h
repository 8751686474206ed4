/*
 * row.h - one account's row: as the module works with it, and as octets in the database.
 *
 * The octets are a list of (tag, length, value), so that later versions can add what they need.
 * A field that this version does not know is carried along unchanged when it rewrites a row; one
 * whose tag says that it must be understood makes the row unusable. See docs/accounts-format.md.
 */
#ifndef ACCOUNTS_ROW_H
#define ACCOUNTS_ROW_H

#include "name.h"
#include "verifier.h"

enum { ROW_SERVICES_MAX = 16, ROW_SIZE_MAX = 4096, ROW_OTHER_MAX = 2048 };

/* session_limit of a row that has none of its own. */
#define ROW_DEFAULT_LIMIT UINT32_MAX

/* What may be held at most. 0: as the domain says, or the configuration. */
struct limits {
	uint64_t messages, octets;
};
#define LIMIT_DEFAULT 0
#define LIMIT_NONE    UINT64_MAX

struct row {
	uint64_t id;
	uint64_t revision;         /* the transaction that last wrote it */
	uint64_t created, changed; /* seconds since 1970 */
	uint32_t session_limit;
	struct limits quota;
	bool disabled;
	unsigned ndenied; /* services that the account may not use */
	char denied[ROW_SERVICES_MAX][NAME_SERVICE_MAX + 1];
	char verifier[VERIFIER_SIZE];
	size_t other_length; /* fields of later versions, as they were read */
	unsigned char other[ROW_OTHER_MAX];
	/* Of its domain, read together with the row and not in its octets: what all accounts of the
	 * domain may hold together, and what an account may that has no limits of its own. */
	struct limits domain_quota, domain_default;
};

bool row_may_use(const struct row *, const char *service);
/* false: there is no room for one more denied service. */
bool row_deny(struct row *, const char *service);
void row_allow(struct row *, const char *service);

/* Octets written to out (ROW_SIZE_MAX). */
size_t row_encode(const struct row *, unsigned char *out);
/* NULL, or why the octets are no row that can be used. */
const char *row_decode(const void *octets, size_t n, struct row *);

#endif
