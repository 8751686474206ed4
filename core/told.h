/*
 * told.h - what instances tell of themselves: facts for `status`, how far a long start is.
 */
#ifndef CORE_TOLD_H
#define CORE_TOLD_H

#include <postern/module.h>

#include <pthread.h>
#include <stdbool.h>

enum { FACTS_MAX = 16, FACT_KEY = 32, FACT_VALUE = 128 };

struct fact {
	char key[FACT_KEY], value[FACT_VALUE];
};

/* Of one instance; any thread. */
struct told {
	pthread_mutex_t lock;
	unsigned n, changes; /* changes: counted, so that one during a send is seen */
	unsigned sent;       /* changes that the supervisor knows of; the control thread's alone */
	struct fact facts[FACTS_MAX];
};

void told_init(struct told *);
void told_clear(struct told *);
/* NULL or "" forgets the key; what does not fit is cut; a 17th key is left out. */
void told_fact(struct told *, const char *key, const char *value);
/* Copies all facts and tells how many; changes: to be noted in sent when they have arrived. */
unsigned told_facts(struct told *, struct fact facts[FACTS_MAX], unsigned *changes);

/* On whichever thread the instance is being started. */
typedef void told_progress_fn(const char *instance, const char *what, uint64_t done,
			      uint64_t total);
/* Where progress goes, at most four times a second; NULL: nowhere. */
void told_progress_to(told_progress_fn *);
void told_progress(const char *instance, const char *what, uint64_t done, uint64_t total);
/* "storage: reading segments, 3 of 12 (25 %)", in one line. */
void told_progress_text(char *text, size_t n, const char *instance, const char *what, uint64_t done,
			uint64_t total);

#endif
