/*
 * transaction.c - STAT, DELE, RSET, NOOP (RFC 1939 section 5).
 */
#include "audit.h"
#include "command.h"
#include "marks.h"

#include <inttypes.h>

void pop3_noop(struct pop3_session *p, const struct pop3_args *args)
{
	(void)args;
	pop3_ok(p, "done");
}

void pop3_rset(struct pop3_session *p, const struct pop3_args *args)
{
	(void)args;
	pop3_unmark_all(p);
	pop3_ok(p, "no message is marked deleted");
}

/* ---- DELE ---- */

static void dele_found(void *arg, int status)
{
	struct pop3_session *p = arg;
	struct pop3_row *row = p->scratch;

	if (status == PSTN_OK && row->count != 1)
		status = PSTN_E_NOT_FOUND;
	if (status == PSTN_OK && !pop3_mark(p, row->message.number, row->message.octets))
		status = PSTN_E_NO_MEMORY;
	if (status != PSTN_OK) {
		pop3_err_status(p, status);
		return;
	}
	pop3_audit_message(p, "dele", &row->message, "marked");
	pop3_ok(p, "marked deleted");
}

void pop3_dele(struct pop3_session *p, const struct pop3_args *args)
{
	pop3_find_row(p, args->number, dele_found);
}

/* ---- STAT: what the store counts, less what this session has marked ---- */

#define RECOUNT_ROWS 64

struct recount {
	uint32_t next, count;
	uint64_t octets;
	struct pstn_message rows[RECOUNT_ROWS];
};

static void stat_reply(struct pop3_session *p)
{
	uint64_t octets = p->totals.octets;

	octets -= p->marked_octets < octets ? p->marked_octets : octets;
	pop3_ok(p, "%" PRIu32 " %" PRIu64, p->messages - p->marked, octets);
}

static void recount_add(struct pop3_session *p, struct recount *r)
{
	for (uint32_t i = 0; i < r->count; i++)
		if (pop3_marked(p, r->next + i))
			r->octets += r->rows[i].octets;
	r->next = pop3_next_marked(p, r->next + (r->count ? r->count : RECOUNT_ROWS));
}

static void recount_go_on(struct pop3_session *p);

static void recounted(void *arg, int status)
{
	struct pop3_session *p = arg;

	if (status != PSTN_OK) {
		pop3_err_status(p, status);
		return;
	}
	recount_add(p, p->scratch);
	recount_go_on(p);
}

static void recount_go_on(struct pop3_session *p)
{
	const struct pstn_maildrops *maildrops = p->pop3->maildrops;
	struct recount *r = p->scratch;

	while (r->next) {
		int status = maildrops->list(p->maildrop, r->next, r->rows, RECOUNT_ROWS, &r->count,
					     recounted, p);

		if (status != PSTN_OK) {
			pop3_await(p, status, recounted);
			return;
		}
		recount_add(p, r);
	}
	p->marked_octets = r->octets;
	p->zombies = p->totals.zombies;
	stat_reply(p);
}

static void stat_counted(void *arg, int status)
{
	struct pop3_session *p = arg;
	struct recount *r;

	if (status != PSTN_OK) {
		pop3_err_status(p, status);
		return;
	}
	/* Among what others removed since may be messages marked here: their octets are gone from
	 * the totals already, and must not be taken off twice. */
	if (p->marked == 0 || p->totals.zombies == p->zombies) {
		stat_reply(p);
		return;
	}
	r = pop3_scratch(p, sizeof(*r));
	if (!r)
		return;
	r->next = pop3_next_marked(p, 1);
	recount_go_on(p);
}

void pop3_stat(struct pop3_session *p, const struct pop3_args *args)
{
	const struct pstn_maildrops *maildrops = p->pop3->maildrops;

	(void)args;
	pop3_await(p, maildrops->totals(p->maildrop, &p->totals, stat_counted, p), stat_counted);
}
