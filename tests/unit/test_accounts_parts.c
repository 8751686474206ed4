/*
 * test_accounts_parts.c - the accounts module's pure parts: names, verifiers, rows, and the cache.
 */
#include "fake_host.h"

#include "modules/accounts/cache.h"
#include "modules/accounts/name.h"
#include "modules/accounts/row.h"
#include "modules/accounts/verifier.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define X8       "xxxxxxxx"
#define X64      X8 X8 X8 X8 X8 X8 X8 X8

/* ---- names ---- */

static const struct name_case {
	const char *text, *default_domain;
	const char *name; /* NULL: refused */
	const char *why;  /* part of the reason */
} name_cases[] = {
    {"anna@example.org", "", "anna@example.org", NULL},
    {"Anna.Berg@EXAMPLE.Org", "", "anna.berg@example.org", NULL},
    {"anna", "Example.org", "anna@example.org", NULL},
    {"a+b=c&d'e{f}|~!#$%*?^_`-@x", "", "a+b=c&d'e{f}|~!#$%*?^_`-@x", NULL},
    {"j\xc3\xb6rg@b\xc3\xbc"
     "cher.example",
     "",
     "j\xc3\xb6rg@b\xc3\xbc"
     "cher.example",
     NULL},
    {X64 "@x", "", X64 "@x", NULL},
    {"anna", "", NULL, "no domain"},
    {"anna@", "example.org", NULL, "no domain after"},
    {"@example.org", "", NULL, "nothing before"},
    {"", "example.org", NULL, "empty"},
    {"a@b@c", "", NULL, "more than one '@'"},
    {"a/b@c", "", NULL, "'/'"},
    {"../etc/passwd@c", "", NULL, "begins with a dot"},
    {"a..b@c", "", NULL, "'..'"},
    {".a@c", "", NULL, "begins with a dot"},
    {"a.@c", "", NULL, "ends with a dot"},
    {"a@c.", "", NULL, "ends with a dot"},
    {"a@.c", "", NULL, "begins with a dot"},
    {"a@b..c", "", NULL, "'..'"},
    {"a@-b.c", "", NULL, "'-'"},
    {"a@b-.c", "", NULL, "'-'"},
    {"a@b.c-", "", NULL, "'-'"},
    {"a b@c", "", NULL, "space"},
    {"a@c ", "", NULL, "space"},
    {"a\r\n@c", "", NULL, "control"},
    {"a\x7f@c", "", NULL, "control"},
    {"\"a\"@c", "", NULL, "cannot have"},
    {"a@[127.0.0.1]", "", NULL, "cannot have"},
    {"a:b@c", "", NULL, "cannot have"},
    {"a@c+d", "", NULL, "cannot have"},
    {"a\xff@c", "", NULL, "UTF-8"},
    {"a\xc0\xaf@c", "", NULL, "UTF-8"},
    {"a\xed\xa0\x80@c", "", NULL, "UTF-8"},
    {"a\xf4\x90\x80\x80@c", "", NULL, "UTF-8"},
    {"a\xe2\x82", "c", NULL, "UTF-8"},
    {"a\xc2\x85@c", "", NULL, "invisible"},
    {"a\xe2\x80\xae@c", "", NULL, "invisible"},
    {"a\xef\xbb\xbf@c", "", NULL, "invisible"},
    {X64 "x@c", "", NULL, "64 octets"},
    {X64 "x", "c", NULL, "64 octets"},
    {"a@" X64, "", NULL, "63 octets"},
};

static void test_names(void)
{
	for (size_t i = 0; i < COUNT(name_cases); i++) {
		const struct name_case *c = &name_cases[i];
		char out[NAME_SIZE] = "";
		const char *why = name_account(c->text, c->default_domain, out);

		if (c->name) {
			CU_ASSERT_PTR_NULL(why);
			CU_ASSERT_STRING_EQUAL(out, c->name);
		} else {
			CU_ASSERT_PTR_NOT_NULL_FATAL(why);
			if (!strstr(why, c->why))
				printf("\n%s: %s, not %s\n", c->text, why, c->why);
			CU_ASSERT_PTR_NOT_NULL(strstr(why, c->why));
		}
	}
}

static void test_longest_name(void)
{
	char text[400], out[NAME_SIZE];
	size_t n = (size_t)sprintf(text, "%s@", X64);

	while (n < PSTN_ACCOUNT_NAME_MAX)
		n += (size_t)sprintf(text + n, "%s", n % 2 == 0 || n == 65 ? "b" : ".");
	CU_ASSERT_PTR_NULL(name_account(text, "", out));
	CU_ASSERT_EQUAL(strlen(out), PSTN_ACCOUNT_NAME_MAX);
	strcpy(text + n, "x");
	CU_ASSERT_PTR_NOT_NULL(name_account(text, "", out));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	CU_ASSERT_PTR_NOT_NULL(name_account(text, "", out));
	text[1] = '@';
	CU_ASSERT_PTR_NOT_NULL(name_account(text, "", out));
}

static void test_service_names(void)
{
	CU_ASSERT_PTR_NULL(name_service("pop3"));
	CU_ASSERT_PTR_NULL(name_service("pop3-intern.2"));
	CU_ASSERT_PTR_NOT_NULL(name_service(""));
	CU_ASSERT_PTR_NOT_NULL(name_service("pop 3"));
	CU_ASSERT_PTR_NOT_NULL(name_service("pop\n"));
	CU_ASSERT_PTR_NOT_NULL(name_service(X64));
}

/* ---- verifiers ---- */

#define SALT     "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED   "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER   "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define RFC_7677 "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER
#define HASH86                                                                         \
	"rD9fW1BwIrjB90WCgCTdIQc3phTBhf04I6Iw/XlgKD9E9aEbzqGZipjiFxGo/4wWXDA6jV6/vZO." \
	"kKdDSfUJb0"
#define HASH43 "hl9BvcGsj7AkON13nbqeQHDgRpHyFxt7WDzLoS.OCQ/"

/* From the specification's test vectors: "Unix crypt using SHA-256 and SHA-512" */
#define SPECIFIED "$5$rounds=10000$saltstringsaltst$3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"

static const struct verifier_case {
	const char *text, *kind;
	const char *password; /* that is right; NULL: the verifier is refused */
	const char *why;
} verifier_cases[] = {
    {RFC_7677, "scram-sha-256", "pencil", NULL},
    {"$5$saltsalt$" HASH43, "sha256crypt", "pencil", NULL},
    {"$6$saltsalt$" HASH86, "sha512crypt", "pencil", NULL},
    {"$y$j75$saltsalt$o2gXFxBM7mhtEM8a8zhzk4Y6PnNRiSjgCeVNxKApSc8", "yescrypt", "pencil", NULL},
    {"$2b$04$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2", "bcrypt", "pencil", NULL},
    {SPECIFIED, "sha256crypt", NULL, NULL},
    {"", "unknown", NULL, "kind"},
    {"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", "unknown", NULL, "kind"},
    {"pencil", "unknown", NULL, "kind"},
    {"$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "unknown", NULL, "kind"},
    {"abJnggxhB/yWI", "unknown", NULL, "kind"},
    {"SCRAM-SHA-256$", "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER "x", "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:" SALT "$" STORED ":" SALT, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:$" STORED ":" SERVER, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:W22Z aJ0SNY7soEsUEjb6gQ=$" STORED ":" SERVER, "scram-sha-256", NULL,
     "is not SCRAM"},
    {"SCRAM-SHA-256$4096:====$" STORED ":" SERVER, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gR==$" STORED ":" SERVER, "scram-sha-256", NULL,
     "is not SCRAM"},
    {"SCRAM-SHA-256$ 4096:" SALT "$" STORED ":" SERVER, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$-1:" SALT "$" STORED ":" SERVER, "scram-sha-256", NULL, "is not SCRAM"},
    {"SCRAM-SHA-256$4095:" SALT "$" STORED ":" SERVER, "scram-sha-256", NULL, "fewer"},
    {"SCRAM-SHA-256$1000001:" SALT "$" STORED ":" SERVER, "scram-sha-256", NULL, "more"},
    {"SCRAM-SHA-256$99999999999999999999:" SALT "$" STORED ":" SERVER, "scram-sha-256", NULL,
     "more"},
    {"$y$jFT$saltsalt$o2gXFxBM7mhtEM8a8zhzk4Y6PnNRiSjgCeVNxKApSc8", "yescrypt", NULL, "too long"},
    {"$y$j9T$saltsalt$short", "yescrypt", NULL, "complete"},
    {"$y$", "yescrypt", NULL, "complete"},
    {"$y$j9T", "yescrypt", NULL, "complete"},
    {"$6$rounds=999999999$saltsalt$" HASH86, "sha512crypt", NULL, "too long"},
    {"$6$rounds=10$saltsalt$" HASH86, "sha512crypt", NULL, "few rounds"},
    {"$6$rounds=$saltsalt$" HASH86, "sha512crypt", NULL, "complete"},
    {"$6$saltsalt$", "sha512crypt", NULL, "complete"},
    {"$6$saltsalt$" HASH86 "x", "sha512crypt", NULL, "complete"},
    {"$6$salt\nsalt$" HASH86, "sha512crypt", NULL, "complete"},
    {"$2b$31$abcdefghijklmnopqrstuu/FyAyuZSl3DbPdvio4KrIBdz2k2yhV2", "bcrypt", NULL, "too long"},
    {"$2b$04$abcdefghijklmnopqrstuu", "bcrypt", NULL, "complete"},
};

static void test_verifiers(void)
{
	void *scratch = calloc(1, VERIFIER_SCRATCH);

	for (size_t i = 0; i < COUNT(verifier_cases); i++) {
		const struct verifier_case *c = &verifier_cases[i];
		const char *why = verifier_refusal(c->text);

		CU_ASSERT_STRING_EQUAL(verifier_kind(c->text), c->kind);
		if (!c->why) {
			CU_ASSERT_PTR_NULL(why);
		} else {
			if (!why || !strstr(why, c->why))
				printf("\n%s: %s\n", c->text, why ? why : "accepted");
			CU_ASSERT_TRUE(why && strstr(why, c->why));
			CU_ASSERT_EQUAL(verifier_check(c->text, "pencil", scratch), -1);
		}
		if (c->password) {
			CU_ASSERT_EQUAL(verifier_check(c->text, c->password, scratch), 1);
			CU_ASSERT_EQUAL(verifier_check(c->text, "Pencil", scratch), 0);
			CU_ASSERT_EQUAL(verifier_check(c->text, "", scratch), 0);
		}
	}
	CU_ASSERT_EQUAL(verifier_check(SPECIFIED, "Hello world!", scratch), 1);
	free(scratch);
}

static void test_made_verifiers(void)
{
	static const char *const passwords[] = {"a", "with space",
						"gr\xc3\xbc\xc3\x9f"
						"e",
						"\x01\xff\x7f", X64 X64 X64 X64};
	char *scratch = calloc(1, VERIFIER_SCRATCH), one[VERIFIER_SIZE], two[VERIFIER_SIZE];

	for (int scheme = 0; scheme < VERIFIER_SCHEMES; scheme++) {
		for (size_t i = 0; i < COUNT(passwords); i++) {
			CU_ASSERT_EQUAL(verifier_make((enum verifier_scheme)scheme, 4096,
						      passwords[i], one, scratch),
					0);
			CU_ASSERT_EQUAL(verifier_make((enum verifier_scheme)scheme, 4096,
						      passwords[i], two, scratch),
					0);
			CU_ASSERT_STRING_NOT_EQUAL(one, two);
			CU_ASSERT_PTR_NULL(verifier_refusal(one));
			CU_ASSERT_STRING_EQUAL(verifier_kind(one), verifier_scheme_names[scheme]);
			CU_ASSERT_EQUAL(verifier_check(one, passwords[i], scratch), 1);
			CU_ASSERT_EQUAL(verifier_check(one, "wrong", scratch), 0);
			CU_ASSERT_PTR_NULL(strstr(one, "with"));
		}
	}
	for (size_t i = 0; i < VERIFIER_SCRATCH; i++)
		CU_ASSERT_EQUAL_FATAL(scratch[i], 0);
	free(scratch);
}

/* ---- rows ---- */

static const struct row full_row = {
    .id = 0x0102030405060708,
    .revision = 77,
    .created = 1700000000,
    .changed = 1800000000,
    .session_limit = 12,
    .quota = {1000, LIMIT_NONE},
    .disabled = true,
    .ndenied = 2,
    .denied = {"pop3", "imap"},
    .verifier = RFC_7677,
    .other_length = 7,
    .other = {0x40, 0x00, 3, 0, 'a', 'b', 'c'},
};

static void test_row_round_trip(void)
{
	unsigned char octets[ROW_SIZE_MAX];
	struct row row;
	size_t n = row_encode(&full_row, octets);

	CU_ASSERT_PTR_NULL(row_decode(octets, n, &row));
	CU_ASSERT_EQUAL(memcmp(&row, &full_row, sizeof(row)), 0);
	for (size_t cut = 1; cut < n; cut++) {
		const char *why = row_decode(octets, cut, &row);
		/* A cut between fields is seen only if what is missing is needed. */
		if (!why)
			CU_ASSERT_TRUE(row.id && row.verifier[0]);
	}
	CU_ASSERT_PTR_NOT_NULL(row_decode(octets, n - 1, &row));
	CU_ASSERT_PTR_NOT_NULL(row_decode("", 0, &row));
}

static void test_row_oddities(void)
{
	unsigned char octets[ROW_SIZE_MAX + ROW_SIZE_MAX];
	struct row row, plain = full_row;
	size_t n;

	plain.other_length = 0;
	n = row_encode(&plain, octets);
	memcpy(octets + n, "\x09\x80\x00\x00", 4);
	CU_ASSERT_STRING_EQUAL(row_decode(octets, n + 4, &row), "was written by a newer version");
	for (size_t i = 0; i < 600; i++)
		memcpy(octets + n + 4 * i, "\x29\x00\x00\x00", 4);
	CU_ASSERT_PTR_NULL(row_decode(octets, n + 400, &row));
	CU_ASSERT_PTR_NOT_NULL(row_decode(octets, n + 2400, &row));
	memcpy(octets + n, "\x01\x00\x01\x00x", 5);
	CU_ASSERT_PTR_NOT_NULL(row_decode(octets, n + 5, &row));
	memcpy(octets + n, "\x04\x00\x01\x00 ", 5);
	CU_ASSERT_PTR_NOT_NULL(row_decode(octets, n + 5, &row));
	plain.verifier[0] = '\0';
	CU_ASSERT_PTR_NOT_NULL(row_decode(octets, row_encode(&plain, octets), &row));
}

static void test_row_services(void)
{
	struct row row = {0};
	char name[8];

	for (int i = 0; i < ROW_SERVICES_MAX; i++) {
		snprintf(name, sizeof(name), "s%d", i);
		CU_ASSERT_TRUE(row_deny(&row, name));
		CU_ASSERT_FALSE(row_may_use(&row, name));
	}
	CU_ASSERT_TRUE(row_deny(&row, "s3"));
	CU_ASSERT_FALSE(row_deny(&row, "one more"));
	row_allow(&row, "s3");
	row_allow(&row, "never denied");
	CU_ASSERT_EQUAL(row.ndenied, ROW_SERVICES_MAX - 1);
	CU_ASSERT_TRUE(row_may_use(&row, "s3"));
	CU_ASSERT_FALSE(row_may_use(&row, "s2"));
	CU_ASSERT_FALSE(row_may_use(&row, "s15"));
}

/* ---- the cache ---- */

static struct cache_entry entry_of(uint64_t account, uint64_t verified)
{
	return (struct cache_entry){.account = account, .verified = verified};
}

static struct cache_digest digest_of(struct cache *c, const char *name, const char *password)
{
	struct cache_digest d;

	CU_ASSERT_TRUE(cache_digest(c, "pop3", name, password, &d));
	return d;
}

static void test_cache_time(void)
{
	struct pstn_self *self;
	struct cache *c;
	struct cache_digest d;
	struct cache_entry e = entry_of(7, 1000), found;

	fake_begin();
	self = fake_self("accounts");
	c = cache_new(fake_host(), self, 100, 500);
	d = digest_of(c, "a@b", "secret");
	CU_ASSERT_FALSE(cache_find(c, &d, 1000, &found));
	cache_put(c, &d, &e);
	CU_ASSERT_TRUE(cache_find(c, &d, 999, &found));
	CU_ASSERT_TRUE(cache_find(c, &d, 1000, &found));
	CU_ASSERT_TRUE(cache_find(c, &d, 1499, &found));
	CU_ASSERT_EQUAL(found.account, 7);
	CU_ASSERT_FALSE(cache_find(c, &d, 1500, &found));
	CU_ASSERT_FALSE(cache_find(c, &d, 1000, &found));
	cache_put(c, &d, &e);
	cache_forget(c, &d);
	CU_ASSERT_FALSE(cache_find(c, &d, 1000, &found));
	cache_free(c);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_cache_digest(void)
{
	struct pstn_self *self;
	struct cache *c, *other;
	struct cache_digest d, e;

	fake_begin();
	self = fake_self("accounts");
	c = cache_new(fake_host(), self, 100, 500);
	other = cache_new(fake_host(), self, 100, 500);
	d = digest_of(c, "a@b", "secret");
	e = digest_of(c, "a@b", "secret");
	CU_ASSERT_EQUAL(memcmp(&d, &e, sizeof(d)), 0);
	e = digest_of(other, "a@b", "secret");
	CU_ASSERT_NOT_EQUAL(memcmp(&d, &e, sizeof(d)), 0);
	e = digest_of(c, "a@b", "secres");
	CU_ASSERT_NOT_EQUAL(memcmp(&d, &e, sizeof(d)), 0);
	e = digest_of(c, "ta@b", "secre");
	CU_ASSERT_NOT_EQUAL(memcmp(&d, &e, sizeof(d)), 0);
	CU_ASSERT_TRUE(cache_digest(c, "imap", "a@b", "secret", &e));
	CU_ASSERT_NOT_EQUAL(memcmp(&d, &e, sizeof(d)), 0);
	cache_free(c);
	cache_free(other);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

/* However many are put in, no more are found than there is room for, and the newest is. */
static void test_cache_bound(void)
{
	enum { ENTRIES = 64, TRIES = 1000 };
	struct pstn_self *self;
	struct cache *c;
	struct cache_entry e, found;
	char password[16];
	size_t bytes;
	unsigned there = 0;

	fake_begin();
	self = fake_self("accounts");
	c = cache_new(fake_host(), self, ENTRIES, 1000000);
	bytes = fake_live_bytes();
	for (unsigned i = 0; i < TRIES; i++) {
		struct cache_digest d;

		snprintf(password, sizeof(password), "p%u", i);
		d = digest_of(c, "a@b", password);
		e = entry_of(i + 1, i);
		cache_put(c, &d, &e);
		CU_ASSERT_TRUE(cache_find(c, &d, i, &found));
	}
	for (unsigned i = 0; i < TRIES; i++) {
		struct cache_digest d;

		snprintf(password, sizeof(password), "p%u", i);
		d = digest_of(c, "a@b", password);
		there += cache_find(c, &d, TRIES, &found);
	}
	CU_ASSERT_EQUAL(there, ENTRIES);
	CU_ASSERT_EQUAL(fake_live_bytes(), bytes);
	cache_free(c);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void test_cache_off(void)
{
	struct pstn_self *self;

	fake_begin();
	self = fake_self("accounts");
	for (unsigned i = 0; i < 2; i++) {
		struct cache *c = cache_new(fake_host(), self, i ? 100 : 0, i ? 0 : 500);
		struct cache_digest d = digest_of(c, "a@b", "secret");
		struct cache_entry e = entry_of(7, 1), found;

		cache_put(c, &d, &e);
		CU_ASSERT_FALSE(cache_find(c, &d, 1, &found));
		cache_forget(c, &d);
		cache_free(c);
	}
	CU_ASSERT_EQUAL(fake_end(), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {
	    {"names", test_names},
	    {"longest name", test_longest_name},
	    {"service names", test_service_names},
	    {"verifiers", test_verifiers},
	    {"made verifiers", test_made_verifiers},
	    {"row round trip", test_row_round_trip},
	    {"row oddities", test_row_oddities},
	    {"row services", test_row_services},
	    {"cache: time", test_cache_time},
	    {"cache: digest", test_cache_digest},
	    {"cache: bound", test_cache_bound},
	    {"cache: off", test_cache_off},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"accounts: parts", NULL, NULL, NULL, NULL, tests},
				 CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}
