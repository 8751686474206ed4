/*
 * canned.c - the least that a POP3 server can be: one thread, one epoll, no storage, no accounts,
 * an answer per verb that was ready beforehand. What it costs is the floor for any server on this
 * machine. Its framing is honest: it reads lines, its sizes and listings agree with what it sends.
 *
 *   canned [--messages N] [--sizes FILE]     prints the port that it chose
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { LINE_MAX_ = 512, SMALL = 4096, DEFAULT_SIZE = 10000 };

struct session {
	int fd;
	bool quitting, blocked;
	unsigned have;    /* octets in input */
	unsigned small;   /* octets in output */
	const char *text; /* then this */
	size_t left;      /* of text */
	const char *end;  /* then this */
	char input[LINE_MAX_];
	char output[SMALL];
};

static struct {
	uint32_t messages;
	uint32_t *sizes;
	uint64_t total;
	char *text; /* as long as the largest message */
	char *list, *uidl;
	size_t list_length, uidl_length;
} mail = {.messages = 100};

static int epoll;

static void die(const char *what)
{
	fprintf(stderr, "canned: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void *must(void *p)
{
	if (!p)
		die("memory");
	return p;
}

/* ---- what is sent ---- */

static void read_sizes(const char *path)
{
	FILE *file = fopen(path, "r");
	if (!file)
		die(path);
	mail.messages = 0;
	for (uint32_t size; fscanf(file, "%" SCNu32, &size) == 1; mail.messages++) {
		mail.sizes = must(realloc(mail.sizes, (mail.messages + 1) * sizeof mail.sizes[0]));
		mail.sizes[mail.messages] = size < 2 ? 2 : size;
	}
	fclose(file);
}

static void make_mail(void)
{
	uint32_t largest = 2;
	if (!mail.sizes) {
		mail.sizes = must(calloc(mail.messages, sizeof mail.sizes[0]));
		for (uint32_t i = 0; i < mail.messages; i++)
			mail.sizes[i] = DEFAULT_SIZE;
	}
	mail.list = must(malloc(mail.messages * 24 + 8));
	mail.uidl = must(malloc(mail.messages * 40 + 8));
	for (uint32_t i = 0; i < mail.messages; i++) {
		largest = mail.sizes[i] > largest ? mail.sizes[i] : largest;
		mail.total += mail.sizes[i];
		mail.list_length +=
		    (size_t)sprintf(mail.list + mail.list_length, "%" PRIu32 " %" PRIu32 "\r\n",
				    i + 1, mail.sizes[i]);
		mail.uidl_length +=
		    (size_t)sprintf(mail.uidl + mail.uidl_length, "%" PRIu32 " %016" PRIx32 "\r\n",
				    i + 1, i * 2654435761u);
	}
	mail.list_length += (size_t)sprintf(mail.list + mail.list_length, ".\r\n");
	mail.uidl_length += (size_t)sprintf(mail.uidl + mail.uidl_length, ".\r\n");
	mail.text = must(malloc(largest));
	for (uint32_t i = 0; i < largest; i++)
		mail.text[i] = "\r\n"[i % 78 == 77];
	for (uint32_t i = 0; i < largest; i++)
		if (i % 78 < 76)
			mail.text[i] = (char)('a' + i % 26);
}

/* ---- sessions ---- */

static void end_session(struct session *s)
{
	close(s->fd);
	free(s);
}

static void watch(struct session *s, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = s};
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, s->fd, &event) < 0)
		die("epoll_ctl");
}

static void answer(struct session *s, const char *text)
{
	size_t n = strlen(text);
	memcpy(s->output + s->small, text, n);
	s->small += (unsigned)n;
}

static void answer_text(struct session *s, const char *text, size_t n, const char *end)
{
	s->text = text;
	s->left = n;
	s->end = end;
}

/* false: the client takes no more now, or is gone (then *gone). */
static bool flush(struct session *s, bool *gone)
{
	while (s->small > 0 || s->left > 0 || s->end) {
		struct iovec part[3] = {{s->output, s->small},
					{(char *)(uintptr_t)s->text, s->left},
					{(char *)(uintptr_t)s->end, s->end ? strlen(s->end) : 0}};
		struct msghdr message = {.msg_iov = part, .msg_iovlen = 3};
		ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
		if (n < 0) {
			*gone = errno != EAGAIN;
			return false;
		}
		size_t sent = (size_t)n, of = sent < s->small ? sent : s->small;
		memmove(s->output, s->output + of, s->small - of);
		s->small -= (unsigned)of;
		sent -= of;
		of = sent < s->left ? sent : s->left;
		s->text += of;
		s->left -= of;
		sent -= of;
		if (s->end)
			s->end = s->end[sent] ? s->end + sent : NULL;
	}
	return true;
}

static void retr(struct session *s, const char *argument)
{
	char text[64];
	unsigned long i = strtoul(argument, NULL, 10);
	if (i < 1 || i > mail.messages) {
		answer(s, "-ERR no such message\r\n");
		return;
	}
	snprintf(text, sizeof text, "+OK %" PRIu32 " octets\r\n", mail.sizes[i - 1]);
	answer(s, text);
	answer_text(s, mail.text, mail.sizes[i - 1] - 2, "\r\n.\r\n");
}

static void command(struct session *s, const char *line)
{
	char text[64];
	if (strncasecmp(line, "STAT", 4) == 0) {
		snprintf(text, sizeof text, "+OK %" PRIu32 " %" PRIu64 "\r\n", mail.messages,
			 mail.total);
		answer(s, text);
	} else if (strncasecmp(line, "RETR ", 5) == 0) {
		retr(s, line + 5);
	} else if (strncasecmp(line, "LIST", 4) == 0) {
		answer(s, "+OK\r\n");
		answer_text(s, mail.list, mail.list_length, NULL);
	} else if (strncasecmp(line, "UIDL", 4) == 0) {
		answer(s, "+OK\r\n");
		answer_text(s, mail.uidl, mail.uidl_length, NULL);
	} else if (strncasecmp(line, "USER", 4) == 0 || strncasecmp(line, "PASS", 4) == 0) {
		answer(s, "+OK\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		answer(s, "+OK bye\r\n");
		s->quitting = true;
	} else {
		answer(s, "-ERR unknown command\r\n");
	}
}

/* Answer what was read. false: the session is over. */
static bool converse(struct session *s)
{
	bool gone = false;
	unsigned at = 0;
	for (char *end; !s->quitting && (end = memchr(s->input + at, '\n', s->have - at));) {
		/* a reply with text goes out before the next command is read, small ones gather */
		if ((s->left > 0 || s->small > SMALL - 128) && !flush(s, &gone))
			break;
		*end = '\0';
		command(s, s->input + at);
		at = (unsigned)(end - s->input) + 1;
	}
	memmove(s->input, s->input + at, s->have - at);
	s->have -= at;
	bool sent = !gone && flush(s, &gone);
	if (gone || (sent && (s->quitting || s->have == sizeof s->input)))
		return false;
	if (sent == s->blocked) {
		s->blocked = !sent;
		watch(s, sent ? EPOLLIN : EPOLLOUT);
	}
	return true;
}

static void serve(struct session *s)
{
	if (!s->blocked) {
		ssize_t n = recv(s->fd, s->input + s->have, sizeof s->input - s->have, 0);
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			end_session(s);
			return;
		}
		s->have += (unsigned)n;
	}
	if (!converse(s))
		end_session(s);
}

static void accept_all(int listener)
{
	static const char greeting[] = "+OK ready\r\n";
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
		if (fd < 0)
			return;
		struct session *s = must(malloc(sizeof *s));
		*s = (struct session){.fd = fd};
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
		if (send(fd, greeting, sizeof greeting - 1, MSG_NOSIGNAL) < 0 ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
			end_session(s);
	}
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(fd, 4096) < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0 ||
	    epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("listen");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	return fd;
}

int main(int argc, char **argv)
{
	static const struct option known[] = {
	    {"messages", 1, NULL, 'm'}, {"sizes", 1, NULL, 's'}, {NULL, 0, NULL, 0}};
	struct rlimit files;
	struct epoll_event events[256];
	for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
		if (option == 'm')
			mail.messages = (uint32_t)strtoul(optarg, NULL, 10);
		else if (option == 's')
			read_sizes(optarg);
		else
			return 2;
	}
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &files);
	}
	make_mail();
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("epoll");
	int listener = listen_somewhere();
	for (;;) {
		int n = epoll_wait(epoll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				serve(events[i].data.ptr);
			else
				accept_all(listener);
		}
	}
}
