/*
 * test_process.c - small parts of the supervisor: command line, back-off, lists, addresses, lock.
 */
#include "config.h"

#include "backoff.h"
#include "base64.h"
#include "bind.h"
#include "instance_lock.h"
#include "lines.h"
#include "options.h"
#include "port_holder.h"
#include "sandbox.h"

#include <CUnit/Basic.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 6

static int parse(struct options *o, const char *const words[], char *err, size_t errlen)
{
	char *argv[ARGS_MAX + 2] = {(char *)"posternd"};
	int argc = 1;

	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)words[argc - 1];
	return options_parse(o, argc, argv, err, errlen);
}

static void good_options(void)
{
	static const struct {
		const char *words[ARGS_MAX];
		enum options_mode mode;
		bool foreground;
		const char *directory;
	} cases[] = {
	    {{NULL}, MODE_SERVE, false, NULL},
	    {{"--foreground", "--directory", "/srv/mail"}, MODE_SERVE, true, "/srv/mail"},
	    {{"--directory=/srv/mail", "--check"}, MODE_CHECK, false, "/srv/mail"},
	    {{"--check", "--check"}, MODE_CHECK, false, NULL},
	    {{"--single"}, MODE_SINGLE, false, NULL},
	    {{"--print", "man"}, MODE_PRINT, false, NULL},
	    {{"--help"}, MODE_HELP, false, NULL},
	    {{"--version"}, MODE_VERSION, false, NULL},
	    {{"--worker", "8"}, MODE_WORKER, false, NULL},
	    {{"--offline-fd", "7"}, MODE_OFFLINE, false, NULL},
	};
	struct options o;
	char err[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(parse(&o, cases[i].words, err, sizeof(err)), 0);
		CU_ASSERT_EQUAL(o.mode, cases[i].mode);
		CU_ASSERT_EQUAL(o.foreground, cases[i].foreground);
		if (cases[i].directory)
			CU_ASSERT_STRING_EQUAL(o.directory, cases[i].directory);
	}
}

static void bad_options(void)
{
	static const struct {
		const char *words[ARGS_MAX];
		const char *text;
	} cases[] = {
	    {{"--foregroud"}, "did you mean --foreground?"},
	    {{"--wibble-wobble"}, "--help lists them all"},
	    {{"-d"}, "unknown option -d"},
	    {{"--worke", "1"}, "unknown option"},
	    {{"start"}, "takes options only"},
	    {{""}, "takes options only"},
	    {{"--config"}, "needs a value"},
	    {{"--config", ""}, "empty"},
	    {{"--config="}, "empty"},
	    {{"--check=yes"}, "takes no value"},
	    {{"--check", "--single"}, "--single does not go together"},
	    {{"--print", "novel"}, "sample, reference, man or schema"},
	    {{"--offline-fd", "7x"}, "descriptor's number"},
	    {{"--offline-fd", "-1"}, "descriptor's number"},
	    {{"--offline-fd", "99999999999999999999"}, "descriptor's number"},
	};
	struct options o;
	char err[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(parse(&o, cases[i].words, err, sizeof(err)), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, cases[i].text));
	}
}

static void back_off(void)
{
	struct backoff b = {0};
	uint64_t now = 5000, expected = BACKOFF_FIRST;

	CU_ASSERT_EQUAL(backoff_fail(&b, now), 0);
	for (int i = 0; i < 20; i++) {
		now += b.delay + 10;
		CU_ASSERT_EQUAL(backoff_fail(&b, now), expected);
		expected = expected * 2 < BACKOFF_MAX ? expected * 2 : BACKOFF_MAX;
	}
	CU_ASSERT_EQUAL(b.delay, BACKOFF_MAX);
	/* Stable from the delayed start on, but not for long enough. */
	now += BACKOFF_MAX + BACKOFF_STABLE - 1;
	CU_ASSERT_EQUAL(backoff_fail(&b, now), BACKOFF_MAX);
	now += BACKOFF_MAX + BACKOFF_STABLE;
	CU_ASSERT_EQUAL(backoff_fail(&b, now), 0);
	CU_ASSERT_EQUAL(backoff_fail(&b, now + 1), BACKOFF_FIRST);
}

static void lists(void)
{
	struct lines l = {0};
	char text[32], *all;

	CU_ASSERT_FALSE(lines_has(&l, "1"));
	for (int i = 0; i < LINES_MAX + 3; i++) {
		snprintf(text, sizeof(text), "%d", i);
		lines_add(&l, text);
	}
	CU_ASSERT_EQUAL(l.n, LINES_MAX);
	CU_ASSERT_TRUE(lines_has(&l, "999"));
	CU_ASSERT_FALSE(lines_has(&l, "1000"));
	all = lines_join(&l, "- ");
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	CU_ASSERT_EQUAL(strncmp(all, "- 0\n- 1\n", 8), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(all, "\n- 999\n- and 3 more"));
	free(all);
	lines_clear(&l);
	CU_ASSERT_EQUAL(l.n, 0);
}

/* RFC 4648 section 10 */
static void base64(void)
{
	static const char *const cases[][2] = {{"", ""},
					       {"f", "Zg=="},
					       {"fo", "Zm8="},
					       {"foo", "Zm9v"},
					       {"foob", "Zm9vYg=="},
					       {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"},
					       {"\xff\xfe\xfd", "//79"}};
	char out[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i][0]);
		CU_ASSERT_EQUAL(base64_encode(cases[i][0], n, out), BASE64_SIZE(n));
		CU_ASSERT_EQUAL(memcmp(out, cases[i][1], BASE64_SIZE(n)), 0);
	}
}

static void bad_addresses(void)
{
	static const char *const cases[] = {"",
					    "110",
					    "127.0.0.1",
					    "127.0.0.1:",
					    "127.0.0.1:65536",
					    "127.0.0.1:1x",
					    "[::1:110",
					    "::1:110",
					    "[]:1",
					    "localhost:110",
					    "unix:",
					    "unix:relative",
					    "127.0.0.1:-1",
					    "[127.0.0.1]:1",
					    "[::1]x:1"};
	char err[512], path[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err[0] = '\0';
		CU_ASSERT_EQUAL(bind_address(cases[i], 5, 0, err, sizeof(err)), -1);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, "expected"));
	}
	snprintf(path, sizeof(path), "unix:/%0200d", 1);
	CU_ASSERT_EQUAL(bind_address(path, 5, 0, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "octets"));
	CU_ASSERT_EQUAL(bind_address("192.0.2.1:9", 5, 0, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "no such address"));
}

static void port_in_use(void)
{
	char err[512], address[64], who[96], me[64];
	int fd = bind_address("127.0.0.1:0", 5, 0, err, sizeof(err));
	struct sockaddr_in in;
	socklen_t size = sizeof(in);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", ntohs(in.sin_port));
	CU_ASSERT_EQUAL(bind_address(address, 5, 0, err, sizeof(err)), -1);
	snprintf(me, sizeof(me), "(process %ld) listens on port %u", (long)getpid(),
		 ntohs(in.sin_port));
	/* Who it is takes a search that is given up on a machine that is too busy. */
	CU_ASSERT_TRUE(strstr(err, me) || strstr(err, "another program listens there"));
	close(fd);
	CU_ASSERT_FALSE(port_holder(ntohs(in.sin_port), who, sizeof(who)));
	/* And at once again: no waiting for old connections. */
	fd = bind_address(address, 5, 0, err, sizeof(err));
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
}

static void scratch(struct dirs *d, char *base)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(base));
	*d = (struct dirs){0};
	if (asprintf(&d->state, "%s/deep/down/state", base) < 0 ||
	    asprintf(&d->run, "%s/run", base) < 0 || asprintf(&d->log, "%s/log", base) < 0)
		abort();
}

static void forget(struct dirs *d, const char *base)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", base);
	CU_ASSERT_EQUAL(system(command), 0);
	free(d->state);
	free(d->run);
	free(d->log);
}

static void unix_sockets(void)
{
	char base[] = "/tmp/postern-unit-XXXXXX", address[128], err[512];
	struct stat st;
	struct dirs d;
	int fd;

	scratch(&d, base);
	snprintf(address, sizeof(address), "unix:%s/sock", base);
	fd = bind_address(address, 5, 0, err, sizeof(err));
	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(stat(address + 5, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0666);
	CU_ASSERT_EQUAL(bind_address(address, 5, 0, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "listens there already"));
	close(fd);
	/* A file without a listener was left by a server that is gone. */
	fd = bind_address(address, 5, 0, err, sizeof(err));
	CU_ASSERT_TRUE(fd >= 0);
	close(fd);
	bind_remove_file(address);
	CU_ASSERT_EQUAL(access(address + 5, F_OK), -1);
	/* What is no socket is not touched. */
	fd = open(address + 5, O_WRONLY | O_CREAT, 0600);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	close(fd);
	CU_ASSERT_EQUAL(bind_address(address, 5, 0, err, sizeof(err)), -1);
	bind_remove_file(address);
	CU_ASSERT_EQUAL(access(address + 5, F_OK), 0);
	forget(&d, base);
}

static void lock(void)
{
	char base[] = "/tmp/postern-unit-XXXXXX", err[512], me[32], path[128];
	struct stat st;
	struct dirs d;
	int first;

	scratch(&d, base);
	CU_ASSERT_EQUAL_FATAL(instance_make_dirs(&d, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(instance_make_dirs(&d, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(stat(d.state, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0750);
	first = instance_lock(&d, false, err, sizeof(err));
	CU_ASSERT_TRUE_FATAL(first >= 0);
	snprintf(me, sizeof(me), "process %ld", (long)getpid());
	CU_ASSERT_EQUAL(instance_lock(&d, false, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, me));
	CU_ASSERT_EQUAL(instance_lock(&d, true, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "leave out --offline"));
	close(first);
	first = instance_lock(&d, true, err, sizeof(err));
	CU_ASSERT_TRUE(first >= 0);
	close(first);
	/* A directory that is a file, a lock that is a symbolic link. */
	snprintf(path, sizeof(path), "%s/posternd.lock", d.state);
	CU_ASSERT_EQUAL(unlink(path), 0);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
	CU_ASSERT_EQUAL(instance_lock(&d, false, err, sizeof(err)), -1);
	free(d.log);
	d.log = strdup(path);
	CU_ASSERT_EQUAL(instance_make_dirs(&d, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "not a directory"));
	forget(&d, base);
}

static void pid_file(void)
{
	char base[] = "/tmp/postern-unit-XXXXXX", path[64], err[512], text[32] = "";
	struct dirs d;
	int fd;

	scratch(&d, base);
	snprintf(path, sizeof(path), "%s/pid", base);
	/* A link that somebody laid there is replaced, not followed. */
	CU_ASSERT_EQUAL(symlink("/nowhere/at/all", path), 0);
	CU_ASSERT_EQUAL(pid_file_write(path, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(pid_file_write(path, err, sizeof(err)), 0);
	fd = open(path, O_RDONLY | O_NOFOLLOW);
	CU_ASSERT_TRUE(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
	CU_ASSERT_EQUAL(atol(text), getpid());
	close(fd);
	snprintf(path, sizeof(path), "%s/missing/pid", base);
	CU_ASSERT_EQUAL(pid_file_write(path, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, path));
	forget(&d, base);
}

/* In the forked process: 0 as it has to be, 1 not, 2 no seccomp here. */
static int try_forbidden(void)
{
	struct reports *r = reports_new();
	struct plan plan = {0};
	char layers[64];
	int fd = open("/dev/null", O_RDWR);

	sandbox_enter(&plan, layers, sizeof(layers), r);
	reports_free(&r);
	if (!strstr(layers, "seccomp"))
		return 2;
	for (size_t i = 0; i < 2; i++) {
		unsigned long request = i ? TIOCLINUX : TIOCSTI;
		if (ioctl(fd, request, "x") == 0 || errno != EPERM)
			return 1;
	}
	return fork() < 0 && errno == EPERM ? 0 : 1;
}

static void sandbox(void)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit(try_forbidden());
	CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) != 1);
}

int main(void)
{
	CU_TestInfo tests[] = {{"good options", good_options},
			       {"bad options", bad_options},
			       {"back-off", back_off},
			       {"lists", lists},
			       {"base64", base64},
			       {"bad addresses", bad_addresses},
			       {"port in use", port_in_use},
			       {"unix sockets", unix_sockets},
			       {"lock", lock},
			       {"pid file", pid_file},
			       {"sandbox", sandbox},
			       CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {{"process", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() || CU_register_suites(suites))
		return 2;
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
