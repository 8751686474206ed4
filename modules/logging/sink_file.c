/*
 * sink_file.c - lines appended to a file, a batch in one write.
 *
 * The file may be renamed under us at any time, by logrotate or by another generation: whether the
 * name still means the file is looked at once a second. A file that cannot be written costs its own
 * lines and nothing else; they are counted, and it is tried again every second.
 */
#include "rotate.h"
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BUFFER = 4 * FORMAT_LINE_MAX, LOOK_EVERY = 1000, ROTATE_AGAIN = 60 * 1000 };

struct sink_file {
	struct sink sink;
	const struct logging_file *conf;
	format_line *format;
	int fd;             /* -1: not open */
	uint64_t look_at;   /* when to look at the name, or to open, again */
	uint64_t rotate_at; /* not before */
	bool torn;          /* the last write ended within a line */
	size_t length;
	char text[BUFFER];
};

static struct sink_file *file_of(struct sink *s)
{
	return (struct sink_file *)s;
}

static void close_file(struct sink_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

/* O_NONBLOCK: a FIFO that nobody reads is an error instead of a wait. */
static int open_file(const char *path)
{
	return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

static void open_if_due(struct sink_file *f)
{
	uint64_t now = f->sink.l->host->now();

	if (now < f->look_at)
		return;
	f->look_at = now + LOOK_EVERY;
	if (f->fd >= 0 && rotate_is_same(f->fd, f->conf->path))
		return;
	close_file(f);
	f->fd = open_file(f->conf->path);
	if (f->fd < 0)
		sink_failed(&f->sink, 0, "opening", errno);
}

static uint64_t count_lines(const char *text, size_t n)
{
	uint64_t lines = 0;

	for (const char *p = text; (p = memchr(p, '\n', n - (size_t)(p - text))); p++)
		lines++;
	return lines;
}

/* Octets written; *error says why not all. */
static size_t write_all(int fd, const char *text, size_t n, int *error)
{
	size_t written = 0;

	*error = 0;
	while (written < n && !*error) {
		ssize_t got = write(fd, text + written, n - written);

		if (got > 0)
			written += (size_t)got;
		else if (got == 0 || errno != EINTR)
			*error = got == 0 ? ENOSPC : errno;
	}
	return written;
}

/* End the line that a failed write left unfinished. */
static bool mend(struct sink_file *f)
{
	if (f->torn && write(f->fd, "\n", 1) == 1)
		f->torn = false;
	return !f->torn;
}

static void flush(struct sink_file *f)
{
	size_t written = 0;
	int error = errno;

	if (f->length == 0)
		return;
	if (f->fd >= 0 && mend(f))
		written = write_all(f->fd, f->text, f->length, &error);
	else if (f->fd >= 0)
		error = errno;
	if (written > 0)
		f->torn = f->text[written - 1] != '\n';
	if (written < f->length)
		sink_failed(&f->sink, count_lines(f->text + written, f->length - written),
			    "writing", error);
	f->length = 0;
}

static void say_what_was_lost(struct sink_file *f)
{
	struct sink_lost lost;
	size_t n, written;
	int error;

	if (f->sink.lost == 0 || f->fd < 0 || !mend(f))
		return;
	sink_lost_event(&f->sink, &lost);
	n = f->format(&lost.event, f->text);
	written = write_all(f->fd, f->text, n, &error);
	f->torn = written > 0 && written < n;
	if (written == n)
		f->sink.lost = 0;
}

static void rotate_if_full(struct sink_file *f)
{
	uint64_t now = f->sink.l->host->now();
	struct stat file;
	int error;

	if (f->fd < 0 || f->conf->rotate_size == 0 || now < f->rotate_at ||
	    fstat(f->fd, &file) != 0 || !S_ISREG(file.st_mode) ||
	    (uint64_t)file.st_size < f->conf->rotate_size)
		return;
	error = rotate(f->fd, f->conf->path, f->conf->rotate_keep);
	if (error) {
		f->rotate_at = now + ROTATE_AGAIN;
		sink_failed(&f->sink, 0, "rotating", error);
		return;
	}
	f->look_at = 0;
}

/* ---- the sink ---- */

static void begin(struct sink *s)
{
	open_if_due(file_of(s));
	say_what_was_lost(file_of(s));
}

static void line(struct sink *s, const struct pstn_log_event *event)
{
	struct sink_file *f = file_of(s);

	if (f->length + FORMAT_LINE_MAX > BUFFER)
		flush(f);
	f->length += f->format(event, f->text + f->length);
}

static void end(struct sink *s)
{
	flush(file_of(s));
	rotate_if_full(file_of(s));
}

static void reopen(struct sink *s)
{
	struct sink_file *f = file_of(s);

	close_file(f);
	f->look_at = 0;
	open_if_due(f);
}

static int test(struct sink *s, char *err, size_t errlen)
{
	const char *path = file_of(s)->conf->path;
	int fd = open_file(path);

	if (fd < 0) {
		snprintf(err, errlen,
			 "%s: cannot be written: %s; the directory has to exist and to "
			 "belong to the user that the server runs as",
			 path, strerror(errno));
		return -1;
	}
	close(fd);
	return 0;
}

static void sink_file_free(struct sink *s)
{
	close_file(file_of(s));
	s->l->host->free(s->l->self, s);
}

struct sink *sink_file_new(struct logging *l, const struct logging_file *conf)
{
	struct sink_file *f = l->host->alloc(l->self, sizeof(*f));

	if (!f)
		return NULL;
	f->sink = (struct sink){.l = l,
				.name = conf->path,
				.level = conf->level,
				.services = &conf->services,
				.begin = begin,
				.line = line,
				.end = end,
				.reopen = reopen,
				.test = test,
				.free = sink_file_free};
	f->conf = conf;
	f->format = sink_format(conf->format);
	f->fd = -1;
	return &f->sink;
}
