/*
 * runtime_rig.c - reactors with a service of test functions (see runtime_rig.h).
 */
#include "runtime_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static atomic_uint_least64_t rig_time = 1000000;

uint64_t rig_clock(void)
{
	return atomic_load(&rig_time);
}

/* ---- the service ----------------------------------------------------------------------------- */

static void on_open(void *inst, struct pstn_session *s, void *state)
{
	struct rig *rig = inst;

	atomic_fetch_add(&rig->opened, 1);
	if (rig->open)
		rig->open(rig, s, state);
}

static void on_line(void *inst, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct rig *rig = inst;

	if (rig->line)
		rig->line(rig, s, state, line, n);
}

static void on_overlong(void *inst, struct pstn_session *s, void *state)
{
	struct rig *rig = inst;

	if (rig->overlong)
		rig->overlong(rig, s, state);
}

static size_t on_data(void *inst, struct pstn_session *s, void *state, const char *bytes, size_t n)
{
	struct rig *rig = inst;

	return rig->data ? rig->data(rig, s, state, bytes, n) : n;
}

static void on_drained(void *inst, struct pstn_session *s, void *state)
{
	struct rig *rig = inst;

	if (rig->drained)
		rig->drained(rig, s, state);
}

static void on_timeout(void *inst, struct pstn_session *s, void *state)
{
	struct rig *rig = inst;

	rig->timeout(rig, s, state);
}

static void on_close(void *inst, struct pstn_session *s, void *state, const char *why)
{
	struct rig *rig = inst;

	if (rig->close)
		rig->close(rig, s, state, why);
	atomic_store(&rig->why, why);
	atomic_fetch_add(&rig->closed, 1);
}

/* ---- starting and stopping ------------------------------------------------------------------- */

static int listen_inet(struct rig *rig)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, n) || listen(fd, 4096) ||
	    getsockname(fd, (struct sockaddr *)&a, &n))
		return -1;
	rig->port = ntohs(a.sin_port);
	snprintf(rig->address, sizeof(rig->address), "127.0.0.1:%u", rig->port);
	return fd;
}

static int listen_unix(struct rig *rig)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "/tmp/postern-rig-%ld", (long)getpid());
	unlink(a.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 4096))
		return -1;
	snprintf(rig->address, sizeof(rig->address), "unix:%s", a.sun_path);
	return fd;
}

int rig_start(struct rig *rig)
{
	char err[256];

	rig->service = (struct pstn_service){.size = sizeof(rig->service),
					     .session_size = rig->session_size,
					     .protocol = "rig",
					     .line_limit = rig->line_limit ? rig->line_limit : 512,
					     .open = on_open,
					     .line = on_line,
					     .overlong = on_overlong,
					     .data = on_data,
					     .drained = on_drained,
					     .timeout = rig->timeout ? on_timeout : NULL,
					     .close = on_close,
					     .refusal = "-ERR [SYS/TEMP] too many\r\n"};
	if (!rig->limits.max_sessions)
		rig->limits.max_sessions = 1000000;
	if (!rig->limits.output_limit)
		rig->limits.output_limit = 64 * 1024;
	rig->limits.generation = 3;
	rig->limits.clock = rig_clock;
	rig->all = reactors_start(&rig->limits, err, sizeof(err));
	if (!rig->all) {
		fprintf(stderr, "%s\n", err);
		return -1;
	}
	rig->fd = rig->unix_socket ? listen_unix(rig) : listen_inet(rig);
	rig->listener = (struct plan_listener){.address = rig->address, .fd = rig->fd};
	if (rig->fd < 0)
		return -1;
	return reactors_listen(rig->all, (struct pstn_self *)rig, &rig->service, &rig->listener,
			       rig->fd);
}

void rig_stop(struct rig *rig)
{
	reactors_unlisten(rig->all);
	reactors_end_sessions(rig->all, true);
	if (!rig_wait_sessions(rig, 0))
		fprintf(stderr, "a session does not end\n");
	standin_jobs_wait();
	reactors_stop(&rig->all);
	close(rig->fd);
	if (rig->unix_socket)
		unlink(rig->address + strlen("unix:"));
}

static void nothing(struct reactor *r, void *arg)
{
	(void)r;
	(void)arg;
}

void rig_settle(struct rig *rig)
{
	for (unsigned turns = 0; turns < 3; turns++)
		for (unsigned i = 0; i < rig->all->count; i++)
			reactor_call(&rig->all->reactors[i], nothing, NULL);
}

void rig_pass(struct rig *rig, uint64_t ms)
{
	atomic_fetch_add(&rig_time, ms);
	rig_settle(rig);
}

static void nap(void)
{
	const struct timespec t = {.tv_nsec = 1000000};

	nanosleep(&t, NULL);
}

static void count_lent(struct reactor *r, void *arg)
{
	*(uint64_t *)arg += r->buffers.lent;
}

uint64_t rig_buffers(struct rig *rig)
{
	uint64_t lent = 0;

	for (unsigned i = 0; i < rig->all->count; i++)
		reactor_call(&rig->all->reactors[i], count_lent, &lent);
	return lent;
}

bool rig_wait_sessions(struct rig *rig, uint64_t n)
{
	for (int i = 0; i < 20000; i++) {
		if (reactors_sessions(rig->all) == n) {
			rig_settle(rig);
			return true;
		}
		nap();
	}
	return false;
}

/* ---- clients --------------------------------------------------------------------------------- */

static int connect_unix(const struct rig *rig, int fd)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", rig->address + strlen("unix:"));
	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static int connect_inet(const struct rig *rig, int fd)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				.sin_port = htons((uint16_t)rig->port)};

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

int client_join(const struct rig *rig, int fd)
{
	return rig->unix_socket ? connect_unix(rig, fd) : connect_inet(rig, fd);
}

int client_connect_small(const struct rig *rig, int receive_buffer)
{
	const struct timeval limit = {.tv_sec = 20};
	int fd = socket(rig->unix_socket ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (receive_buffer)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (client_join(rig, fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

int client_connect(const struct rig *rig)
{
	return client_connect_small(rig, 0);
}

bool client_send(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;

	while (n) {
		ssize_t sent = send(fd, at, n, MSG_NOSIGNAL);

		if (sent < 0)
			return false;
		at += sent;
		n -= (size_t)sent;
	}
	return true;
}

bool client_says(int fd, const char *text)
{
	return client_send(fd, text, strlen(text));
}

bool client_reads(int fd, void *bytes, size_t n)
{
	char *at = bytes;

	while (n) {
		ssize_t got = recv(fd, at, n, 0);

		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

bool client_expects(int fd, const char *text)
{
	char got[1024] = "";
	size_t n = strlen(text);

	if (n >= sizeof(got) || !client_reads(fd, got, n) || memcmp(got, text, n) != 0) {
		fprintf(stderr, "expected \"%s\", got \"%s\"\n", text, got);
		return false;
	}
	return true;
}

bool client_eof(int fd)
{
	char octet;

	return recv(fd, &octet, 1, 0) == 0;
}

char *client_read_all(int fd, size_t *n)
{
	size_t room = 65536;
	char *all = malloc(room);

	*n = 0;
	while (all) {
		ssize_t got = recv(fd, all + *n, 65536, 0);

		if (got <= 0)
			return all;
		*n += (size_t)got;
		if (room - *n < 65536)
			all = realloc(all, room *= 2);
	}
	return all;
}
