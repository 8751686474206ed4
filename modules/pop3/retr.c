/*
 * retr.c - RETR: a whole message, which is Seen from then on (RFC 1939 section 5).
 */
#include "command.h"
#include "transfer.h"

#include <inttypes.h>

static void retr_read(void *arg, int status)
{
	struct pop3_session *p = arg;
	struct pop3_transfer *t;

	if (status != PSTN_OK) {
		pop3_err_status(p, status);
		return;
	}
	t = pop3_transfer_keep(p);
	t->audited = true;
	pop3_status(p, "%" PRIu64 " octets", t->content.length);
	if (!(t->row.message.flags & PSTN_SEEN))
		p->pop3->maildrops->flag(p->maildrop, t->row.message.number, PSTN_SEEN, 0);
	pop3_transfer_send(p, t, t->content.length);
}

static void retr_found(void *arg, int status)
{
	struct pop3_session *p = arg;
	const struct pop3_row *row = &((struct pop3_transfer *)p->scratch)->row;

	if (status == PSTN_OK && row->count != 1)
		status = PSTN_E_NOT_FOUND;
	else if (status == PSTN_OK && row->message.zombie)
		status = PSTN_E_GONE;
	if (status == PSTN_OK)
		pop3_transfer_read(p, row->message.number, retr_read);
	else
		pop3_err_status(p, status);
}

void pop3_retr(struct pop3_session *p, const struct pop3_args *args)
{
	struct pop3_transfer *t = pop3_transfer_new(p);

	/* The row first: the audit event names the unique id. */
	if (t)
		pop3_fill_row(p, &t->row, args->number, retr_found);
}
