/*
 * test_logging.c - the logging module: levels, files that move, fill up or cannot be written,
 * syslog, stderr, commands.
 */
#include "module_rig.h"

#include "modules/logging/logging.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct logging_conf conf;
static struct logging_file files[3];
static const struct pstn_log_sink *sink;

/* ---- an instance ---- */

static const char *path_of(const char *name)
{
	static char paths[4][512];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, 512, "%s/%s", fake_host()->directory(self, PSTN_DIR_LOG), name);
	return path;
}

static void prepare(void)
{
	conf = (struct logging_conf){.level = PSTN_INFO,
				     .syslog = {.ident = "postern", .path = "/nonexistent/log"}};
	memset(files, 0, sizeof(files));
	conf.files.items = files;
	fake_begin();
	make_instance("logging", &conf);
	sink = pstn_module.offers[0].table;
}

static void add_file(const char *path)
{
	files[conf.files.count++] = (struct logging_file){.path = strdup(path), .rotate_keep = 10};
}

static void end(void)
{
	stop_and_end();
	for (unsigned i = 0; i < conf.files.count; i++)
		free((void *)(uintptr_t)files[i].path);
}

static struct pstn_log_event event_of(const char *service, int level, const char *event)
{
	return (struct pstn_log_event){.size = sizeof(struct pstn_log_event),
				       .level = level,
				       .time = UINT64_C(1795453262000000000),
				       .service = service,
				       .session = "",
				       .event = event,
				       .generation = 1};
}

static void log_one(const char *service, int level, const char *event)
{
	struct pstn_log_event e = event_of(service, level, event);

	sink->write(module, &e, 1);
}

static const char *content(const char *path)
{
	static char text[1 << 16];
	FILE *in = fopen(path, "r");
	size_t n = in ? fread(text, 1, sizeof(text) - 1, in) : 0;

	if (in)
		fclose(in);
	text[n] = '\0';
	return in ? text : "(no file)";
}

static unsigned lines_in(const char *path)
{
	FILE *in = fopen(path, "r");
	unsigned n = 0;

	for (int c; in && (c = fgetc(in)) != EOF;)
		n += c == '\n';
	if (in)
		fclose(in);
	return n;
}

static bool holds(const char *path, const char *text)
{
	return strstr(content(path), text);
}

/* ---- who wants what ---- */

static void test_default_file(void)
{
	struct stat file;

	prepare();
	must_start();
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(sink->level(module, "pop3"), PSTN_INFO);
	log_one("pop3", PSTN_INFO, "login");
	log_one("pop3", PSTN_PROTOCOL, "command");
	log_one("core", PSTN_CRITICAL, "end");
	CU_ASSERT_STRING_EQUAL(content(path_of("postern.log")),
			       "2026-11-23T17:01:02.000000Z info pop3 login\n"
			       "2026-11-23T17:01:02.000000Z critical core end\n");
	CU_ASSERT_EQUAL(stat(path_of("postern.log"), &file), 0);
	CU_ASSERT_EQUAL(file.st_mode & 0777, 0640);
	end();
}

static void test_levels_and_services(void)
{
	static struct logging_service_level levels[] = {{"pop3", PSTN_PROTOCOL}, {"imap", 0}};
	static const char *services[] = {"pop3", "lmtp"};

	prepare();
	conf.levels = (struct pstn_list){2, levels};
	add_file(path_of("all"));
	add_file(path_of("errors"));
	add_file(path_of("pop3.json"));
	files[1].level = PSTN_ERROR;
	files[2].services = (struct pstn_list){2, services};
	files[2].format = FORMAT_JSON;
	must_start();
	CU_ASSERT_EQUAL(sink->level(module, "pop3"), PSTN_PROTOCOL);
	CU_ASSERT_EQUAL(sink->level(module, "imap"), PSTN_ERROR); /* the errors' file wants it */
	CU_ASSERT_EQUAL(sink->level(module, "core"), PSTN_INFO);
	log_one("pop3", PSTN_PROTOCOL, "one");
	log_one("imap", PSTN_INFO, "two");
	log_one("imap", PSTN_ERROR, "three");
	log_one("lmtp", PSTN_PROTOCOL, "four");
	log_one("lmtp", PSTN_INFO, "five");
	log_one("core", PSTN_CRITICAL, "six");
	CU_ASSERT_TRUE(holds(path_of("all"), "pop3 one\n"));
	CU_ASSERT_TRUE(holds(path_of("all"), "lmtp five\n"));
	CU_ASSERT_TRUE(holds(path_of("all"), "core six\n"));
	CU_ASSERT_EQUAL(lines_in(path_of("all")), 3);
	CU_ASSERT_TRUE(holds(path_of("errors"), "imap three\n"));
	CU_ASSERT_EQUAL(lines_in(path_of("errors")), 2);
	CU_ASSERT_TRUE(holds(path_of("pop3.json"), "\"event\":\"one\""));
	CU_ASSERT_TRUE(holds(path_of("pop3.json"), "\"event\":\"five\""));
	CU_ASSERT_EQUAL(lines_in(path_of("pop3.json")), 2);
	end();
}

static void test_a_batch_is_in_order(void)
{
	enum { EVENTS = 3000 };
	static struct pstn_log_event batch[EVENTS];
	static char names[EVENTS][16];
	char expected[64];
	const char *at;
	struct stat file;

	prepare();
	must_start();
	for (unsigned i = 0; i < EVENTS; i++) {
		snprintf(names[i], sizeof(names[i]), "e%u", i);
		batch[i] = event_of("core", PSTN_INFO, names[i]);
	}
	sink->write(module, batch, EVENTS);
	CU_ASSERT_EQUAL(stat(path_of("postern.log"), &file), 0);
	CU_ASSERT_TRUE(file.st_size > 2 * FORMAT_LINE_MAX);
	at = content(path_of("postern.log"));
	for (unsigned i = 0; i < 1000 && at; i++) {
		snprintf(expected, sizeof(expected), "core e%u\n", i);
		at = strstr(at, expected);
		CU_ASSERT_PTR_NOT_NULL(at);
	}
	end();
}

/* ---- files that move ---- */

static void test_moved_away(void)
{
	prepare();
	must_start();
	log_one("core", PSTN_INFO, "one");
	CU_ASSERT_EQUAL(rename(path_of("postern.log"), path_of("moved")), 0);
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_TRUE(holds(path_of("moved"), "two"));
	fake_advance(1000);
	log_one("core", PSTN_INFO, "three");
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "three"));
	CU_ASSERT_FALSE(holds(path_of("moved"), "three"));
	CU_ASSERT_EQUAL(unlink(path_of("postern.log")), 0);
	fake_advance(1000);
	log_one("core", PSTN_INFO, "four");
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "four"));
	end();
}

static void test_reopen(void)
{
	prepare();
	must_start();
	log_one("core", PSTN_INFO, "one");
	CU_ASSERT_EQUAL(rename(path_of("postern.log"), path_of("moved")), 0);
	sink->reopen(module);
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_EQUAL(lines_in(path_of("moved")), 1);
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "two"));
	end();
}

static void log_numbers(unsigned from, unsigned n)
{
	char name[16];

	for (unsigned i = from; i < from + n; i++) {
		snprintf(name, sizeof(name), "n%u", i);
		log_one("core", PSTN_INFO, name);
	}
}

static void test_rotate(void)
{
	prepare();
	add_file(path_of("log"));
	files[0].rotate_size = 400; /* ten lines are a little more */
	files[0].rotate_keep = 2;
	must_start();
	log_numbers(0, 35);
	CU_ASSERT_EQUAL(lines_in(path_of("log")), 5);
	CU_ASSERT_EQUAL(lines_in(path_of("log.1")), 10);
	CU_ASSERT_TRUE(holds(path_of("log.1"), "n29\n"));
	CU_ASSERT_EQUAL(lines_in(path_of("log.2")), 10);
	CU_ASSERT_TRUE(holds(path_of("log.2"), "n10\n"));
	CU_ASSERT_STRING_EQUAL(content(path_of("log.3")), "(no file)");
	end();
}

static void test_rotate_keeps_nothing(void)
{
	prepare();
	add_file(path_of("log"));
	files[0].rotate_size = 400;
	files[0].rotate_keep = 0;
	must_start();
	log_numbers(0, 15);
	CU_ASSERT_EQUAL(lines_in(path_of("log")), 5);
	CU_ASSERT_STRING_EQUAL(content(path_of("log.1")), "(no file)");
	end();
}

/* Generations that write and rotate the same file at the same time lose nothing. How large a file
 * gets is not said: while one has stopped in the middle of rotating, the others go on writing. */
static void test_rotate_by_several_processes(void)
{
	enum { WRITERS = 4, LINES = 500, KEEP = 60 };
	pid_t writers[WRITERS];
	unsigned total = 0;
	char name[32];
	int status;

	prepare();
	add_file(path_of("log"));
	files[0].rotate_size = 2000;
	files[0].rotate_keep = KEEP;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = fork();
		CU_ASSERT_TRUE_FATAL(writers[i] >= 0);
		if (writers[i] > 0)
			continue;
		must_start();
		log_numbers(i * LINES, LINES);
		pstn_module.stop(module);
		_exit(0);
	}
	for (unsigned i = 0; i < WRITERS; i++) {
		CU_ASSERT_EQUAL(waitpid(writers[i], &status, 0), writers[i]);
		CU_ASSERT_EQUAL(status, 0);
	}
	total = lines_in(path_of("log"));
	for (unsigned i = 1; i <= KEEP; i++) {
		snprintf(name, sizeof(name), "log.%u", i);
		total += lines_in(path_of(name));
	}
	CU_ASSERT_EQUAL(total, WRITERS * LINES);
	CU_ASSERT_STRING_NOT_EQUAL(content(path_of("log.10")), "(no file)");
	must_start();
	end();
}

/* ---- files that cannot be written ---- */

static void test_unwritable_file(void)
{
	prepare();
	add_file(path_of("good"));
	add_file(path_of("bad"));
	CU_ASSERT_EQUAL(mkdir(path_of("bad"), 0700), 0);
	must_start();
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(err, "/bad: cannot be written: Is a directory"));
	log_one("core", PSTN_INFO, "one");
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_EQUAL(lines_in(path_of("good")), 2);
	CU_ASSERT_EQUAL(fake_log_count(), 1); /* said once, not with every line */
	CU_ASSERT_PTR_NOT_NULL_FATAL(fake_log_find("log_sink_failed"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(fake_log_find("log_sink_failed")->fields, "doing=opening error=Is a directory"));
	fake_advance(60000);
	log_one("core", PSTN_INFO, "three");
	CU_ASSERT_EQUAL(fake_log_count(), 2);
	CU_ASSERT_EQUAL(rmdir(path_of("bad")), 0);
	fake_advance(1000);
	log_one("core", PSTN_INFO, "four");
	CU_ASSERT_TRUE(holds(path_of("bad"), "log_lines_lost"));
	CU_ASSERT_TRUE(holds(path_of("bad"), "lines_lost=3\n"));
	CU_ASSERT_TRUE(holds(path_of("bad"), "four\n"));
	CU_ASSERT_EQUAL(lines_in(path_of("good")), 4);
	end();
}

static void test_device_full(void)
{
	prepare();
	add_file("/dev/full");
	add_file(path_of("good"));
	must_start();
	log_one("core", PSTN_INFO, "one");
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_EQUAL(lines_in(path_of("good")), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_log_find("log_sink_failed")->fields, "No space left"));
	end();
}

/* A line of which only a part could be written ends there; the next one begins on its own line. */
static void test_disk_fills_within_a_line(void)
{
	struct rlimit before, small;

	prepare();
	must_start();
	log_one("core", PSTN_INFO, "one");
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 60;
	setrlimit(RLIMIT_FSIZE, &small);
	log_one("core", PSTN_INFO, "two");
	log_one("core", PSTN_INFO, "three");
	setrlimit(RLIMIT_FSIZE, &before);
	log_one("core", PSTN_INFO, "four");
	CU_ASSERT_PTR_NOT_NULL(strstr(content(path_of("postern.log")), "core one\n2026-"));
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "lines_lost=2\n"));
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "Z info core four\n"));
	CU_ASSERT_EQUAL(lines_in(path_of("postern.log")), 4); /* one, torn, lost, four */
	end();
}

static void test_fifo_without_reader(void)
{
	prepare();
	add_file(path_of("fifo"));
	CU_ASSERT_EQUAL(mkfifo(path_of("fifo"), 0600), 0);
	must_start();
	log_one("core", PSTN_INFO, "one");
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("log_sink_failed"));
	end();
}

static void test_directory_appears_later(void)
{
	prepare();
	add_file(path_of("sub/log"));
	must_start();
	log_one("core", PSTN_INFO, "one");
	CU_ASSERT_EQUAL(mkdir(path_of("sub"), 0700), 0);
	fake_advance(1000);
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_TRUE(holds(path_of("sub/log"), "lines_lost=1\n"));
	CU_ASSERT_TRUE(holds(path_of("sub/log"), "two\n"));
	end();
}

/* ---- syslog ---- */

static char syslog_path[100];

static int syslog_daemon(void)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	unlink(syslog_path);
	memcpy(at.sun_path, syslog_path, strlen(syslog_path) + 1);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static const char *received(int fd)
{
	static char message[20000];
	ssize_t n = recv(fd, message, sizeof(message) - 1, 0);

	message[n < 0 ? 0 : n] = '\0';
	return message;
}

static void prepare_syslog(void)
{
	prepare();
	snprintf(syslog_path, sizeof(syslog_path), "%s/s", fake_directory());
	conf.syslog.path = syslog_path;
	conf.syslog.enabled = true;
}

static void test_syslog(void)
{
	char expected[100];
	int fd;

	prepare_syslog();
	setenv("TZ", "UTC", 1);
	tzset();
	fd = syslog_daemon();
	must_start();
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(fake_log_count(), 0);
	log_one("pop3", PSTN_INFO, "login");
	snprintf(expected, sizeof(expected), "<22>Nov 23 17:01:02 postern[%d]: pop3 login",
		 (int)getpid());
	CU_ASSERT_STRING_EQUAL(received(fd), expected);
	log_one("core", PSTN_CRITICAL, "end");
	CU_ASSERT_EQUAL(strncmp(received(fd), "<18>", 4), 0);
	log_one("core", PSTN_PROTOCOL, "no");
	CU_ASSERT_STRING_EQUAL(received(fd), "");
	CU_ASSERT_STRING_EQUAL(content(path_of("postern.log")), "(no file)");
	/* The daemon is restarted: its socket is another one, nothing is lost. */
	close(fd);
	fd = syslog_daemon();
	fake_advance(1000);
	log_one("core", PSTN_INFO, "again");
	CU_ASSERT_PTR_NOT_NULL(strstr(received(fd), "core again"));
	CU_ASSERT_STRING_EQUAL(received(fd), "");
	close(fd);
	end();
}

static void test_syslog_away(void)
{
	int fd;

	prepare_syslog();
	must_start();
	CU_ASSERT_EQUAL(pstn_module.self_test(module, err, sizeof(err)), 0);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("syslog_unreachable"));
	log_one("core", PSTN_INFO, "one");
	log_one("core", PSTN_INFO, "two");
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("log_sink_failed"));
	fd = syslog_daemon();
	fake_advance(1000);
	log_one("core", PSTN_INFO, "three");
	CU_ASSERT_PTR_NOT_NULL(strstr(received(fd), "log_lines_lost"));
	CU_ASSERT_PTR_NOT_NULL(strstr(received(fd), "core three"));
	close(fd);
	end();
}

/* A daemon that does not read costs a moment per batch and its own lines. */
static void test_syslog_stuck(void)
{
	enum { EVENTS = 5000 };
	static struct pstn_log_event batch[EVENTS];
	struct timespec from, to;
	unsigned got = 0;
	int fd;

	prepare_syslog();
	fd = syslog_daemon();
	must_start();
	for (unsigned i = 0; i < EVENTS; i++)
		batch[i] = event_of("core", PSTN_INFO, "x");
	clock_gettime(CLOCK_MONOTONIC, &from);
	sink->write(module, batch, EVENTS);
	clock_gettime(CLOCK_MONOTONIC, &to);
	CU_ASSERT_TRUE(to.tv_sec - from.tv_sec < 30);
	CU_ASSERT_PTR_NOT_NULL(fake_log_find("log_sink_failed"));
	while (*received(fd))
		got++;
	log_one("core", PSTN_INFO, "later");
	CU_ASSERT_PTR_NOT_NULL(strstr(received(fd), "log_lines_lost"));
	CU_ASSERT_TRUE(got > 0 && got < EVENTS);
	close(fd);
	end();
}

static void test_syslog_long_message(void)
{
	static char value[10000];
	struct pstn_field fields[6];
	struct pstn_log_event e = event_of("core", PSTN_INFO, "x");
	int fd;

	prepare_syslog();
	fd = syslog_daemon();
	must_start();
	memset(value, 'x', sizeof(value) - 1);
	for (unsigned i = 0; i < 6; i++)
		fields[i] = PSTN_S("v", value);
	e.fields = fields;
	e.nfields = 6;
	sink->write(module, &e, 1);
	CU_ASSERT_EQUAL(strlen(received(fd)), 8192);
	close(fd);
	end();
}

/* ---- stderr ---- */

static void test_stderr(void)
{
	int pipes[2], saved = dup(STDERR_FILENO);
	char text[512] = "";

	prepare();
	conf.stderr.enabled = true;
	conf.stderr.format = FORMAT_JSON;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	must_start();
	dup2(pipes[1], STDERR_FILENO);
	log_one("core", PSTN_INFO, "one");
	dup2(saved, STDERR_FILENO);
	CU_ASSERT_TRUE(read(pipes[0], text, sizeof(text) - 1) > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"event\":\"one\""));
	CU_ASSERT_STRING_EQUAL(content(path_of("postern.log")), "(no file)");
	close(pipes[0]);
	close(pipes[1]);
	close(saved);
	end();
}

static void test_stderr_stuck(void)
{
	enum { EVENTS = 4000 };
	static struct pstn_log_event batch[EVENTS];
	static char text[1 << 18];
	int pipes[2], saved = dup(STDERR_FILENO);

	prepare();
	conf.stderr.enabled = true;
	CU_ASSERT_EQUAL_FATAL(pipe(pipes), 0);
	must_start();
	for (unsigned i = 0; i < EVENTS; i++)
		batch[i] = event_of("core", PSTN_INFO, "x");
	dup2(pipes[1], STDERR_FILENO);
	sink->write(module, batch, EVENTS);
	CU_ASSERT_TRUE(read(pipes[0], text, sizeof(text) - 1) > 0);
	log_one("core", PSTN_INFO, "later");
	memset(text, 0, sizeof(text));
	CU_ASSERT_TRUE(read(pipes[0], text, sizeof(text) - 1) > 0);
	dup2(saved, STDERR_FILENO);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "log_lines_lost"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "later"));
	close(pipes[0]);
	close(pipes[1]);
	close(saved);
	end();
}

/* ---- commands ---- */

static void test_log_level(void)
{
	static struct logging_service_level levels[] = {{"imap", PSTN_WARNING}};

	prepare();
	conf.levels = (struct pstn_list){1, levels};
	must_start();
	CU_ASSERT_TRUE(command("log levels", NULL));
	CU_ASSERT_STRING_EQUAL(
	    answer, "[{\"service\":\"imap\",\"level\":\"warning\",\"from\":\"configuration\"},"
		    "{\"service\":\"(others)\",\"level\":\"info\",\"from\":\"configuration\"}]");
	CU_ASSERT_TRUE(
	    command("log level", "service", "pop3", "level", "protocol", "for", "10m", NULL));
	CU_ASSERT_STRING_EQUAL(answer, "{\"service\":\"pop3\",\"level\":\"protocol\","
				       "\"from\":\"log level\",\"seconds_left\":600}");
	CU_ASSERT_EQUAL(sink->level(module, "pop3"), PSTN_PROTOCOL);
	CU_ASSERT_EQUAL(sink->level(module, "core"), PSTN_INFO);
	log_one("pop3", PSTN_PROTOCOL, "seen");
	CU_ASSERT_TRUE(holds(path_of("postern.log"), "protocol pop3 seen\n"));
	fake_advance(599999);
	CU_ASSERT_EQUAL(sink->level(module, "pop3"), PSTN_PROTOCOL);
	fake_advance(1);
	CU_ASSERT_EQUAL(sink->level(module, "pop3"), PSTN_INFO);
	CU_ASSERT_TRUE(command("log level", "service", "imap", "level", "off", NULL));
	CU_ASSERT_EQUAL(sink->level(module, "imap"), 0);
	CU_ASSERT_TRUE(command("log levels", NULL));
	CU_ASSERT_STRING_EQUAL(
	    answer, "[{\"service\":\"imap\",\"level\":\"off\",\"from\":\"log level\"},"
		    "{\"service\":\"(others)\",\"level\":\"info\",\"from\":\"configuration\"}]");
	CU_ASSERT_TRUE(command("log level", "service", "imap", "level", "default", NULL));
	CU_ASSERT_STRING_EQUAL(
	    answer, "{\"service\":\"imap\",\"level\":\"warning\",\"from\":\"configuration\"}");
	end();
}

static void test_log_level_refusals(void)
{
	char service[80];

	prepare();
	must_start();
	CU_ASSERT_FALSE(command("log level", "service", "pop3", "level", "debug", NULL));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "\"debug\" is no level; expected off, critical"));
	for (unsigned i = 0; i < 6; i++) {
		static const char *const bad[] = {"", "x", "-1s", "10x", "10mm", "99999999999999d"};

		CU_ASSERT_FALSE(
		    command("log level", "service", "pop3", "level", "info", "for", bad[i], NULL));
		CU_ASSERT_PTR_NOT_NULL(strstr(answer, "expected a duration"));
	}
	memset(service, 'x', sizeof(service) - 1);
	service[sizeof(service) - 1] = '\0';
	CU_ASSERT_FALSE(command("log level", "service", service, "level", "info", NULL));
	for (unsigned i = 0; i < 32; i++) {
		snprintf(service, sizeof(service), "s%u", i);
		CU_ASSERT_TRUE(command("log level", "service", service, "level", "info", NULL));
	}
	CU_ASSERT_FALSE(command("log level", "service", "one more", "level", "info", NULL));
	CU_ASSERT_PTR_NOT_NULL(strstr(answer, "32 services have a level"));
	CU_ASSERT_TRUE(command("log level", "service", "s3", "level", "default", NULL));
	CU_ASSERT_TRUE(command("log level", "service", "one more", "level", "info", NULL));
	end();
}

/* ---- memory ---- */

static void test_every_allocation_fails(void)
{
	prepare();
	conf.stderr.enabled = conf.syslog.enabled = true;
	for (unsigned files_too = 0; files_too < 3; files_too++) {
		bool failed = true;

		if (files_too == 1)
			conf.stderr.enabled = conf.syslog.enabled = false;
		else if (files_too == 2)
			add_file(path_of("log"));
		for (unsigned long n = 1; failed && n < 50; n++) {
			fake_fail_alloc(n);
			module = start_module();
			failed = fake_alloc_failed();
			fake_fail_alloc(0);
			if (failed) {
				CU_ASSERT_PTR_NULL(module);
				CU_ASSERT_STRING_EQUAL(err, "no memory");
			}
		}
		CU_ASSERT_PTR_NOT_NULL_FATAL(module);
		if (files_too < 2)
			pstn_module.stop(module);
	}
	end();
}

int main(void)
{
	CU_TestInfo tests[] = {
	    {"default file", test_default_file},
	    {"levels and services", test_levels_and_services},
	    {"a batch is in order", test_a_batch_is_in_order},
	    {"moved away", test_moved_away},
	    {"reopen", test_reopen},
	    {"rotate", test_rotate},
	    {"rotate, keep nothing", test_rotate_keeps_nothing},
	    {"rotate by several processes", test_rotate_by_several_processes},
	    {"unwritable file", test_unwritable_file},
	    {"device full", test_device_full},
	    {"disk fills within a line", test_disk_fills_within_a_line},
	    {"FIFO without reader", test_fifo_without_reader},
	    {"directory appears later", test_directory_appears_later},
	    {"syslog", test_syslog},
	    {"syslog away", test_syslog_away},
	    {"syslog stuck", test_syslog_stuck},
	    {"syslog: long message", test_syslog_long_message},
	    {"stderr", test_stderr},
	    {"stderr stuck", test_stderr_stuck},
	    {"log level", test_log_level},
	    {"log level refuses", test_log_level_refusals},
	    {"every allocation fails", test_every_allocation_fails},
	    CU_TEST_INFO_NULL,
	};
	CU_SuiteInfo suites[] = {{"logging", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
		return 1;
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures ? 1 : 0;
}
