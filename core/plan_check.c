/*
 * plan_check.c - values against rows, for the server and for each module; listeners among them.
 */
#include "config.h"

#include "conf_value.h"
#include "plan_private.h"

#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include <postern/service.h>

/* ---- a key that stands in the wrong place ------------------------------------------------- */

static const char *find_key(struct arena *arena, const struct pstn_module *m,
			    const struct pstn_option *rows, const char *prefix, const char *key)
{
	struct pstn_option row;
	const char *found = NULL;

	for (unsigned i = 0; rows && !found && manifest_option(m, rows, i, &row); i++) {
		if (!strcmp(row.name, key))
			found = arena_printf(arena, "%s.%s", prefix, key);
		else if (row.type == PSTN_MAP)
			found = find_key(arena, m, row.child,
					 arena_printf(arena, "%s.%s", prefix, row.name), key);
	}
	return found;
}

/* "server.user" or "pop3.idle_timeout of module pop3"... for a report; NULL: nowhere. */
static const char *elsewhere(void *arg, const char *key)
{
	struct planning *p = arg;
	const char *found = find_key(p->arena, &conf_server, conf_server.options, "server", key);

	for (unsigned i = 0; i < p->count && !found; i++) {
		const struct plan_module *m = &p->candidates[i].module;
		if (m->manifest)
			found = find_key(p->arena, m->manifest, m->manifest->options, m->name, key);
	}
	return found;
}

static struct conf_check checker(struct planning *p, const struct pstn_module *module)
{
	return (struct conf_check){.arena = p->arena,
				   .reports = p->reports,
				   .dirs = &p->data->plan.dirs,
				   .module = module,
				   .elsewhere = elsewhere,
				   .arg = p};
}

/* ---- server ------------------------------------------------------------------------------- */

static void check_order(struct planning *p, const struct conf_node *server, const char *what,
			int64_t min, int64_t max)
{
	const struct conf_node *node = conf_node_find(server, what);

	if (node && max && min > max)
		report_error(p->reports, node->key_place,
			     "server.%s: min (%lld) is greater than max (%lld)", what,
			     (long long)min, (long long)max);
}

static void check_user(struct planning *p, const struct conf_node *server)
{
	const struct conf_node *node = conf_node_find(server, "user");
	const char *user = p->data->plan.server.user;

	if (node && !node->broken && user && *user && !geteuid() && !getpwnam(user))
		report_error(
		    p->reports, node->place,
		    "server.user: there is no user \"%s\": make it with \"adduser --system --group "
		    "--no-create-home %s\", or name another",
		    user, user);
}

void plan_check_server(struct planning *p, struct conf_node *server)
{
	struct server_conf *conf = &p->data->plan.server;
	struct conf_check c = checker(p, &conf_server);
	struct conf_node *map = server && server->kind == CONF_MAP ? server : NULL;

	c.lossy = server && (server->lossy || server->broken);
	if (server && !map && !conf_node_is_null(server))
		report_error(p->reports, server->place, "server: %s, expected %s",
			     conf_found(p->arena, server), value_type_name(PSTN_MAP));
	conf_check_map(&c, conf_server.options, map, (struct place){0}, conf, "server", NULL);
	check_order(p, map, "reactors", conf->reactors.min, conf->reactors.max);
	check_order(p, map, "job_threads", conf->job_threads.min, conf->job_threads.max);
	check_user(p, map);
}

/* ---- modules ------------------------------------------------------------------------------ */

static const struct pstn_service *service_of(const struct pstn_module *m)
{
	struct pstn_offer offer;
	int i = plan_find_offer(m, PSTN_SERVICE_STREAM, 1, 0);

	return i >= 0 && manifest_offer(m, (unsigned)i, &offer) ? offer.table : NULL;
}

bool plan_is_service(const struct pstn_module *m)
{
	return service_of(m) != NULL;
}

static void default_listener(struct planning *p, struct plan_module *m,
			     const struct pstn_service *service)
{
	struct value_address address;

	if (!service->default_listener)
		return;
	const char *wrong = value_address(service->default_listener, &address);
	if (wrong) {
		report_error(p->reports, m->place,
			     "%s: the module's own default listener \"%s\" %s: name listeners here",
			     m->name, service->default_listener, wrong);
		return;
	}
	m->listeners = arena_alloc(p->arena, sizeof *m->listeners);
	m->nlisteners = 1;
	m->listeners->address = arena_strdup(p->arena, address.text);
	m->listeners->backlog = 511;
}

static void check_listeners(struct planning *p, struct candidate *c)
{
	struct conf_node *node = conf_node_find(c->node, "listeners");
	const struct pstn_service *service = service_of(c->module.manifest);
	struct conf_check check = checker(p, &conf_module_keys);
	struct pstn_list list = {0};
	struct pstn_option row;

	if (node && !service) {
		node->known = true;
		report_error(p->reports, node->key_place,
			     "%s.listeners: this module serves no clients, so it has no listeners: "
			     "remove the key",
			     c->module.name);
		return;
	}
	if (!node && service)
		default_listener(p, &c->module, service);
	if (node &&
	    manifest_option(&conf_module_keys, conf_module_keys.options, KEY_LISTENERS, &row)) {
		conf_check_value(&check, &row, node, &list,
				 arena_printf(p->arena, "%s.listeners", c->module.name));
		c->module.listeners = list.items;
		c->module.nlisteners = list.count;
	}
	for (unsigned i = 0; i < c->module.nlisteners; i++)
		c->module.listeners[i].fd = -1;
}

void plan_check_module(struct planning *p, struct candidate *c)
{
	const struct pstn_module *m = c->module.manifest;
	struct conf_node *map = c->node->kind == CONF_MAP ? c->node : NULL;
	struct conf_node *uses = conf_node_find(map, "uses");

	if (!m) /* its rows are not known */
		return;
	if (uses)
		uses->known = true; /* plan_needs.c judges it */
	check_listeners(p, c);
	struct conf_check check = checker(p, m);
	check.lossy = c->node->lossy || c->node->broken;
	c->module.conf = arena_alloc(p->arena, m->conf_size);
	conf_check_map(&check, m->options, map, c->node->key_place, c->module.conf, c->module.name,
		       conf_module_key_names);
}

/* ---- listeners among each other ----------------------------------------------------------- */

struct bound {
	struct value_address address;
	const struct candidate *owner;
	struct place place;
};

static struct place listener_place(const struct candidate *c, unsigned i)
{
	const struct conf_node *list = conf_node_find(c->node, "listeners");
	const struct conf_node *n = list ? list->first : NULL;

	for (; n && i; i--)
		n = n->next;
	return n ? n->place : c->module.place;
}

static void report_overlap(struct planning *p, const struct bound *a, const struct bound *b)
{
	report_error(
	    p->reports, b->place,
	    "%s: listener %s cannot be bound: %s listens on %s already (%s:%u); change one "
	    "of them",
	    b->owner->module.name, b->address.text, a->owner->module.name, a->address.text,
	    a->place.file, a->place.line);
}

void plan_check_overlaps(struct planning *p)
{
	unsigned total = 0, n = 0;

	for (unsigned i = 0; i < p->count; i++)
		total += p->candidates[i].module.nlisteners;
	struct bound *bound = arena_array(p->arena, total, sizeof *bound);
	for (unsigned i = 0; i < p->count; i++) {
		const struct candidate *c = &p->candidates[i];
		for (unsigned k = 0; k < c->module.nlisteners; k++) {
			const char *text = c->module.listeners[k].address;
			if (!text || value_address(text, &bound[n].address))
				continue; /* reported */
			bound[n].owner = c;
			bound[n].place = listener_place(c, k);
			for (unsigned earlier = 0; earlier < n; earlier++)
				if (value_addresses_overlap(&bound[earlier].address,
							    &bound[n].address)) {
					report_overlap(p, &bound[earlier], &bound[n]);
					break;
				}
			n++;
		}
	}
}
