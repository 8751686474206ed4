/*
 * fake_session.c - sessions of the fake host: input is cut into lines and held back, sessions
 * end, claims are counted.
 */
#include "fake_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct claim {
	struct claim *next;
	char *key;
	struct pstn_session *session; /* NULL: of another worker */
	uint32_t places;
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
	if (s->held || fake_mute(s) || s->closed || s->input_length == 0)
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
	if (!s->closed && fake_mute(s))
		fake_close(s, s->why);
}

void fake_turn(struct pstn_session *s)
{
	if (s->delivering || s->closed)
		return;
	s->delivering = true;
	bool more = true;
	while (more) {
		more = s->service && give(s);
		if (!s->blocked || s->dropped)
			fake_flush(s, !s->dropped);
		if (s->want_drained && fake_queued(s) == 0 && !fake_mute(s) && s->service) {
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
		fake_turn(s);
	return n;
}

void fake_sessions_idle(void)
{
	for (struct pstn_session *s = sessions; s; s = s->next) {
		if (s->closed || fake_mute(s) || !s->service || s->idle_limit == 0 ||
		    fake_world.now - s->last_input < s->idle_limit)
			continue;
		s->last_input = fake_world.now;
		if (s->service->timeout)
			s->service->timeout(s->inst, s, s->state);
		else
			fake_close(s, "idle");
		fake_turn(s);
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
	if (fake_mute(s))
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
		fake_flush(s, true);
	if (s->service)
		s->service->close(s->inst, s, s->state, why);
	fake_ops_orphan(s);
	if (s->dropped || !s->finished || !s->blocked)
		fake_flush(s, false);
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
    .write = fake_write,
    .print = fake_printf,
    .send = fake_send,
    .queued = fake_host_queued,
    .want_drained = fake_want_drained,
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
	fake_turn(s);
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
	fake_turn(s);
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
	return fake_mute(s) ? s->why : NULL;
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

void fake_clients_gone(void)
{
	for (struct pstn_session *s = sessions; s; s = s->next)
		if (s->closed)
			fake_flush(s, false);
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
		fake_flush(s, false);
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
