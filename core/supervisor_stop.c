/*
 * supervisor_stop.c - the end: no new clients, workers are told, and killed if they do not listen.
 */
#include "config.h"

#include "supervisor.h"

void supervisor_stop(struct supervisor *sv, bool quick)
{
	uint64_t now = supervisor_now();

	if (sv->stopping == STOP_QUICK || (sv->stopping && !quick))
		return;
	sv->stopping = quick ? STOP_QUICK : STOP_GRACEFUL;
	supervisor_log(sv, PSTN_INFO, "stop",
		       quick ? "stopping at once"
			     : "stopping: sessions end "
			       "between commands");
	notify_stopping(sv);
	listeners_close(sv);
	for (struct child *c = sv->children; c; c = c->next) {
		if (c->state == CHILD_CANDIDATE) {
			child_kill(sv, c, "was killed: posternd is being stopped");
			continue;
		}
		link_begin(&sv->message, LINK_STOP);
		link_put_number(&sv->message, quick);
		if (c->link >= 0)
			(void)link_send(c->link, &sv->message, false);
		c->kill_at = now + END_GRACE + (quick ? 0 : c->limits.stop_limit);
	}
	clients_answer(sv, 0, false, "posternd is being stopped");
}
