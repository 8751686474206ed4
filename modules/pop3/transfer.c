/*
 * transfer.c - message texts on their way, and what became of them.
 */
#include "transfer.h"
#include "audit.h"

struct pop3_transfer *pop3_transfer_new(struct pop3_session *p)
{
	struct pop3_transfer *t = pop3_scratch(p, sizeof(*t));

	if (!t)
		return NULL;
	t->pop3 = p->pop3;
	t->content.size = sizeof(t->content);
	return t;
}

void pop3_transfer_read(struct pop3_session *p, uint32_t number, pstn_done *next)
{
	struct pop3_transfer *t = p->scratch;

	pop3_await(p, p->pop3->maildrops->read(p->maildrop, number, &t->content, next, p), next);
}

static void unlink_transfer(struct pop3_transfer *t)
{
	*t->link = t->next;
	if (t->next)
		t->next->link = t->link;
}

struct pop3_transfer *pop3_transfer_keep(struct pop3_session *p)
{
	struct pop3_transfer *t = p->scratch;

	p->scratch = NULL;
	t->session = p;
	t->next = p->transfers;
	t->link = &p->transfers;
	if (t->next)
		t->next->link = &t->next;
	p->transfers = t;
	return t;
}

static void account_sent(struct pop3_session *p, const struct pop3_transfer *t)
{
	p->retrieved++;
	p->retrieved_octets += t->content.length;
	pop3_host(p)->count(p->pop3->self, POP3_RETRIEVED, 1);
	pop3_host(p)->count(p->pop3->self, POP3_RETRIEVED_OCTETS, (int64_t)t->content.length);
	pop3_audit_message(p, "retr", &t->row.message, "sent");
}

static void let_go(struct pop3_transfer *t)
{
	struct pop3 *pop3 = t->pop3;

	if (t->content.release)
		t->content.release(t->content.ref);
	pop3->host->free(pop3->self, t);
}

/* The stream is busy with its queue now: what waits comes in a turn of its own. */
static void all_sent(struct pop3_session *p)
{
	pstn_done *next = p->when_sent;

	p->when_sent = NULL;
	if (next && !pop3_host(p)->after(p->pop3->self, p->stream, 0, next, p))
		next(p, PSTN_OK);
}

static void released(void *ref)
{
	struct pop3_transfer *t = ref;
	struct pop3_session *p = t->session;

	if (p) {
		unlink_transfer(t);
		if (t->audited)
			account_sent(p, t);
	}
	let_go(t);
	if (p && !p->transfers)
		all_sent(p);
}

void pop3_when_sent(struct pop3_session *p, pstn_done *next)
{
	if (!p->transfers) {
		next(p, PSTN_OK);
		return;
	}
	pop3_hold(p);
	p->when_sent = next;
}

void pop3_transfer_send(struct pop3_session *p, struct pop3_transfer *t, uint64_t length)
{
	struct pstn_content content = t->content;

	t->queued = true;
	content.release = released;
	content.ref = t;
	pop3_host(p)->send(p->stream, &content, length);
	pop3_host(p)->write(p->stream, ".\r\n", 3);
	pop3_complete(p);
}

void pop3_transfer_forget(struct pop3_transfer *t)
{
	unlink_transfer(t);
	let_go(t);
}

void pop3_transfers_abort(struct pop3_session *p)
{
	struct pop3_transfer *t, *next;

	for (t = p->transfers; t; t = next) {
		next = t->next;
		if (t->audited)
			pop3_audit_message(p, "retr", &t->row.message, "aborted");
		t->session = NULL;
		if (!t->queued)
			let_go(t);
	}
	p->transfers = NULL;
}
