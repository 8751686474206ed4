/*
 * test_reactor.c - sessions from accept to close, over real sockets, with the test's own clock.
 */
#include "runtime_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "suite.h"

/* ---- a service with a few commands ----------------------------------------------------------- */

struct later {
	struct task task;
	struct pstn_session *session;
};

struct echo {
	unsigned lines;
	size_t raw_left;
	struct later later;
};

static void greet(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)rig;
	(void)state;
	session_write(s, "+OK hello\r\n", 11);
}

static void complete(void *arg, int status)
{
	struct pstn_session *s = arg;

	(void)status;
	session_write(s, "+OK later\r\n", 11);
	session_resume(s);
}

static void run_later(struct task *task)
{
	struct later *l = (struct later *)task;

	session_enter(l->session, complete, l->session, PSTN_OK);
}

static void echo(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct echo *e = state;

	(void)rig;
	e->lines++;
	if (strcmp(line, "QUIT") == 0) {
		session_write(s, "+OK bye\r\n", 9);
		session_finish(s, "quit");
	} else if (strcmp(line, "LATER") == 0) {
		session_hold(s);
		e->later = (struct later){.task.run = run_later, .session = s};
		reactor_post(session_reactor(s), &e->later.task);
	} else if (strcmp(line, "HOLD") == 0) {
		session_hold(s);
	} else if (strcmp(line, "HOLDRESUME") == 0) {
		session_hold(s);
		session_write(s, "+OK\r\n", 5);
		session_resume(s);
	} else if (sscanf(line, "RAW %zu", &e->raw_left) == 1) {
		session_raw(s, true);
	} else if (strcmp(line, "LINES") == 0) {
		session_printf(s, "+OK %u\r\n", e->lines);
	} else if (strcmp(line, "DROP") == 0) {
		session_write(s, "never seen", 10);
		session_drop(s, "dropped");
	} else {
		session_write(s, "+OK ", 4);
		session_write(s, line, n);
		session_write(s, "\r\n", 2);
	}
}

static void overlong(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)rig;
	(void)state;
	session_write(s, "-ERR too long\r\n", 15);
}

/* Raw octets are counted, some at a time, and shown with their case changed. */
static size_t raw(struct rig *rig, struct pstn_session *s, void *state, const char *bytes, size_t n)
{
	struct echo *e = state;
	size_t part = n < 3 ? n : 3;

	(void)rig;
	if (part > e->raw_left)
		part = e->raw_left;
	for (size_t i = 0; i < part; i++)
		session_printf(s, "%c", bytes[i] ^ 0x20);
	e->raw_left -= part;
	if (!e->raw_left)
		session_raw(s, false);
	else
		session_resume(s);
	return part;
}

static struct rig echo_rig(void)
{
	return (struct rig){.open = greet,
			    .line = echo,
			    .overlong = overlong,
			    .data = raw,
			    .session_size = sizeof(struct echo),
			    .line_limit = 40};
}

/* On a reactor's thread, where CUnit must not be called; ends_with() looks. */
static void check(struct rig *rig, bool right)
{
	if (!right)
		atomic_fetch_add(&rig->wrong, 1);
}

static int connected(struct rig *rig)
{
	int fd = client_connect(rig);

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT(client_expects(fd, "+OK hello\r\n"));
	return fd;
}

/* The inside of the newest session and of its reactor, without a race. */
struct look {
	size_t kept;
	uint32_t interest;
	bool eof;
	unsigned lingering;
};

static void look_inside(struct reactor *r, void *arg)
{
	const struct pstn_session *s = r->sessions;
	struct look *look = arg;

	look->lingering = r->nlingering;
	if (!s)
		return;
	look->kept = s->input ? s->input->end - s->input->start : 0;
	look->interest = s->interest;
	look->eof = s->eof;
}

static struct look look_at(struct rig *rig)
{
	struct look look = {0};

	reactor_call(&rig->all->reactors[0], look_inside, &look);
	return look;
}

static void ends_with(struct rig *rig, int fd, const char *why)
{
	CU_ASSERT(client_eof(fd));
	close(fd);
	CU_ASSERT(rig_wait_sessions(rig, 0));
	CU_ASSERT_STRING_EQUAL(rig->why, why);
	CU_ASSERT_EQUAL(rig->opened, rig->closed);
	CU_ASSERT_EQUAL(rig->wrong, 0);
}

/* ---- input ----------------------------------------------------------------------------------- */

static void test_login_session(void)
{
	for (unsigned family = 0; family < 2; family++) {
		struct rig rig = echo_rig();
		int fd;

		rig.unix_socket = family == 1;
		CU_ASSERT_FATAL(rig_start(&rig) == 0);
		fd = connected(&rig);
		CU_ASSERT(client_says(fd, "USER\r\n"));
		CU_ASSERT(client_expects(fd, "+OK USER\r\n"));
		CU_ASSERT(client_says(fd, "ST"));
		rig_settle(&rig);
		CU_ASSERT(client_says(fd, "AT\n"));
		CU_ASSERT(client_expects(fd, "+OK STAT\r\n"));
		CU_ASSERT(client_says(fd, "QUIT\r\n"));
		CU_ASSERT(client_expects(fd, "+OK bye\r\n"));
		ends_with(&rig, fd, "quit");
		rig_stop(&rig);
	}
}

static void test_every_split(void)
{
	static const char said[] =
	    "A\r\nBB\n\r\nthis one is longer than forty octets can be\r\nC\r\n"
	    "RAW 7\r\nabcdefgD\r\nLATER\r\nQUIT\r\n";
	static const char want[] = "+OK A\r\n+OK BB\r\n+OK \r\n-ERR too long\r\n+OK C\r\n"
				   "ABCDEFG+OK D\r\n+OK later\r\n+OK bye\r\n";
	struct rig rig = echo_rig();

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (size_t first = 0; first < sizeof(said); first++) {
		int fd = connected(&rig);

		CU_ASSERT(client_send(fd, said, first));
		rig_settle(&rig);
		CU_ASSERT(client_send(fd, said + first, sizeof(said) - 1 - first));
		CU_ASSERT(client_expects(fd, want));
		ends_with(&rig, fd, "quit");
	}
	for (size_t step = 1; step < 5; step++) {
		int fd = connected(&rig);

		for (size_t at = 0; at < sizeof(said) - 1; at += step) {
			size_t left = sizeof(said) - 1 - at;

			CU_ASSERT(client_send(fd, said + at, left < step ? left : step));
			rig_settle(&rig);
		}
		CU_ASSERT(client_expects(fd, want));
		ends_with(&rig, fd, "quit");
	}
	rig_stop(&rig);
}

static void test_zero_octet(void)
{
	struct rig rig = echo_rig();
	char got[9];
	int fd;

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_send(fd, "A\0B\r\n", 5));
	CU_ASSERT(client_reads(fd, got, sizeof(got)));
	CU_ASSERT(memcmp(got, "+OK A\0B\r\n", 9) == 0);
	CU_ASSERT(client_says(fd, "DROP\r\n"));
	ends_with(&rig, fd, "dropped");
	rig_stop(&rig);
}

/* 10,000 of a command in one go; each held and resumed in different ways. */
static void pipeline(const char *command, const char *answer)
{
	enum { COMMANDS = 10000 };
	struct rig rig = echo_rig();
	size_t one = strlen(command), n;
	char *ask = malloc(COMMANDS * one + 20), *got;
	bool same = true;
	int fd;

	for (size_t i = 0; i < COMMANDS; i++)
		memcpy(ask + i * one, command, one);
	memcpy(ask + COMMANDS * one, "LINES\r\nQUIT\r\n", 13);
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_send(fd, ask, COMMANDS * one + 13));
	got = client_read_all(fd, &n);
	one = strlen(answer);
	CU_ASSERT_EQUAL_FATAL(n, COMMANDS * one + 20);
	for (size_t i = 0; i < COMMANDS; i++)
		same = same && memcmp(got + i * one, answer, one) == 0;
	CU_ASSERT(same);
	CU_ASSERT(memcmp(got + COMMANDS * one, "+OK 10001\r\n+OK bye\r\n", 20) == 0);
	free(ask);
	free(got);
	ends_with(&rig, fd, "quit");
	rig_stop(&rig);
}

static void test_pipelining(void)
{
	pipeline("NOOP\r\n", "+OK NOOP\r\n");
	pipeline("HOLDRESUME\r\n", "+OK\r\n");
	pipeline("LATER\r\n", "+OK later\r\n");
}

/* While a session is held, the server reads ahead a little and then no more. */
static void test_held_input_is_bounded(void)
{
	struct rig rig = echo_rig();
	struct look look;
	char noise[4096];
	int fd;

	memset(noise, 'x', sizeof(noise));
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_says(fd, "HOLD\r\n"));
	rig_settle(&rig);
	for (unsigned i = 0; i < 100; i++) {
		CU_ASSERT(client_send(fd, noise, sizeof(noise)));
		rig_settle(&rig);
	}
	look = look_at(&rig);
	CU_ASSERT(look.kept <= 2 * READ_SIZE);
	CU_ASSERT_EQUAL(look.interest, 0);
	CU_ASSERT_EQUAL(rig.closed, 0);
	close(fd);
	rig_stop(&rig);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void test_half_close(void)
{
	struct rig rig = echo_rig();
	int fd;

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_says(fd, "A\r\nLATER\r\nB\r\nhalf a line"));
	shutdown(fd, SHUT_WR);
	CU_ASSERT(client_expects(fd, "+OK A\r\n+OK later\r\n+OK B\r\n"));
	ends_with(&rig, fd, "client closed");
	fd = connected(&rig);
	CU_ASSERT(client_says(fd, "A\r\nQUIT\r\n"));
	shutdown(fd, SHUT_WR);
	CU_ASSERT(client_expects(fd, "+OK A\r\n+OK bye\r\n"));
	ends_with(&rig, fd, "quit");
	rig_stop(&rig);
}

/* A client on a UNIX socket that is gone altogether while its command is worked on. */
static void test_gone_while_held(void)
{
	struct rig rig = echo_rig();
	int fd;

	rig.unix_socket = true;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_says(fd, "HOLD\r\nA\r\n"));
	rig_settle(&rig);
	close(fd);
	rig_settle(&rig);
	CU_ASSERT_EQUAL(rig.closed, 0);
	CU_ASSERT(look_at(&rig).eof);
	rig_stop(&rig);
	CU_ASSERT_EQUAL(rig.closed, 1);
}

/* QUIT, and then much more that nobody reads: the reply must arrive all the same. */
static void test_reply_survives_unread_input(void)
{
	struct rig rig = echo_rig();
	static char noise[200000];
	char got[10];

	memset(noise, '\n', sizeof(noise));
	memcpy(noise, "QUIT\r\n", 6);
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (unsigned i = 0; i < 20; i++) {
		int fd = connected(&rig);

		CU_ASSERT(client_send(fd, noise, sizeof(noise)));
		rig_settle(&rig);
		CU_ASSERT(client_reads(fd, got, 9));
		CU_ASSERT(memcmp(got, "+OK bye\r\n", 9) == 0);
		ends_with(&rig, fd, "quit");
	}
	rig_pass(&rig, 10000);
	CU_ASSERT_EQUAL(look_at(&rig).lingering, 0);
	rig_stop(&rig);
}

static void close_tells(struct rig *rig, struct pstn_session *s, void *state, const char *why)
{
	(void)state;
	(void)why;
	session_write(s, "not sent", 8);
	session_finish(s, "not told");
	session_resume(s);
	check(rig, session_id(s)[0] == '3');
	rig->arg = NULL;
}

/* What a session held is free before the client sees the last reply. */
static void hold_claim(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)state;
	for (unsigned i = 0; i < 9; i++)
		check(rig, session_claim(s, "key", 10));
	check(rig, session_claim(s, "key", 10));
	check(rig, !session_claim(s, "key", 10));
	session_write(s, "+OK hello\r\n", 11);
}

static void test_claims_and_close(void)
{
	struct rig rig = echo_rig();

	rig.open = hold_claim;
	rig.close = close_tells;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (unsigned i = 0; i < 50; i++) {
		int fd = connected(&rig);

		CU_ASSERT_EQUAL(standin_claims, 10);
		CU_ASSERT(client_says(fd, "QUIT\r\n"));
		CU_ASSERT(client_expects(fd, "+OK bye\r\n"));
		CU_ASSERT_EQUAL(standin_claims, 0);
		ends_with(&rig, fd, "quit");
	}
	rig_stop(&rig);
}

static void refuse_at_once(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)rig;
	(void)state;
	session_write(s, "-ERR no\r\n", 9);
	session_finish(s, "refused");
}

static void test_finish_in_open(void)
{
	struct rig rig = echo_rig();
	int fd;

	rig.open = refuse_at_once;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect(&rig);
	CU_ASSERT(client_expects(fd, "-ERR no\r\n"));
	ends_with(&rig, fd, "refused");
	rig_stop(&rig);
}

/* ---- time ------------------------------------------------------------------------------------ */

static void limit_and_greet(struct rig *rig, struct pstn_session *s, void *state)
{
	session_idle_limit(s, 600000);
	greet(rig, s, state);
}

static void test_idle(void)
{
	struct rig rig = echo_rig();
	int fd;

	rig.open = limit_and_greet;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	for (unsigned i = 0; i < 5; i++) {
		rig_pass(&rig, 599999);
		CU_ASSERT_EQUAL(rig.closed, 0);
		CU_ASSERT(client_says(fd, "NOOP\r\n"));
		CU_ASSERT(client_expects(fd, "+OK NOOP\r\n"));
	}
	/* a part of a line is not a line */
	rig_pass(&rig, 300000);
	CU_ASSERT(client_says(fd, "NO"));
	rig_settle(&rig);
	rig_pass(&rig, 299999);
	CU_ASSERT_EQUAL(rig.closed, 0);
	rig_pass(&rig, 1);
	ends_with(&rig, fd, "idle");
	rig_stop(&rig);
}

static void test_held_is_not_idle(void)
{
	struct rig rig = echo_rig();
	int fd;

	rig.open = limit_and_greet;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	CU_ASSERT(client_says(fd, "HOLD\r\n"));
	rig_settle(&rig);
	rig_pass(&rig, 6000000);
	rig_pass(&rig, 6000000);
	CU_ASSERT_EQUAL(rig.closed, 0);
	close(fd);
	rig_stop(&rig);
}

static void say_timeout(struct rig *rig, struct pstn_session *s, void *state)
{
	struct echo *e = state;

	(void)rig;
	session_write(s, "* idle\r\n", 8);
	if (e->lines++ == 1)
		session_finish(s, "too idle");
}

static void test_timeout_is_told(void)
{
	struct rig rig = echo_rig();
	int fd;

	rig.open = limit_and_greet;
	rig.timeout = say_timeout;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	rig_pass(&rig, 600000);
	CU_ASSERT(client_expects(fd, "* idle\r\n"));
	rig_pass(&rig, 599999);
	CU_ASSERT_EQUAL(rig.closed, 0);
	rig_pass(&rig, 1);
	CU_ASSERT(client_expects(fd, "* idle\r\n"));
	ends_with(&rig, fd, "too idle");
	rig_stop(&rig);
}

static void send_much(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	(void)rig;
	(void)state;
	(void)n;
	for (unsigned i = 0; i < 100000; i++)
		session_printf(s, "%098u\r\n", i);
	if (line[0] == 'q')
		session_finish(s, "quit");
}

/* 10 MB at a slow client's pace: every octet taken is progress; none for the limit is the end. */
static void slow_client(const char *command, bool reads)
{
	static char part[65536];
	struct rig rig = {.open = limit_and_greet, .line = send_much};
	int fd;

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect_small(&rig, 4096);
	CU_ASSERT(client_expects(fd, "+OK hello\r\n"));
	CU_ASSERT(client_says(fd, command));
	rig_settle(&rig);
	CU_ASSERT_EQUAL(reactors_sessions(rig.all), 1);
	for (unsigned i = 0; reads && i < 10000000 / sizeof(part); i++) {
		CU_ASSERT(client_reads(fd, part, sizeof(part)));
		rig_settle(&rig);
		rig_pass(&rig, 20000);
	}
	CU_ASSERT(reads || reactors_sessions(rig.all) == 1);
	rig_pass(&rig, 600000);
	rig_pass(&rig, 150001);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	close(fd);
	rig_stop(&rig);
	if (command[0] == 'q')
		CU_ASSERT_STRING_EQUAL(rig.why, "quit");
	if (command[0] != 'q')
		CU_ASSERT_STRING_EQUAL(rig.why, reads ? "idle" : "client stopped reading");
}

static void test_slow_clients(void)
{
	slow_client("go\r\n", true);
	slow_client("go\r\n", false);
	slow_client("q\r\n", true);
	slow_client("q\r\n", false);
}

/* ---- the set of reactors --------------------------------------------------------------------- */

static void test_kick(void)
{
	struct rig rig = echo_rig();
	char id[32];
	int fd, other;

	rig.limits.count = 2;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = connected(&rig);
	other = connected(&rig);
	CU_ASSERT_FALSE(reactors_kick(rig.all, "3.zz"));
	snprintf(id, sizeof(id), "3.1");
	CU_ASSERT(reactors_kick(rig.all, id));
	CU_ASSERT(client_eof(fd));
	CU_ASSERT(rig_wait_sessions(&rig, 1));
	CU_ASSERT_STRING_EQUAL(rig.why, "kicked");
	CU_ASSERT_FALSE(reactors_kick(rig.all, id));
	CU_ASSERT(client_says(other, "QUIT\r\n"));
	CU_ASSERT(client_expects(other, "+OK bye\r\n"));
	close(fd);
	ends_with(&rig, other, "quit");
	rig_stop(&rig);
}

static void test_unlisten_and_listen(void)
{
	struct rig rig = echo_rig();
	int live, queued;

	rig.limits.count = 2;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	live = connected(&rig);
	reactors_unlisten(rig.all);
	queued = client_connect(&rig); /* by the kernel alone */
	rig_settle(&rig);
	CU_ASSERT_EQUAL(rig.opened, 1);
	CU_ASSERT(client_says(live, "A\r\n"));
	CU_ASSERT(client_expects(live, "+OK A\r\n"));
	CU_ASSERT_EQUAL(
	    reactors_listen(rig.all, (struct pstn_self *)&rig, &rig.service, &rig.listener, rig.fd),
	    0);
	CU_ASSERT(client_expects(queued, "+OK hello\r\n"));
	CU_ASSERT(client_says(live, "QUIT\r\n"));
	CU_ASSERT(client_expects(live, "+OK bye\r\n"));
	CU_ASSERT(client_says(queued, "QUIT\r\n"));
	CU_ASSERT(client_expects(queued, "+OK bye\r\n"));
	close(live);
	ends_with(&rig, queued, "quit");
	rig_stop(&rig);
}

static void count_row(void *arg, const struct session_info *row)
{
	unsigned *n = arg;

	++*n;
	CU_ASSERT_STRING_EQUAL(row->service, "rig");
	CU_ASSERT(strncmp(row->peer, "127.0.0.1:", 10) == 0);
	CU_ASSERT(strncmp(row->id, "3.", 2) == 0);
	CU_ASSERT_STRING_EQUAL(row->account, "joe@example.org");
	CU_ASSERT_STRING_EQUAL(row->state, "transaction");
	CU_ASSERT_EQUAL(row->age_ms, 1234);
	CU_ASSERT_EQUAL(row->octets_in, 6);
	CU_ASSERT_EQUAL(row->octets_out, 21);
}

static void name_it(struct rig *rig, struct pstn_session *s, void *state)
{
	struct pstn_peer peer = {.size = sizeof(peer)};

	session_peer(s, &peer);
	check(rig, strcmp(peer.address, "127.0.0.1") == 0);
	check(rig, peer.port > 0);
	check(rig, strcmp(peer.listener, rig->address) == 0);
	session_set_account(s, "somebody");
	session_set_account(s, "joe@example.org");
	session_set_state(s, "transaction");
	greet(rig, s, state);
}

static void test_many_sessions(void)
{
	enum { SESSIONS = 5000 };
	struct rig rig = echo_rig();
	unsigned rows = 0;
	int *fds = calloc(SESSIONS, sizeof(*fds));

	rig.limits.count = 2;
	rig.open = name_it;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (unsigned i = 0; i < SESSIONS; i++)
		fds[i] = connected(&rig);
	for (unsigned i = 0; i < SESSIONS; i++)
		CU_ASSERT(client_says(fds[i], "NOOP\r\n"));
	for (unsigned i = 0; i < SESSIONS; i++)
		CU_ASSERT(client_expects(fds[i], "+OK NOOP\r\n"));
	rig_pass(&rig, 1234);
	CU_ASSERT_EQUAL(reactors_sessions(rig.all), SESSIONS);
	CU_ASSERT(rig.all->reactors[0].load > SESSIONS / 3);
	CU_ASSERT(rig.all->reactors[1].load > SESSIONS / 3);
	reactors_each_session(rig.all, count_row, &rows);
	CU_ASSERT_EQUAL(rows, SESSIONS);
	CU_ASSERT_EQUAL(rig_buffers(&rig), 0);
	reactors_end_sessions(rig.all, false);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_STRING_EQUAL(rig.why, "server stopping");
	CU_ASSERT_EQUAL(rig.closed, SESSIONS);
	CU_ASSERT_EQUAL(rig.wrong, 0);
	for (unsigned i = 0; i < SESSIONS; i++)
		close(fds[i]);
	free(fds);
	rig_stop(&rig);
}

static void test_end_sessions(void)
{
	struct rig rig = echo_rig();
	int idle, busy, later;

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	idle = connected(&rig);
	busy = connected(&rig);
	later = connected(&rig);
	CU_ASSERT(client_says(busy, "HOLD\r\n"));
	CU_ASSERT(client_says(later, "LATER\r\n"));
	rig_settle(&rig);
	reactors_end_sessions(rig.all, false);
	CU_ASSERT(client_eof(idle));
	CU_ASSERT(client_expects(later, "+OK later\r\n"));
	CU_ASSERT(client_eof(later));
	CU_ASSERT(rig_wait_sessions(&rig, 1));
	reactors_end_sessions(rig.all, false);
	CU_ASSERT(client_eof(busy));
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	close(idle);
	close(busy);
	close(later);
	rig_stop(&rig);
}

static void test_max_sessions(void)
{
	struct rig rig = echo_rig();
	int first, second, third;

	rig.limits.max_sessions = 2;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	first = connected(&rig);
	second = connected(&rig);
	third = client_connect(&rig);
	CU_ASSERT(client_expects(third, "-ERR [SYS/TEMP] too many\r\n"));
	CU_ASSERT(client_eof(third));
	close(third);
	close(first);
	CU_ASSERT(rig_wait_sessions(&rig, 1));
	third = connected(&rig);
	CU_ASSERT_EQUAL(rig.opened, 3);
	close(third);
	close(second);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	rig_stop(&rig);
}

/* The next descriptor to be given out is the limit: accept4() fails with EMFILE. */
static int starve_descriptors(struct rlimit *before)
{
	int next = dup(0);
	struct rlimit none;

	getrlimit(RLIMIT_NOFILE, before);
	none = *before;
	none.rlim_cur = (rlim_t)next;
	close(next);
	return setrlimit(RLIMIT_NOFILE, &none);
}

static void test_no_descriptors(void)
{
	struct rig rig = echo_rig();
	struct rlimit before;
	uint64_t turns;
	int fd, again;

	if (getenv("LD_PRELOAD") && strstr(getenv("LD_PRELOAD"), "vgpreload"))
		return; /* valgrind has a table of descriptors of its own */
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	again = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(starve_descriptors(&before), 0);
	CU_ASSERT_EQUAL(client_join(&rig, fd), 0);
	CU_ASSERT(client_expects(fd, "-ERR [SYS/TEMP] too many\r\n"));
	CU_ASSERT(client_eof(fd));
	/* the next waits in the kernel's queue, and the reactor does not spin */
	CU_ASSERT_EQUAL(client_join(&rig, again), 0);
	rig_settle(&rig);
	turns = rig.all->reactors[0].turns;
	usleep(20000);
	CU_ASSERT(rig.all->reactors[0].turns <= turns + 5);
	setrlimit(RLIMIT_NOFILE, &before);
	rig_pass(&rig, 100);
	CU_ASSERT(client_expects(again, "+OK hello\r\n"));
	close(fd);
	close(again);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	rig_stop(&rig);
}

static void test_pulse(void)
{
	struct rig rig = echo_rig();

	rig.limits.count = 2;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (unsigned i = 0; i < 10; i++) {
		CU_ASSERT(reactors_pulse(rig.all));
		rig_settle(&rig);
	}
	rig_stop(&rig);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

enum { POSTERS = 4, POSTS = 20000 };

struct numbered {
	struct task task;
	unsigned poster, number;
};

static unsigned next_number[POSTERS];
static atomic_uint out_of_order;
static struct reactor *post_to;

static void run_numbered(struct task *task)
{
	struct numbered *n = (struct numbered *)task;

	if (next_number[n->poster]++ != n->number)
		atomic_fetch_add(&out_of_order, 1);
	free(n);
}

static void *post_many(void *poster)
{
	for (unsigned i = 0; i < POSTS; i++) {
		struct numbered *n = malloc(sizeof(*n));

		*n = (struct numbered){
		    .task.run = run_numbered, .poster = *(unsigned *)poster, .number = i};
		reactor_post(post_to, &n->task);
	}
	return NULL;
}

static void test_posting(void)
{
	unsigned number[POSTERS];
	pthread_t thread[POSTERS];
	struct rig rig = echo_rig();

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	post_to = &rig.all->reactors[0];
	for (unsigned i = 0; i < POSTERS; i++) {
		number[i] = i;
		pthread_create(&thread[i], NULL, post_many, &number[i]);
	}
	for (unsigned i = 0; i < POSTERS; i++)
		pthread_join(thread[i], NULL);
	rig_settle(&rig);
	CU_ASSERT_EQUAL(out_of_order, 0);
	for (unsigned i = 0; i < POSTERS; i++)
		CU_ASSERT_EQUAL(next_number[i], POSTS);
	rig_stop(&rig);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"login session", test_login_session},
	    {"every split", test_every_split},
	    {"zero octet", test_zero_octet},
	    {"pipelining", test_pipelining},
	    {"held input is bounded", test_held_input_is_bounded},
	    {"half close", test_half_close},
	    {"gone while held", test_gone_while_held},
	    {"reply survives unread input", test_reply_survives_unread_input},
	    {"claims and close", test_claims_and_close},
	    {"finish in open", test_finish_in_open},
	    {"idle", test_idle},
	    {"held is not idle", test_held_is_not_idle},
	    {"timeout is told", test_timeout_is_told},
	    {"slow clients", test_slow_clients},
	    {"kick", test_kick},
	    {"unlisten and listen", test_unlisten_and_listen},
	    {"many sessions", test_many_sessions},
	    {"end sessions", test_end_sessions},
	    {"max sessions", test_max_sessions},
	    {"no descriptors", test_no_descriptors},
	    {"pulse", test_pulse},
	    {"posting", test_posting},
	    {NULL, NULL}};

	return suite_run("reactor", cases, argc > 1 ? argv[1] : NULL);
}
