/*
 * log_sinks.c - where events end: in the sinks, and as plain lines as long as there is none.
 */
#include "config.h"

#include "log_sinks.h"

#include "log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SINKS_MAX = 8, LINE_SIZE = 4096 };

struct sink {
	const struct pstn_log_sink *table;
	void *inst;
};

static struct {
	pthread_rwlock_t lock; /* the log thread reads while it writes to them */
	struct sink all[SINKS_MAX];
	unsigned n;
	atomic_int core_level;
	void (*early)(int level, const char *line);
} sinks = {.lock = PTHREAD_RWLOCK_INITIALIZER, .core_level = PSTN_INFO};

void log_sinks_early(void (*early)(int level, const char *line))
{
	sinks.early = early;
}

int log_sinks_core_level(void)
{
	return atomic_load_explicit(&sinks.core_level, memory_order_relaxed);
}

static void write_stderr(int level, const char *line)
{
	char text[LINE_SIZE + 64];
	int n = snprintf(text, sizeof(text), "postern: %s: %s\n", log_level_name(level), line);
	size_t length = n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1;
	/* Nobody is left to tell if stderr cannot be written. */
	if (write(STDERR_FILENO, text, length) < 0)
		return;
}

void log_sinks_line(const struct pstn_log_event *e)
{
	char line[LINE_SIZE];
	log_line(e, line, sizeof(line));
	if (sinks.early)
		sinks.early(e->level, line);
	else
		write_stderr(e->level, line);
}

/* ---- sinks ---- */

void log_sinks_write(const struct pstn_log_event *events, size_t n)
{
	pthread_rwlock_rdlock(&sinks.lock);
	for (unsigned i = 0; i < sinks.n; i++)
		sinks.all[i].table->write(sinks.all[i].inst, events, n);
	bool unseen = sinks.n == 0;
	pthread_rwlock_unlock(&sinks.lock);
	for (size_t i = 0; unseen && i < n; i++)
		if (events[i].level <= PSTN_INFO)
			log_sinks_line(&events[i]);
}

void log_sinks_reopen(void)
{
	pthread_rwlock_rdlock(&sinks.lock);
	for (unsigned i = 0; i < sinks.n; i++)
		if (PSTN_HAS(struct pstn_log_sink, sinks.all[i].table, reopen) &&
		    sinks.all[i].table->reopen)
			sinks.all[i].table->reopen(sinks.all[i].inst);
	pthread_rwlock_unlock(&sinks.lock);
}

/* ---- levels ---- */

static int ask_level(const char *service)
{
	int level = 0;
	for (unsigned i = 0; i < sinks.n; i++) {
		int wanted = sinks.all[i].table->level(sinks.all[i].inst, service);
		if (wanted > level)
			level = wanted;
	}
	return sinks.n ? level : PSTN_INFO;
}

int log_level_of(const char *service)
{
	pthread_rwlock_rdlock(&sinks.lock);
	int level = ask_level(service);
	pthread_rwlock_unlock(&sinks.lock);
	return level;
}

/* What the core has to say at warning or worse is never unwanted. */
void log_refresh_level(void)
{
	int level = log_level_of("core");
	atomic_store(&sinks.core_level, level < PSTN_WARNING ? PSTN_WARNING : level);
}

static bool has_sink(const struct pstn_log_sink *table, const void *inst)
{
	for (unsigned i = 0; i < sinks.n; i++)
		if (sinks.all[i].table == table && sinks.all[i].inst == inst)
			return true;
	return false;
}

void log_add_sink(const struct pstn_log_sink *table, void *inst)
{
	if (!PSTN_HAS(struct pstn_log_sink, table, write) || !table->level || !table->write)
		return;
	pthread_rwlock_wrlock(&sinks.lock);
	bool known = has_sink(table, inst), full = sinks.n == SINKS_MAX;
	if (!known && !full)
		sinks.all[sinks.n++] = (struct sink){table, inst};
	pthread_rwlock_unlock(&sinks.lock);
	log_refresh_level();
	if (!known && full)
		CORE_EVENT(PSTN_ERROR, "log-sink-unused", PSTN_I("most", SINKS_MAX));
}

void log_remove_sinks(void)
{
	log_flush();
	pthread_rwlock_wrlock(&sinks.lock);
	sinks.n = 0;
	pthread_rwlock_unlock(&sinks.lock);
	log_refresh_level();
}
