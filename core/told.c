/*
 * told.c - see told.h.
 */
#include "config.h"

#include "told.h"

#include "reactor.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_EVERY 250 /* ms */

void told_init(struct told *t)
{
	pthread_mutex_init(&t->lock, NULL);
}

void told_clear(struct told *t)
{
	pthread_mutex_destroy(&t->lock);
}

/* ---- facts ------------------------------------------------------------------------------------- */

/* They become single lines. */
static void copy_line(char *to, size_t n, const char *text)
{
	snprintf(to, n, "%s", text);
	for (; *to; to++)
		if ((unsigned char)*to < ' ' || *to == 0x7f)
			*to = ' ';
}

static struct fact *find(struct told *t, const char *key)
{
	for (unsigned i = 0; i < t->n; i++)
		if (strncmp(t->facts[i].key, key, FACT_KEY - 1) == 0)
			return &t->facts[i];
	return NULL;
}

static void forget(struct told *t, struct fact *f)
{
	size_t behind = (size_t)(&t->facts[t->n] - (f + 1));

	memmove(f, f + 1, behind * sizeof(*f));
	t->n--;
	t->changes++;
}

static void set(struct told *t, struct fact *f, const char *key, const char *value)
{
	struct fact fresh = {0};

	copy_line(fresh.key, sizeof(fresh.key), key);
	copy_line(fresh.value, sizeof(fresh.value), value);
	if (!f && t->n < FACTS_MAX)
		f = &t->facts[t->n++];
	if (!f || memcmp(f, &fresh, sizeof(fresh)) == 0)
		return;
	*f = fresh;
	t->changes++;
}

void told_fact(struct told *t, const char *key, const char *value)
{
	if (!key || !*key)
		return;
	pthread_mutex_lock(&t->lock);
	struct fact *f = find(t, key);
	if (value && *value)
		set(t, f, key, value);
	else if (f)
		forget(t, f);
	pthread_mutex_unlock(&t->lock);
}

unsigned told_facts(struct told *t, struct fact facts[FACTS_MAX], unsigned *changes)
{
	pthread_mutex_lock(&t->lock);
	unsigned n = t->n;
	memcpy(facts, t->facts, n * sizeof(*facts));
	*changes = t->changes;
	pthread_mutex_unlock(&t->lock);
	return n;
}

/* ---- progress ---------------------------------------------------------------------------------- */

static _Atomic(told_progress_fn *) progress_to;
static atomic_uint_least64_t progress_next; /* ms; not before */

void told_progress_to(told_progress_fn *fn)
{
	atomic_store(&progress_next, 0);
	atomic_store(&progress_to, fn);
}

void told_progress(const char *instance, const char *what, uint64_t done, uint64_t total)
{
	told_progress_fn *fn = atomic_load(&progress_to);
	uint64_t now = reactor_now(), next = atomic_load(&progress_next);

	if (!fn || now < next ||
	    !atomic_compare_exchange_strong(&progress_next, &next, now + PROGRESS_EVERY))
		return;
	fn(instance, what ? what : "", done, total);
}

void told_progress_text(char *text, size_t n, const char *instance, const char *what, uint64_t done,
			uint64_t total)
{
	char line[256];

	if (total > 0)
		snprintf(line, sizeof(line), "%.64s: %.120s, %llu of %llu (%.0f %%)", instance,
			 what, (unsigned long long)done, (unsigned long long)total,
			 100.0 * (double)done / (double)total);
	else
		snprintf(line, sizeof(line), "%.64s: %.120s, %llu so far", instance, what,
			 (unsigned long long)done);
	copy_line(text, n, line);
}
