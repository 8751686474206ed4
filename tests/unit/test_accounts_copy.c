/*
 * test_accounts_copy.c - the accounts in a file for a backup, and what is missing of them back.
 */
#include "module_rig.h"
#include "suite.h"

#include "modules/accounts/accounts.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static struct accounts_conf conf;

static void start(const char *name)
{
	conf = (struct accounts_conf){.default_domain = "",
				      .scheme = VERIFIER_SCRAM_SHA_256,
				      .scram_iterations = 4096,
				      .password_max = 256,
				      .cache_ttl = 600000,
				      .cache_size = 64};
	make_instance(name, &conf);
	must_start();
}

/* A database of its own beside the first one. */
static void move_to(const char *name)
{
	pstn_module.stop(module);
	start(name);
}

static void add(const char *name)
{
	CU_ASSERT_TRUE_FATAL(command("account add", "name", name, "password", name, NULL));
}

static int new_file(void)
{
	char path[600];
	int fd;

	snprintf(path, sizeof(path), "%s/copy-XXXXXX", fake_directory());
	fd = mkstemp(path);
	CU_ASSERT_FATAL(fd >= 0);
	unlink(path);
	return fd;
}

static uint64_t id_of(const char *name)
{
	struct pstn_account account = {.size = sizeof(account)};

	return accounts_directory.lookup(module, name, &account) == PSTN_OK ? account.id : 0;
}

static void on_verified(void *arg, int status)
{
	*(int *)arg = status;
}

static bool logs_in(const char *name)
{
	struct pstn_account account = {.size = sizeof(account)};
	struct pstn_session *session = fake_session(self);
	int status = PSTN_LATER, rc;

	rc = accounts_directory.verify(module, session, "pop3", name, name, &account, on_verified,
				       &status);
	fake_settle();
	fake_close(session, "done");
	return (rc == PSTN_LATER ? status : rc) == PSTN_OK;
}

static int load(int fd, const char *name, uint64_t *added, uint64_t *refused)
{
	return accounts_directory.load(module, fd, name, added, refused);
}

/* ---- cases ---- */

static void everything_comes_back(void)
{
	uint64_t added, refused, ids[3];
	int fd;

	fake_begin();
	start("accounts");
	fd = new_file();
	add("ann@example.org");
	add("bob@example.org");
	add("carol@example.com");
	CU_ASSERT_TRUE(command("domain add", "domain", "empty.example", NULL));
	ids[0] = id_of("ann@example.org");
	ids[1] = id_of("bob@example.org");
	ids[2] = id_of("carol@example.com");
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_OK);
	move_to("other");
	CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 3);
	CU_ASSERT_EQUAL(refused, 0);
	CU_ASSERT_EQUAL(id_of("ann@example.org"), ids[0]);
	CU_ASSERT_EQUAL(id_of("bob@example.org"), ids[1]);
	CU_ASSERT_EQUAL(id_of("carol@example.com"), ids[2]);
	CU_ASSERT_TRUE(logs_in("ann@example.org"));
	CU_ASSERT_TRUE(command("domain list", NULL));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "empty.example"));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"accounts\":2"));
	/* Ids go on behind those that came. */
	add("dora@example.org");
	CU_ASSERT(id_of("dora@example.org") > ids[2]);
	CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 0);
	close(fd);
	stop_and_end();
}

static void what_is_there_stays(void)
{
	uint64_t added, refused, id;
	int fd;

	fake_begin();
	start("accounts");
	fd = new_file();
	add("ann@example.org");
	add("bob@example.org");
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_OK);
	CU_ASSERT_TRUE(command("account remove", "name", "ann@example.org", NULL));
	CU_ASSERT_TRUE(command("account remove", "name", "bob@example.org", NULL));
	add("ann@example.org");
	id = id_of("ann@example.org");
	CU_ASSERT_TRUE(
	    command("account passwd", "name", "ann@example.org", "password", "new", NULL));
	CU_ASSERT_EQUAL(load(fd, "nobody@example.org", &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 0);
	CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 1);
	CU_ASSERT_EQUAL(id_of("ann@example.org"), id);
	CU_ASSERT_FALSE(logs_in("ann@example.org"));
	CU_ASSERT_TRUE(logs_in("bob@example.org"));
	close(fd);
	stop_and_end();
}

/* Whoever has an id keeps it: mail is stored under it. */
static void ids_that_are_taken(void)
{
	uint64_t added, refused;
	char path[600], other[600], shell[1300];
	int fd;

	fake_begin();
	start("accounts");
	fd = new_file();
	add("first@example.org"); /* makes the database, whose ids then go on alike in its copy */
	pstn_module.stop(module);
	snprintf(path, sizeof(path), "%s/accounts.mdb",
		 fake_host()->directory(self, PSTN_DIR_STATE));
	snprintf(other, sizeof(other), "%s/other.mdb",
		 fake_host()->directory(self, PSTN_DIR_STATE));
	snprintf(shell, sizeof(shell), "cp %s %s", path, other);
	CU_ASSERT_EQUAL(system(shell), 0);
	start("accounts");
	add("ann@example.org");
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_OK);
	move_to("other");
	add("bob@example.org");
	CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 0);
	CU_ASSERT_EQUAL(refused, 1);
	CU_ASSERT_EQUAL(id_of("ann@example.org"), 0);
	close(fd);
	stop_and_end();
}

/* Any octet that is another, and any end that comes too early: nothing is added. */
static void damaged_copies(void)
{
	uint64_t added, refused;
	struct stat info;
	int fd;

	fake_begin();
	start("accounts");
	fd = new_file();
	add("ann@example.org");
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_OK);
	move_to("other");
	CU_ASSERT_EQUAL_FATAL(fstat(fd, &info), 0);
	for (off_t i = 0; i < info.st_size; i++) {
		char octet, other;

		CU_ASSERT_EQUAL(pread(fd, &octet, 1, i), 1);
		other = (char)(octet ^ 1);
		CU_ASSERT_EQUAL(pwrite(fd, &other, 1, i), 1);
		CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_E_DAMAGED);
		CU_ASSERT_EQUAL(pwrite(fd, &octet, 1, i), 1);
	}
	for (off_t i = info.st_size - 1; i >= 0; i--) {
		CU_ASSERT_EQUAL(ftruncate(fd, i), 0);
		CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_E_DAMAGED);
	}
	CU_ASSERT_EQUAL(id_of("ann@example.org"), 0);
	close(fd);
	stop_and_end();
}

/* More than the buffer holds, and a disk that has no room for it. */
static void many_accounts(void)
{
	struct rlimit old, limit;
	uint64_t added, refused;
	char name[64];
	int fd;

	fake_begin();
	start("accounts");
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "user%d@example.org", i);
		CU_ASSERT_TRUE_FATAL(command("account add", "name", name, "verifier", "",
					     "password",
					     "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3"
					     "OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ"
					     "7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
					     NULL));
	}
	fd = new_file();
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = (struct rlimit){.rlim_cur = 10000, .rlim_max = old.rlim_max};
	setrlimit(RLIMIT_FSIZE, &limit);
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_E_FULL);
	setrlimit(RLIMIT_FSIZE, &old);
	signal(SIGXFSZ, SIG_DFL);
	CU_ASSERT_EQUAL(accounts_directory.save(module, fd), PSTN_OK);
	move_to("other");
	CU_ASSERT_EQUAL(load(fd, "user7@example.org", &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 1);
	CU_ASSERT_EQUAL(load(fd, NULL, &added, &refused), PSTN_OK);
	CU_ASSERT_EQUAL(added, 399);
	close(fd);
	stop_and_end();
}

static void every_allocation_fails(void)
{
	uint64_t added, refused;
	bool failed = true;
	int fd;

	fake_begin();
	start("accounts");
	fd = new_file();
	add("ann@example.org");
	for (unsigned long n = 1; failed; n++) {
		int status;

		fake_fail_alloc(n);
		status = accounts_directory.save(module, fd);
		failed = fake_alloc_failed();
		CU_ASSERT_EQUAL(status, failed ? PSTN_E_TEMPORARY : PSTN_OK);
	}
	failed = true;
	for (unsigned long n = 1; failed; n++) {
		int status;

		fake_fail_alloc(n);
		status = load(fd, NULL, &added, &refused);
		failed = fake_alloc_failed();
		CU_ASSERT_EQUAL(status, failed ? PSTN_E_TEMPORARY : PSTN_OK);
	}
	fake_fail_alloc(0);
	close(fd);
	stop_and_end();
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"everything comes back", everything_comes_back},
	    {"what is there stays", what_is_there_stays},
	    {"ids that are taken", ids_that_are_taken},
	    {"damaged copies", damaged_copies},
	    {"many accounts", many_accounts},
	    {"every allocation fails", every_allocation_fails},
	    {NULL, NULL},
	};

	return suite_run_in_memory("accounts copy", cases, argc > 1 ? argv[1] : NULL);
}
