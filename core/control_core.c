/*
 * control_core.c - the core's own commands: what runs, who is on, what it listens on, its metrics.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <postern/service.h>

#include "control.h"
#include "host.h"
#include "manifest.h"
#include "reactor.h"

static void modules(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	char abi[32];

	call_ops.open_array(c, NULL);
	for (unsigned i = 0; i < instances_count(s->instances); i++) {
		const struct pstn_self *self = instances_at(s->instances, i);
		const struct pstn_module *m = instance_module(self);
		const struct plan_module *p = instance_plan(self);
		snprintf(abi, sizeof(abi), "%u.%u", m->abi_major, m->abi_minor);
		call_ops.open_object(c, NULL);
		call_ops.text(c, "name", instance_name(self));
		call_ops.text(c, "version", m->version);
		call_ops.text(c, "abi", abi);
		call_ops.text(c, "state", instance_handle(self) ? "started" : "stopped");
		call_ops.integer(c, "bytes", instance_bytes(self));
		call_ops.integer(c, "pending", instance_pending(self));
		call_ops.text(c, "file", p->path);
		call_ops.text(c, "summary", m->summary);
		call_ops.close(c);
	}
	call_ops.close(c);
}

struct session_list {
	const struct control_scope *scope;
	struct pstn_call *call;
};

static void one_session(void *arg, const struct session_info *s)
{
	const struct session_list *list = arg;
	struct pstn_call *c = list->call;

	call_ops.open_object(c, NULL);
	call_ops.text(c, "id", s->id);
	call_ops.text(c, "service", s->service);
	call_ops.text(c, "account", s->account);
	call_ops.text(c, "peer", s->peer);
	call_ops.text(c, "listener", s->listener);
	call_ops.text(c, "state", s->state);
	call_ops.integer(c, "age_seconds", (int64_t)(s->age_ms / 1000));
	call_ops.integer(c, "idle_seconds", (int64_t)(s->idle_ms / 1000));
	call_ops.integer(c, "octets_in", (int64_t)s->octets_in);
	call_ops.integer(c, "octets_out", (int64_t)s->octets_out);
	call_ops.integer(c, "generation", list->scope->generation);
	call_ops.close(c);
}

static void sessions(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	struct session_list list = {.scope = s, .call = c};

	call_ops.open_array(c, NULL);
	if (s->reactors)
		reactors_each_session(s->reactors, one_session, &list);
	call_ops.close(c);
}

/* The supervisor brings the request to the generation that the id names. */
static void kick(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;
	const char *id = call_ops.arg(c, "id");

	if (s->reactors && reactors_kick(s->reactors, id))
		call_ops.text(c, NULL, "the session is closed");
	else
		call_ops.fail(c, "there is no session %s; posternctl sessions lists them", id);
}

static void listeners(void *inst, struct pstn_call *c)
{
	const struct control_scope *s = inst;

	call_ops.open_array(c, NULL);
	for (unsigned i = 0; i < instances_count(s->instances); i++) {
		const struct pstn_self *self = instances_at(s->instances, i);
		const struct plan_module *p = instance_plan(self);
		const struct pstn_service *svc = instance_offer(self, PSTN_SERVICE_STREAM, 1);
		for (unsigned j = 0; svc && j < p->nlisteners; j++) {
			call_ops.open_object(c, NULL);
			call_ops.text(c, "address", p->listeners[j].address);
			call_ops.text(c, "service", instance_name(self));
			call_ops.text(c, "protocol", svc->protocol);
			call_ops.integer(c, "backlog", p->listeners[j].backlog);
			call_ops.close(c);
		}
	}
	call_ops.close(c);
}

static void metrics(void *inst, struct pstn_call *c)
{
	static const char *const kinds[] = {"counter", "gauge", "microseconds"};
	const struct control_scope *s = inst;
	struct pstn_metric row;

	call_ops.open_array(c, NULL);
	for (unsigned i = 0; i < instances_count(s->instances); i++) {
		const struct pstn_self *self = instances_at(s->instances, i);
		for (unsigned j = 0; manifest_metric(instance_module(self), j, &row); j++) {
			call_ops.open_object(c, NULL);
			call_ops.text(c, "module", instance_name(self));
			call_ops.text(c, "metric", row.name);
			call_ops.integer(c, "value", instance_metric(self, j));
			call_ops.text(c, "kind", row.kind < 3 ? kinds[row.kind] : "unknown");
			call_ops.text(c, "help", row.help);
			call_ops.close(c);
		}
	}
	call_ops.close(c);
}

static const struct pstn_arg kick_args[] = {
    {.name = "id", .kind = PSTN_ARG_TEXT, .help = "the session's id, as posternctl sessions shows"},
    {.name = NULL},
};

static const struct pstn_arg check_args[] = {
    {.name = "file",
     .kind = PSTN_ARG_FILE,
     .flags = PSTN_ARG_OPTIONAL,
     .help = "another file than the one the server was started with"},
    {.name = NULL},
};

static const struct pstn_arg explain_args[] = {
    {.name = "key", .kind = PSTN_ARG_TEXT, .help = "such as server.user"},
    {.name = NULL},
};

static const struct pstn_command rows[] = {
    {.name = "modules",
     .help = "The running modules: version, ABI, memory, pending operations, file",
     .run = modules},
    {.name = "sessions",
     .help = "Who is connected, in which state, for how long",
     .flags = PSTN_EACH_GENERATION,
     .run = sessions},
    {.name = "kick",
     .help = "Close a session now",
     .args = kick_args,
     .flags = PSTN_CHANGES,
     .run = kick},
    {.name = "listeners", .help = "The addresses that services listen on", .run = listeners},
    {.name = "metrics", .help = "What the modules count", .run = metrics},
    {.name = "config check",
     .help = "Check the configuration file on disk and name every error in it",
     .args = check_args,
     .run = control_config_check},
    {.name = "config show",
     .help = "The configuration as it runs, with all defaults",
     .run = control_config_show},
    {.name = "config diff", .help = "What a reload would change", .run = control_config_diff},
    {.name = "config explain",
     .help = "What a key means, its type, default and limits",
     .args = explain_args,
     .run = control_config_explain},
    {.name = NULL},
};

const struct pstn_commands control_core_rows = {
    .size = sizeof(control_core_rows),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = rows,
};
