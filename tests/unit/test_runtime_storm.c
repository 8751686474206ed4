/*
 * test_runtime_storm.c - many clients that behave badly in every way at the same time, while the
 * control thread lists, kicks, stops and begins to listen: at the end nothing is left behind.
 *
 * What each client does is decided by a seed; nothing is asserted about who wins a race, only that
 * the books balance.
 */
#include "runtime_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

enum { CLIENTS = 6, CONVERSATIONS = 300, TEXT = 150000 };

static char text[TEXT];
static uint64_t dots[TEXT / 100];
static int text_fd;
static atomic_int lent;

/* An operation in small: its memory is its own, and closing takes the session from it. */
struct later {
	struct task task;
	struct pstn_session *session;
};

struct state {
	struct later *later;
};

static void lend_back(void *ref)
{
	(void)ref;
	atomic_fetch_sub(&lent, 1);
}

static void greet(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)rig;
	(void)state;
	session_idle_limit(s, 5000);
	session_claim(s, "key", 100000);
	session_write(s, "+OK hello\r\n", 11);
}

static void complete(void *arg, int status)
{
	struct pstn_session *s = arg;

	(void)status;
	((struct state *)s->service_state)->later = NULL;
	session_write(s, "+OK later\r\n", 11);
	session_resume(s);
}

static void run_later(struct task *task)
{
	struct later later = *(struct later *)task;

	free(task);
	if (later.session)
		session_enter(later.session, complete, later.session, PSTN_OK);
}

static void post_later(struct pstn_session *s, struct state *state)
{
	struct later *later = calloc(1, sizeof(*later));

	if (!later)
		abort();
	*later = (struct later){.task.run = run_later, .session = s};
	state->later = later;
	session_hold(s);
	reactor_post(session_reactor(s), &later->task);
}

static void command(struct rig *rig, struct pstn_session *s, void *arg, char *line, size_t n)
{
	struct pstn_content c = {.size = sizeof(c),
				 .fd = line[0] == 'F' ? text_fd : -1,
				 .bytes = line[0] == 'F' ? NULL : text,
				 .length = TEXT,
				 .dots = dots,
				 .ndots = sizeof(dots) / sizeof(dots[0]),
				 .release = lend_back};

	(void)rig;
	switch (line[0]) {
	case 'F':
	case 'M':
		atomic_fetch_add(&lent, 1);
		session_send(s, &c, TEXT);
		session_write(s, ".\r\n", 3);
		break;
	case 'L':
		post_later(s, arg);
		break;
	case 'R':
		session_raw(s, true);
		break;
	case 'D':
		session_drop(s, "dropped");
		break;
	case 'Q':
		session_write(s, "+OK bye\r\n", 9);
		session_finish(s, "quit");
		break;
	default:
		session_set_account(s, line);
		session_printf(s, "+OK %zu\r\n", n);
	}
}

static size_t raw(struct rig *rig, struct pstn_session *s, void *state, const char *bytes, size_t n)
{
	const char *end = memchr(bytes, '!', n);

	(void)rig;
	(void)state;
	if (!end)
		return n;
	session_raw(s, false);
	return (size_t)(end - bytes) + 1;
}

static void on_close(struct rig *rig, struct pstn_session *s, void *arg, const char *why)
{
	struct state *state = arg;

	(void)rig;
	(void)s;
	(void)why;
	if (state->later)
		state->later->session = NULL;
}

static void *be_client(void *arg)
{
	static const char *const lines[] = {"F\r\n", "M\r\n", "L\r\n", "x\n",  "R\r\nraw raw!",
					    "Q\r\n", "D\r\n", "\r\n",  "half", "Rendless raw"};
	static const char longest[3000] = "";
	struct rig *rig = arg;
	static atomic_uint seeds;
	unsigned seed = atomic_fetch_add(&seeds, 1) + 1;
	static _Thread_local char got[65536];

	for (unsigned i = 0; i < CONVERSATIONS; i++) {
		int fd = client_connect_small(rig, (unsigned)rand_r(&seed) % 2 ? 0 : 4096);
		const struct timeval limit = {.tv_usec = 2000};

		if (fd < 0)
			continue;
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		for (unsigned k = (unsigned)rand_r(&seed) % 30; k; k--) {
			if (!client_says(fd, lines[(unsigned)rand_r(&seed) % 10]))
				break;
			if ((unsigned)rand_r(&seed) % 9 == 0)
				client_send(fd, longest, sizeof(longest));
			if ((unsigned)rand_r(&seed) % 3 == 0 && recv(fd, got, sizeof(got), 0) == 0)
				break;
		}
		if ((unsigned)rand_r(&seed) % 3 == 0)
			shutdown(fd, SHUT_WR);
		for (unsigned k = (unsigned)rand_r(&seed) % 20; k; k--)
			if (recv(fd, got, sizeof(got), 0) == 0)
				break;
		close(fd);
	}
	return NULL;
}

static void kick_some(void *arg, const struct session_info *row)
{
	char *id = arg;

	if (row->octets_out % 5 == 0)
		snprintf(id, 32, "%s", row->id);
}

static void control(struct rig *rig, unsigned round)
{
	char id[32] = "";

	reactors_each_session(rig->all, kick_some, id);
	reactors_kick(rig->all, id);
	reactors_pulse(rig->all);
	if (round % 20 == 7) {
		reactors_unlisten(rig->all);
		rig_pass(rig, 100);
		CU_ASSERT_EQUAL(reactors_listen(rig->all, (struct pstn_self *)rig, &rig->service,
						&rig->listener, rig->fd),
				0);
	}
	if (round % 50 == 33)
		reactors_end_sessions(rig->all, round % 100 == 33);
	rig_pass(rig, 10);
	usleep(1000);
}

static atomic_bool busy;

static void *be_clients(void *arg)
{
	pthread_t thread[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_create(&thread[i], NULL, be_client, arg);
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(thread[i], NULL);
	atomic_store(&busy, false);
	return NULL;
}

static void storm(bool unix_socket)
{
	struct rig rig = {.open = greet,
			  .line = command,
			  .data = raw,
			  .close = on_close,
			  .session_size = sizeof(struct state),
			  .unix_socket = unix_socket};
	pthread_t clients;

	rig.limits.count = 3;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	atomic_store(&busy, true);
	pthread_create(&clients, NULL, be_clients, &rig);
	for (unsigned round = 0; atomic_load(&busy); round++)
		control(&rig, round);
	pthread_join(clients, NULL);
	reactors_end_sessions(rig.all, true);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	for (unsigned i = 0; i < rig.limits.count; i++)
		CU_ASSERT_EQUAL(rig.all->reactors[i].load, 0);
	CU_ASSERT(rig.opened > CLIENTS * CONVERSATIONS / 2);
	CU_ASSERT_EQUAL(rig.opened, rig.closed);
	CU_ASSERT_EQUAL(rig_buffers(&rig), 0);
	CU_ASSERT_EQUAL(lent, 0);
	CU_ASSERT_EQUAL(standin_claims, 0);
	rig_stop(&rig);
}

static void test_inet(void)
{
	storm(false);
}

static void test_unix(void)
{
	storm(true);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"inet", test_inet}, {"unix", test_unix}, {NULL, NULL}};
	char name[] = "/tmp/postern-text-XXXXXX";

	memset(text, 'x', sizeof(text));
	for (uint32_t i = 0; i < sizeof(dots) / sizeof(dots[0]); i++)
		dots[i] = i < 500 ? i * 100 : 50000 + i * 60;
	text_fd = mkstemp(name);
	unlink(name);
	if (text_fd < 0 || write(text_fd, text, TEXT) != TEXT)
		return 1;
	return suite_run("runtime_storm", cases, argc > 1 ? argv[1] : NULL);
}
