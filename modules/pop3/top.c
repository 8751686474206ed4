/*
 * top.c - TOP: a message's header, the empty line and the first lines of its body (RFC 1939
 * section 7). What is sent is a prefix of the stored text, so TOP comes down to finding its length.
 *
 * The header's length is known. Lines of the body are counted here if the text is in memory or in
 * the page cache, and by a job if it has to come from the disk or is long.
 */
#include "command.h"
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define HOT_OCTETS  16384 /* looked at on the reactor */
#define COLD_OCTETS 65536 /* a read of the job */

struct scan {
	struct pop3_session *session; /* not for the job's thread */
	struct pop3_transfer *transfer;
	struct pop3 *pop3;
	uint64_t base;   /* where the text begins in the file */
	uint64_t at;     /* so far, from the text's beginning */
	uint64_t length; /* of the text */
	uint32_t lines;  /* still to come */
	int fd;          /* the job's own: the text may be released before the job ends */
};

static bool scanned(const struct scan *s)
{
	return s->lines == 0 || s->at >= s->length;
}

static void scan_octets(struct scan *s, const char *octets, size_t n)
{
	const char *at = octets, *end = octets + n;

	while (s->lines > 0 && at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));

		if (!line_end) {
			at = end;
			break;
		}
		at = line_end + 1;
		s->lines--;
	}
	s->at += (uint64_t)(at - octets);
}

static size_t wanted(const struct scan *s, size_t most)
{
	return s->length - s->at < most ? (size_t)(s->length - s->at) : most;
}

/* ---- from the disk ---- */

static int scan_work(void *arg)
{
	struct scan *s = arg;
	char octets[COLD_OCTETS];

	while (!scanned(s)) {
		ssize_t n =
		    pread(s->fd, octets, wanted(s, sizeof(octets)), (off_t)(s->base + s->at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? PSTN_E_TEMPORARY : PSTN_E_DAMAGED;
		scan_octets(s, octets, (size_t)n);
	}
	return PSTN_OK;
}

static void scan_free(void *arg)
{
	struct scan *s = arg;

	close(s->fd);
	s->pop3->host->free(s->pop3->self, s);
}

static void give_up(struct pop3_session *p, struct pop3_transfer *t, int status)
{
	pop3_transfer_forget(t);
	pop3_err_status(p, status);
}

static void send_top(struct pop3_session *p, struct pop3_transfer *t, uint64_t length)
{
	pop3_status(p, "top of message follows");
	pop3_transfer_send(p, t, length);
}

static void scan_done(void *arg, int status)
{
	struct scan *s = arg;
	struct pop3_session *p = s->session;
	struct pop3_transfer *t = s->transfer;
	uint64_t length = s->at;

	scan_free(s);
	if (status == PSTN_OK)
		send_top(p, t, length);
	else
		give_up(p, t, status);
}

static void scan_cold(struct pop3_session *p, struct pop3_transfer *t, const struct scan *so_far)
{
	const struct pop3 *pop3 = p->pop3;
	struct scan *s = pop3->host->alloc(pop3->self, sizeof(*s));

	if (!s) {
		give_up(p, t, PSTN_E_NO_MEMORY);
		return;
	}
	*s = *so_far;
	s->fd = fcntl(t->content.fd, F_DUPFD_CLOEXEC, 0);
	if (s->fd < 0) {
		pop3->host->free(pop3->self, s);
		give_up(p, t, PSTN_E_TEMPORARY);
	} else if (pop3->host->job(pop3->self, p->stream, scan_work, scan_done, scan_free, s)) {
		pop3_hold(p);
	} else {
		scan_free(s);
		give_up(p, t, PSTN_E_NO_MEMORY);
	}
}

/* ---- from memory ---- */

static void scan_hot(struct scan *s, int fd)
{
	char octets[HOT_OCTETS];
	struct iovec piece = {.iov_base = octets, .iov_len = wanted(s, sizeof(octets))};
	ssize_t n = preadv2(fd, &piece, 1, (off_t)(s->base + s->at), RWF_NOWAIT);

	if (n > 0)
		scan_octets(s, octets, (size_t)n);
}

static void top_read(void *arg, int status)
{
	struct pop3_session *p = arg;
	struct pop3_transfer *t;
	struct scan s = {.session = p, .pop3 = p->pop3, .fd = -1};

	if (status != PSTN_OK) {
		pop3_err_status(p, status);
		return;
	}
	t = pop3_transfer_keep(p);
	s.transfer = t;
	s.base = t->content.offset;
	s.length = t->content.length;
	s.lines = t->lines;
	/* A text without an empty line is all header. */
	s.at = t->content.header_length ? t->content.header_length : s.length;
	if (s.at > s.length || s.lines >= s.length - s.at)
		s.at = s.length; /* no more lines than octets: nothing to count */
	else if (t->content.bytes)
		scan_octets(&s, t->content.bytes + s.at, (size_t)(s.length - s.at));
	else if (s.lines > 0)
		scan_hot(&s, t->content.fd);
	if (scanned(&s))
		send_top(p, t, s.at);
	else
		scan_cold(p, t, &s);
}

void pop3_top(struct pop3_session *p, const struct pop3_args *args)
{
	struct pop3_transfer *t = pop3_transfer_new(p);

	if (!t)
		return;
	t->lines = args->lines;
	pop3_transfer_read(p, args->number, top_read);
}
