/*
 * levels.c - a short table under a lock, in front of the configured rows.
 */
#include "levels.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct levels {
	const struct pstn_host *host;
	struct pstn_self *self;
	const struct logging_conf *conf;
	pthread_mutex_t lock;
	unsigned count;
	struct levels_raised raised[LEVELS_RAISED_MAX];
};

struct levels *levels_new(const struct pstn_host *host, struct pstn_self *self,
			  const struct logging_conf *conf)
{
	struct levels *ls = host->alloc(self, sizeof(*ls));

	if (!ls)
		return NULL;
	ls->host = host;
	ls->self = self;
	ls->conf = conf;
	pthread_mutex_init(&ls->lock, NULL);
	return ls;
}

void levels_free(struct levels *ls)
{
	if (!ls)
		return;
	pthread_mutex_destroy(&ls->lock);
	ls->host->free(ls->self, ls);
}

static int configured(const struct logging_conf *conf, const char *service)
{
	const struct logging_service_level *rows = conf->levels.items;

	for (uint32_t i = 0; i < conf->levels.count; i++) {
		if (strcmp(rows[i].service, service) == 0)
			return rows[i].level;
	}
	return conf->level;
}

static void forget(struct levels *ls, unsigned i)
{
	ls->raised[i] = ls->raised[--ls->count];
}

static void forget_old(struct levels *ls)
{
	uint64_t now = ls->host->now();

	for (unsigned i = 0; i < ls->count;) {
		if (now >= ls->raised[i].until)
			forget(ls, i);
		else
			i++;
	}
}

/* Its index, or count. */
static unsigned find(const struct levels *ls, const char *service)
{
	unsigned i = 0;

	while (i < ls->count && strcmp(ls->raised[i].service, service) != 0)
		i++;
	return i;
}

int levels_of(struct levels *ls, const char *service)
{
	int level;
	unsigned i;

	pthread_mutex_lock(&ls->lock);
	if (ls->count)
		forget_old(ls);
	i = find(ls, service);
	level = i < ls->count ? ls->raised[i].level : configured(ls->conf, service);
	pthread_mutex_unlock(&ls->lock);
	return level;
}

bool levels_raise(struct levels *ls, const char *service, int level, uint64_t until)
{
	unsigned i;
	bool room;

	pthread_mutex_lock(&ls->lock);
	forget_old(ls);
	i = find(ls, service);
	room = i < LEVELS_RAISED_MAX && strlen(service) < LEVELS_SERVICE_MAX;
	if (level < 0) {
		if (i < ls->count)
			forget(ls, i);
	} else if (room) {
		ls->raised[i] = (struct levels_raised){.level = level, .until = until};
		snprintf(ls->raised[i].service, LEVELS_SERVICE_MAX, "%s", service);
		ls->count += i == ls->count;
	}
	pthread_mutex_unlock(&ls->lock);
	return level < 0 || room;
}

unsigned levels_raised(struct levels *ls, struct levels_raised out[LEVELS_RAISED_MAX])
{
	unsigned n;

	pthread_mutex_lock(&ls->lock);
	forget_old(ls);
	n = ls->count;
	memcpy(out, ls->raised, n * sizeof(*out));
	pthread_mutex_unlock(&ls->lock);
	return n;
}
