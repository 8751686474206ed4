/*
 * fake_parts.h - what the parts of the fake host share; tests include fake_host.h.
 */
#ifndef TESTS_FAKE_PARTS_H
#define TESTS_FAKE_PARTS_H

#include "fake_host.h"

#include <pthread.h>

enum { FAKE_NEEDS = 32, FAKE_METRICS = 128, FAKE_FACTS = 16 };

struct pstn_self {
	struct pstn_self *next;
	char *name;
	int64_t metrics[FAKE_METRICS];
	struct {
		char key[32], value[128];
	} facts[FAKE_FACTS];
	unsigned progressed;
	char progress[64];
	struct {
		const void *table;
		void *inst;
	} needs[FAKE_NEEDS];
};

struct fake_world {
	bool running;
	pthread_t reactor;
	pthread_mutex_t lock;
	pthread_cond_t changed; /* something was submitted, posted or ended */
	char directory[64];
	struct pstn_self *selves;
	uint64_t now;
};
extern struct fake_world fake_world;
extern _Thread_local bool fake_in_job;

__attribute__((noreturn, format(printf, 1, 2))) void fake_die(const char *fmt, ...);
void fake_lock(void);
void fake_unlock(void);
/* The caller must be on the reactor and not inside a job. */
void fake_on_reactor(const char *what);
/* Counts one allocation; true if it is the one that has to fail. */
bool fake_alloc_fails(void);
void *fake_must(void *p); /* the fake's own memory does not run out */

/* fake_op.c */
struct pstn_op *fake_op_after(struct pstn_self *, struct pstn_session *, uint64_t, pstn_done *,
			      void *);
struct pstn_op *fake_op_job(struct pstn_self *, struct pstn_session *, int (*)(void *), pstn_done *,
			    void (*)(void *), void *);
struct pstn_op *fake_op_pend(struct pstn_self *, struct pstn_session *, pstn_done *,
			     void (*)(void *), void *);
void fake_op_post(struct pstn_op *, int);
void fake_op_cancel(struct pstn_op **);
void fake_ops_orphan(struct pstn_session *);
unsigned fake_ops_end(void);

/* fake_session.c */
extern const struct pstn_host fake_session_part; /* only its session functions are set */
void fake_session_check(struct pstn_session *, const char *what);
const char *fake_session_name(struct pstn_session *);
unsigned fake_sessions_turn(void);
void fake_sessions_idle(void);
unsigned fake_sessions_end(void);

/* fake_log.c */
void fake_log_add(struct pstn_self *, struct pstn_session *, int, const char *,
		  const struct pstn_field *, size_t);
bool fake_log_wanted(struct pstn_self *, int);

/* fake_call.c */
extern const struct pstn_call_ops fake_call_table;

#endif
