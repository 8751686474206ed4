/*
 * control_files.c - host->call on the files of a directory argument: asked of the client, which has
 * the rights to open them and sends the descriptor.
 *
 * One question is under way at a time: the job thread that runs the command asks and waits. The
 * client may do anything meanwhile, so what it sends is looked at before a module sees it.
 */
#include "config.h"

#include "control_call.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#define PATIENCE   60000 /* ms that a client may take to open a file: a disk may have to wake up */
#define LOOK_EVERY 100   /* ms between looks whether the worker has to stop */
#define ANSWER_MAX 256   /* octets */

struct answer {
	char text[ANSWER_MAX];
	size_t n;
	int fd; /* -1: none came */
	bool fd_lost;
};

/* ---- the question ------------------------------------------------------------------------------ */

/* A path's octets are any; JSON is UTF-8. */
static json_t *path_json(const char *path)
{
	char *text = malloc(strlen(path) * 3 + 1), *to = text;
	json_t *value;

	if (!text)
		return NULL;
	for (const unsigned char *c = (const unsigned char *)path; *c; c++)
		if (*c > ' ' && *c < 0x7f && *c != '%')
			*to++ = (char)*c;
		else
			to += sprintf(to, "%%%02X", *c);
	*to = '\0';
	value = json_string(text);
	free(text);
	return value;
}

static json_t *question(struct pstn_call *c, const char *argument, const char *how,
			const char *path, const char *to)
{
	json_t *file = json_pack("{s:i, s:s, s:s, s:o}", "id", (int)++c->asked, "argument",
				 argument, "how", how, "path", path_json(path));

	if (file && to && json_object_set_new(file, "to", path_json(to)) < 0) {
		json_decref(file);
		return NULL;
	}
	return file ? json_pack("{s:o}", "file", file) : NULL;
}

/* ---- the answer -------------------------------------------------------------------------------- */

/* One descriptor is kept, whatever else came is closed. */
static void take_descriptors(struct answer *a, struct msghdr *msg)
{
	int fd;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(fd)) <= h->cmsg_len; i++) {
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
			if (a->fd < 0)
				a->fd = fd;
			else
				close(fd);
		}
	}
	a->fd_lost = a->fd_lost || (msg->msg_flags & MSG_CTRUNC);
}

/* 0, EAGAIN for more, or an error. */
static int receive_part(struct pstn_call *c, struct answer *a)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONTROL_FILES_MAX * sizeof(int))];
	} space;
	struct iovec part = {.iov_base = a->text + a->n, .iov_len = sizeof(a->text) - a->n};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = space.bytes,
			     .msg_controllen = sizeof(space.bytes)};
	ssize_t n = recvmsg(c->client, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return EAGAIN;
	if (n <= 0) {
		c->gone = true;
		return ECONNRESET;
	}
	take_descriptors(a, &msg);
	a->n += (size_t)n;
	if (a->text[a->n - 1] == '\n')
		return 0;
	return a->n < sizeof(a->text) ? EAGAIN : EPROTO;
}

static int receive(struct pstn_call *c, struct answer *a)
{
	struct pollfd p = {.fd = c->client, .events = POLLIN};
	uint64_t until = reactor_now() + PATIENCE;
	int status = EAGAIN;

	while (status == EAGAIN) {
		int n = poll(&p, 1, LOOK_EVERY);
		if (n > 0)
			status = receive_part(c, a);
		else if (n == 0 && calls_are_cancelled())
			status = ECANCELED;
		if (status == EAGAIN && reactor_now() > until)
			status = ETIMEDOUT;
	}
	return status;
}

static int judge(const struct pstn_call *c, const struct answer *a, bool *in_step)
{
	json_t *root = json_loadb(a->text, a->n, JSON_REJECT_DUPLICATES, NULL);
	json_t *file = json_object_get(root, "file");
	json_int_t why = json_integer_value(json_object_get(file, "errno"));
	bool ok = json_is_true(json_object_get(file, "ok"));

	*in_step = json_integer_value(json_object_get(file, "id")) == (json_int_t)c->asked &&
		   (ok || (why > 0 && why < 4096));
	json_decref(root);
	return !*in_step ? EPROTO : ok ? 0 : (int)why;
}

/* After a question without an answer the next answer might be that one's: no more are asked. */
static int ask(struct pstn_call *c, json_t *asked, struct answer *a)
{
	bool in_step = false;
	int status;

	*a = (struct answer){.fd = -1};
	if (!asked)
		return ENOMEM;
	call_send(c, asked);
	status = c->gone ? ECONNRESET : receive(c, a);
	if (status == 0)
		status = judge(c, a, &in_step);
	if (!in_step)
		c->files_error = status;
	return status;
}

/* ---- what modules call ------------------------------------------------------------------------- */

static int check(const struct pstn_call *c, const char *name)
{
	const char *given = control_request_arg(&c->request, name);

	if (c->files_error)
		return c->files_error;
	return given && *given ? 0 : ENOENT;
}

static int fail(int fd, int error)
{
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

/* Whether the client sent what was asked for: it may be any program. */
static int check_file(int fd, int mode)
{
	bool writes = mode == PSTN_FILE_CREATE || mode == PSTN_FILE_WRITE;
	int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return errno;
	if (flags & O_PATH || (flags & O_ACCMODE) != (writes ? O_RDWR : O_RDONLY))
		return EPROTO;
	if (S_ISDIR(st.st_mode))
		return mode == PSTN_FILE_READ || mode == PSTN_FILE_DIRECTORY ? 0 : EPROTO;
	return S_ISREG(st.st_mode) && mode != PSTN_FILE_DIRECTORY ? 0 : EPROTO;
}

int call_file(struct pstn_call *c, const char *name, const char *path, int mode)
{
	static const char *const words[] = {[PSTN_FILE_READ] = CONTROL_HOW_READ,
					    [PSTN_FILE_CREATE] = CONTROL_HOW_CREATE,
					    [PSTN_FILE_WRITE] = CONTROL_HOW_WRITE,
					    [PSTN_FILE_DIRECTORY] = CONTROL_HOW_DIRECTORY};
	struct answer a = {.fd = -1};
	int status = mode >= PSTN_FILE_READ && mode <= PSTN_FILE_DIRECTORY ? 0 : EINVAL;

	if (status == 0)
		status = check(c, name);
	if (status == 0)
		status = ask(c, question(c, name, words[mode], path, NULL), &a);
	if (status == 0 && a.fd < 0)
		status = a.fd_lost ? EMFILE : EPROTO;
	if (status == 0)
		status = check_file(a.fd, mode);
	return status == 0 ? a.fd : fail(a.fd, status);
}

static int change(struct pstn_call *c, const char *name, const char *how, const char *path,
		  const char *to)
{
	struct answer a = {.fd = -1};
	int status = check(c, name);

	if (status == 0)
		status = ask(c, question(c, name, how, path, to), &a);
	if (status == 0 && a.fd < 0)
		return 0;
	return fail(a.fd, status ? status : EPROTO);
}

int call_rename(struct pstn_call *c, const char *name, const char *from, const char *to)
{
	return change(c, name, CONTROL_HOW_RENAME, from, to);
}

int call_remove(struct pstn_call *c, const char *name, const char *path)
{
	return change(c, name, CONTROL_HOW_REMOVE, path, NULL);
}
