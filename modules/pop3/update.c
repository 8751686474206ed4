/*
 * update.c - QUIT, and the removal of what is marked (RFC 1939 section 6).
 */
#include "audit.h"
#include "command.h"
#include "marks.h"
#include "transfer.h"

#include <inttypes.h>

static void updated(void *arg, int status)
{
	struct pop3_session *p = arg;

	pop3_audit_update(p, status);
	if (status == PSTN_OK) {
		p->removed = p->marked;
		pop3_host(p)->count(p->pop3->self, POP3_DELETED, p->removed);
		pop3_status(p, "bye; %" PRIu32 " message%s deleted", POP3_COUNTED(p->removed));
		pop3_finish(p, "quit");
	} else if (status == PSTN_E_DAMAGED || status == PSTN_E_INVALID) {
		pop3_err_close(
		    p, "[SYS/PERM] not everything was deleted; please tell the administrator",
		    "update failed");
	} else {
		pop3_err_close(p, "[SYS/TEMP] not everything was deleted; try again later",
			       "update failed");
	}
}

static void update(struct pop3_session *p)
{
	uint32_t *numbers = pop3_host(p)->alloc(p->pop3->self, p->marked * sizeof(*numbers));
	uint32_t n = 0;
	int status;

	if (!numbers) {
		updated(p, PSTN_E_NO_MEMORY);
		return;
	}
	for (uint32_t i = pop3_next_marked(p, 1); i; i = pop3_next_marked(p, i + 1))
		numbers[n++] = i;
	status = p->pop3->maildrops->expunge(p->maildrop, numbers, n, updated, p);
	pop3_host(p)->free(p->pop3->self, numbers);
	pop3_await(p, status, updated);
}

static void quit(void *arg, int status)
{
	struct pop3_session *p = arg;

	(void)status;
	if (p->marked) {
		pop3_host(p)->set_state(p->stream, "update");
		update(p);
		return;
	}
	pop3_status(p, "bye");
	pop3_finish(p, "quit");
}

/* Nothing is removed while a text asked for before is still on its way: if the connection breaks
 * now, the client has neither. */
void pop3_quit(struct pop3_session *p, const struct pop3_args *args)
{
	(void)args;
	pop3_when_sent(p, quit);
}
