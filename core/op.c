/*
 * op.c - pending operations.
 *
 * Who completes a job or promise and the session that closes may meet. Both set their bit in one
 * atomic word, and who comes second knows it: a completion that finds ORPHANED calls orphan() and
 * frees; a closing session that finds COMPLETED leaves that to the task which is already on its
 * way to the reactor. All else about an operation is touched by its reactor alone.
 */
#include "config.h"

#include "op.h"

#include "instance.h"
#include "jobs.h"
#include "session.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { ORPHANED = 1, COMPLETED = 2 };
enum kind { AFTER, JOB, PEND };

struct op { /* in the session's list */
	struct op *next, **prev;
};

struct pstn_op {
	struct op link;
	union {
		struct task task;             /* job, promise */
		struct timer timer;           /* after, with a session */
		struct control_timer control; /* after, without one */
	};
	struct pstn_self *self;
	struct pstn_session *session; /* NULL: the instance's, or the session is gone */
	struct reactor *reactor;      /* NULL: the control thread */
	int (*work)(void *);
	pstn_done *done;
	void (*orphan)(void *);
	void *arg;
	int status;
	uint8_t kind;
	atomic_uchar bits;
};

#define OP_OF(member_pointer, member) \
	((struct pstn_op *)(void *)((char *)(member_pointer)-offsetof(struct pstn_op, member)))

/* ---- making and ending ---- */

static void link_op(struct pstn_op *op, struct op **head)
{
	op->link.next = *head;
	op->link.prev = head;
	if (*head)
		(*head)->prev = &op->link.next;
	*head = &op->link;
}

static void unlink_op(struct pstn_op *op)
{
	if (!op->link.prev)
		return;
	*op->link.prev = op->link.next;
	if (op->link.next)
		op->link.next->prev = op->link.prev;
	op->link.prev = NULL;
}

static struct pstn_op *op_new(enum kind kind, struct pstn_self *self, struct pstn_session *s,
			      pstn_done *done, void *arg)
{
	struct pstn_op *op = calloc(1, sizeof(*op));
	if (!op)
		return NULL;
	op->kind = (uint8_t)kind;
	op->self = self;
	op->session = s;
	op->done = done;
	op->arg = arg;
	if (s) {
		op->reactor = session_reactor(s);
		link_op(op, session_ops(s));
	}
	if (kind != AFTER)
		instance_pending_add(self, 1);
	return op;
}

/* The operation is freed before done() runs, which may make a new one in its place; it counts as
 * pending until done() has returned, so that stop() is not called under it. */
static void finish_op(struct pstn_op *op)
{
	struct pstn_op o = {.self = op->self,
			    .session = op->session,
			    .done = op->done,
			    .arg = op->arg,
			    .status = op->status,
			    .kind = op->kind};
	unlink_op(op);
	free(op);
	if (o.session)
		session_enter(o.session, o.done, o.arg, o.status);
	else
		o.done(o.arg, o.status);
	if (o.kind != AFTER)
		instance_pending_add(o.self, -1);
}

static void orphan_op(struct pstn_op *op)
{
	struct pstn_self *self = op->self;
	void (*orphan)(void *) = op->orphan;
	void *arg = op->arg;
	free(op);
	if (orphan)
		orphan(arg);
	instance_pending_add(self, -1);
}

/* ---- timers ---- */

static void timer_fired(struct timer *t)
{
	finish_op(OP_OF(t, timer));
}

static void control_fired(struct control_timer *t)
{
	finish_op(OP_OF(t, control));
}

static void control_forgotten(struct control_timer *t)
{
	free(OP_OF(t, control));
}

struct pstn_op *op_after(struct pstn_self *self, struct pstn_session *s, uint64_t ms,
			 pstn_done *done, void *arg)
{
	struct pstn_op *op = op_new(AFTER, self, s, done, arg);
	if (!op)
		return NULL;
	if (s) {
		op->timer.fire = timer_fired;
		timer_set(op->reactor, &op->timer, ms);
	} else {
		op->control = (struct control_timer){
		    .self = self, .fire = control_fired, .forget = control_forgotten};
		control_timer_set(&op->control, ms);
	}
	return op;
}

void op_cancel(struct pstn_op **opp)
{
	struct pstn_op *op = *opp;
	*opp = NULL;
	if (!op || op->kind != AFTER)
		return;
	if (op->session)
		timer_clear(&op->timer);
	else
		control_timer_clear(&op->control);
	unlink_op(op);
	free(op);
}

/* ---- jobs and promises ---- */

static void completed(struct task *t)
{
	struct pstn_op *op = OP_OF(t, task);
	if (op->reactor && !op->session)
		orphan_op(op);
	else
		finish_op(op);
}

/* Any thread. The operation may be gone when this returns. */
static void complete(struct pstn_op *op, int status)
{
	op->status = status;
	op->task.run = completed;
	struct reactor *reactor = op->reactor;
	if (atomic_fetch_or_explicit(&op->bits, COMPLETED, memory_order_acq_rel) & ORPHANED)
		orphan_op(op);
	else if (reactor)
		reactor_post(reactor, &op->task);
	else
		control_queue_post(&op->task);
}

static void run_job(struct task *t)
{
	struct pstn_op *op = OP_OF(t, task);
	if (atomic_load_explicit(&op->bits, memory_order_acquire) & ORPHANED)
		orphan_op(op);
	else
		complete(op, op->work(op->arg));
}

struct pstn_op *op_job(struct pstn_self *self, struct pstn_session *s, int (*work)(void *),
		       pstn_done *done, void (*orphan)(void *), void *arg)
{
	struct pstn_op *op = op_new(JOB, self, s, done, arg);
	if (!op)
		return NULL;
	op->work = work;
	op->orphan = orphan;
	op->task.run = run_job;
	if (jobs_submit(&op->task, s == NULL))
		return op;
	unlink_op(op);
	free(op);
	instance_pending_add(self, -1);
	return NULL;
}

struct pstn_op *op_pend(struct pstn_self *self, struct pstn_session *s, pstn_done *done,
			void (*orphan)(void *), void *arg)
{
	struct pstn_op *op = op_new(PEND, self, s, done, arg);
	if (op)
		op->orphan = orphan;
	return op;
}

void op_post(struct pstn_op *op, int status)
{
	complete(op, status);
}

/* ---- the session closes ---- */

static void orphan_one(struct pstn_op *op)
{
	unlink_op(op);
	if (op->kind == AFTER) {
		timer_clear(&op->timer);
		free(op);
		return;
	}
	op->session = NULL;
	/* From here on it belongs to whoever completes it, or to the task already posted. */
	atomic_fetch_or_explicit(&op->bits, ORPHANED, memory_order_acq_rel);
}

void ops_orphan(struct pstn_session *s)
{
	struct op **head = session_ops(s);
	while (*head)
		orphan_one(OP_OF(*head, link));
}
