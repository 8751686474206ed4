/*
 * row.c - one message's row, for the commands about one message.
 */
#include "session.h"

void pop3_fill_row(struct pop3_session *p, struct pop3_row *row, uint32_t number, pstn_done *next)
{
	int status =
	    p->pop3->maildrops->list(p->maildrop, number, &row->message, 1, &row->count, next, p);

	pop3_await(p, status, next);
}

void pop3_find_row(struct pop3_session *p, uint32_t number, pstn_done *next)
{
	struct pop3_row *row = pop3_scratch(p, sizeof(*row));

	if (row)
		pop3_fill_row(p, row, number, next);
}
