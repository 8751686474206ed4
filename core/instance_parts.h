/*
 * instance_parts.h - what instance.c and instances.c share; others use instance.h.
 */
#ifndef CORE_INSTANCE_PARTS_H
#define CORE_INSTANCE_PARTS_H

#include "instance.h"
#include "told.h"

#include <stdatomic.h>

struct instance_need {
	const struct pstn_self *provider; /* NULL: unmet */
	unsigned offer;
};

struct pstn_self {
	const struct plan_module *plan;
	const struct dirs *dirs;
	const struct pstn_module *module;
	void *handle; /* NULL: not started */
	struct instance_need *needs;
	unsigned nneeds, nmetrics;
	int metrics; /* number of the first counter, -1: none */
	int bytes;   /* number of a counter */
	atomic_int log_level;
	struct told told;
	_Alignas(64) atomic_int_least64_t pending;
};

#endif
