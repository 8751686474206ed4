/*
 * accounts.c - the accounts module: its options, its offers, starting and testing an instance.
 */
#include "accounts.h"

#include <stdio.h>
#include <string.h>

/* ---- what an administrator can set ---- */

static const struct pstn_option options[] = {
    PSTN_OPT_STRING(struct accounts_conf, default_domain, .def = "",
		    .help = "The domain of names that are written without one, at login and in "
			    "commands. Without it such names are refused."),
    PSTN_OPT_ENUM(struct accounts_conf, scheme, .def = "scram-sha-256",
		  .choices = verifier_scheme_names,
		  .help = "How new passwords are kept. scram-sha-256 also serves the mechanism of "
			  "that name; yescrypt is harder to break and takes 16 MiB and about "
			  "20 ms to check. Present passwords stay as they are."),
    PSTN_OPT_INT(
	struct accounts_conf, scram_iterations, .def = "10000", .min = "4096", .max = "1000000",
	.help = "The cost of a new scram-sha-256 verifier; 10000 take about 3 ms to check."),
    PSTN_OPT_INT(struct accounts_conf, password_max, .def = "256", .min = "8", .max = "1024",
		 .help = "The longest password accepted, in octets."),
    PSTN_OPT_INT(struct accounts_conf, session_limit, .def = "0", .min = "0", .max = "1000000",
		 .help = "Simultaneous sessions of an account that has no limit of its own; "
			 "0 is no limit."),
    PSTN_OPT_INT(struct accounts_conf, account_quota_messages, .def = "0", .min = "0",
		 .max = "4294967294",
		 .help = "How many messages an account may hold, over all folders, if neither it "
			 "nor its domain says otherwise; 0 is no limit."),
    PSTN_OPT_BYTES(struct accounts_conf, account_quota_octets, .def = "0", .min = "0",
		   .max = "1024TiB", .help = "The same for the size of all its messages together."),
    PSTN_OPT_INT(struct accounts_conf, domain_quota_messages, .def = "0", .min = "0",
		 .max = "1000000000000000",
		 .help = "How many messages all accounts of a domain together may hold, if the "
			 "domain does not say otherwise; 0 is no limit."),
    PSTN_OPT_BYTES(struct accounts_conf, domain_quota_octets, .def = "0", .min = "0",
		   .max = "1024TiB", .help = "The same for the size of all their messages."),
    PSTN_OPT_DURATION(struct accounts_conf, cache_ttl, .def = "10m", .min = "0", .max = "1d",
		      .help = "For so long a password that was right is known to be right without "
			      "hashing it again. A change of the account counts at once all the "
			      "same. 0 turns it off."),
    PSTN_OPT_INT(struct accounts_conf, cache_size, .def = "65536", .min = "0", .max = "16777216",
		 .help = "How many credentials are remembered, 88 bytes each. 0 turns it off."),
    {0},
};

static const struct pstn_metric metrics[] = {
    [METRIC_VERIFIED] = {"verified_total", PSTN_COUNTER, "Credentials that were right."},
    [METRIC_CACHED] = {"verified_cached_total", PSTN_COUNTER,
		       "Of these, known from a short while ago and answered at once."},
    [METRIC_DENIED] = {"denied_total", PSTN_COUNTER,
		       "Credentials that were wrong, or of accounts that may not log in."},
    [METRIC_FAILED] = {"verify_failed_total", PSTN_COUNTER,
		       "Credentials that could not be checked."},
    [METRIC_HASHES] = {"password_hashes_total", PSTN_COUNTER, "Password hashes computed."},
    {0},
};

/* ---- starting and stopping ---- */

uint32_t accounts_session_limit(const struct accounts *a, const struct row *row)
{
	return row->session_limit == ROW_DEFAULT_LIMIT ? (uint32_t)a->conf->session_limit
						       : row->session_limit;
}

/* The first that says something; 0 is no limit. */
static uint64_t first_limit(uint64_t own, uint64_t domain, uint64_t configured)
{
	uint64_t limit = own != LIMIT_DEFAULT ? own : domain != LIMIT_DEFAULT ? domain : configured;

	return limit == LIMIT_NONE ? 0 : limit;
}

struct pstn_quota accounts_quota(const struct accounts *a, const struct row *row)
{
	const struct limits *own = &row->quota, *domain = &row->domain_default;

	return (struct pstn_quota){
	    first_limit(own->messages, domain->messages, (uint64_t)a->conf->account_quota_messages),
	    first_limit(own->octets, domain->octets, a->conf->account_quota_octets)};
}

struct pstn_quota accounts_domain_quota(const struct accounts *a, const struct limits *own)
{
	return (struct pstn_quota){
	    first_limit(own->messages, LIMIT_DEFAULT, (uint64_t)a->conf->domain_quota_messages),
	    first_limit(own->octets, LIMIT_DEFAULT, a->conf->domain_quota_octets)};
}

int accounts_make_verifier(struct accounts *a, int scheme, const char *password, char *out)
{
	void *scratch = a->host->alloc(a->self, VERIFIER_SCRATCH);
	int result;

	if (!scratch)
		return -1;
	result = verifier_make(scheme < 0 ? (enum verifier_scheme)a->conf->scheme
					  : (enum verifier_scheme)scheme,
			       (unsigned)a->conf->scram_iterations, password, out, scratch);
	a->host->free(a->self, scratch);
	return result;
}

static void stop(void *inst)
{
	struct accounts *a = inst;

	cache_free(a->cache);
	store_close(a->store);
	a->host->free(a->self, a);
}

static int start_parts(struct accounts *a, char *err, size_t errlen)
{
	char domain[NAME_SIZE];
	const char *why =
	    *a->conf->default_domain ? name_domain(a->conf->default_domain, domain) : NULL;

	if (why) {
		snprintf(err, errlen, "default_domain %s: it %s", a->conf->default_domain, why);
		return -1;
	}
	a->store = store_open(a->host, a->self, err, errlen);
	if (!a->store)
		return -1;
	a->cache = cache_new(a->host, a->self, (uint64_t)a->conf->cache_size, a->conf->cache_ttl);
	/* Nobody's password: whatever is compared with it, the answer is no. */
	if (!a->cache || accounts_make_verifier(a, -1, "nobody", a->nobody) != 0) {
		snprintf(err, errlen, "no memory, no random numbers, or libcrypto does not work");
		return -1;
	}
	return 0;
}

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct accounts *a = host->alloc(self, sizeof(*a));

	if (!a) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	a->host = host;
	a->self = self;
	a->conf = conf;
	if (start_parts(a, err, errlen) == 0)
		return a;
	stop(a);
	return NULL;
}

/* ---- self-test ---- */

/* The keys behind RFC 7677 section 3's example, and a crypt(3) string that is quick to check. */
static const struct known {
	const char *verifier, *password;
} known[] = {
    {"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
     "pencil"},
    {"$5$saltsalt$hl9BvcGsj7AkON13nbqeQHDgRpHyFxt7WDzLoS.OCQ/", "pencil"},
};

static int test_verifiers(struct accounts *a, char *err, size_t errlen)
{
	void *scratch = a->host->alloc(a->self, VERIFIER_SCRATCH);
	int bad = scratch ? 0 : -1;

	for (size_t i = 0; !bad && i < sizeof(known) / sizeof(known[0]); i++) {
		if (verifier_check(known[i].verifier, known[i].password, scratch) != 1 ||
		    verifier_check(known[i].verifier, "Pencil", scratch) != 0)
			bad = -1;
	}
	if (scratch)
		a->host->free(a->self, scratch);
	if (bad)
		snprintf(err, errlen, "libcrypto or libcrypt computes a wrong password hash");
	return bad;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	enum { ROWS = 1000 };
	struct accounts *a = inst;

	return store_check(a->store, ROWS, err, errlen) != 0 ? -1 : test_verifiers(a, err, errlen);
}

/* ---- the module ---- */

static const struct pstn_offer offers[] = {
    {PSTN_ACCOUNTS_DIRECTORY, 2, 0, &accounts_directory},
    {PSTN_CONTROL_COMMANDS, 1, 2, &accounts_commands},
    {0},
};

PSTN_EXPORT extern const struct pstn_module pstn_module;
const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "accounts",
    .version = "1.0.0",
    .summary = "accounts and domains in an embedded database",
    .conf_size = sizeof(struct accounts_conf),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .start = start,
    .self_test = self_test,
    .stop = stop,
};
