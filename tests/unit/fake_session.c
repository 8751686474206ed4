/*
 * fake_session.c - sessions of the fake host: input is cut into lines, output is gathered and
 * rendered late, so that a content which does not stay valid until its release is found out.
 */
#include "fake_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chunk { /* octets, or a part of a content */
	struct chunk *next;
	bool is_content;
	struct pstn_content content;
	uint64_t length;
	char *bytes;
};

struct claim {
	struct claim *next;
	char *key;
	struct pstn_session *session; /* NULL: of another worker */
	uint32_t places;
};

struct pstn_session {
	struct pstn_session *next;
	struct pstn_self *self;
	const struct pstn_service *service;
	void *inst, *state;
	char id[24];
	char account[512];
	char label[64];
	char why[128];
	struct pstn_peer peer;
	bool closed, held, raw, finished, dropped, blocked, want_drained, skipping, delivering;
	size_t line_limit;
	uint64_t idle_limit, last_input, queued_more;
	struct chunk *chunks, **last_chunk;
	char *output, *input;
	size_t output_length, output_room, input_length;
};

static struct pstn_session *sessions, **sessions_end = &sessions;
static struct claim *claims;
static unsigned last_id;

void fake_session_check(struct pstn_session *s, const char *what)
{
	fake_on_reactor(what);
	if (!s)
		fake_die("%s without a session", what);
	if (s->closed)
		fake_die("%s on session %s, which is closed", what, s->id);
}

const char *fake_session_name(struct pstn_session *s)
{
	return s->id;
}

/* ---- output ---- */

static void emit(struct pstn_session *s, const void *bytes, size_t n)
{
	if (s->output_length + n + 1 > s->output_room) {
		s->output_room = 2 * (s->output_length + n + 1);
		s->output = fake_must(realloc(s->output, s->output_room));
	}
	memcpy(s->output + s->output_length, bytes, n);
	s->output_length += n;
	s->output[s->output_length] = '\0';
}

static void read_content(const struct pstn_content *c, char *to, uint64_t n)
{
	if (c->bytes) {
		memcpy(to, c->bytes, n);
		return;
	}
	for (uint64_t got = 0; got < n;) {
		ssize_t r = pread(c->fd, to + got, n - got, (off_t)(c->offset + got));
		if (r <= 0)
			fake_die("a content's file ends or fails after %llu of %llu octets",
				 (unsigned long long)got, (unsigned long long)n);
		got += (uint64_t)r;
	}
}

static void emit_content(struct pstn_session *s, const struct pstn_content *c, uint64_t n)
{
	char *text = fake_must(malloc(n + 1));
	read_content(c, text, n);
	uint64_t at = 0;
	for (uint32_t i = 0; i < c->ndots && c->dots[i] < n; i++) {
		if (c->dots[i] < at)
			fake_die("a content's dots do not ascend");
		if (text[c->dots[i]] != '.')
			fake_die("there is no dot at offset %u of a content", c->dots[i]);
		emit(s, text + at, c->dots[i] - at);
		emit(s, ".", 1);
		at = c->dots[i];
	}
	emit(s, text + at, n - at);
	free(text);
}

static void release(struct chunk *c)
{
	if (c->is_content && c->content.release)
		c->content.release(c->content.ref);
	free(c->bytes);
	free(c);
}

static void flush(struct pstn_session *s, bool send)
{
	struct chunk *c;
	while ((c = s->chunks)) {
		if (!(s->chunks = c->next))
			s->last_chunk = &s->chunks;
		if (send && c->is_content)
			emit_content(s, &c->content, c->length);
		else if (send)
			emit(s, c->bytes, c->length);
		release(c);
	}
}

static struct chunk *add_chunk(struct pstn_session *s, uint64_t length)
{
	struct chunk *c = fake_must(calloc(1, sizeof(*c)));
	c->length = length;
	*s->last_chunk = c;
	s->last_chunk = &c->next;
	return c;
}

/* After finish() or drop() nothing that a service still says reaches the client. */
static bool mute(const struct pstn_session *s)
{
	return s->finished || s->dropped;
}

static void session_write(struct pstn_session *s, const void *bytes, size_t n)
{
	fake_session_check(s, "write");
	if (mute(s) || n == 0)
		return;
	struct chunk *c = add_chunk(s, n);
	c->bytes = fake_must(malloc(n));
	memcpy(c->bytes, bytes, n);
}

PSTN_PRINTF(2, 3) static void session_printf(struct pstn_session *s, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	int n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		fake_die("printf cannot format %s", fmt);
	session_write(s, text, (size_t)n);
	free(text);
}

static void session_send(struct pstn_session *s, const struct pstn_content *c, uint64_t length)
{
	fake_session_check(s, "send");
	if (!PSTN_HAS(struct pstn_content, c, ref))
		fake_die("send of a content that does not tell its size");
	if (length > c->length)
		fake_die("send of %llu octets of a content of %llu", (unsigned long long)length,
			 (unsigned long long)c->length);
	if (mute(s)) {
		if (c->release)
			c->release(c->ref);
		return;
	}
	struct chunk *chunk = add_chunk(s, length);
	chunk->is_content = true;
	chunk->content = *c;
}

static uint64_t queued(const struct pstn_session *s)
{
	uint64_t n = s->queued_more;
	for (const struct chunk *c = s->chunks; c; c = c->next)
		n += c->length;
	return n;
}

static uint64_t session_queued(struct pstn_session *s)
{
	fake_session_check(s, "queued");
	return queued(s);
}

static void session_want_drained(struct pstn_session *s)
{
	fake_session_check(s, "want_drained");
	if (s->service && !s->service->drained)
		fake_die("want_drained by a service without drained()");
	s->want_drained = true;
}

/* ---- input ---- */

static void take_input(struct pstn_session *s, size_t n)
{
	s->input_length -= n;
	memmove(s->input, s->input + n, s->input_length);
}

/* The line is handed over in memory of its own and size, so that overruns are noticed. */
static void give_line(struct pstn_session *s, size_t with_end)
{
	size_t n = with_end - 1;
	if (n > 0 && s->input[n - 1] == '\r')
		n--;
	char *line = fake_must(malloc(n + 1));
	memcpy(line, s->input, n);
	line[n] = '\0';
	take_input(s, with_end);
	s->last_input = fake_world.now;
	s->service->line(s->inst, s, s->state, line, n);
	free(line);
}

static bool give_raw(struct pstn_session *s)
{
	char *bytes = fake_must(malloc(s->input_length));
	size_t n = s->input_length;
	memcpy(bytes, s->input, n);
	size_t used = s->service->data(s->inst, s, s->state, bytes, n);
	free(bytes);
	if (used > n)
		fake_die("data() took %zu of %zu octets", used, n);
	take_input(s, used);
	s->last_input = fake_world.now;
	return used > 0;
}

/* False: nothing can be given as things are. */
static bool give(struct pstn_session *s)
{
	if (s->held || mute(s) || s->closed || s->input_length == 0)
		return false;
	if (s->raw)
		return give_raw(s);
	char *end = memchr(s->input, '\n', s->input_length);
	size_t n = end ? (size_t)(end - s->input) + 1 : s->input_length;
	if (n > s->line_limit || s->skipping) {
		s->skipping = !end;
		take_input(s, n);
		if (end)
			s->service->overlong(s->inst, s, s->state);
		return end;
	}
	if (!end)
		return false;
	give_line(s, n);
	return true;
}

static void end_if_due(struct pstn_session *s)
{
	if (!s->closed && mute(s))
		fake_close(s, s->why);
}

static void turn(struct pstn_session *s)
{
	if (s->delivering || s->closed)
		return;
	s->delivering = true;
	bool more = true;
	while (more) {
		more = s->service && give(s);
		if (!s->blocked || s->dropped)
			flush(s, !s->dropped);
		if (s->want_drained && queued(s) == 0 && !mute(s) && s->service) {
			s->want_drained = false;
			s->service->drained(s->inst, s, s->state);
			more = true;
		}
	}
	s->delivering = false;
	end_if_due(s);
}

unsigned fake_sessions_turn(void)
{
	unsigned n = 0;
	for (struct pstn_session *s = sessions; s; s = s->next, n++)
		turn(s);
	return n;
}

void fake_sessions_idle(void)
{
	for (struct pstn_session *s = sessions; s; s = s->next) {
		if (s->closed || mute(s) || !s->service || s->idle_limit == 0 ||
		    fake_world.now - s->last_input < s->idle_limit)
			continue;
		s->last_input = fake_world.now;
		if (s->service->timeout)
			s->service->timeout(s->inst, s, s->state);
		else
			fake_close(s, "idle");
		turn(s);
	}
}

static void session_hold(struct pstn_session *s)
{
	fake_session_check(s, "hold");
	if (s->held)
		fake_die("hold of session %s, which is held already", s->id);
	s->held = true;
}

static void session_resume(struct pstn_session *s)
{
	fake_session_check(s, "resume");
	if (!s->held)
		fake_die("resume of session %s, which is not held", s->id);
	s->held = false;
}

static void session_raw(struct pstn_session *s, bool on)
{
	fake_session_check(s, "raw");
	if (on && s->service && !s->service->data)
		fake_die("raw mode of a service without data()");
	s->raw = on;
}

static void session_line_limit(struct pstn_session *s, size_t octets)
{
	fake_session_check(s, "line_limit");
	s->line_limit = octets;
}

static void session_idle_limit(struct pstn_session *s, uint64_t ms)
{
	fake_session_check(s, "idle_limit");
	s->idle_limit = ms;
}

/* ---- the end ---- */

static void session_finish(struct pstn_session *s, const char *why)
{
	fake_session_check(s, "finish");
	if (mute(s))
		return;
	s->finished = true;
	snprintf(s->why, sizeof(s->why), "%s", why);
}

static void session_drop(struct pstn_session *s, const char *why)
{
	fake_session_check(s, "drop");
	if (s->dropped)
		return;
	s->dropped = true;
	if (!s->finished)
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static void give_claims_back(struct pstn_session *s)
{
	for (struct claim **c = &claims; *c;) {
		struct claim *claim = *c;
		if (claim->session != s) {
			c = &claim->next;
			continue;
		}
		*c = claim->next;
		free(claim->key);
		free(claim);
	}
}

void fake_close(struct pstn_session *s, const char *why)
{
	fake_session_check(s, "fake_close");
	if (s->delivering)
		fake_die("fake_close() of a session from its own service");
	s->delivering = true; /* nothing is given any more */
	if (!s->blocked && !s->dropped)
		flush(s, true);
	if (s->service)
		s->service->close(s->inst, s, s->state, why);
	fake_ops_orphan(s);
	if (s->dropped || !s->finished || !s->blocked)
		flush(s, false);
	give_claims_back(s);
	s->closed = true;
	free(s->state);
	s->state = NULL;
}

/* ---- identity and claims ---- */

static const char *session_id(struct pstn_session *s)
{
	fake_session_check(s, "id");
	return s->id;
}

static void session_peer(struct pstn_session *s, struct pstn_peer *out)
{
	fake_session_check(s, "peer");
	*out = s->peer;
}

static void session_set_account(struct pstn_session *s, const char *account)
{
	fake_session_check(s, "set_account");
	snprintf(s->account, sizeof(s->account), "%s", account);
}

static void session_set_state(struct pstn_session *s, const char *state)
{
	fake_session_check(s, "set_state");
	snprintf(s->label, sizeof(s->label), "%s", state);
}

static void add_claim(struct pstn_session *s, const char *key, uint32_t places)
{
	struct claim *c = fake_must(calloc(1, sizeof(*c)));
	*c = (struct claim){claims, fake_must(strdup(key)), s, places};
	claims = c;
}

uint32_t fake_claims(const char *key)
{
	uint32_t n = 0;
	for (struct claim *c = claims; c; c = c->next)
		if (strcmp(c->key, key) == 0)
			n += c->places;
	return n;
}

void fake_claim_elsewhere(const char *key, uint32_t places)
{
	add_claim(NULL, key, places);
}

static bool session_claim(struct pstn_session *s, const char *key, uint32_t limit)
{
	fake_session_check(s, "claim");
	if (fake_claims(key) >= limit)
		return false;
	add_claim(s, key, 1);
	return true;
}

const struct pstn_host fake_session_part = {
    .write = session_write,
    .printf = session_printf,
    .send = session_send,
    .queued = session_queued,
    .want_drained = session_want_drained,
    .hold = session_hold,
    .resume = session_resume,
    .raw = session_raw,
    .line_limit = session_line_limit,
    .idle_limit = session_idle_limit,
    .finish = session_finish,
    .drop = session_drop,
    .id = session_id,
    .peer = session_peer,
    .set_account = session_set_account,
    .set_state = session_set_state,
    .claim = session_claim,
};

/* ---- what tests do ---- */

static struct pstn_session *make(struct pstn_self *self)
{
	fake_on_reactor("fake_session");
	struct pstn_session *s = fake_must(calloc(1, sizeof(*s)));
	s->self = self;
	snprintf(s->id, sizeof(s->id), "s%u", ++last_id);
	s->peer = (struct pstn_peer){.size = sizeof(s->peer),
				     .port = 40000,
				     .address = "192.0.2.1",
				     .listener = "127.0.0.1:110"};
	s->last_chunk = &s->chunks;
	s->last_input = fake_world.now;
	s->output = fake_must(calloc(1, 1));
	*sessions_end = s;
	sessions_end = &s->next;
	return s;
}

struct pstn_session *fake_session(struct pstn_self *self)
{
	return make(self);
}

struct pstn_session *fake_connect(struct pstn_self *self, const struct pstn_service *service,
				  void *inst)
{
	return fake_connect_from(self, service, inst, "192.0.2.1");
}

struct pstn_session *fake_connect_from(struct pstn_self *self, const struct pstn_service *service,
				       void *inst, const char *address)
{
	struct pstn_session *s = make(self);
	snprintf(s->peer.address, sizeof(s->peer.address), "%s", address);
	s->service = service;
	s->inst = inst;
	s->line_limit = service->line_limit;
	s->state = fake_must(calloc(1, service->session_size ? service->session_size : 1));
	service->open(inst, s, s->state);
	turn(s);
	return s;
}

void fake_input(struct pstn_session *s, const void *bytes, size_t n)
{
	if (s->closed || n == 0)
		return; /* a client may well talk to a closed connection */
	fake_on_reactor("fake_input");
	if (!s->service)
		fake_die("input to a session without a service");
	s->input = fake_must(realloc(s->input, s->input_length + n));
	memcpy(s->input + s->input_length, bytes, n);
	s->input_length += n;
	turn(s);
}

void fake_line(struct pstn_session *s, const char *line)
{
	char *text;
	int n = asprintf(&text, "%s\r\n", line);
	if (n < 0)
		fake_die("the test itself is out of memory");
	fake_input(s, text, (size_t)n);
	free(text);
}

void *fake_state(struct pstn_session *s)
{
	return s->state;
}

const char *fake_output(struct pstn_session *s)
{
	if (!s->closed && !s->blocked)
		flush(s, true);
	return s->output;
}

size_t fake_output_length(struct pstn_session *s)
{
	fake_output(s);
	return s->output_length;
}

void fake_clear_output(struct pstn_session *s)
{
	fake_output(s);
	s->output_length = 0;
	s->output[0] = '\0';
}

void fake_block(struct pstn_session *s, bool blocked)
{
	s->blocked = blocked;
	if (!blocked && s->closed)
		flush(s, true); /* the last output of a session that finished */
	else if (!blocked)
		turn(s);
}

void fake_set_queued(struct pstn_session *s, uint64_t octets)
{
	s->queued_more = octets;
}

void fake_set_peer(struct pstn_session *s, const char *address, uint16_t port, const char *listener)
{
	snprintf(s->peer.address, sizeof(s->peer.address), "%s", address);
	s->peer.port = port;
	s->peer.listener = listener;
}

bool fake_held(struct pstn_session *s)
{
	return s->held;
}

bool fake_raw(struct pstn_session *s)
{
	return s->raw;
}

bool fake_closed(struct pstn_session *s)
{
	return s->closed;
}

const char *fake_ended(struct pstn_session *s)
{
	return mute(s) ? s->why : NULL;
}

bool fake_dropped(struct pstn_session *s)
{
	return s->dropped;
}

uint64_t fake_idle_limit(struct pstn_session *s)
{
	return s->idle_limit;
}

size_t fake_line_limit(struct pstn_session *s)
{
	return s->line_limit;
}

const char *fake_account(struct pstn_session *s)
{
	return s->account;
}

const char *fake_state_label(struct pstn_session *s)
{
	return s->label;
}

unsigned fake_sessions_end(void)
{
	unsigned left = 0;
	for (struct pstn_session *s = sessions, *next; s; s = next) {
		next = s->next;
		if (!s->closed) {
			fprintf(stderr, "fake_host: session %s is still open\n", s->id);
			left++;
		}
		flush(s, false);
		free(s->state);
		free(s->output);
		free(s->input);
		free(s);
	}
	sessions = NULL;
	sessions_end = &sessions;
	while (claims) {
		struct claim *c = claims;
		claims = c->next;
		free(c->key);
		free(c);
	}
	last_id = 0;
	return left;
}
