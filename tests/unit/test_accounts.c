/*
 * test_accounts.c - the accounts module as others see it: verify, lookup, commands, other processes,
 * damaged files, and where passwords must not be found.
 */
#include "module_rig.h"

#include "modules/accounts/accounts.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define PENCIL                                                                                     \
	"SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=" \
	":"                                                                                        \
	"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="

static struct accounts_conf conf;
static struct pstn_session *session;

/* ---- an instance ---- */

static void begin(void)
{
	conf = (struct accounts_conf){.default_domain = "example.org",
				      .scheme = VERIFIER_SCRAM_SHA_256,
				      .scram_iterations = 4096,
				      .password_max = 256,
				      .cache_ttl = 600000,
				      .cache_size = 1024};
	fake_begin();
	make_instance("accounts", &conf);
	must_start();
	session = fake_session(self);
}

static void end(void)
{
	fake_close(session, "test is over");
	stop_and_end();
}

static const char *database(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/accounts.mdb",
		 fake_host()->directory(self, PSTN_DIR_STATE));
	return path;
}

/* ---- commands ---- */

static void add(const char *name, const char *password)
{
	CU_ASSERT_TRUE_FATAL(command("account add", "name", name, "password", password, NULL));
}

#define ASSERT_ANSWER(part)                                              \
	do {                                                             \
		if (!strstr(answer, (part)))                             \
			printf("\n%s\nis not in: %s\n", (part), answer); \
		CU_ASSERT_PTR_NOT_NULL(strstr(answer, (part)));          \
	} while (0)

/* ---- verifying ---- */

enum { UNANSWERED = 1000 };

static struct pstn_account account = {.size = sizeof(account)};
static bool at_once;

static void on_verified(void *arg, int status)
{
	*(int *)arg = status;
}

static int verify_for(const char *service, const char *name, const char *password)
{
	int answered = UNANSWERED, status;

	memset(&account, 0, sizeof(account));
	account.size = sizeof(account);
	status = accounts_directory.verify(module, session, service, name, password, &account,
					   on_verified, &answered);
	at_once = status != PSTN_LATER;
	if (at_once) {
		fake_settle();
		CU_ASSERT_EQUAL(answered, UNANSWERED);
		return status;
	}
	CU_ASSERT_EQUAL(answered, UNANSWERED);
	fake_settle();
	return answered;
}

static int verify(const char *name, const char *password)
{
	return verify_for("pop3", name, password);
}

static int64_t hashes(void)
{
	return fake_metric(self, METRIC_HASHES);
}

static uint64_t id_of(const char *name)
{
	struct pstn_account found = {.size = sizeof(found)};

	CU_ASSERT_EQUAL(accounts_directory.lookup(module, name, &found), PSTN_OK);
	return found.id;
}

static void test_verify(void)
{
	begin();
	add("anna@example.org", "secret");
	CU_ASSERT_EQUAL(verify("Anna", "secret"), PSTN_OK);
	CU_ASSERT_FALSE(at_once);
	CU_ASSERT_STRING_EQUAL(account.name, "anna@example.org");
	CU_ASSERT_EQUAL(account.id, id_of("anna"));
	CU_ASSERT_EQUAL(account.session_limit, 0);
	CU_ASSERT_EQUAL(hashes(), 1);
	CU_ASSERT_EQUAL(verify("ANNA@example.ORG", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	CU_ASSERT_EQUAL(account.id, id_of("anna"));
	CU_ASSERT_STRING_EQUAL(account.name, "anna@example.org");
	CU_ASSERT_EQUAL(hashes(), 1);
	CU_ASSERT_EQUAL(verify("anna", "secret "), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("anna", "Secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(account.id, 0);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	CU_ASSERT_EQUAL(fake_metric(self, METRIC_VERIFIED), 3);
	CU_ASSERT_EQUAL(fake_metric(self, METRIC_CACHED), 2);
	CU_ASSERT_EQUAL(fake_metric(self, METRIC_DENIED), 2);
	CU_ASSERT_EQUAL(fake_metric(self, METRIC_FAILED), 0);
	end();
}

/* Whoever is refused is refused with the same answer and after the same work. */
static void test_refusals_are_alike(void)
{
	static const struct {
		const char *name, *service, *password;
	} cases[] = {
	    {"anna", "pop3", "wrong"},
	    {"nobody", "pop3", "secret"},
	    {"nobody@elsewhere.test", "pop3", "nobody"},
	    {"disabled", "pop3", "secret"},
	    {"disabled", "pop3", "wrong"},
	    {"restricted", "pop3", "secret"},
	    {"restricted", "pop3", "wrong"},
	};

	begin();
	add("anna", "secret");
	add("disabled", "secret");
	add("restricted", "secret");
	CU_ASSERT_TRUE(command("account set", "name", "disabled", "disable", "", NULL));
	CU_ASSERT_TRUE(command("account set", "name", "restricted", "deny", "pop3", NULL));
	for (unsigned round = 0; round < 2; round++) {
		for (size_t i = 0; i < COUNT(cases); i++) {
			int64_t before = hashes();

			CU_ASSERT_EQUAL(
			    verify_for(cases[i].service, cases[i].name, cases[i].password),
			    PSTN_E_DENIED);
			CU_ASSERT_FALSE(at_once);
			CU_ASSERT_EQUAL(hashes(), before + 1);
		}
	}
	CU_ASSERT_EQUAL(verify_for("imap", "restricted", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(verify_for("imap", "restricted", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	CU_ASSERT_EQUAL(verify_for("pop3", "restricted", "secret"), PSTN_E_DENIED);
	end();
}

/* What no account can have is refused without work. */
static void test_impossible_credentials(void)
{
	char long_password[300];

	begin();
	add("anna", "secret");
	memset(long_password, 'x', sizeof(long_password) - 1);
	long_password[sizeof(long_password) - 1] = '\0';
	CU_ASSERT_EQUAL(verify("anna", ""), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("anna", long_password), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("", "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("../anna", "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify(long_password, "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify_for("", "anna", "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(hashes(), 0);
	long_password[256] = '\0';
	add("long", long_password);
	CU_ASSERT_EQUAL(verify("long", long_password), PSTN_OK);
	long_password[255] = '\0';
	CU_ASSERT_EQUAL(verify("long", long_password), PSTN_E_DENIED);
	end();
}

/* Every change counts with the next login, cached or not. */
static void test_changes_count_at_once(void)
{
	int64_t before;

	begin();
	add("anna", "one");
	add("bert", "two");
	CU_ASSERT_EQUAL(verify("anna", "one"), PSTN_OK);
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	before = hashes();

	CU_ASSERT_TRUE(command("account passwd", "name", "anna", "password", "three", NULL));
	CU_ASSERT_EQUAL(verify("anna", "one"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("anna", "three"), PSTN_OK);
	CU_ASSERT_EQUAL(hashes(), before + 2);
	/* Bert's row did not change: it is read again, his password is not hashed again. */
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	CU_ASSERT_FALSE(at_once);
	CU_ASSERT_EQUAL(hashes(), before + 2);
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);

	CU_ASSERT_TRUE(command("account set", "name", "bert", "session-limit", "3", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	CU_ASSERT_EQUAL(account.session_limit, 3);
	CU_ASSERT_TRUE(command("account set", "name", "bert", "deny", "pop3", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_E_DENIED);
	CU_ASSERT_TRUE(command("account set", "name", "bert", "allow", "pop3", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	CU_ASSERT_TRUE(command("account set", "name", "bert", "disable", "", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_E_DENIED);
	CU_ASSERT_TRUE(command("account set", "name", "bert", "enable", "", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_OK);
	CU_ASSERT_TRUE(command("account remove", "name", "bert", NULL));
	CU_ASSERT_EQUAL(verify("bert", "two"), PSTN_E_DENIED);
	end();
}

static void test_cache_expires(void)
{
	begin();
	add("anna", "secret");
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	fake_advance(599999);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	fake_advance(1);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_FALSE(at_once);
	CU_ASSERT_EQUAL(hashes(), 2);
	end();
}

static void test_cache_can_be_off(void)
{
	begin();
	add("anna", "secret");
	conf.cache_size = 0;
	restart();
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(hashes(), 2);
	end();
}

static void test_session_ends_meanwhile(void)
{
	int answered = UNANSWERED;

	begin();
	add("anna", "secret");
	for (unsigned i = 0; i < 4; i++) {
		fake_skip_orphans(i % 2);
		CU_ASSERT_EQUAL(accounts_directory.verify(module, session, "pop3", "anna", "secret",
							  &account, on_verified, &answered),
				PSTN_LATER);
		if (i < 2)
			fake_run_jobs();
		fake_close(session, "client closed");
		session = fake_session(self);
		fake_settle();
		CU_ASSERT_TRUE(command("account set", "name", "anna", "enable", "", NULL));
		CU_ASSERT_TRUE(
		    command("account passwd", "name", "anna", "password", "secret", NULL));
	}
	CU_ASSERT_EQUAL(answered, UNANSWERED);
	end();
}

static void count_ok(void *arg, int status)
{
	*(unsigned *)arg += status == PSTN_OK;
}

static void test_many_at_a_time(void)
{
	enum { ACCOUNTS = 8, TIMES = 25 };
	static struct pstn_account out[ACCOUNTS * TIMES];
	char name[16];
	unsigned later = 0, right = 0;

	begin();
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "user%u", i);
		add(name, name);
	}
	fake_use_threads(4);
	for (unsigned i = 0; i < ACCOUNTS * TIMES; i++) {
		int status;

		snprintf(name, sizeof(name), "user%u", i % ACCOUNTS);
		out[i].size = sizeof(out[i]);
		status = accounts_directory.verify(module, session, "pop3", name, name, &out[i],
						   count_ok, &right);
		later += status == PSTN_LATER;
		right += status == PSTN_OK;
	}
	fake_settle();
	CU_ASSERT_EQUAL(right, ACCOUNTS * TIMES);
	CU_ASSERT_TRUE(later >= ACCOUNTS);
	/* A job that waited behind one for the same credential finds its result. */
	CU_ASSERT_TRUE(hashes() <= 4 * ACCOUNTS);
	for (unsigned i = 0; i < ACCOUNTS * TIMES; i++)
		CU_ASSERT_EQUAL(out[i].id, out[0].id + i % ACCOUNTS);
	end();
}

/* ---- lookup and each ---- */

struct names {
	char text[256];
	unsigned left;
};

static bool take_name(void *arg, const struct pstn_account *a)
{
	struct names *names = arg;

	strcat(names->text, a->name);
	strcat(names->text, " ");
	return --names->left > 0;
}

static void test_lookup(void)
{
	struct names names = {.left = 10};

	begin();
	add("bert@x.test", "b");
	add("anna", "a");
	add("anna@x.test", "c");
	CU_ASSERT_EQUAL(accounts_directory.lookup(module, "Anna", &account), PSTN_OK);
	CU_ASSERT_EQUAL(account.id, id_of("bert@x.test") + 1);
	CU_ASSERT_STRING_EQUAL(account.name, "anna@example.org");
	CU_ASSERT_EQUAL(accounts_directory.lookup(module, "cora", &account), PSTN_E_NOT_FOUND);
	CU_ASSERT_EQUAL(accounts_directory.lookup(module, "co ra", &account), PSTN_E_INVALID);
	CU_ASSERT_EQUAL(accounts_directory.each(module, take_name, &names), PSTN_OK);
	CU_ASSERT_STRING_EQUAL(names.text, "anna@example.org anna@x.test bert@x.test ");
	names = (struct names){.left = 2};
	CU_ASSERT_EQUAL(accounts_directory.each(module, take_name, &names), PSTN_OK);
	CU_ASSERT_STRING_EQUAL(names.text, "anna@example.org anna@x.test ");
	end();
}

static bool count_accounts(void *arg, const struct pstn_account *a)
{
	*(uint64_t *)arg += a->id;
	return true;
}

static void test_each_in_batches(void)
{
	enum { ACCOUNTS = 70 };
	char name[16];
	uint64_t sum = 0;

	begin();
	for (unsigned i = 0; i < ACCOUNTS; i++) {
		snprintf(name, sizeof(name), "u%u", i);
		CU_ASSERT_TRUE(
		    command("account add", "name", name, "password", PENCIL, "verifier", "", NULL));
	}
	CU_ASSERT_EQUAL(accounts_directory.each(module, count_accounts, &sum), PSTN_OK);
	CU_ASSERT_EQUAL(sum, ACCOUNTS * id_of("u0") + ACCOUNTS * (ACCOUNTS - 1) / 2);
	end();
}

/* ---- commands ---- */

static void test_commands(void)
{
	begin();
	CU_ASSERT_TRUE(command("account add", "name", "Anna", "password", "secret", NULL));
	ASSERT_ANSWER("\"account\":\"anna@example.org\",\"id\":");
	ASSERT_ANSWER("\"enabled\":true");
	ASSERT_ANSWER("\"note\":\"the domain was new and has been added too\"");
	CU_ASSERT_TRUE(command("account add", "name", "bert", "password", "x", "scheme", "yescrypt",
			       "session-limit", "5", NULL));
	CU_ASSERT_PTR_NULL(strstr(answer, "note"));
	ASSERT_ANSWER("\"session_limit\":5");
	CU_ASSERT_TRUE(command("account show", "name", "bert", NULL));
	ASSERT_ANSWER("\"own_session_limit\":true,\"scheme\":\"yescrypt\",\"created\":\"20");
	CU_ASSERT_PTR_NULL(strstr(answer, "$y$"));
	CU_ASSERT_TRUE(command("account set", "name", "bert", "session-limit", "default", "deny",
			       "imap", NULL));
	ASSERT_ANSWER("\"denied\":\"imap\",\"session_limit\":0");
	CU_ASSERT_TRUE(command("account add", "name", "cora@x.test", "password", PENCIL, "verifier",
			       "", NULL));
	CU_ASSERT_EQUAL(verify("cora@x.test", "pencil"), PSTN_OK);
	CU_ASSERT_TRUE(command("account list", NULL));
	ASSERT_ANSWER("[{\"account\":\"anna@example.org\"");
	ASSERT_ANSWER("{\"account\":\"cora@x.test\"");
	CU_ASSERT_TRUE(command("account list", "domain", "X.test", NULL));
	CU_ASSERT_PTR_NULL(strstr(answer, "anna"));
	ASSERT_ANSWER("cora");
	CU_ASSERT_TRUE(command("domain list", NULL));
	ASSERT_ANSWER("[{\"domain\":\"example.org\",\"accounts\":2,\"created\":");
	ASSERT_ANSWER("{\"domain\":\"x.test\",\"accounts\":1,");
	CU_ASSERT_TRUE(command("account remove", "name", "cora@x.test", NULL));
	ASSERT_ANSWER("{\"account\":\"cora@x.test\",\"id\":");
	CU_ASSERT_TRUE(command("domain remove", "domain", "x.test", NULL));
	CU_ASSERT_TRUE(command("domain add", "domain", "Y.test", NULL));
	ASSERT_ANSWER("{\"domain\":\"y.test\"}");
	CU_ASSERT_TRUE(command("account check", NULL));
	CU_ASSERT_FALSE(fake_log_contains("secret"));
	CU_ASSERT_FALSE(fake_log_contains("SCRAM"));
	end();
}

/* Who says what, and what counts in the end: the account, its domain, the configuration. */
static void test_quotas(void)
{
	begin();
	conf.account_quota_messages = 50;
	conf.domain_quota_octets = 5000;
	add("anna", "secret");
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(account.quota.messages, 50);
	CU_ASSERT_EQUAL(account.quota.octets, 0);
	CU_ASSERT_EQUAL(account.domain_quota.octets, 5000);
	CU_ASSERT_TRUE(command("domain set", "domain", "example.org", "quota-messages", "70",
			       "quota-octets", "1GiB", "account-quota-octets", "10kB", NULL));
	ASSERT_ANSWER("\"quota_messages\":70,\"quota_octets\":1073741824,"
		      "\"account_quota_messages\":50,\"account_quota_octets\":10000}");
	CU_ASSERT_TRUE(command("account set", "name", "anna", "quota-messages", "7", NULL));
	ASSERT_ANSWER("\"quota_messages\":7,\"quota_octets\":10000");
	/* Logins answered from memory know of a change of the domain, too. */
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	CU_ASSERT_EQUAL(account.quota.messages, 7);
	CU_ASSERT_EQUAL(account.quota.octets, 10000);
	CU_ASSERT_EQUAL(account.domain_quota.messages, 70);
	CU_ASSERT_EQUAL(account.domain_quota.octets, 1 << 30);
	CU_ASSERT_TRUE(command("account set", "name", "anna", "quota-messages", "none",
			       "quota-octets", "0", NULL));
	ASSERT_ANSWER("\"quota_messages\":0,\"quota_octets\":0");
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(account.quota.messages, 0);
	CU_ASSERT_EQUAL(account.domain_quota.messages, 70);
	CU_ASSERT_TRUE(command("account set", "name", "anna", "quota-messages", "default", NULL));
	ASSERT_ANSWER("\"quota_messages\":50,\"quota_octets\":0");
	CU_ASSERT_TRUE(command("account show", "name", "anna", NULL));
	ASSERT_ANSWER("\"own_quota_messages\":false,\"own_quota_octets\":true,"
		      "\"domain_quota_messages\":70,\"domain_quota_octets\":1073741824");
	CU_ASSERT_TRUE(
	    command("account add", "name", "bert", "password", "x", "quota-octets", "2MiB", NULL));
	ASSERT_ANSWER("\"quota_octets\":2097152");
	CU_ASSERT_TRUE(command("domain set", "domain", "example.org", "quota-octets", "default",
			       "quota-messages", "none", NULL));
	ASSERT_ANSWER("\"quota_messages\":0,\"quota_octets\":5000");
	CU_ASSERT_TRUE(command("domain list", NULL));
	ASSERT_ANSWER("\"quota_messages\":0,\"quota_octets\":5000,"
		      "\"account_quota_messages\":50,\"account_quota_octets\":10000}");
	restart();
	CU_ASSERT_EQUAL(accounts_directory.lookup(module, "bert", &account), PSTN_OK);
	CU_ASSERT_EQUAL(account.quota.octets, 2 << 20);
	CU_ASSERT_EQUAL(account.domain_quota.octets, 5000);
	end();
}

static void test_command_refusals(void)
{
	static const struct {
		const char *command, *arg[8], *error;
	} cases[] = {
	    {"account add", {"name", "anna", "password", "x"}, "anna@example.org exists already"},
	    {"account add", {"name", "a b", "password", "x"}, "\"a b\" is no account name: it"},
	    {"account add", {"name", "new", "password", ""}, "password is empty; nothing was done"},
	    {"account add", {"name", "new"}, "password is empty; nothing was done"},
	    {"account add", {"name", "new", "password", "x", "scheme", "md5"}, "--scheme md5"},
	    {"account add", {"name", "new", "password", "x", "session-limit", "-1"}, "--session-l"},
	    {"account add", {"name", "new", "password", "x", "session-limit", "9x"}, "--session-l"},
	    {"account add",
	     {"name", "new", "password", "x", "session-limit", "99999999999999999999"},
	     "--session-limit"},
	    {"account set",
	     {"name", "anna", "quota-octets", "9X"},
	     "--quota-octets 9X: expected a"},
	    {"account set", {"name", "anna", "quota-octets", "16777216TiB"}, "--quota-octets"},
	    {"account set",
	     {"name", "anna", "quota-messages", "1K"},
	     "expected a number, \"none\""},
	    {"account add", {"name", "new", "password", "x", "quota-messages", "-1"}, "--quota-me"},
	    {"domain set", {"domain", "example.org"}, "Nothing to set; give --quota-messages"},
	    {"domain set", {"domain", "example.org", "quota-octets", ""}, "--quota-octets : exp"},
	    {"domain set", {"domain", "x.test", "quota-messages", "1"}, "no account or domain x"},
	    {"account add",
	     {"name", "new", "password", "plain", "verifier", ""},
	     "the verifier is of a kind"},
	    {"account add",
	     {"name", "new", "password", "$1$a$b", "verifier", ""},
	     "nothing was done"},
	    {"account add", {"name", "new", "verifier", ""}, "the verifier is of a kind"},
	    {"account passwd", {"name", "nobody", "password", "x"}, "no account or domain nobody@"},
	    {"account passwd", {"name", "anna", "password", ""}, "empty"},
	    {"account set", {"name", "anna"}, "Nothing to set"},
	    {"account set", {"name", "anna", "enable", "", "disable", ""}, "make no sense"},
	    {"account set", {"name", "anna", "deny", "pop 3"}, "--deny pop 3: the service's name"},
	    {"account set", {"name", "anna", "allow", ""}, "--allow : the service's name is empty"},
	    {"account set", {"name", "nobody", "enable", ""}, "no account or domain nobody@"},
	    {"account remove", {"name", "nobody"}, "no account or domain nobody@example.org"},
	    {"account show", {"name", "nobody"}, "no account or domain nobody@example.org"},
	    {"account list", {"domain", "a b"}, "\"a b\" is no domain"},
	    {"domain add", {"domain", "example.org"}, "example.org exists already"},
	    {"domain add", {"domain", "-"}, "\"-\" is no domain"},
	    {"domain remove", {"domain", "example.org"}, "has 1 account; remove it first"},
	    {"domain remove", {"domain", "x.test"}, "no account or domain x.test"},
	};

	begin();
	add("anna", "secret");
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *const *a = cases[i].arg;

		CU_ASSERT_FALSE(command(cases[i].command, a[0], a[1], a[2], a[3], a[4], a[5], a[6],
					a[7], NULL));
		ASSERT_ANSWER(cases[i].error);
	}
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(command("account list", NULL));
	CU_ASSERT_PTR_NULL(strstr(answer, "new@"));
	for (int i = 0; i < ROW_SERVICES_MAX; i++) {
		char service[8];

		snprintf(service, sizeof(service), "s%d", i);
		CU_ASSERT_TRUE(command("account set", "name", "anna", "deny", service, NULL));
	}
	CU_ASSERT_FALSE(command("account set", "name", "anna", "deny", "pop3", NULL));
	ASSERT_ANSWER("16 services at most");
	end();
}

static void test_without_default_domain(void)
{
	begin();
	add("anna", "secret");
	conf.default_domain = "";
	restart();
	CU_ASSERT_FALSE(command("account add", "name", "bert", "password", "x", NULL));
	ASSERT_ANSWER("no domain, and no default_domain is configured");
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("anna@example.org", "secret"), PSTN_OK);
	conf.default_domain = "exa mple";
	CU_ASSERT_PTR_NULL(start_module());
	CU_ASSERT_STRING_EQUAL(err, "default_domain exa mple: it contains a space");
	end();
}

/* ---- what outlives an instance ---- */

static void test_ids_are_never_used_again(void)
{
	uint64_t first;

	begin();
	add("anna", "one");
	first = id_of("anna");
	CU_ASSERT_TRUE(command("account remove", "name", "anna", NULL));
	restart();
	add("anna", "one");
	CU_ASSERT_EQUAL(verify("anna", "one"), PSTN_OK);
	CU_ASSERT_EQUAL(account.id, first + 1);
	restart();
	CU_ASSERT_EQUAL(verify("anna", "one"), PSTN_OK);
	CU_ASSERT_EQUAL(account.id, first + 1);
	/* Nor when the database was lost: its mail is still there. */
	pstn_module.stop(module);
	CU_ASSERT_EQUAL(unlink(database()), 0);
	must_start();
	CU_ASSERT_TRUE(fake_log_contains("database_created"));
	add("mallory", "two");
	CU_ASSERT_TRUE(id_of("mallory") > first + 1);
	end();
}

static void test_file_mode(void)
{
	struct stat file;

	begin();
	CU_ASSERT_EQUAL(stat(database(), &file), 0);
	CU_ASSERT_EQUAL(file.st_mode & 0777, 0600);
	restart();
	CU_ASSERT_PTR_NULL(fake_log_find("database_readable"));
	CU_ASSERT_EQUAL(chmod(database(), 0640), 0);
	restart();
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("database_readable"));
	end();
}

/* A process with an instance of its own changes the password when told to. */
static pid_t other_process(int *tell)
{
	int pipes[2];
	char go;
	pid_t pid;

	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	pid = fork();
	CU_ASSERT_TRUE_FATAL(pid >= 0);
	if (pid > 0) {
		close(pipes[0]);
		*tell = pipes[1];
		return pid;
	}
	close(pipes[1]);
	if (read(pipes[0], &go, 1) != 1)
		_exit(2);
	module = start_module();
	if (!module || !command("account passwd", "name", "anna", "password", "changed", NULL))
		_exit(1);
	pstn_module.stop(module);
	_exit(0);
}

static void test_another_process_changes(void)
{
	int tell, status;
	pid_t pid;

	begin();
	add("anna", "secret");
	pstn_module.stop(module);
	pid = other_process(&tell);
	must_start();
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	CU_ASSERT_EQUAL(write(tell, "!", 1), 1);
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_EQUAL(status, 0);
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(verify("anna", "changed"), PSTN_OK);
	CU_ASSERT_EQUAL(verify("anna", "changed"), PSTN_OK);
	CU_ASSERT_TRUE(at_once);
	close(tell);
	end();
}

/* ---- damaged and foreign files ---- */

static void make_file(off_t size, const char *text)
{
	int fd = open(database(), O_RDWR | O_CREAT, 0600);

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	if (text)
		CU_ASSERT_EQUAL(pwrite(fd, text, strlen(text), 0), (ssize_t)strlen(text));
	CU_ASSERT_EQUAL(ftruncate(fd, size), 0);
	close(fd);
}

static void refused(const char *part)
{
	void *started = start_module();

	CU_ASSERT_PTR_NULL(started);
	if (started)
		pstn_module.stop(started);
	if (!strstr(err, part))
		printf("\n%s: not in: %s\n", part, err);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, part));
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "accounts.mdb: "));
}

static void test_damaged_file(void)
{
	struct stat file;

	begin();
	for (int i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "u%d", i);
		CU_ASSERT_TRUE(
		    command("account add", "name", name, "password", PENCIL, "verifier", "", NULL));
	}
	CU_ASSERT_EQUAL(stat(database(), &file), 0);
	pstn_module.stop(module);
	make_file(file.st_size, "this is no database");
	refused("is damaged or no accounts database; restore it");
	make_file(100, NULL);
	refused("is damaged or no accounts database; restore it");
	make_file(0, NULL);
	must_start();
	end();
}

/* Pages that were cut off are an error, not a signal. */
static void test_truncated_file(void)
{
	struct stat file;
	char copy[600], command_line[1400];
	unsigned refusals = 0;

	begin();
	for (int i = 0; i < 80; i++) {
		char name[16];

		snprintf(name, sizeof(name), "u%d", i);
		CU_ASSERT_TRUE(
		    command("account add", "name", name, "password", PENCIL, "verifier", "", NULL));
	}
	pstn_module.stop(module);
	CU_ASSERT_EQUAL(stat(database(), &file), 0);
	snprintf(copy, sizeof(copy), "%s.copy", database());
	snprintf(command_line, sizeof(command_line), "cp %s %s", database(), copy);
	CU_ASSERT_EQUAL(system(command_line), 0);
	snprintf(command_line, sizeof(command_line), "cp %s %s", copy, database());
	for (off_t size = 8192; size < file.st_size; size += 4096) {
		void *started;

		CU_ASSERT_EQUAL(system(command_line), 0);
		make_file(size, NULL);
		started = start_module();
		if (started)
			pstn_module.stop(started);
		else
			refusals++;
		if (!started)
			CU_ASSERT_PTR_NOT_NULL(strstr(err, "restore"));
	}
	CU_ASSERT_TRUE(refusals > 5);
	CU_ASSERT_EQUAL(system(command_line), 0);
	must_start();
	CU_ASSERT_EQUAL(verify("u7", "pencil"), PSTN_OK);
	end();
}

/* Writes into the database behind the module's back. */
static void put_raw(const char *table, const char *key, const void *bytes, size_t n)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {n, (void *)(uintptr_t)bytes};

	CU_ASSERT_EQUAL_FATAL(mdb_env_create(&env), 0);
	mdb_env_set_maxdbs(env, 8);
	CU_ASSERT_EQUAL_FATAL(mdb_env_open(env, database(), MDB_NOSUBDIR, 0600), 0);
	CU_ASSERT_EQUAL_FATAL(mdb_txn_begin(env, NULL, 0, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(mdb_dbi_open(txn, table, 0, &dbi), 0);
	CU_ASSERT_EQUAL(mdb_put(txn, dbi, &k, &v, 0), 0);
	CU_ASSERT_EQUAL(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void test_damaged_row(void)
{
	begin();
	add("anna", "secret");
	add("bert", "secret");
	pstn_module.stop(module);
	put_raw("accounts", "anna@example.org", "\x01\x00\x08\x00half", 8);
	must_start();
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(err, "account anna@example.org is cut short; remove and add"));
	CU_ASSERT_EQUAL(verify("anna", "secret"), PSTN_E_TEMPORARY);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("account_damaged"));
	CU_ASSERT_EQUAL(verify("bert", "secret"), PSTN_OK);
	CU_ASSERT_FALSE(command("account show", "name", "anna", NULL));
	ASSERT_ANSWER("the database is damaged");
	CU_ASSERT_FALSE(command("account check", NULL));
	ASSERT_ANSWER("is cut short");
	CU_ASSERT_TRUE(command("account list", NULL));
	CU_ASSERT_TRUE(command("account remove", "name", "anna", NULL));
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), 0);
	end();
}

static void test_newer_format(void)
{
	static const unsigned char two[8] = {2};

	begin();
	pstn_module.stop(module);
	put_raw("meta", "format", two, sizeof(two));
	must_start();
	pstn_module.stop(module);
	put_raw("meta", "readable_by", two, sizeof(two));
	refused("has format 2, written by a newer version");
	put_raw("meta", "readable_by", "\x01\0\0\0\0\0\0", 8);
	must_start();
	end();
}

static void test_unwritable_directory(void)
{
	char directory[512];

	begin();
	pstn_module.stop(module);
	snprintf(directory, sizeof(directory), "%s", fake_host()->directory(self, PSTN_DIR_STATE));
	unlink(database());
	CU_ASSERT_EQUAL(mkdir(database(), 0700), 0);
	refused("the accounts database cannot be opened");
	CU_ASSERT_EQUAL(rmdir(database()), 0);
	must_start();
	end();
}

/* ---- memory ---- */

static void test_every_allocation_fails_in_start(void)
{
	bool failed = true;

	begin();
	pstn_module.stop(module);
	for (unsigned long n = 1; failed && n < 100; n++) {
		fake_fail_alloc(n);
		module = start_module();
		failed = fake_alloc_failed();
		fake_fail_alloc(0);
		if (failed) {
			CU_ASSERT_PTR_NULL(module);
			CU_ASSERT_NOT_EQUAL(err[0], '\0');
		}
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
	end();
}

static void test_every_allocation_fails_in_verify(void)
{
	bool failed = true;

	begin();
	conf.cache_size = 0;
	restart();
	add("anna", "secret");
	for (unsigned long n = 1; failed && n < 100; n++) {
		int status;

		fake_fail_alloc(n);
		status = verify("anna", "secret");
		failed = fake_alloc_failed();
		fake_fail_alloc(0);
		CU_ASSERT_EQUAL(status, failed ? PSTN_E_TEMPORARY : PSTN_OK);
	}
	CU_ASSERT_FALSE(failed);
	for (unsigned long n = 1; n < 10; n++) {
		fake_fail_alloc(n);
		if (command("account add", "name", "bert", "password", "x", NULL)) {
			CU_ASSERT_TRUE(command("account remove", "name", "bert", NULL));
		} else {
			ASSERT_ANSWER("no memory left");
		}
		fake_fail_alloc(n);
		if (!command("account list", NULL))
			ASSERT_ANSWER("could not be listed");
		fake_fail_alloc(0);
	}
	end();
}

/* ---- where a password must not be ---- */

enum { SECRET_SIZE = 24 };

/* The password is known to the test only with every octet changed, and made when it is needed. */
static void make_secret(char *out, unsigned char mask)
{
	static const unsigned char hidden[SECRET_SIZE] = {
	    0x8a, 0xcf, 0x9b, 0xd0, 0x96, 0xe3, 0xf0, 0x91, 0x88, 0xfd, 0xcc, 0x9d,
	    0xe7, 0xda, 0xc3, 0x9a, 0xd5, 0xf2, 0x8f, 0xe9, 0xc4, 0x99, 0xd7, 0xce};

	for (size_t i = 0; i < SECRET_SIZE; i++)
		out[i] = (char)(hidden[i] ^ 0xab ^ mask);
	out[SECRET_SIZE] = '\0';
}

/* How often the password (or most of it) is in the octets; they are compared in changed form. */
static unsigned occurrences(const unsigned char *bytes, size_t n)
{
	enum { PART = 12 };
	char masked[SECRET_SIZE + 1];
	unsigned found = 0;

	make_secret(masked, 0x55);
	for (size_t i = 0; i + PART <= n; i++) {
		size_t k = 0;

		while (k < PART && (bytes[i + k] ^ 0x55) == (unsigned char)masked[k])
			k++;
		found += k == PART;
	}
	return found;
}

/* In all memory of this process that can be written. */
static unsigned occurrences_in_memory(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	int memory = open("/proc/self/mem", O_RDONLY);
	static unsigned char piece[1 << 20];
	unsigned long from, to;
	unsigned found = 0;
	char line[512], mode[8];

	CU_ASSERT_PTR_NOT_NULL_FATAL(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
		    mode[1] != 'w' || to - from > (1UL << 30))
			continue;
		for (unsigned long at = from; at < to; at += sizeof(piece) - SECRET_SIZE) {
			size_t size = to - at < sizeof(piece) ? to - at : sizeof(piece);
			ssize_t n = pread(memory, piece, size, (off_t)at);

			if (at <= (unsigned long)piece + sizeof(piece) &&
			    at + size > (unsigned long)piece)
				continue;
			if (n > 0)
				found += occurrences(piece, (size_t)n);
		}
		explicit_bzero(piece, sizeof(piece));
	}
	fclose(maps);
	close(memory);
	return found;
}

static int verify_secret(const char *name)
{
	char secret[SECRET_SIZE + 1];
	int status;

	make_secret(secret, 0);
	status = verify(name, secret);
	explicit_bzero(secret, sizeof(secret));
	return status;
}

static void test_password_is_nowhere(void)
{
	char secret[SECRET_SIZE + 1], verifier[VERIFIER_SIZE];
	static char scratch[VERIFIER_SCRATCH];
	static unsigned char file[1 << 20];
	FILE *db;

	begin();
	for (int scheme = 0; scheme < VERIFIER_SCHEMES; scheme++) {
		const char *name = scheme ? "yes" : "scram";

		make_secret(secret, 0);
		CU_ASSERT_EQUAL(
		    verifier_make((enum verifier_scheme)scheme, 4096, secret, verifier, scratch),
		    0);
		CU_ASSERT_TRUE(occurrences_in_memory() >= 1); /* the scan finds what is there */
		explicit_bzero(secret, sizeof(secret));
		CU_ASSERT_TRUE(command("account add", "name", name, "password", verifier,
				       "verifier", "", NULL));
		CU_ASSERT_EQUAL(verify_secret(name), PSTN_OK);
		CU_ASSERT_EQUAL(verify_secret(name), PSTN_OK);
		CU_ASSERT_TRUE(at_once);
	}
	CU_ASSERT_EQUAL(verify_secret("nobody"), PSTN_E_DENIED);
	CU_ASSERT_EQUAL(occurrences_in_memory(), 0);
	db = fopen(database(), "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(db);
	CU_ASSERT_EQUAL(occurrences(file, fread(file, 1, sizeof(file), db)), 0);
	fclose(db);
	make_secret(secret, 0);
	CU_ASSERT_FALSE(fake_log_contains(secret));
	explicit_bzero(secret, sizeof(secret));
	end();
}

static void test_self_test(void)
{
	begin();
	add("anna", "secret");
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), 0);
	end();
}

int main(void)
{
	CU_TestInfo tests[] = {
	    {"verify", test_verify},
	    {"refusals are alike", test_refusals_are_alike},
	    {"impossible credentials", test_impossible_credentials},
	    {"changes count at once", test_changes_count_at_once},
	    {"cache expires", test_cache_expires},
	    {"cache can be off", test_cache_can_be_off},
	    {"session ends meanwhile", test_session_ends_meanwhile},
	    {"many at a time", test_many_at_a_time},
	    {"lookup and each", test_lookup},
	    {"each in batches", test_each_in_batches},
	    {"commands", test_commands},
	    {"quotas", test_quotas},
	    {"commands refuse", test_command_refusals},
	    {"without default domain", test_without_default_domain},
	    {"ids are never used again", test_ids_are_never_used_again},
	    {"file mode", test_file_mode},
	    {"another process changes", test_another_process_changes},
	    {"damaged file", test_damaged_file},
	    {"truncated file", test_truncated_file},
	    {"damaged row", test_damaged_row},
	    {"newer format", test_newer_format},
	    {"unwritable directory", test_unwritable_directory},
	    {"every allocation fails: start", test_every_allocation_fails_in_start},
	    {"every allocation fails: verify", test_every_allocation_fails_in_verify},
	    {"password is nowhere", test_password_is_nowhere},
	    {"self-test", test_self_test},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"accounts", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}
