/*
 * sink_stderr.c - lines to standard error, for containers, systemd and people at a terminal.
 */
#include "sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

enum { PATIENCE = 100 };

struct sink_stderr {
	struct sink sink;
	format_line *format;
	uint64_t unwritten; /* lines of this batch */
	char text[FORMAT_LINE_MAX];
};

/* A pipe that has room takes PIPE_BUF octets without blocking. */
size_t sink_stderr_write(const char *bytes, size_t n)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
	size_t written = 0;

	while (written < n) {
		size_t piece = n - written < PIPE_BUF ? n - written : PIPE_BUF;
		ssize_t got;

		if (poll(&out, 1, PATIENCE) <= 0)
			break;
		got = write(STDERR_FILENO, bytes + written, piece);
		if (got <= 0)
			break;
		written += (size_t)got;
	}
	return written;
}

static void begin(struct sink *s)
{
	struct sink_stderr *e = (struct sink_stderr *)s;
	struct sink_lost lost;
	size_t n;

	e->unwritten = 0;
	if (s->lost == 0)
		return;
	sink_lost_event(s, &lost);
	n = e->format(&lost.event, e->text);
	if (sink_stderr_write(e->text, n) == n)
		s->lost = 0;
}

static void line(struct sink *s, const struct pstn_log_event *event)
{
	struct sink_stderr *e = (struct sink_stderr *)s;
	size_t n;

	/* After one wait in vain the rest of the batch is not waited for. */
	if (e->unwritten) {
		e->unwritten++;
		return;
	}
	n = e->format(event, e->text);
	if (sink_stderr_write(e->text, n) < n)
		e->unwritten++;
}

static void end(struct sink *s)
{
	struct sink_stderr *e = (struct sink_stderr *)s;

	if (e->unwritten)
		sink_failed(s, e->unwritten, "writing", EAGAIN);
}

static void reopen(struct sink *s)
{
	(void)s;
}

static int test(struct sink *s, char *err, size_t errlen)
{
	(void)s;
	(void)err;
	(void)errlen;
	return 0;
}

static void sink_stderr_free(struct sink *s)
{
	s->l->host->free(s->l->self, s);
}

struct sink *sink_stderr_new(struct logging *l, const struct logging_stderr *conf)
{
	struct sink_stderr *e = l->host->alloc(l->self, sizeof(*e));

	if (!e)
		return NULL;
	e->sink = (struct sink){.l = l,
				.name = "stderr",
				.level = conf->level,
				.begin = begin,
				.line = line,
				.end = end,
				.reopen = reopen,
				.test = test,
				.free = sink_stderr_free};
	e->format = sink_format(conf->format);
	return &e->sink;
}
