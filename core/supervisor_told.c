/*
 * supervisor_told.c - what a worker's instances tell: facts for `status`, and how far a start is
 * that takes long. A candidate that gets ahead is given the time it needs.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "json_text.h"
#include "supervisor.h"
#include "told.h"

#define INSTANCES_MAX 256  /* a worker that was taken over is not to fill our memory */
#define SAY_AFTER     2000 /* ms of a start, and then every */
#define SAY_EVERY     5000 /* ms, log and waiting clients hear of it */

void child_facts(struct supervisor *sv, struct child *c, struct link_message *m)
{
	char instance[65], key[FACT_KEY];
	json_t *facts = json_object();

	(void)sv;
	snprintf(instance, sizeof(instance), "%s", link_get_text(m));
	uint64_t n = link_get_number(m);
	for (uint64_t i = 0; i < n && i < FACTS_MAX && !m->bad; i++) {
		snprintf(key, sizeof(key), "%s", link_get_text(m));
		json_object_set_new(facts, key, json_text(link_get_text(m)));
	}
	if (!c->facts)
		c->facts = json_object();
	if (json_object_get(c->facts, instance) || json_object_size(c->facts) < INSTANCES_MAX)
		json_object_set(c->facts, instance, facts);
	json_decref(facts);
}

json_t *child_facts_flat(const struct child *c)
{
	json_t *flat = json_object(), *facts, *value;
	const char *instance, *key;
	char name[sizeof("instance.") + 64 + FACT_KEY];

	json_object_foreach (c->facts, instance, facts) {
		json_object_foreach (facts, key, value) {
			snprintf(name, sizeof(name), "%s.%s", instance, key);
			json_object_set(flat, name, value);
		}
	}
	return flat;
}

/* Whether it is further than when it told the last time. */
static bool moved(struct child *c, struct link_message *m)
{
	char text[sizeof(c->progress)], instance[65], what[128];
	uint64_t done, total;

	snprintf(instance, sizeof(instance), "%s", link_get_text(m));
	snprintf(what, sizeof(what), "%s", link_get_text(m));
	done = link_get_number(m);
	total = link_get_number(m);
	told_progress_text(text, sizeof(text), instance, what, done, total);
	if (strcmp(text, c->progress) == 0 && done == c->progress_done)
		return false;
	memcpy(c->progress, text, sizeof(text));
	c->progress_done = done;
	return true;
}

static void say(struct supervisor *sv, struct child *c, uint64_t now)
{
	char text[sizeof(c->progress) + 40];

	if (now < (c->progress_said ? c->progress_said + SAY_EVERY : c->started + SAY_AFTER))
		return;
	c->progress_said = now;
	snprintf(text, sizeof(text), "generation %u is starting: %s", c->generation, c->progress);
	supervisor_log(sv, PSTN_INFO, "candidate", "%s", text);
	supervisor_boot_note(sv, text);
	clients_note(sv, c->generation, text);
}

void child_progress(struct supervisor *sv, struct child *c, struct link_message *m)
{
	uint64_t now = supervisor_now();

	if (c->state != CHILD_CANDIDATE || c->going || !c->planned || !moved(c, m))
		return;
	if (c->deadline) {
		c->deadline = now + c->limits.ready_deadline;
		notify_starting(sv, c->progress, c->limits.ready_deadline);
	}
	say(sv, c, now);
}
