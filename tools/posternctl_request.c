/*
 * posternctl_request.c - one request of the control protocol, from its line to its result.
 */
#include "posternctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#define ANSWER_MAX (1u << 30) /* octets of a line that is still believed */

/* ---- sending ---- */

static char *request_line(const struct ctl_request *r, size_t *n)
{
	json_t *root = json_pack("{siss}", "version", CONTROL_VERSION, "command", r->command);
	bool good = root;
	char *line = NULL, *text;

	if (good && r->args)
		good = json_object_set(root, "args", r->args) == 0;
	if (good && r->files && json_array_size(r->files) > 0)
		good = json_object_set(root, "files", r->files) == 0;
	if (good && r->generation)
		good = json_object_set_new(root, "generation", json_integer(r->generation)) == 0;
	text = good ? json_dumps(root, JSON_COMPACT) : NULL;
	json_decref(root);
	if (text) {
		*n = strlen(text) + 1;
		line = realloc(text, *n + 1);
		if (line)
			memcpy(line + *n - 1, "\n", 2);
		else
			free(text);
	}
	return line;
}

static ssize_t send_first(int fd, const char *line, size_t n, const int *fds, size_t nfds)
{
	union {
		struct cmsghdr header; /* for its alignment */
		char space[CMSG_SPACE(sizeof(int) * CONTROL_FILES_MAX)];
	} control = {.space = {0}};
	struct iovec piece = {.iov_base = (void *)(size_t)line, .iov_len = n};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
	struct cmsghdr *header;

	if (nfds > 0) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * nfds);
	}
	return sendmsg(fd, &message, MSG_NOSIGNAL);
}

int ctl_send(int fd, const char *line, size_t n, const int *fds, size_t nfds)
{
	size_t sent = 0;

	while (sent < n) {
		ssize_t now = send_first(fd, line + sent, n - sent, fds, sent ? 0 : nfds);

		if (now < 0 && errno == EINTR)
			continue;
		if (now < 0)
			return -1;
		sent += (size_t)now;
	}
	return 0;
}

/* false: the person has been told. *status: the exit status, if it is another. */
static bool send_request(int fd, const struct ctl_request *r, int *status)
{
	size_t n = 0, nfds = r->files ? json_array_size(r->files) : 0;
	char *line = request_line(r, &n);
	bool good = false;

	if (!line)
		*status = ctl_error("the arguments cannot be sent: they are not valid UTF-8");
	else if (n > CONTROL_REQUEST_MAX)
		*status =
		    ctl_error("the arguments are too long: %d octets at most", CONTROL_REQUEST_MAX);
	else if (ctl_send(fd, line, n, r->fds, nfds) != 0 && errno != EPIPE && errno != ECONNRESET)
		ctl_error("cannot send the request: %s", strerror(errno));
	else
		good = true; /* a server that closed early may still have said why */
	if (line)
		explicit_bzero(line, n);
	free(line);
	return good;
}

/* ---- what comes back on the way ---- */

static void show_progress(const json_t *progress)
{
	json_int_t done = json_integer_value(json_object_get(progress, "done"));
	json_int_t total = json_integer_value(json_object_get(progress, "total"));
	const char *unit = ctl_string(progress, "unit");

	if (!isatty(STDERR_FILENO))
		return;
	if (total > 0)
		fprintf(stderr, "\r\033[K%lld of %lld %s (%d%%)", (long long)done, (long long)total,
			unit, (int)((double)done * 100 / (double)total));
	else
		fprintf(stderr, "\r\033[K%lld %s", (long long)done, unit);
}

static void end_progress(void)
{
	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
}

static int base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void write_base64(const char *text)
{
	unsigned bits = 0, n = 0;

	for (; *text && *text != '='; text++) {
		int value = base64_value(*text);

		if (value < 0)
			continue;
		bits = bits << 6 | (unsigned)value;
		n += 6;
		if (n >= 8) {
			n -= 8;
			putchar((int)(bits >> n & 0xff));
		}
	}
}

/* What failed for a while is tried again by mail servers and scripts, and mail waits. */
static int exit_status(const char *word)
{
	static const struct {
		const char *word;
		int status;
	} rows[] = {
	    {CONTROL_STATUS_NOT_FOUND, EX_NOUSER},   {CONTROL_STATUS_INVALID, EX_DATAERR},
	    {CONTROL_STATUS_TOO_LARGE, EX_DATAERR},  {CONTROL_STATUS_DENIED, EX_TEMPFAIL},
	    {CONTROL_STATUS_BUSY, EX_TEMPFAIL},      {CONTROL_STATUS_FULL, EX_TEMPFAIL},
	    {CONTROL_STATUS_TEMPORARY, EX_TEMPFAIL}, {CONTROL_STATUS_DAMAGED, EX_TEMPFAIL},
	    {CONTROL_STATUS_NO_MEMORY, EX_TEMPFAIL}, {CONTROL_STATUS_CANCELLED, EX_TEMPFAIL},
	    {CONTROL_STATUS_QUOTA, EX_TEMPFAIL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].word, word) == 0)
			return rows[i].status;
	return EXIT_FAILURE;
}

/* true: it was the last line. *result stays NULL if the command failed. */
static bool take_answer(int fd, const struct ctl_request *r, const json_t *answer, json_t **result,
			struct ctl_outcome *outcome)
{
	json_t *ok = json_object_get(answer, "ok"), *part;

	if ((part = json_object_get(answer, "progress"))) {
		show_progress(part);
	} else if ((part = json_object_get(answer, "note"))) {
		end_progress();
		ctl_error("%s", json_string_value(part) ? json_string_value(part) : "");
	} else if ((part = json_object_get(answer, "file"))) {
		ctl_answer_file(fd, r, part);
	} else if ((part = json_object_get(answer, "bytes"))) {
		outcome->raw = true;
		if (json_string_value(part))
			write_base64(json_string_value(part));
	} else if (json_is_true(ok)) {
		end_progress();
		part = json_object_get(answer, "result");
		*result = part ? json_incref(part) : json_null();
		outcome->status = json_object_get(answer, "status")
				      ? exit_status(ctl_string(answer, "status"))
				      : EXIT_SUCCESS;
		return true;
	} else if (ok) {
		end_progress();
		part = json_object_get(answer, "error");
		ctl_error("%s", json_string_value(part) ? json_string_value(part)
							: "the server failed without a word");
		outcome->status = exit_status(ctl_string(answer, "status"));
		return true;
	}
	return false;
}

/* ---- receiving ---- */

struct reader {
	int fd;
	char *text;
	size_t start, end, room; /* text[start..end) is not yet used */
};

/* false: end, error or no memory; errno tells which, 0 for the end. */
static bool fill(struct reader *r)
{
	ssize_t n;

	if (r->start > 0) {
		memmove(r->text, r->text + r->start, r->end - r->start);
		r->end -= r->start;
		r->start = 0;
	}
	if (r->end == r->room) {
		size_t room = r->room ? r->room * 2 : 65536;
		char *more = room <= ANSWER_MAX ? realloc(r->text, room) : NULL;

		if (!more) {
			errno = room <= ANSWER_MAX ? ENOMEM : EMSGSIZE;
			return false;
		}
		r->text = more;
		r->room = room;
	}
	do
		n = read(r->fd, r->text + r->end, r->room - r->end);
	while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = 0;
	if (n > 0)
		r->end += (size_t)n;
	return n > 0;
}

static json_t *next_answer(struct reader *r)
{
	size_t looked = r->start;
	char *newline;
	json_t *answer;
	json_error_t error;

	while (!(newline = r->text ? memchr(r->text + looked, '\n', r->end - looked) : NULL)) {
		size_t known = r->end - r->start;

		if (!fill(r)) {
			if (errno == 0 || errno == ECONNRESET)
				ctl_error("the server went away before it had answered; its log "
					  "says why");
			else
				ctl_error("cannot read the answer: %s", strerror(errno));
			return NULL;
		}
		looked = r->start + known;
	}
	answer =
	    json_loadb(r->text + r->start, (size_t)(newline - (r->text + r->start)), 0, &error);
	r->start = (size_t)(newline - r->text) + 1;
	if (!json_is_object(answer)) {
		ctl_error("the server's answer is not understood: %s",
			  answer ? "not an object" : error.text);
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static json_t *receive(int fd, const struct ctl_request *r, struct ctl_outcome *outcome)
{
	struct reader reader = {.fd = fd};
	json_t *result = NULL, *answer;
	bool last = false;

	while (!last && (answer = next_answer(&reader))) {
		last = take_answer(fd, r, answer, &result, outcome);
		json_decref(answer);
	}
	free(reader.text);
	return result;
}

json_t *ctl_request(const struct ctl *ctl, const struct ctl_request *request,
		    struct ctl_outcome *outcome)
{
	json_t *result = NULL;
	long pid;
	int fd = ctl_connect(ctl, &pid);

	/* Until there is an answer: the server does not run, or goes away. */
	*outcome = (struct ctl_outcome){.status = EX_TEMPFAIL};
	if (fd < 0)
		return NULL;
	if (send_request(fd, request, &outcome->status))
		result = receive(fd, request, outcome);
	ctl_disconnect(fd, pid);
	return result;
}
