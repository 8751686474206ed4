/*
 * module_rig.h - an instance of the module that the test program is linked with, and its commands.
 */
#ifndef TESTS_MODULE_RIG_H
#define TESTS_MODULE_RIG_H

#include "fake_host.h"

#include <CUnit/CUnit.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

extern const struct pstn_module pstn_module;

static struct pstn_self *self;
static void *module;         /* what start() made */
static const void *settings; /* its configuration; changes count with the next start */
static char err[512];        /* why it was refused */
static char answer[4096];    /* to the last command, or why that failed */

/* An instance of that name, not started. */
static inline void make_instance(const char *name, const void *conf)
{
	self = fake_self(name);
	settings = conf;
}

/* NULL: it was refused. */
static inline void *start_module(void)
{
	err[0] = '\0';
	return pstn_module.start(self, fake_host(), settings, err, sizeof(err));
}

static inline void must_start(void)
{
	module = start_module();
	CU_ASSERT_PTR_NOT_NULL_FATAL(module);
}

static inline void restart(void)
{
	pstn_module.stop(module);
	must_start();
}

static inline void stop_and_end(void)
{
	pstn_module.stop(module);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static inline const struct pstn_commands *commands_of_module(void)
{
	for (const struct pstn_offer *o = pstn_module.offers; o->name; o++) {
		if (strcmp(o->name, PSTN_CONTROL_COMMANDS) == 0)
			return o->table;
	}
	return NULL;
}

/* "account passwd", "name", "a@b", "password", "x", NULL; true: it did not fail. */
static inline bool command(const char *name, ...)
{
	struct pstn_call *call = fake_call();
	const char *arg, *error;
	va_list ap;

	va_start(ap, name);
	while ((arg = va_arg(ap, const char *)))
		fake_call_arg(call, arg, va_arg(ap, const char *));
	va_end(ap);
	fake_call_run(call, commands_of_module(), name, module);
	error = fake_call_error(call);
	snprintf(answer, sizeof(answer), "%s", error ? error : fake_call_answer(call));
	fake_call_free(call);
	return !error;
}

#endif
