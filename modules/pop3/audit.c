/*
 * audit.c - log events of a session. Every event carries the session's id, which ties them
 * together; the ones that stand for themselves name user and peer as well.
 */
#include "audit.h"

#include <stdio.h>

static struct pstn_peer peer_of(const struct pop3_session *p)
{
	struct pstn_peer peer = {.size = sizeof(peer)};

	pop3_host(p)->peer(p->stream, &peer);
	return peer;
}

static const char *outcome_of(int status)
{
	switch (status) {
	case PSTN_OK:
		return "removed";
	case PSTN_E_FULL:
		return "nothing removed: the store is full";
	case PSTN_E_DAMAGED:
		return "nothing removed: stored data is damaged";
	case PSTN_E_NO_MEMORY:
		return "nothing removed: out of memory";
	default:
		return "nothing removed: the store failed";
	}
}

void pop3_audit_login(struct pop3_session *p, uint64_t began)
{
	struct pstn_peer peer = peer_of(p);

	pop3_host(p)->log(PSTN_EVENT(
	    p->pop3->self, p->stream, PSTN_INFO, "login", PSTN_S("user", p->user),
	    PSTN_S("peer", peer.address), PSTN_U("messages", p->messages),
	    PSTN_U("octets", p->totals.octets), PSTN_U("ms", pop3_host(p)->now() - began)));
}

void pop3_audit_login_failed(struct pop3_session *p, const char *why)
{
	struct pstn_peer peer = peer_of(p);

	pop3_host(p)->log(PSTN_EVENT(p->pop3->self, p->stream, PSTN_INFO, "login_failed",
				     PSTN_S("user", p->user), PSTN_S("peer", peer.address),
				     PSTN_S("reason", why)));
}

void pop3_audit_message(struct pop3_session *p, const char *event, const struct pstn_message *m,
			const char *outcome)
{
	pop3_host(p)->log(PSTN_EVENT(p->pop3->self, p->stream, PSTN_INFO, event,
				     PSTN_S("user", p->user), PSTN_U("number", m->number),
				     PSTN_S("uidl", m->uidl), PSTN_U("octets", m->octets),
				     PSTN_S("outcome", outcome)));
}

void pop3_audit_update(struct pop3_session *p, int status)
{
	pop3_host(p)->log(
	    PSTN_EVENT(p->pop3->self, p->stream, status == PSTN_OK ? PSTN_INFO : PSTN_ERROR,
		       "update", PSTN_S("user", p->user), PSTN_U("messages", p->marked),
		       PSTN_U("octets", p->marked_octets), PSTN_S("outcome", outcome_of(status))));
}

void pop3_audit_session(struct pop3_session *p, const char *why)
{
	struct pstn_peer peer = peer_of(p);

	pop3_host(p)->log(PSTN_EVENT(
	    p->pop3->self, p->stream, PSTN_INFO, "session", PSTN_S("user", p->user),
	    PSTN_S("peer", peer.address), PSTN_U("retrieved", p->retrieved),
	    PSTN_U("octets", p->retrieved_octets), PSTN_U("deleted", p->removed),
	    PSTN_S("reason", why), PSTN_U("seconds", (pop3_host(p)->now() - p->opened) / 1000)));
}

static bool traced(const struct pop3_session *p)
{
	return pop3_host(p)->logs(p->pop3->self, PSTN_PROTOCOL);
}

static void trace(struct pop3_session *p, const char *event, const char *line, size_t n)
{
	struct pstn_field text = {
	    .key = "line", .kind = PSTN_F_STR, .length = (uint32_t)n, .str = line};

	pop3_host(p)->log(p->pop3->self, p->stream, PSTN_PROTOCOL, event, &text, 1);
}

void pop3_audit_command(struct pop3_session *p, const struct pop3_command *c, const char *rest,
			size_t n)
{
	char line[300]; /* what a longer line says beyond that is of no use to anybody */
	int length;

	if (!traced(p))
		return;
	if (!rest)
		length = snprintf(line, sizeof(line), "%s", c->name);
	else if (c->secret)
		length = snprintf(line, sizeof(line), "%s ***", c->name);
	else
		length = snprintf(line, sizeof(line), "%s %.*s", c->name, (int)n, rest);
	if (length > 0)
		trace(p, "client", line,
		      (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
}

void pop3_audit_unknown(struct pop3_session *p, size_t octets)
{
	char line[64];
	int length;

	if (!traced(p))
		return;
	length = snprintf(line, sizeof(line), "(no command: %zu octets)", octets);
	if (length > 0)
		trace(p, "client", line, (size_t)length);
}

void pop3_audit_reply(struct pop3_session *p, const char *line, size_t n)
{
	if (traced(p))
		trace(p, "server", line, n);
}
