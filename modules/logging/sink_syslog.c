/*
 * sink_syslog.c - lines to the local syslog daemon, as RFC 3164 datagrams to its UNIX socket.
 *
 * libc's syslog() belongs to the whole process and may block; this is one sink's own socket. When
 * the daemon is slow it is waited for a tenth of a second per batch, when it is away it is looked
 * for once a second; what could not be sent is counted.
 */
#include "sink.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	LOOK_EVERY = 1000,
	PATIENCE = 100,
	HEAD_MAX = 128,
	MESSAGE_MAX = 8192,
	MESSAGE_SHORT = 1024
};

struct sink_syslog {
	struct sink sink;
	const struct logging_syslog *conf;
	int fd; /* -1: not connected */
	uint64_t look_at;
	int patience; /* ms left in this batch */
	uint64_t unsent;
	int error;
	char text[HEAD_MAX + FORMAT_LINE_MAX];
};

static struct sink_syslog *syslog_of(struct sink *s)
{
	return (struct sink_syslog *)s;
}

static void hang_up(struct sink_syslog *y)
{
	if (y->fd >= 0)
		close(y->fd);
	y->fd = -1;
}

static int connect_to(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((size_t)snprintf(to.sun_path, sizeof(to.sun_path), "%s", path) >= sizeof(to.sun_path)) {
		close(fd);
		errno = ENAMETOOLONG;
		return -1;
	}
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static void connect_if_due(struct sink_syslog *y)
{
	uint64_t now = y->sink.l->host->now();

	if (y->fd >= 0 || now < y->look_at)
		return;
	y->look_at = now + LOOK_EVERY;
	y->fd = connect_to(y->conf->path);
	if (y->fd < 0)
		y->error = errno;
}

/* 0, or why it was not sent. */
static int send_once(struct sink_syslog *y, size_t n)
{
	struct pollfd out = {.fd = y->fd, .events = POLLOUT};

	if (send(y->fd, y->text, n, MSG_NOSIGNAL) >= 0)
		return 0;
	if ((errno != EAGAIN && errno != ENOBUFS) || y->patience == 0)
		return errno;
	if (poll(&out, 1, y->patience) <= 0)
		y->patience = 0;
	return send(y->fd, y->text, n, MSG_NOSIGNAL) >= 0 ? 0 : errno;
}

/* A daemon that was restarted has another socket under the same name; one more try finds it. */
static int send_text(struct sink_syslog *y, size_t n)
{
	int error;

	connect_if_due(y);
	if (y->fd < 0)
		return y->error ? y->error : ENOTCONN;
	error = send_once(y, n);
	if (error == EMSGSIZE && n > MESSAGE_SHORT)
		return send_once(y, MESSAGE_SHORT);
	if (error != ECONNREFUSED && error != ENOTCONN && error != ECONNRESET)
		return error;
	hang_up(y);
	connect_if_due(y);
	return y->fd < 0 ? error : send_once(y, n);
}

/* ---- messages ---- */

static unsigned severity(int level)
{
	static const unsigned severities[] = {7, 2, 3, 4, 6, 7};

	return level > 0 && level <= PSTN_PROTOCOL ? severities[level] : 7;
}

/* RFC 3164 section 4.1, without the host name, as programs on the same machine send it. */
static size_t head(const struct sink_syslog *y, const struct pstn_log_event *e, char *out)
{
	static const unsigned facilities[] = {2, 1, 3, 10, 16, 17, 18, 19, 20, 21, 22, 23};
	time_t seconds = (time_t)(e->time / 1000000000);
	char stamp[32] = "Jan  1 00:00:00";
	struct tm tm;
	int n;

	if (localtime_r(&seconds, &tm))
		strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
	n = snprintf(out, HEAD_MAX,
		     "<%u>%s %.64s[%d]: ", facilities[y->conf->facility] * 8 + severity(e->level),
		     stamp, y->conf->ident, (int)getpid());
	return n > 0 && n < HEAD_MAX ? (size_t)n : 0;
}

static int send_event(struct sink_syslog *y, const struct pstn_log_event *e)
{
	size_t n = head(y, e, y->text);

	n += format_syslog(e, y->text + n) - 1; /* a datagram needs no line end */
	return send_text(y, n < MESSAGE_MAX ? n : MESSAGE_MAX);
}

static void say_what_was_lost(struct sink_syslog *y)
{
	struct sink_lost lost;

	if (y->sink.lost == 0)
		return;
	sink_lost_event(&y->sink, &lost);
	if (send_event(y, &lost.event) == 0)
		y->sink.lost = 0;
}

/* ---- the sink ---- */

static void begin(struct sink *s)
{
	struct sink_syslog *y = syslog_of(s);

	y->patience = PATIENCE;
	y->unsent = 0;
	connect_if_due(y);
	say_what_was_lost(y);
}

static void line(struct sink *s, const struct pstn_log_event *event)
{
	struct sink_syslog *y = syslog_of(s);
	int error = send_event(y, event);

	if (error) {
		y->error = error;
		y->unsent++;
	}
}

static void end(struct sink *s)
{
	struct sink_syslog *y = syslog_of(s);

	if (y->unsent)
		sink_failed(s, y->unsent, "sending", y->error);
}

static void reopen(struct sink *s)
{
	hang_up(syslog_of(s));
	syslog_of(s)->look_at = 0;
}

/* A syslog daemon that is away is no reason to refuse a configuration: it may start later. */
static int test(struct sink *s, char *err, size_t errlen)
{
	const char *path = syslog_of(s)->conf->path;
	int fd = connect_to(path);

	(void)err;
	(void)errlen;
	if (fd < 0)
		s->l->host->log(PSTN_EVENT(s->l->self, NULL, PSTN_WARNING, "syslog_unreachable",
					   PSTN_S("path", path), PSTN_S("error", strerror(errno))));
	else
		close(fd);
	return 0;
}

static void sink_syslog_free(struct sink *s)
{
	hang_up(syslog_of(s));
	s->l->host->free(s->l->self, s);
}

struct sink *sink_syslog_new(struct logging *l, const struct logging_syslog *conf)
{
	struct sink_syslog *y = l->host->alloc(l->self, sizeof(*y));

	if (!y)
		return NULL;
	y->sink = (struct sink){.l = l,
				.name = conf->path,
				.level = conf->level,
				.begin = begin,
				.line = line,
				.end = end,
				.reopen = reopen,
				.test = test,
				.free = sink_syslog_free};
	y->conf = conf;
	y->fd = -1;
	return &y->sink;
}
