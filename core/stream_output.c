/*
 * stream_output.c - from the service to the socket.
 *
 * The queue is a list of buffers, into which small writes are gathered, and of contents, which are
 * references. At the end of a turn it is written with as few system calls as it takes: a reply of a
 * status line, a message and the final dot leaves in one. The kernel is asked to tell when it takes
 * more only after it took less than it was given.
 */
#include "stream_content.h"

#include "instance.h"
#include "jobs.h"
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>

enum {
	CONTENT_COPY_MAX = 512, /* smaller contents in memory are copied */
	LAYOUT_OCTETS = 256 * 1024
};

uint64_t session_queued(struct pstn_session *s)
{
	return s->queued;
}

void session_want_drained(struct pstn_session *s)
{
	s->want_drained = true;
	session_wake(s);
}

/* ---- queueing -------------------------------------------------------------------------------- */

static void append(struct pstn_session *s, struct segment *segment)
{
	if (s->tail)
		s->tail->next = segment;
	else
		s->head = segment;
	s->tail = segment;
}

/* A buffer with room at the queue's end. The first after something else is a small one. */
static struct buffer *output_room(struct pstn_session *s)
{
	struct buffer *b = s->tail && !s->tail->is_content ? (struct buffer *)s->tail : NULL;

	if (b && b->end < b->size)
		return b;
	b = buffer_take(&s->reactor->buffers, b != NULL);
	if (b)
		append(s, &b->segment);
	else
		session_drop(s, "out of memory");
	return b;
}

static bool takes_output(struct pstn_session *s)
{
	if (s->left || s->dropping)
		return false;
	session_wake(s);
	return true;
}

void session_write(struct pstn_session *s, const void *bytes, size_t n)
{
	const char *from = bytes;

	if (!takes_output(s))
		return;
	while (n) {
		struct buffer *b = output_room(s);
		size_t part;

		if (!b)
			return;
		part = n < b->size - b->end ? n : b->size - b->end;
		memcpy(b->bytes + b->end, from, part);
		b->end += (uint32_t)part;
		s->queued += part;
		from += part;
		n -= part;
	}
}

void session_printf(struct pstn_session *s, const char *fmt, ...)
{
	char text[1024], *long_text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (n < 0)
		return;
	if ((size_t)n < sizeof(text)) {
		session_write(s, text, (size_t)n);
		return;
	}
	va_start(args, fmt);
	n = vasprintf(&long_text, fmt, args);
	va_end(args);
	if (n < 0) {
		session_drop(s, "out of memory");
		return;
	}
	session_write(s, long_text, (size_t)n);
	free(long_text);
}

static void release(const struct pstn_content *c)
{
	if (c->release)
		c->release(c->ref);
}

static void copy_content(struct pstn_session *s, const struct pstn_content *c, uint64_t length)
{
	uint64_t pos = 0;

	for (uint32_t i = 0; i < c->ndots && c->dots[i] < length; i++) {
		session_write(s, c->bytes + pos, (size_t)(c->dots[i] - pos));
		session_write(s, ".", 1);
		pos = c->dots[i];
	}
	session_write(s, c->bytes + pos, (size_t)(length - pos));
}

void session_send(struct pstn_session *s, const struct pstn_content *c, uint64_t length)
{
	struct outgoing *o;

	if (length > c->length)
		length = c->length;
	if (!length || !takes_output(s)) {
		release(c);
		return;
	}
	if (c->bytes && length <= CONTENT_COPY_MAX) {
		copy_content(s, c, length);
		release(c);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		release(c);
		session_drop(s, "out of memory");
		return;
	}
	o->segment.is_content = true;
	memcpy(&o->content, c, c->size < sizeof(*c) ? c->size : sizeof(*c));
	o->end = length;
	o->left = content_wire_length(&o->content, length);
	s->queued += o->left;
	append(s, &o->segment);
}

/* ---- taking off the queue -------------------------------------------------------------------- */

static void remove_head(struct pstn_session *s)
{
	struct segment *segment = s->head;

	s->head = segment->next;
	if (!s->head)
		s->tail = NULL;
	if (segment->is_content) {
		struct outgoing *o = (struct outgoing *)segment;

		s->queued -= o->left;
		release(&o->content);
		free(o);
	} else {
		struct buffer *b = (struct buffer *)segment;

		s->queued -= b->end - b->start;
		buffer_give(&s->reactor->buffers, b);
	}
}

void output_discard(struct pstn_session *s)
{
	while (s->head)
		remove_head(s);
}

static size_t take_from_content(struct pstn_session *s, struct outgoing *o, size_t n)
{
	size_t took = content_sent(o, n);
	uint64_t counted = took < o->left ? took : o->left;

	o->left -= counted;
	s->queued -= counted;
	if (o->at.pos == o->end)
		remove_head(s);
	return took;
}

static size_t take_from_buffer(struct pstn_session *s, struct buffer *b, size_t n)
{
	size_t took = n < b->end - b->start ? n : b->end - b->start;

	b->start += (uint32_t)took;
	s->queued -= took;
	if (b->start == b->end)
		remove_head(s);
	return took;
}

void output_sent(struct pstn_session *s, size_t n)
{
	s->octets_out += n;
	s->active = s->reactor->now;
	s->unsent = 0;
	while (n && s->head) {
		if (s->head->is_content)
			n -= take_from_content(s, (struct outgoing *)s->head, n);
		else
			n -= take_from_buffer(s, (struct buffer *)s->head, n);
	}
}

/* ---- reading ahead --------------------------------------------------------------------------- */

enum { WARM_RETRY_MS = 20 };

/* A session waits for it, and neither it nor the content is freed before it ends. */
struct warming {
	struct task task; /* first; on the job queue, then on the reactor's */
	struct timer retry;
	struct pstn_session *session;
	struct outgoing *content;
	uint64_t warm;
};

static void end_warming(struct warming *w)
{
	struct pstn_session *s = w->session;

	w->content->warm = w->warm;
	free(w);
	s->warming = false;
	if (s->gone)
		session_reap(s);
	else
		session_wake(s);
}

static void warmed(struct task *task)
{
	end_warming((struct warming *)task);
}

static void warm(struct task *task)
{
	struct warming *w = (struct warming *)task;

	w->warm = content_warm(w->content);
	w->task.run = warmed;
	reactor_post(w->session->reactor, &w->task);
}

/* When the jobs' queue is full the session tries again a little later; a reactor never waits for a
 * disk. */
static void submit(struct warming *w)
{
	if (!jobs_submit(&w->task, false))
		timer_set(w->session->reactor, &w->retry, WARM_RETRY_MS);
}

static void retry(struct timer *t)
{
	struct warming *w = (struct warming *)((char *)t - offsetof(struct warming, retry));

	if (w->session->gone)
		end_warming(w);
	else
		submit(w);
}

/* The content at the queue's head is not in memory: a job reads it. */
static void start_warming(struct pstn_session *s)
{
	struct warming *w = calloc(1, sizeof(*w));

	if (!w) {
		session_drop(s, "out of memory");
		return;
	}
	w->task.run = warm;
	w->retry.fire = retry;
	w->session = s;
	w->content = (struct outgoing *)s->head;
	s->warming = true;
	submit(w);
}

/* ---- writing --------------------------------------------------------------------------------- */

static void broken(struct pstn_session *s, int error)
{
	const struct pstn_field fields[] = {
	    PSTN_S("account", s->account),
	    PSTN_S("why", error ? strerror(error) : "the file is shorter than it was")};

	log_event(instance_name(s->listening->self), s->id, PSTN_ERROR, "content-unreadable",
		  fields, sizeof(fields) / sizeof(fields[0]));
	session_drop(s, "content unreadable");
}

/* What a system call that wrote says: false if the session can write no more in this turn. */
static bool written(struct pstn_session *s, ssize_t n, size_t asked)
{
	if (n < 0 && errno == EINTR)
		return true;
	if (n < 0 && errno != EAGAIN) {
		session_drop(s, "connection lost");
		return false;
	}
	if (n > 0)
		output_sent(s, (size_t)n);
	s->blocked = n < 0 || (size_t)n < asked;
	return !s->blocked;
}

static bool send_file(struct pstn_session *s, struct outgoing *o, uint64_t piece)
{
	off_t offset = (off_t)(o->content.offset + o->at.pos);
	ssize_t n;

	if (!content_is_hot(o, o->at.pos, piece)) {
		start_warming(s);
		return false;
	}
	n = sendfile(s->fd, o->content.fd, &offset, (size_t)piece);
	if (n == 0) {
		broken(s, 0);
		return false;
	}
	if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
		o->no_sendfile = true;
		return true;
	}
	if (n < 0 && errno == EIO) {
		broken(s, errno);
		return false;
	}
	return written(s, n, (size_t)piece);
}

/* Lays out the queue from its head, as far as one call can take it. */
static enum laid lay_out(struct pstn_session *s, struct layout *l)
{
	for (struct segment *at = s->head; at; at = at->next) {
		const struct buffer *b = (const struct buffer *)at;
		enum laid laid;

		if (l->octets >= LAYOUT_OCTETS)
			return LAID_FULL;
		if (!at->is_content) {
			if (!layout_ref(l, b->bytes + b->start, b->end - b->start))
				return LAID_FULL;
			continue;
		}
		laid = content_lay((struct outgoing *)at, l);
		if (laid != LAID_ALL)
			return laid;
	}
	return LAID_ALL;
}

static bool send_some(struct pstn_session *s)
{
	struct layout l = {.stage = s->reactor->stage};
	struct outgoing *o = (struct outgoing *)s->head;
	enum laid laid = lay_out(s, &l);
	struct msghdr message = {.msg_iov = l.iov, .msg_iovlen = l.n};
	int error = errno;

	if (l.octets)
		return written(
		    s,
		    sendmsg(s->fd, &message,
			    MSG_NOSIGNAL | (laid == LAID_FULL || laid == LAID_FILE ? MSG_MORE : 0)),
		    l.octets);
	switch (laid) {
	case LAID_FILE:
		return send_file(s, o, content_file_piece(o));
	case LAID_COLD:
		start_warming(s);
		return false;
	default:
		broken(s, error);
		return false;
	}
}

void output_flush(struct pstn_session *s)
{
	uint64_t stop = s->octets_out + OUTPUT_PER_TURN;

	while (s->head && !s->blocked && !s->warming && s->octets_out < stop)
		if (!send_some(s))
			break;
}
