/*
 * link_message.c - framing of the messages between supervisor and worker; see link_message.h.
 *
 * A message on the wire: a header, then the fields. A number is 8 octets in the machine's order
 * (both ends run on it), a text is its octets and a zero.
 */
#include "config.h"

#include "link_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define LINK_MAGIC UINT32_C(0x4b4e4c50) /* "PLNK" */

struct header {
	uint32_t magic;
	uint16_t version, type;
	uint32_t size;
};

union control_space {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(LINK_FDS_MAX * sizeof(int))];
};

int link_pair(int ends[2])
{
	int size = 4 * LINK_DATA_MAX;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	/* The largest message has to fit; a kernel that gives less still carries all but that. */
	for (int i = 0; i < 2; i++)
		(void)setsockopt(ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	return 0;
}

void link_begin(struct link_message *m, enum link_type type)
{
	m->type = (uint16_t)type;
	m->bad = false;
	m->nfds = 0;
	m->size = m->at = 0;
}

static void put(struct link_message *m, const void *bytes, size_t n)
{
	if (n > LINK_DATA_MAX - m->size) {
		m->bad = true;
		return;
	}
	memcpy(m->data + m->size, bytes, n);
	m->size += (uint32_t)n;
}

void link_put_number(struct link_message *m, uint64_t value)
{
	put(m, &value, sizeof(value));
}

void link_put_text(struct link_message *m, const char *text)
{
	if (!text)
		text = "";
	put(m, text, strlen(text) + 1);
}

void link_put_fd(struct link_message *m, int fd)
{
	if (m->nfds == LINK_FDS_MAX)
		m->bad = true;
	else
		m->fds[m->nfds++] = fd;
}

int link_send(int link, const struct link_message *m, bool wait)
{
	struct header h = {.magic = LINK_MAGIC, .version = LINK_VERSION};
	struct iovec parts[2] = {{.iov_base = &h, .iov_len = sizeof(h)},
				 {.iov_base = (void *)m->data, .iov_len = m->size}};
	struct msghdr msg = {.msg_iov = parts, .msg_iovlen = 2};
	union control_space space = {.bytes = {0}};
	ssize_t n;

	if (m->bad) {
		errno = EMSGSIZE;
		return -1;
	}
	h.type = m->type;
	h.size = m->size;
	if (m->nfds > 0) {
		msg.msg_control = space.bytes;
		msg.msg_controllen = CMSG_SPACE(m->nfds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(m->nfds * sizeof(int));
		memcpy(CMSG_DATA(c), m->fds, m->nfds * sizeof(int));
	}
	do
		n = sendmsg(link, &msg, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

int link_tell(int link, enum link_type type, bool wait)
{
	struct header h = {.magic = LINK_MAGIC, .version = LINK_VERSION, .type = (uint16_t)type};
	ssize_t n;

	do
		n = send(link, &h, sizeof(h), MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && errno == EINTR);
	return n < 0 ? -1 : 0;
}

static void take_descriptors(struct link_message *m, struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && m->nfds < LINK_FDS_MAX; i++)
			memcpy(&m->fds[m->nfds++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
	}
}

int link_receive(int link, struct link_message *m, bool wait)
{
	struct header h = {0};
	struct iovec parts[2] = {{.iov_base = &h, .iov_len = sizeof(h)},
				 {.iov_base = m->data, .iov_len = LINK_DATA_MAX}};
	union control_space space;
	struct msghdr msg = {.msg_iov = parts,
			     .msg_iovlen = 2,
			     .msg_control = space.bytes,
			     .msg_controllen = sizeof(space.bytes)};
	ssize_t n;

	link_begin(m, 0);
	/* The other side may have died without reading what we sent: that error comes once, and
	 * before what it said last. */
	do
		n = recvmsg(link, &msg, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
	while (n < 0 && (errno == EINTR || errno == ECONNRESET));
	if (n <= 0)
		return (int)n;
	take_descriptors(m, &msg);
	if ((size_t)n < sizeof(h) || h.magic != LINK_MAGIC || h.version != LINK_VERSION ||
	    h.size != (size_t)n - sizeof(h) || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC))) {
		link_clear(m);
		errno = EPROTO;
		return -1;
	}
	m->type = h.type;
	m->size = h.size;
	return 1;
}

uint64_t link_get_number(struct link_message *m)
{
	uint64_t value = 0;

	if (m->size - m->at >= sizeof(value)) {
		memcpy(&value, m->data + m->at, sizeof(value));
		m->at += (uint32_t)sizeof(value);
	} else if (m->at < m->size) {
		m->bad = true;
		m->at = m->size;
	}
	return value;
}

const char *link_get_text(struct link_message *m)
{
	const char *text = (const char *)m->data + m->at;
	const char *end = memchr(text, '\0', m->size - m->at);

	if (!end) {
		m->bad = m->bad || m->at < m->size;
		m->at = m->size;
		return "";
	}
	m->at += (uint32_t)(end - text) + 1;
	return text;
}

int link_take_fd(struct link_message *m)
{
	for (unsigned i = 0; i < m->nfds; i++) {
		int fd = m->fds[i];
		if (fd >= 0) {
			m->fds[i] = -1;
			return fd;
		}
	}
	return -1;
}

void link_wipe(struct link_message *m)
{
	explicit_bzero(m->data, m->size);
}

void link_clear(struct link_message *m)
{
	int fd;

	while ((fd = link_take_fd(m)) >= 0)
		close(fd);
	m->nfds = 0;
}
