/*
 * op.h - pending operations: timers, jobs, promises. See pstn_host.after, job, pend, post, cancel.
 */
#ifndef CORE_OP_H
#define CORE_OP_H

#include <postern/module.h>

struct jobs;
struct task;

struct pstn_op *op_after(struct pstn_self *, struct pstn_session *, uint64_t ms, pstn_done *, void *);
struct pstn_op *op_job(struct pstn_self *, struct pstn_session *, int (*work)(void *), pstn_done *,
                       void (*orphan)(void *), void *);
struct pstn_op *op_pend(struct pstn_self *, struct pstn_session *, pstn_done *,
                        void (*orphan)(void *), void *);
void op_post(struct pstn_op *, int status);
void op_cancel(struct pstn_op **);
/* The session is closing: no done() of its operations runs any more. On its reactor. */
void ops_orphan(struct pstn_session *);

/* ---- the control thread's own queue: operations of instances, without a session ---- */
int control_queue_init(void);         /* returns a descriptor that is readable when there is work */
void control_queue_post(struct task *); /* any thread */
void control_queue_run(void);         /* on the control thread */
uint64_t control_queue_next_timer(void); /* ms until the next instance timer is due; UINT64_MAX */

#endif
