/*
 * control_input.c - see control_input.h.
 */
#include "config.h"

#include "control_input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int control_input_open(struct control_input *in)
{
	*in = (struct control_input){.text = malloc(CONTROL_REQUEST_MAX + 1)};
	return in->text ? 0 : -1;
}

void control_input_clear(struct control_input *in)
{
	for (unsigned i = 0; i < in->nfiles; i++)
		close(in->files[i]);
	if (in->text)
		explicit_bzero(in->text, in->size); /* it may have been a password */
	free(in->text);
	*in = (struct control_input){0};
}

static void take_files(struct control_input *in, const struct cmsghdr *h)
{
	size_t n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

	for (size_t i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, CMSG_DATA(h) + i * sizeof(fd), sizeof(fd));
		if (in->nfiles < CONTROL_FILES_MAX)
			in->files[in->nfiles++] = fd;
		else
			close(fd);
	}
}

static enum control_got judge(struct control_input *in, char *err, size_t errlen)
{
	char *end = memchr(in->text, '\n', in->size);

	if (!end && in->size < CONTROL_REQUEST_MAX)
		return CONTROL_PART;
	if (!end) {
		snprintf(err, errlen, "the request is longer than %d octets", CONTROL_REQUEST_MAX);
		return CONTROL_BAD;
	}
	*end = '\0';
	/* What follows a zero octet would escape the check. */
	if (strlen(in->text) != (size_t)(end - in->text)) {
		snprintf(err, errlen, "the request is not JSON: it has a zero octet");
		return CONTROL_BAD;
	}
	return CONTROL_WHOLE;
}

enum control_got control_input_read(struct control_input *in, int fd, int flags, char *err,
				    size_t errlen)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(CONTROL_FILES_MAX * sizeof(int))];
	} space;
	struct iovec part = {.iov_base = in->text + in->size,
			     .iov_len = CONTROL_REQUEST_MAX - in->size};
	struct msghdr msg = {.msg_iov = &part,
			     .msg_iovlen = 1,
			     .msg_control = space.bytes,
			     .msg_controllen = sizeof(space.bytes)};
	ssize_t n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return CONTROL_PART;
	if (n <= 0)
		return CONTROL_GONE;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(&msg); h; h = CMSG_NXTHDR(&msg, h))
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
			take_files(in, h);
	in->size += (size_t)n;
	return judge(in, err, errlen);
}
