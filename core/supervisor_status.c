/*
 * supervisor_status.c - how things stand, for posternctl status and generations.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "json_text.h"
#include "supervisor.h"

static const char *state_name(const struct supervisor *sv, const struct child *c)
{
	if (sv->stopping)
		return "stopping";
	if (c == sv->current)
		return c->generation < sv->last_generation && sv->trouble ? "current (resumed)"
									  : "current";
	if (c->state == CHILD_CANDIDATE)
		return c->reason == REASON_CHECK ? "checking" : "starting";
	return c->retired ? "draining" : "draining (can be resumed)";
}

static json_t *seconds_since(uint64_t then)
{
	return json_integer((json_int_t)((supervisor_now() - then) / 1000));
}

static json_t *strings(const struct lines *l)
{
	json_t *array = json_array();

	for (unsigned i = 0; array && i < l->n; i++)
		json_array_append_new(array, json_text(l->v[i]));
	return array;
}

static json_t *addresses(const struct supervisor *sv)
{
	json_t *array = json_array();

	for (const struct listener *l = sv->listeners; array && l; l = l->next)
		json_array_append_new(array, json_text(l->address));
	return array;
}

static const char *health(const struct supervisor *sv)
{
	if (sv->stopping)
		return "stopping";
	if (!sv->current)
		return sv->serving_once ? "no worker serves" : "starting";
	return sv->trouble ? "serving, with trouble" : "serving";
}

json_t *supervisor_status(const struct supervisor *sv)
{
	json_t *o = json_object();
	uint64_t sessions = 0;
	unsigned n = 0;

	if (!o)
		return NULL;
	for (const struct child *c = sv->children; c; c = c->next, n++)
		sessions += c->sessions;
	json_object_set_new(o, "status", json_string(health(sv)));
	if (sv->trouble)
		json_object_set_new(o, "trouble", json_text(sv->trouble));
	json_object_set_new(o, "version", json_string(PACKAGE_VERSION));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(o, "uptime_seconds", seconds_since(sv->started));
	if (sv->current) {
		json_object_set_new(o, "generation", json_integer(sv->current->generation));
		json_object_set_new(o, "worker_pid",
				    json_integer(sv->current->pid ? sv->current->pid : getpid()));
		json_object_set_new(o, "worker_version", json_text(sv->current->version));
		json_object_set_new(o, "sandbox", json_text(sv->current->sandbox));
	}
	if (sv->candidate && sv->candidate->progress[0])
		json_object_set_new(o, "starting", json_text(sv->candidate->progress));
	json_object_set_new(o, "generations", json_integer(n));
	json_object_set_new(o, "sessions", json_integer((json_int_t)sessions));
	json_object_set_new(o, "restarts", json_integer(sv->restarts));
	json_object_set_new(o, "listeners", addresses(sv));
	if (sv->current)
		json_object_set_new(o, "modules", strings(&sv->current->modules));
	if (sv->current && json_object_size(sv->current->facts) > 0)
		json_object_set_new(o, "facts", child_facts_flat(sv->current));
	json_object_set_new(o, "configuration", json_text(sv->dirs.config_file));
	json_object_set_new(o, "state", json_text(sv->dirs.state));
	json_object_set_new(o, "log", json_text(sv->dirs.log));
	return o;
}

static const char *note(const struct supervisor *sv, const struct child *c)
{
	if (c->state == CHILD_CANDIDATE)
		return c->progress;
	return c == sv->current && sv->trouble ? sv->trouble : "";
}

static json_t *row(const struct supervisor *sv, const struct child *c)
{
	json_t *o = json_object();

	if (!o)
		return NULL;
	json_object_set_new(o, "generation", json_integer(c->generation));
	json_object_set_new(o, "state", json_string(state_name(sv, c)));
	json_object_set_new(o, "pid", json_integer(c->pid ? c->pid : getpid()));
	json_object_set_new(o, "sessions", json_integer((json_int_t)c->sessions));
	json_object_set_new(o, "age_seconds", seconds_since(c->started));
	json_object_set_new(o, "ready_ms",
			    json_integer(c->serving ? (json_int_t)(c->serving - c->started) : 0));
	json_object_set_new(o, "version", json_text(c->version));
	json_object_set_new(o, "note", json_text(note(sv, c)));
	return o;
}

json_t *supervisor_generations(const struct supervisor *sv)
{
	json_t *array = json_array();

	for (const struct child *c = sv->children; array && c; c = c->next)
		json_array_append_new(array, row(sv, c));
	return array;
}
