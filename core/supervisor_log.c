/*
 * supervisor_log.c - what happens to generations: to standard error in the foreground, to
 * supervisor.log of a daemon, and to the current worker, so that it stands in the common log too.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "supervisor.h"

static const char *const level_names[] = {"", "critical", "error", "warning", "info", "protocol"};

static int open_file(struct supervisor *sv)
{
	struct stat st;
	char *path;
	int fd;

	if (asprintf(&path, "%s/supervisor.log", sv->dirs.log) < 0)
		return -1;
	/* The worker can put anything in its place: we neither wait for the reader of a FIFO nor
	 * write to one. */
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0640);
	free(path);
	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))) {
		close(fd);
		errno = EINVAL;
		fd = -1;
	}
	return fd;
}

int supervisor_log_open(struct supervisor *sv, char *err, size_t errlen)
{
	sv->log = -1;
	if (sv->boot < 0)
		return 0;
	sv->log = open_file(sv);
	if (sv->log < 0) {
		snprintf(err, errlen, "%s/supervisor.log: cannot open: %s", sv->dirs.log,
			 strerror(errno));
		return -1;
	}
	return 0;
}

void supervisor_log_reopen(struct supervisor *sv)
{
	int fd;

	if (sv->log < 0)
		return;
	fd = open_file(sv);
	if (fd < 0) {
		supervisor_log(sv, PSTN_ERROR, "reopen", "%s/supervisor.log: cannot open: %s",
			       sv->dirs.log, strerror(errno));
		return;
	}
	close(sv->log);
	sv->log = fd;
}

/* Nobody may be reading the pipe that standard error is: what does not fit is lost, and the
 * supervisor goes on. A pipe with room takes PIPE_BUF octets without waiting. */
static void write_all(int fd, const char *text, size_t n)
{
	while (n > 0) {
		struct pollfd room = {.fd = fd, .events = POLLOUT};
		if (poll(&room, 1, 0) != 1)
			return;
		ssize_t done = write(fd, text, n < PIPE_BUF ? n : PIPE_BUF);
		if (done <= 0)
			return;
		text += done;
		n -= (size_t)done;
	}
}

/* The variable is inherited by more than what the journal listens to (systemd.exec(5)). */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

/* The journal stamps lines itself and takes the priority from the front (sd-daemon(3)). */
static int format_for_journal(char **line, int level, const char *text)
{
	static const int priorities[] = {7, 2, 3, 4, 6, 7};

	return asprintf(line, "<%d>%s\n", priorities[level], text);
}

static int format(char **line, int level, const char *text)
{
	struct timespec now;
	struct tm tm;
	char stamp[32] = "";

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm))
		strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	return asprintf(line, "%s.%03ldZ posternd[%ld] %s: %s\n", stamp, now.tv_nsec / 1000000,
			(long)getpid(), level_names[level], text);
}

static void write_line(struct supervisor *sv, int level, const char *text)
{
	char *line;
	int n = sv->log < 0 && is_journal() ? format_for_journal(&line, level, text)
					    : format(&line, level, text);

	if (n < 0)
		return;
	write_all(sv->log >= 0 ? sv->log : STDERR_FILENO, line, (size_t)n);
	free(line);
	if (level <= PSTN_WARNING)
		supervisor_boot_note(sv, text);
}

/* The text may be a worker's: it is one line, and nothing that a terminal obeys. */
void supervisor_log_line(struct supervisor *sv, int level, const char *text)
{
	char *plain = strdup(text);

	if (level < PSTN_CRITICAL || level > PSTN_PROTOCOL)
		level = PSTN_PROTOCOL;
	for (char *p = plain; p && *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (plain)
		write_line(sv, level, plain);
	free(plain);
}

static void forward(struct supervisor *sv, int level, const char *event, const char *text)
{
	struct link_message *m = &sv->message;

	if (!sv->current || sv->current->link < 0)
		return;
	link_begin(m, LINK_EVENT);
	link_put_number(m, (uint64_t)level);
	link_put_text(m, event);
	link_put_text(m, text);
	(void)link_send(sv->current->link, m, false);
}

void supervisor_log(struct supervisor *sv, int level, const char *event, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	supervisor_log_line(sv, level, text);
	forward(sv, level, event, text);
	free(text);
}

void supervisor_boot_note(struct supervisor *sv, const char *text)
{
	if (sv->boot < 0)
		return;
	write_all(sv->boot, text, strlen(text));
	write_all(sv->boot, "\n", 1);
}

void supervisor_boot_done(struct supervisor *sv, bool ok)
{
	if (sv->boot < 0)
		return;
	if (ok)
		write_all(sv->boot, "", 1);
	close(sv->boot);
	sv->boot = -1;
}
