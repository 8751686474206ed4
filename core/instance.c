/*
 * instance.c - what an instance is and what it costs.
 */
#include "config.h"

#include "instance.h"

#include "instance_parts.h"
#include "log.h"
#include "metrics.h"
#include "metrics_shared.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

const struct plan_module *instance_plan(const struct pstn_self *self)
{
	return self->plan;
}

const struct dirs *instance_dirs(const struct pstn_self *self)
{
	return self->dirs;
}

const struct pstn_module *instance_module(const struct pstn_self *self)
{
	return self->module;
}

void *instance_handle(const struct pstn_self *self)
{
	return self->handle;
}

const char *instance_name(const struct pstn_self *self)
{
	return self->plan->name;
}

struct told *instance_told(struct pstn_self *self)
{
	return &self->told;
}

int instance_log_level(const struct pstn_self *self)
{
	return atomic_load_explicit(&self->log_level, memory_order_relaxed);
}

static const void *offer_table(const struct pstn_self *self, unsigned i)
{
	struct pstn_offer offer;
	return manifest_offer(self->module, i, &offer) ? offer.table : NULL;
}

const void *instance_offer(const struct pstn_self *self, const char *interface, uint16_t major)
{
	struct pstn_offer offer;
	for (unsigned i = 0; manifest_offer(self->module, i, &offer); i++)
		if (offer.major == major && strcmp(offer.name, interface) == 0)
			return offer.table;
	return NULL;
}

const void *instance_need(const struct pstn_self *self, uint32_t i, void **inst)
{
	const void *table = NULL;
	const struct pstn_self *provider = i < self->nneeds ? self->needs[i].provider : NULL;
	if (provider && provider->handle)
		table = offer_table(provider, self->needs[i].offer);
	if (inst)
		*inst = table ? provider->handle : NULL;
	return table;
}

/* ---- costs ---- */

void *instance_alloc(struct pstn_self *self, size_t n)
{
	void *p = calloc(1, n ? n : 1);
	if (p)
		metrics_add(self->bytes, (int64_t)malloc_usable_size(p));
	return p;
}

void instance_free(struct pstn_self *self, void *p)
{
	if (!p)
		return;
	metrics_add(self->bytes, -(int64_t)malloc_usable_size(p));
	free(p);
}

int64_t instance_bytes(const struct pstn_self *self)
{
	return metrics_read(self->bytes);
}

/* One word and not a sharded counter: stop() depends on its being exact. */
void instance_pending_add(struct pstn_self *self, int by)
{
	atomic_fetch_add_explicit(&self->pending, by, memory_order_acq_rel);
}

int64_t instance_pending(const struct pstn_self *self)
{
	return atomic_load_explicit(&self->pending, memory_order_acquire);
}

int64_t instance_metric(const struct pstn_self *self, unsigned i)
{
	int counter = self->metrics + (int)i;
	return i < self->nmetrics ? metrics_read(counter) + metrics_elsewhere(counter) : 0;
}

void instance_count(struct pstn_self *self, uint32_t metric, int64_t by)
{
	if (metric < self->nmetrics)
		metrics_add(self->metrics + (int)metric, by);
}
