/*
 * op.h - pending operations: timers, jobs, promises. See pstn_host.after, job, pend, post, cancel.
 *
 * An operation of a session is completed on the session's reactor, through session_enter(). Those
 * of an instance (s NULL) may be made on any thread and are completed on the control thread;
 * cancel() belongs on the thread on which the timer would fire.
 *
 * A session that closes calls the service's close() first, so that timers may still be cancelled
 * there, and ops_orphan() after it. Reactors and job threads have to run until instances_stop() has
 * returned: it waits until no operation is pending. See reactors_stop() for the whole order.
 */
#ifndef CORE_OP_H
#define CORE_OP_H

#include <postern/module.h>

struct task;

struct pstn_op *op_after(struct pstn_self *, struct pstn_session *, uint64_t ms, pstn_done *,
			 void *);
/* NULL also if the job queue is full; jobs of instances are always taken. */
struct pstn_op *op_job(struct pstn_self *, struct pstn_session *, int (*work)(void *), pstn_done *,
		       void (*orphan)(void *), void *);
struct pstn_op *op_pend(struct pstn_self *, struct pstn_session *, pstn_done *,
			void (*orphan)(void *), void *);
void op_post(struct pstn_op *, int status);
void op_cancel(struct pstn_op **);
/* The session is closing: no done() of its operations runs any more. On its reactor. */
void ops_orphan(struct pstn_session *);

/* ---- the control thread's own queue: operations of instances, without a session ---- */
int control_queue_init(void); /* returns a descriptor that is readable when there is work; or -1 */
void control_queue_post(struct task *);  /* any thread */
void control_queue_run(void);            /* on the control thread */
uint64_t control_queue_next_timer(void); /* ms until the next instance timer is due; UINT64_MAX */
/* Forget the timers that an instance left behind. On the control thread. */
void control_queue_forget(struct pstn_self *);

/* Between op.c and control_queue.c: an instance's timer. fire() runs on the control thread. */
struct control_timer {
	struct control_timer *next;
	struct pstn_self *self;
	uint64_t due;
	void (*fire)(struct control_timer *);   /* it is not in the queue any more */
	void (*forget)(struct control_timer *); /* free it */
};
void control_timer_set(struct control_timer *, uint64_t ms); /* any thread */
void control_timer_clear(struct control_timer *);

#endif
