/*
 * bind.c - listening sockets, and sentences for all the ways in which binding fails.
 */
#include "config.h"

#include "bind.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "port_holder.h"

#define UNIX_PREFIX "unix:"
#define MOMENT      20 /* ms */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
};

struct target {
	union address at;
	socklen_t size;
	uint16_t port;
};

static const char *unix_path(const char *address)
{
	size_t n = strlen(UNIX_PREFIX);

	return strncmp(address, UNIX_PREFIX, n) == 0 ? address + n : NULL;
}

static bool parse_port(const char *text, uint16_t *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value > 65535)
		return false;
	*port = (uint16_t)value;
	return true;
}

static bool parse_ip(const char *address, struct target *t)
{
	char host[INET6_ADDRSTRLEN + 1];
	const char *colon = strrchr(address, ':');
	bool v6 = address[0] == '[';
	size_t n;

	if (!colon || !parse_port(colon + 1, &t->port))
		return false;
	n = (size_t)(colon - address);
	if (v6 && (n < 2 || address[n - 1] != ']'))
		return false;
	if (v6) {
		address++;
		n -= 2;
	}
	if (n >= sizeof(host))
		return false;
	memcpy(host, address, n);
	host[n] = '\0';
	if (v6) {
		t->at.in6 =
		    (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(t->port)};
		t->size = sizeof(t->at.in6);
		return inet_pton(AF_INET6, host, &t->at.in6.sin6_addr) == 1;
	}
	t->at.in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(t->port)};
	t->size = sizeof(t->at.in);
	return inet_pton(AF_INET, host, &t->at.in.sin_addr) == 1;
}

static bool parse_unix(const char *path, struct target *t)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(t->at.un.sun_path))
		return false;
	t->at.un = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(t->at.un.sun_path, path, n + 1);
	t->size = sizeof(t->at.un);
	return true;
}

static int refuse(const char *address, const struct target *t, int error, char *err, size_t errlen)
{
	char holder[96];

	if (error == EADDRINUSE && t->at.any.sa_family != AF_UNIX &&
	    port_holder(t->port, holder, sizeof(holder)))
		snprintf(err, errlen,
			 "%s: %s listens on port %u already; stop it or choose "
			 "another port",
			 address, holder, t->port);
	else if (error == EADDRINUSE)
		snprintf(err, errlen,
			 "%s: another program listens there already; stop it or "
			 "choose another address",
			 address);
	else if (error == EACCES && t->at.any.sa_family != AF_UNIX)
		snprintf(err, errlen,
			 "%s: not permitted: ports below 1024 are for root; start "
			 "posternd as root or choose a port above, such as %u",
			 address, t->port + 1000u);
	else if (error == EADDRNOTAVAIL)
		snprintf(err, errlen,
			 "%s: this machine has no such address; ip address lists "
			 "those it has",
			 address);
	else if (error == EAFNOSUPPORT)
		snprintf(err, errlen,
			 "%s: the kernel runs without this kind of addresses; remove "
			 "the listener",
			 address);
	else
		snprintf(err, errlen, "%s: cannot listen: %s", address, strerror(error));
	return -1;
}

static bool is_socket(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A socket file that nobody answers on was left by a server that is gone. */
static void remove_stale(const struct target *t)
{
	int fd;

	if (!is_socket(t->at.un.sun_path))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (connect(fd, &t->at.any, t->size) < 0 && errno == ECONNREFUSED)
		(void)unlink(t->at.un.sun_path);
	close(fd);
}

static int set_options(int fd, int family)
{
	int on = 1;

	if (family == AF_UNIX)
		return 0;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return -1;
	if (family == AF_INET6)
		return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	return 0;
}

static int open_socket(const struct target *t, int backlog)
{
	int family = t->at.any.sa_family;
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (family == AF_UNIX)
		remove_stale(t);
	/* Whoever can reach the directory may connect to a UNIX socket, as to a port. It is made so:
	 * chmod would follow what a worker, whose directory it may be, puts in its place. */
	mode_t before = umask(0111);
	bool ok = set_options(fd, family) == 0 && bind(fd, &t->at.any, t->size) == 0 &&
		  listen(fd, backlog) == 0;
	int saved = errno;
	umask(before);
	if (!ok)
		close(fd);
	errno = saved;
	return ok ? fd : -1;
}

static int open_patiently(const struct target *t, int backlog, unsigned patience)
{
	const struct timespec moment = {.tv_nsec = MOMENT * 1000000};
	int fd = open_socket(t, backlog);

	for (unsigned waited = 0; fd < 0 && errno == EADDRINUSE && waited < patience;
	     waited += MOMENT) {
		nanosleep(&moment, NULL);
		fd = open_socket(t, backlog);
	}
	return fd;
}

int bind_address(const char *address, int backlog, unsigned patience, char *err, size_t errlen)
{
	struct target t = {.port = 0};
	const char *path = unix_path(address);
	int fd;

	if (path ? !parse_unix(path, &t) : !parse_ip(address, &t)) {
		snprintf(err, errlen,
			 "%s: expected 127.0.0.1:110, [::1]:110 or unix:/path (at most %zu octets)",
			 address, sizeof(t.at.un.sun_path) - 1);
		return -1;
	}
	fd = open_patiently(&t, backlog, patience);
	return fd < 0 ? refuse(address, &t, errno, err, errlen) : fd;
}

void bind_remove_file(const char *address)
{
	const char *path = unix_path(address);

	if (path && is_socket(path))
		(void)unlink(path);
}
