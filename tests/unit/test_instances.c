/*
 * test_instances.c - instances from opened images to the last stop, with modules made of functions
 * of this file: order, failures at each step, needs, costs, and memory failing at each place.
 */
#include "instance.h"

#include "alloc_fails.h"
#include "host.h"
#include "image.h"
#include "log.h"
#include "op.h"

#include <postern/log_sink.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* ---- neighbours ---- */

const struct pstn_call_ops call_ops = {.size = sizeof(call_ops)};

static const struct pstn_module *live[4];

const struct pstn_module *image_open(const char *path, char *err, size_t errlen)
{
	const struct pstn_module *m = live[path[0] - '0'];
	if (!m)
		snprintf(err, errlen, "%s: no such image", path);
	return m;
}

/* ---- modules: each notes what is called ---- */

static char calls[256];
static const char *fail_start, *fail_test;
static struct pstn_self *selves[4];
static const struct pstn_host *host;

static void note(const char *what, const char *name)
{
	size_t n = strlen(calls);
	snprintf(calls + n, sizeof(calls) - n, "%s %s;", what, name);
}

static void *start(struct pstn_self *self, const struct pstn_host *h, const void *conf, char *err,
		   size_t errlen)
{
	const char *name = h->name(self);
	(void)conf;
	host = h;
	note("start", name);
	selves[name[0] - 'a'] = self;
	if (fail_start && strcmp(fail_start, name) == 0) {
		snprintf(err, errlen, "the disk is full");
		return NULL;
	}
	char *handle = h->alloc(self, 100);
	if (!handle)
		snprintf(err, errlen, "out of memory");
	else
		handle[0] = name[0];
	return handle;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	char name[2] = {*(char *)inst};
	note("test", name);
	if (!fail_test || strcmp(fail_test, name) != 0)
		return 0;
	snprintf(err, errlen, "cannot write");
	return -1;
}

static void drain(void *inst)
{
	char name[2] = {*(char *)inst};
	note("drain", name);
}

static void stop(void *inst)
{
	char name[2] = {*(char *)inst};
	note("stop", name);
	host->free(selves[name[0] - 'a'], inst);
}

static const int table = 17;
static const struct pstn_offer offers[] = {
    {.name = "other", .major = 1, .table = &offers},
    {.name = "thing", .major = 1, .minor = 3, .table = &table},
    {.name = NULL},
};
static const struct pstn_need needs[] = {
    {.name = "thing", .major = 1},
    {.name = "missing", .major = 1, .flags = PSTN_OPTIONAL},
    {.name = NULL},
};
static const struct pstn_metric metrics[] = {{.name = "x"}, {.name = "y"}, {.name = NULL}};

static int sink_level(void *inst, const char *service)
{
	(void)inst;
	return strcmp(service, "b") == 0 ? PSTN_PROTOCOL : PSTN_WARNING;
}

static void sink_write(void *inst, const struct pstn_log_event *events, size_t n)
{
	(void)inst;
	(void)events;
	(void)n;
}

static const struct pstn_log_sink sink = {
    .size = sizeof(sink), .level = sink_level, .write = sink_write};
static const struct pstn_offer sink_offers[] = {{.name = PSTN_LOG_SINK, .major = 1, .table = &sink},
						{.name = NULL}};

static struct pstn_module provider = {PSTN_MODULE_HEAD,       .name = "provider", .version = "1",
				      .offers = offers,       .metrics = metrics, .start = start,
				      .self_test = self_test, .drain = drain,     .stop = stop};
static struct pstn_module user = {PSTN_MODULE_HEAD, .name = "user", .version = "1",
				  .needs = needs,   .start = start, .self_test = self_test,
				  .stop = stop};
static struct pstn_module logger = {PSTN_MODULE_HEAD,      .name = "logger", .version = "1",
				    .offers = sink_offers, .start = start,   .stop = stop};

/* ---- a plan: "a" logs, "b" provides, "c" needs b, "d" stands alone ---- */

static struct plan_need c_needs[] = {{.module = 1, .offer = 1}, {.module = -1}};
static struct plan_module plan_modules[4];
static char config_dir[] = "/c", state_dir[] = "/s", run_dir[] = "/r", log_dir[] = "/l";
static struct plan plan = {
    .dirs = {.config = config_dir, .state = state_dir, .run = run_dir, .log = log_dir},
    .modules = plan_modules,
    .nmodules = 4};
static struct reports *reports;
static char told[1024];

static void tell(void *arg, bool is_error, const char *text)
{
	size_t n = strlen(told);
	(void)arg;
	(void)is_error;
	snprintf(told + n, sizeof(told) - n, "%s\n", text);
}

static void begin(void)
{
	static const char *const names[] = {"a", "b", "c", "d"}, *const paths[] = {"0", "1", "2",
										   "3"};
	const struct pstn_module *modules[] = {&logger, &provider, &user, &provider};
	for (unsigned i = 0; i < 4; i++) {
		live[i] = modules[i];
		plan_modules[i] = (struct plan_module){.name = names[i],
						       .path = paths[i],
						       .manifest = modules[i],
						       .place = {"p.yaml", i + 1, 2}};
	}
	plan_modules[2].needs = c_needs;
	reports = reports_new();
	calls[0] = told[0] = '\0';
	fail_start = fail_test = NULL;
	control_queue_init();
}

static void end(const char *expected_calls, const char *expected_reports)
{
	reports_each(reports, tell, NULL);
	CU_ASSERT_STRING_EQUAL(calls, expected_calls);
	CU_ASSERT_STRING_EQUAL(told, expected_reports);
	reports_free(&reports);
}

/* ---- cases ---- */

static void whole_life(void)
{
	void *inst;
	begin();
	struct instances *all = instances_open(&plan, reports);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	CU_ASSERT_EQUAL(instances_count(all), 4);
	CU_ASSERT_EQUAL(instances_start(all, reports), 0);
	CU_ASSERT_EQUAL(instances_self_test(all, reports), 0);
	struct pstn_self *b = instances_at(all, 1), *c = instances_at(all, 2);
	CU_ASSERT_PTR_EQUAL(host->need(c, 0, &inst), &table);
	CU_ASSERT_PTR_EQUAL(inst, instance_handle(b));
	CU_ASSERT_PTR_NULL(host->need(c, 1, &inst));
	CU_ASSERT_PTR_NULL(host->need(c, 99, &inst));
	CU_ASSERT_PTR_EQUAL(instance_offer(b, "thing", 1), &table);
	CU_ASSERT_PTR_NULL(instance_offer(b, "thing", 2));
	CU_ASSERT_STRING_EQUAL(host->directory(c, PSTN_DIR_STATE), "/s");
	CU_ASSERT_STRING_EQUAL(host->directory(c, PSTN_DIR_LOG), "/l");
	CU_ASSERT_TRUE(host->logs(b, PSTN_PROTOCOL));
	CU_ASSERT_FALSE(host->logs(c, PSTN_INFO));
	instances_drain(all);
	instances_stop(&all);
	CU_ASSERT_PTR_NULL(all);
	end("start a;start b;start c;start d;test b;test c;test d;drain d;drain b;"
	    "stop d;stop c;stop b;stop a;",
	    "");
}

static void image_cannot_be_opened(void)
{
	static struct pstn_module newer;
	begin();
	newer = provider;
	newer.version = "2";
	live[1] = &newer;
	live[3] = NULL;
	CU_ASSERT_PTR_NULL(instances_open(&plan, reports));
	end("", "p.yaml:2:2: module b: 1 was replaced while it was being opened; reload again\n"
		"p.yaml:4:2: module d: 3: no such image\n");
}

static void start_fails(void)
{
	begin();
	fail_start = "b";
	struct instances *all = instances_open(&plan, reports);
	CU_ASSERT_EQUAL(instances_start(all, reports), -1);
	instances_stop(&all);
	end("start a;start b;start d;stop d;stop a;",
	    "p.yaml:2:2: module b does not start: the disk is full\n");
}

static void self_test_fails(void)
{
	begin();
	fail_test = "c";
	struct instances *all = instances_open(&plan, reports);
	CU_ASSERT_EQUAL(instances_start(all, reports), 0);
	CU_ASSERT_EQUAL(instances_self_test(all, reports), -1);
	instances_stop(&all);
	end("start a;start b;start c;start d;test b;test c;test d;stop d;stop c;stop b;stop a;",
	    "p.yaml:3:2: module c fails its self-test: cannot write\n");
}

static void costs(void)
{
	begin();
	struct instances *all = instances_open(&plan, reports);
	struct pstn_self *b = instances_at(all, 1), *d = instances_at(all, 3);
	instances_start(all, reports);
	int64_t before = instance_bytes(b);
	CU_ASSERT_TRUE(before >= 100);
	char *p = host->alloc(b, 1000);
	CU_ASSERT_TRUE(instance_bytes(b) >= before + 1000);
	CU_ASSERT_EQUAL(p[0] | p[999], 0);
	host->free(b, p);
	host->free(b, NULL);
	CU_ASSERT_EQUAL(instance_bytes(b), before);
	host->count(b, 1, 5);
	host->count(b, 1, -2);
	host->count(b, 2, 1); /* it has only two */
	CU_ASSERT_EQUAL(instance_metric(b, 0), 0);
	CU_ASSERT_EQUAL(instance_metric(b, 1), 3);
	CU_ASSERT_EQUAL(instance_metric(b, 2), 0);
	CU_ASSERT_EQUAL(instance_metric(d, 1), 0);
	instances_stop(&all);
	reports_free(&reports);
}

static struct pstn_op *promise;

static void promised(void *arg, int status)
{
	(void)arg;
	note(status == PSTN_OK ? "kept" : "broken", "promise");
}

static void keep(void *arg, int status)
{
	(void)arg;
	(void)status;
	host->post(promise, PSTN_OK);
}

static void forgotten(void *arg, int status)
{
	(void)arg;
	(void)status;
	note("fired", "forgotten");
}

/* stop() waits for what is pending; timers alone do not keep an instance. */
static void stop_waits(void)
{
	begin();
	struct instances *all = instances_open(&plan, reports);
	instances_start(all, reports);
	struct pstn_self *c = instances_at(all, 2);
	promise = host->pend(c, NULL, promised, NULL, NULL);
	host->after(c, NULL, 20, keep, NULL);
	host->after(c, NULL, 3600000, forgotten, NULL);
	CU_ASSERT_EQUAL(instance_pending(c), 1);
	instances_stop(&all);
	CU_ASSERT_EQUAL(control_queue_next_timer(), UINT64_MAX);
	end("start a;start b;start c;start d;stop d;kept promise;stop c;stop b;stop a;", "");
}

/* What never ends keeps the instance and those it needs from being stopped under it. */
static void stop_gives_up(void)
{
	begin();
	struct instances *all = instances_open(&plan, reports), *kept = all;
	instances_start(all, reports);
	promise = host->pend(instances_at(all, 2), NULL, promised, NULL, NULL);
	CU_ASSERT_FALSE(instances_stop_within(&all, 0));
	CU_ASSERT_PTR_NULL(all);
	end("start a;start b;start c;start d;stop d;", "");
	host->post(promise, PSTN_OK);
	CU_ASSERT_TRUE(instances_stop_within(&kept, 0));
}

static void memory_fails_in_turn(void)
{
	unsigned n = 0;
	bool failed;
	do {
		begin();
		alloc_fail_begin(++n);
		struct instances *all = instances_open(&plan, reports);
		int rc = all ? instances_start(all, reports) : -1;
		instances_stop(&all);
		failed = alloc_fail_end();
		/* a report may be what the memory was wanted for */
		CU_ASSERT_TRUE(rc == 0 || failed);
		reports_free(&reports);
	} while (failed && n < 100);
	CU_ASSERT_TRUE(n > 5 && n < 100);
}

static const struct suite_case cases[] = {
    {"whole life", whole_life},
    {"image cannot be opened", image_cannot_be_opened},
    {"start fails", start_fails},
    {"self-test fails", self_test_fails},
    {"costs", costs},
    {"stop waits", stop_waits},
    {"stop gives up", stop_gives_up},
    {"memory fails in turn", memory_fails_in_turn},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("instances", cases, argc > 1 ? argv[1] : NULL);
}
