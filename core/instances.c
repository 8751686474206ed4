/*
 * instances.c - the instances of a worker from opened images to the last stop.
 */
#include "config.h"

#include "host.h"
#include "image.h"
#include "instance.h"
#include "instance_parts.h"
#include "log.h"
#include "metrics.h"
#include "metrics_shared.h"
#include "op.h"
#include "reactor.h"

#include <postern/log_sink.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { ERR_SIZE = 512, STOP_MS = 10000 };

struct instances {
	unsigned n;
	struct pstn_self *all; /* in starting order */
};

/* ---- opening ---- */

/* Between the reading of the manifest and the opening of the file it may have been replaced. */
static bool is_same_module(const struct pstn_module *live, const struct pstn_module *manifest)
{
	return live->magic == manifest->magic && live->abi_major == manifest->abi_major &&
	       live->abi_minor == manifest->abi_minor && live->size == manifest->size &&
	       live->option_size == manifest->option_size &&
	       live->metric_size == manifest->metric_size &&
	       live->offer_size == manifest->offer_size && live->need_size == manifest->need_size &&
	       live->conf_size == manifest->conf_size && live->name && live->version &&
	       strcmp(live->name, manifest->name) == 0 &&
	       strcmp(live->version, manifest->version) == 0;
}

static int open_image(struct pstn_self *self, struct reports *reports)
{
	char err[ERR_SIZE] = "";
	const struct plan_module *m = self->plan;
	self->module = image_open(m->path, err, sizeof(err));
	if (!self->module) {
		report_error(reports, m->place, "module %s: %s", m->name, err);
		return -1;
	}
	if (!is_same_module(self->module, m->manifest)) {
		report_error(reports, m->place,
			     "module %s: %s was replaced while it was being opened; reload again",
			     m->name, m->path);
		self->module = NULL;
		return -1;
	}
	return 0;
}

static unsigned count_metrics(const struct pstn_module *module)
{
	struct pstn_metric row;
	unsigned n = 0;
	while (manifest_metric(module, n, &row))
		n++;
	return n;
}

static unsigned count_needs(const struct pstn_module *module)
{
	struct pstn_need row;
	unsigned n = 0;
	while (manifest_need(module, n, &row))
		n++;
	return n;
}

/* One counter more than there are metrics: the bytes held. */
static int reserve_counters(struct pstn_self *self, struct reports *reports)
{
	self->nmetrics = count_metrics(self->module);
	int first = metrics_reserve(self->nmetrics + 1);
	if (first < 0) {
		report_error(
		    reports, self->plan->place,
		    "module %s: its %u metrics do not fit; all modules together may have %d",
		    self->plan->name, self->nmetrics, METRICS_MAX);
		return -1;
	}
	self->bytes = first;
	self->metrics = first + 1;
	return 0;
}

static void share_metrics(const struct pstn_self *self)
{
	struct pstn_metric row;
	for (unsigned i = 0; i < self->nmetrics && manifest_metric(self->module, i, &row); i++)
		metrics_share(self->metrics + (int)i, self->plan->name, row.name,
			      row.kind == PSTN_GAUGE);
}

static int bind_needs(struct instances *all, struct pstn_self *self, struct reports *reports)
{
	self->nneeds = count_needs(self->plan->manifest);
	if (self->nneeds == 0)
		return 0;
	self->needs = calloc(self->nneeds, sizeof(*self->needs));
	if (!self->needs) {
		report_error(reports, self->plan->place, "module %s: out of memory",
			     self->plan->name);
		self->nneeds = 0;
		return -1;
	}
	for (unsigned i = 0; i < self->nneeds; i++) {
		const struct plan_need *need = &self->plan->needs[i];
		if (need->module >= 0)
			self->needs[i] =
			    (struct instance_need){&all->all[need->module], need->offer};
	}
	return 0;
}

static int open_one(struct instances *all, struct pstn_self *self, struct reports *reports)
{
	if (open_image(self, reports))
		return -1;
	int rc = reserve_counters(self, reports);
	if (rc == 0)
		share_metrics(self);
	return bind_needs(all, self, reports) ? -1 : rc;
}

static struct instances *instances_new(const struct plan *plan)
{
	struct instances *all = calloc(1, sizeof(*all));
	size_t n = plan->nmodules ? plan->nmodules : 1;
	if (!all)
		return NULL;
	all->all = aligned_alloc(_Alignof(struct pstn_self), n * sizeof(struct pstn_self));
	if (!all->all) {
		free(all);
		return NULL;
	}
	memset(all->all, 0, n * sizeof(struct pstn_self));
	all->n = plan->nmodules;
	for (unsigned i = 0; i < all->n; i++) {
		struct pstn_self *self = &all->all[i];
		self->plan = &plan->modules[i];
		self->dirs = &plan->dirs;
		self->bytes = self->metrics = -1;
		atomic_init(&self->log_level, PSTN_INFO);
		told_init(&self->told);
	}
	return all;
}

static void instances_free(struct instances **all)
{
	for (unsigned i = 0; i < (*all)->n; i++) {
		free((*all)->all[i].needs);
		told_clear(&(*all)->all[i].told);
	}
	free((*all)->all);
	free(*all);
	*all = NULL;
}

struct instances *instances_open(const struct plan *plan, struct reports *reports)
{
	bool failed = false;
	struct instances *all = instances_new(plan);
	if (!all) {
		report_error(reports, (struct place){0}, "out of memory while opening modules");
		return NULL;
	}
	for (unsigned i = 0; i < all->n; i++)
		if (open_one(all, &all->all[i], reports))
			failed = true;
	if (failed)
		instances_free(&all);
	return all;
}

/* ---- starting ---- */

static const char *reason(const char *err)
{
	return *err ? err : "it gave no reason";
}

/* An unstarted provider has been reported itself. */
static bool providers_started(const struct pstn_self *self)
{
	for (unsigned i = 0; i < self->nneeds; i++)
		if (self->needs[i].provider && !self->needs[i].provider->handle)
			return false;
	return true;
}

static int start_one(struct pstn_self *self, struct reports *reports)
{
	char err[ERR_SIZE] = "";
	if (!providers_started(self))
		return -1;
	self->handle = self->module->start(self, &host_table, self->plan->conf, err, sizeof(err));
	err[sizeof(err) - 1] = '\0';
	if (!self->handle) {
		report_error(reports, self->plan->place, "module %s does not start: %s",
			     self->plan->name, reason(err));
		return -1;
	}
	const struct pstn_log_sink *sink = instance_offer(self, PSTN_LOG_SINK, 1);
	if (sink)
		log_add_sink(sink, self->handle);
	return 0;
}

int instances_start(struct instances *all, struct reports *reports)
{
	int rc = 0;
	for (unsigned i = 0; i < all->n; i++)
		if (start_one(&all->all[i], reports))
			rc = -1;
	instance_refresh_log_levels(all);
	return rc;
}

int instances_self_test(struct instances *all, struct reports *reports)
{
	int rc = 0;
	for (unsigned i = 0; i < all->n; i++) {
		struct pstn_self *self = &all->all[i];
		char err[ERR_SIZE] = "";
		if (!self->handle || !self->module->self_test ||
		    self->module->self_test(self->handle, err, sizeof(err)) == 0)
			continue;
		err[sizeof(err) - 1] = '\0';
		report_error(reports, self->plan->place, "module %s fails its self-test: %s",
			     self->plan->name, reason(err));
		rc = -1;
	}
	return rc;
}

void instance_refresh_log_levels(struct instances *all)
{
	log_refresh_level();
	for (unsigned i = 0; i < all->n; i++)
		atomic_store_explicit(&all->all[i].log_level, log_level_of(all->all[i].plan->name),
				      memory_order_relaxed);
}

/* ---- draining and stopping: who needs others goes before them ---- */

void instances_drain(struct instances *all)
{
	for (unsigned i = all->n; i > 0; i--) {
		struct pstn_self *self = &all->all[i - 1];
		if (self->handle && self->module->drain)
			self->module->drain(self->handle);
	}
}

/* Runs the control queue until nothing of the instance is pending. */
static bool wait_for_pending(struct pstn_self *self, uint64_t until)
{
	struct pollfd queue = {.fd = control_queue_init(), .events = POLLIN};
	control_queue_run();
	while (instance_pending(self) > 0) {
		if (reactor_now() >= until)
			return false;
		/* What ends on a reactor does not make the queue readable: hence the short wait. */
		if (poll(&queue, 1, 5) < 0 && errno != EINTR)
			return false;
		control_queue_run();
	}
	return true;
}

static bool stop_one(struct instances *all, struct pstn_self *self, uint64_t until)
{
	if (!self->handle)
		return true;
	if (!wait_for_pending(self, until)) {
		CORE_EVENT(PSTN_CRITICAL, "instance-not-stopped",
			   PSTN_S("instance", self->plan->name),
			   PSTN_I("pending", instance_pending(self)));
		return false;
	}
	if (instance_offer(self, PSTN_LOG_SINK, 1)) {
		log_remove_sinks();
		instance_refresh_log_levels(all);
	}
	self->module->stop(self->handle);
	control_queue_forget(self);
	self->handle = NULL;
	return true;
}

bool instances_stop_within(struct instances **pp, uint64_t limit_ms)
{
	struct instances *all = *pp;
	bool stopped = true;
	if (!all)
		return true;
	uint64_t until = reactor_now() + limit_ms;
	for (unsigned i = all->n; i > 0 && stopped; i--)
		stopped = stop_one(all, &all->all[i - 1], until);
	metrics_publish();
	if (stopped) /* else somebody still uses them: they go with the process */
		instances_free(pp);
	*pp = NULL;
	return stopped;
}

void instances_stop(struct instances **all)
{
	instances_stop_within(all, STOP_MS);
}

unsigned instances_count(const struct instances *all)
{
	return all->n;
}

struct pstn_self *instances_at(const struct instances *all, unsigned i)
{
	return &all->all[i];
}
