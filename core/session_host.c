/*
 * session_host.c - what a service asks of its session beside output: listening, mode, who it is,
 * claims. Calls about a session that the service has let go of do nothing.
 */
#include "runtime.h"

#include "claims.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ACCOUNT_LABEL_MAX = 320 };

struct reactor *session_reactor(const struct pstn_session *s)
{
	return s->reactor;
}

struct pstn_self *session_instance(const struct pstn_session *s)
{
	return s->listening->self;
}

struct op **session_ops(struct pstn_session *s)
{
	return &s->ops;
}

/* ---- listening ------------------------------------------------------------------------------- */

void session_hold(struct pstn_session *s)
{
	s->held = true;
}

void session_resume(struct pstn_session *s)
{
	if (!s->held)
		return;
	s->held = false;
	s->active = s->reactor->now;
	session_wake(s);
}

void session_raw(struct pstn_session *s, bool on)
{
	if (on && !session_service(s)->data)
		return;
	s->raw = on;
	s->starved = false;
	session_wake(s);
}

void session_line_limit(struct pstn_session *s, size_t octets)
{
	if (octets < 2)
		octets = 2;
	s->cutter.limit = octets < LINE_LIMIT_MAX ? (uint32_t)octets : LINE_LIMIT_MAX;
	s->starved = false;
	session_wake(s);
}

/* ---- who it is ------------------------------------------------------------------------------- */

const char *session_id(struct pstn_session *s)
{
	return s->id;
}

static void address_text(const struct session_peer *peer, char *text, socklen_t size)
{
	if (peer->family == AF_INET)
		inet_ntop(AF_INET, &peer->in, text, size);
	else if (peer->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&peer->in6))
		inet_ntop(AF_INET, &peer->in6.s6_addr[12], text, size);
	else if (peer->family == AF_INET6)
		inet_ntop(AF_INET6, &peer->in6, text, size);
	else
		snprintf(text, size, "unix");
}

void session_peer(struct pstn_session *s, struct pstn_peer *out)
{
	struct pstn_peer peer = {
	    .size = out->size, .port = s->peer.port, .listener = s->listening->address};
	size_t n = out->size && out->size < sizeof(peer) ? out->size : sizeof(peer);

	address_text(&s->peer, peer.address, sizeof(peer.address));
	memcpy(out, &peer, n);
}

void session_peer_text(const struct pstn_session *s, char *text, size_t size)
{
	char address[INET6_ADDRSTRLEN];

	address_text(&s->peer, address, sizeof(address));
	if (!s->peer.port)
		snprintf(text, size, "%s", address);
	else
		snprintf(text, size, strchr(address, ':') ? "[%s]:%u" : "%s:%u", address,
			 s->peer.port);
}

void session_set_account(struct pstn_session *s, const char *account)
{
	char *copy = account ? strndup(account, ACCOUNT_LABEL_MAX) : NULL;

	free(s->account);
	s->account = copy;
}

void session_set_state(struct pstn_session *s, const char *state)
{
	s->state = state ? state : "";
}

/* ---- claims ---------------------------------------------------------------------------------- */

/* The first few tickets need no memory of their own; the others are in an array that doubles. */
static uint32_t *ticket_room(struct pstn_session *s)
{
	const uint32_t first = sizeof(s->first_claims) / sizeof(s->first_claims[0]);
	uint32_t more = s->nclaims - first;

	if (s->nclaims < first)
		return &s->first_claims[s->nclaims];
	if ((more & (more - 1)) == 0) { /* 0, 1, 2, 4, ...: full */
		uint32_t *grown = realloc(s->more_claims, (more ? 2 * more : 1) * sizeof(*grown));

		if (!grown)
			return NULL;
		s->more_claims = grown;
	}
	return &s->more_claims[more];
}

bool session_claim(struct pstn_session *s, const char *key, uint32_t limit)
{
	uint32_t *room = s->left ? NULL : ticket_room(s);

	if (!room || !claims_take(key, limit, room))
		return false;
	s->nclaims++;
	return true;
}

void session_release_claims(struct pstn_session *s)
{
	const uint32_t first = sizeof(s->first_claims) / sizeof(s->first_claims[0]);

	for (uint32_t i = 0; i < s->nclaims; i++)
		claims_give(i < first ? s->first_claims[i] : s->more_claims[i - first]);
	s->nclaims = 0;
	free(s->more_claims);
	s->more_claims = NULL;
}
