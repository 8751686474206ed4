/*
 * load.c - a POP3 load generator: one thread, one epoll, many sessions, every reply checked.
 *
 *   load --scenario NAME --port N [--connections N] [--seconds S] [--users N] [--user FORMAT]
 *        [--password P] [--messages N]
 *
 * It runs for the given time, lets the sessions under way end, and prints one JSON object. So the
 * server's CPU time over the whole run belongs to exactly the operations that were counted.
 * The idle scenarios hold their sessions from the line "held" until standard input ends.
 */
#include "script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MAX_MESSAGES = 1000, MAX_LATENCIES = 1 << 22, MAX_ERRORS = 20, PATIENCE_MS = 30000 };

struct session {
	int fd;
	unsigned at; /* step of the script */
	unsigned user;
	uint32_t message; /* RETR under way, from 0 */
	uint64_t octets;  /* what STAT said */
	uint64_t began;   /* ns; of the session, or of the command per message */
	struct reply reply;
	uint32_t sizes[]; /* what LIST said, for scenarios that fetch */
};

static struct {
	const struct script *script;
	struct sockaddr_in address;
	unsigned connections, users;
	const char *user_format, *password;
	double seconds;
	uint32_t messages;
} options = {.connections = 16,
	     .users = 1,
	     .user_format = "u%03u@example.org",
	     .password = "secret",
	     .seconds = 1};

static struct {
	uint64_t operations, octets, began, deadline;
	uint32_t *latencies; /* microseconds / 10 */
	uint32_t nlatencies;
	unsigned errors, live, held, next_user;
	char first_error[900];
} tally;

static char buffer[1 << 18];
static struct session **sessions; /* options.connections of them */
static int epoll;

static void die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void count(uint64_t began)
{
	tally.operations++;
	if (tally.nlatencies < MAX_LATENCIES)
		tally.latencies[tally.nlatencies++] = (uint32_t)((now_ns() - began) / 10000);
}

static enum step step_of(const struct session *s)
{
	return options.script->steps[s->at];
}

static void expect(struct session *s)
{
	reply_begin(&s->reply, script_reply(step_of(s)));
}

static void open_session(struct session *s)
{
	int on = 1;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		die("socket");
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	s->at = 0;
	s->user = tally.next_user++ % options.users;
	s->message = 0;
	s->began = now_ns();
	if (connect(s->fd, (const struct sockaddr *)&options.address, sizeof options.address) < 0 &&
	    errno != EINPROGRESS)
		die("connect");
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, s->fd, &event) < 0)
		die("epoll_ctl");
	tally.live++;
	expect(s);
}

static bool time_is_up(void)
{
	return now_ns() >= tally.deadline || tally.errors >= MAX_ERRORS;
}

static void end_session(struct session *s)
{
	close(s->fd);
	s->fd = -1;
	tally.live--;
	if (step_of(s) != HELD && !time_is_up())
		open_session(s);
}

static void fail(struct session *s, const char *what)
{
	if (tally.errors++ == 0)
		snprintf(tally.first_error, sizeof tally.first_error, "step %u: %s: %.300s", s->at,
			 what, s->reply.line);
	end_session(s);
}

static bool say(struct session *s, const char *text, size_t n)
{
	if (send(s->fd, text, n, MSG_NOSIGNAL) == (ssize_t)n)
		return true;
	fail(s, "cannot send");
	return false;
}

static size_t retr_text(char *out, size_t size, uint32_t from, uint32_t to)
{
	size_t at = 0;
	for (uint32_t i = from; i < to && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "RETR %" PRIu32 "\r\n", i + 1);
	return at;
}

/* Say what the session's step has to say; nothing for steps that only listen. */
static bool speak(struct session *s)
{
	char text[MAX_MESSAGES * 12], user[200];
	size_t n = 0;
	switch (step_of(s)) {
	case USER:
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(user, sizeof user, options.user_format, s->user + 1);
#pragma GCC diagnostic pop
		n = (size_t)snprintf(text, sizeof text, "USER %s\r\n", user);
		break;
	case PASS:
		n = (size_t)snprintf(text, sizeof text, "PASS %s\r\n", options.password);
		break;
	case STAT:
		n = (size_t)snprintf(text, sizeof text, "STAT\r\n");
		break;
	case UIDL:
		n = (size_t)snprintf(text, sizeof text, "UIDL\r\n");
		break;
	case LIST:
		n = (size_t)snprintf(text, sizeof text, "LIST\r\n");
		break;
	case QUIT:
		n = (size_t)snprintf(text, sizeof text, "QUIT\r\n");
		break;
	case RETR:
		if (options.script->pipelined && s->message > 0)
			return true;
		if (!options.script->pipelined || s->message == 0)
			s->began = now_ns();
		n = retr_text(text, sizeof text, s->message,
			      options.script->pipelined ? options.messages : s->message + 1);
		break;
	case GREETING:
	case CLOSED:
	case HELD:
		return true;
	}
	return say(s, text, n);
}

/* The reply is complete: judge it, go to the next step. false: the session is over. */
static bool advance(struct session *s)
{
	const char *wrong = script_judge(step_of(s), &s->reply, options.messages, &s->octets);
	if (step_of(s) == RETR) {
		if (s->reply.octets != s->sizes[s->message])
			wrong = "RETR has another size than LIST said";
		tally.octets += s->reply.octets;
		if (!wrong)
			count(s->began);
		if (++s->message == options.messages)
			s->at++;
	} else {
		s->at++;
	}
	if (wrong) {
		s->at -= step_of(s) != RETR;
		fail(s, wrong);
		return false;
	}
	if (step_of(s) == HELD)
		tally.held++;
	else
		expect(s);
	return speak(s);
}

static void ended(struct session *s)
{
	if (step_of(s) != CLOSED) {
		fail(s, "connection closed too early");
		return;
	}
	if (!options.script->per_message)
		count(s->began);
	end_session(s);
}

static void receive(struct session *s)
{
	ssize_t n = recv(s->fd, buffer, sizeof buffer, 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		fail(s, strerror(errno));
	else if (n == 0)
		ended(s);
	for (size_t at = 0; n > 0 && at < (size_t)n;) {
		if (step_of(s) == CLOSED || step_of(s) == HELD) {
			fail(s, "more than was asked for");
			return;
		}
		at += reply_feed(&s->reply, buffer + at, (size_t)n - at);
		if (s->reply.bad) {
			fail(s, s->reply.bad);
			return;
		}
		if (s->reply.done && !advance(s))
			return;
	}
}

static void turn(void)
{
	struct epoll_event events[256];
	int n = epoll_wait(epoll, events, 256, PATIENCE_MS);
	if (n < 0 && errno != EINTR)
		die("epoll_wait");
	if (n == 0) {
		tally.errors++;
		snprintf(tally.first_error, sizeof tally.first_error, "no reply for %d s",
			 PATIENCE_MS / 1000);
		tally.live = 0;
	}
	for (int i = 0; i < n; i++)
		receive(events[i].data.ptr);
}

static struct session *new_session(void)
{
	struct session *s = calloc(1, sizeof *s + options.messages * sizeof s->sizes[0]);
	if (!s)
		die("memory");
	s->reply.sizes = s->sizes;
	s->reply.max_sizes = options.messages;
	return s;
}

static void run(void)
{
	for (unsigned i = 0; i < options.connections && tally.errors < MAX_ERRORS; i++) {
		sessions[i] = new_session();
		open_session(sessions[i]);
		/* the idle ones one after another: their number may exceed a server's backlog */
		while (options.seconds == 0 && tally.held <= i && tally.errors == 0)
			turn();
	}
	while (options.seconds > 0 && tally.live > 0)
		turn();
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return x < y ? -1 : x > y;
}

static double percentile(double p)
{
	if (tally.nlatencies == 0)
		return 0;
	return tally.latencies[(uint32_t)((tally.nlatencies - 1) * p)] / 100.0;
}

static void report(double seconds)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
	qsort(tally.latencies, tally.nlatencies, sizeof tally.latencies[0], by_value);
	for (char *p = tally.first_error; *p; p++)
		if (*p == '"' || *p == '\\' || *p < ' ')
			*p = '\'';
	printf("{\"scenario\":\"%s\",\"operations\":%" PRIu64
	       ",\"seconds\":%.6f,\"octets\":%" PRIu64
	       ",\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"own_cpu\":%.6f,\"errors\":%u,\"first_error\":\"%"
	       "s\"}\n",
	       options.script->name, tally.operations, seconds, tally.octets, percentile(0.5),
	       percentile(0.99), cpu, tally.errors, tally.first_error);
}

static void usage(void)
{
	char names[200];
	script_names(names, sizeof names);
	fprintf(stderr,
		"usage: load --scenario NAME --port N [--connections N] [--seconds S] [--users N]\n"
		"            [--user FORMAT] [--password P] [--messages N]\nscenarios: %s\n",
		names);
	exit(2);
}

static void read_option(int option, const char *value)
{
	switch (option) {
	case 's':
		options.script = script_find(value);
		break;
	case 'p':
		options.address.sin_port = htons((uint16_t)strtoul(value, NULL, 10));
		break;
	case 'c':
		options.connections = (unsigned)strtoul(value, NULL, 10);
		break;
	case 't':
		options.seconds = strtod(value, NULL);
		break;
	case 'u':
		options.users = (unsigned)strtoul(value, NULL, 10);
		break;
	case 'f':
		options.user_format = value;
		break;
	case 'w':
		options.password = value;
		break;
	case 'm':
		options.messages = (uint32_t)strtoul(value, NULL, 10);
		break;
	default:
		usage();
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
	    {"scenario", 1, NULL, 's'}, {"port", 1, NULL, 'p'},     {"connections", 1, NULL, 'c'},
	    {"seconds", 1, NULL, 't'},  {"users", 1, NULL, 'u'},    {"user", 1, NULL, 'f'},
	    {"password", 1, NULL, 'w'}, {"messages", 1, NULL, 'm'}, {NULL, 0, NULL, 0},
	};
	int option;
	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1)
		read_option(option, optarg);
	if (!options.script || !options.address.sin_port || options.users == 0 ||
	    options.connections == 0)
		usage();
	if (options.messages > MAX_MESSAGES ||
	    (options.script->per_message && options.messages == 0)) {
		fprintf(stderr, "load: --messages: 1 to %d\n", MAX_MESSAGES);
		exit(2);
	}
	if (strncmp(options.script->name, "idle", 4) == 0)
		options.seconds = 0;
	options.address.sin_family = AF_INET;
	options.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

int main(int argc, char **argv)
{
	struct rlimit files;
	read_options(argc, argv);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	tally.latencies = malloc(MAX_LATENCIES * sizeof tally.latencies[0]);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sessions = calloc(options.connections, sizeof *sessions);
	if (!tally.latencies || !sessions || epoll < 0)
		die("start");
	tally.began = now_ns();
	tally.deadline = tally.began + (uint64_t)(options.seconds * 1e9);
	run();
	double seconds = (double)(now_ns() - tally.began) / 1e9;
	if (options.seconds == 0 && tally.errors == 0) {
		printf("held\n");
		fflush(stdout);
		while (read(STDIN_FILENO, buffer, sizeof buffer) > 0)
			;
	}
	report(seconds);
	for (unsigned i = 0; i < options.connections; i++)
		free(sessions[i]);
	free(sessions);
	free(tally.latencies);
	return tally.errors ? 1 : 0;
}
