/*
 * plan_needs.c - who uses whom: needs bound to offers, and the starting order that follows.
 */
#include "config.h"

#include "conf_value.h"
#include "nearest.h"
#include "plan_private.h"

#include <string.h>

int plan_find_offer(const struct pstn_module *m, const char *name, uint16_t major, uint16_t minor)
{
	struct pstn_offer offer;

	for (unsigned i = 0; m && manifest_offer(m, i, &offer); i++)
		if (!strcmp(offer.name, name) && offer.major == major && offer.minor >= minor)
			return (int)i;
	return -1;
}

/* ---- `uses` ------------------------------------------------------------------------------- */

static bool has_need(const struct pstn_module *m, const char *name)
{
	struct pstn_need need;

	for (unsigned i = 0; manifest_need(m, i, &need); i++)
		if (!strcmp(need.name, name))
			return true;
	return false;
}

static int find_instance(const struct planning *p, const char *name)
{
	for (unsigned i = 0; i < p->count; i++)
		if (!strcmp(p->candidates[i].module.name, name))
			return (int)i;
	return -1;
}

static void unknown_use(struct planning *p, const struct candidate *c, const struct conf_node *n)
{
	struct nearest near;
	struct pstn_need need;
	const char *all = "";

	nearest_init(&near, n->key);
	for (unsigned i = 0; manifest_need(c->module.manifest, i, &need); i++) {
		nearest_try(&near, need.name);
		all = arena_printf(p->arena, "%s%s%s", all, *all ? ", " : "", need.name);
	}
	const char *name = nearest_name(&near);
	report_error(p->reports, n->key_place,
		     "%s.uses.%s: the module needs no such interface%s%s%s", c->module.name, n->key,
		     name   ? "; did you mean \""
		     : *all ? "; it needs "
			    : "",
		     name ? name : all, name ? "\"?" : "");
}

static void check_use(struct planning *p, const struct candidate *c, const struct conf_node *n)
{
	struct nearest near;

	if (!has_need(c->module.manifest, n->key)) {
		unknown_use(p, c, n);
		return;
	}
	if (n->broken)
		return;
	if (n->kind != CONF_TEXT || conf_node_is_null(n)) {
		report_error(p->reports, n->place, "%s.uses.%s: %s, expected a module's name",
			     c->module.name, n->key, conf_found(p->arena, n));
		return;
	}
	if (find_instance(p, n->text) >= 0)
		return;
	nearest_init(&near, n->text);
	for (unsigned i = 0; i < p->count; i++)
		nearest_try(&near, p->candidates[i].module.name);
	const char *name = nearest_name(&near);
	report_error(p->reports, n->place,
		     "%s.uses.%s: there is no module \"%s\" in the configuration%s%s%s",
		     c->module.name, n->key, n->text, name ? "; did you mean \"" : "",
		     name ? name : "", name ? "\"?" : "");
}

static void check_uses(struct planning *p, const struct candidate *c)
{
	const struct conf_node *uses = conf_node_find(c->node, "uses");

	if (!uses || conf_node_is_null(uses))
		return;
	if (uses->kind != CONF_MAP) {
		report_error(
		    p->reports, uses->place,
		    "%s.uses: %s, expected interfaces and modules: {storage.maildrop: NAME}",
		    c->module.name, conf_found(p->arena, uses));
		return;
	}
	for (const struct conf_node *n = uses->first; n; n = n->next)
		check_use(p, c, n);
}

/* ---- binding ------------------------------------------------------------------------------ */

static const char *version_text(struct arena *arena, uint16_t major, uint16_t minor)
{
	return arena_printf(arena, "%u.%u", major, minor);
}

/* Modules in the directory that would meet the need: "storage, store2"; or "" */
static const char *who_offers(struct planning *p, const struct pstn_need *need)
{
	const char *all = "";

	plan_search_directory(p);
	for (const struct module_file *f = p->data->files; f; f = f->next)
		if (f->manifest && plan_find_offer(manifest_module(f->manifest), need->name,
						   need->major, need->minor) >= 0) {
			const char *slash = strrchr(f->path, '/');
			const char *name = slash ? slash + 1 : f->path;
			all = arena_printf(p->arena, "%s%s%.*s", all, *all ? ", " : "",
					   (int)strcspn(name, "."), name);
		}
	return all;
}

/* A configured module that offers the interface in a version that does not do; or NULL. */
static const char *wrong_version(struct planning *p, const struct pstn_need *need)
{
	struct pstn_offer offer;

	for (unsigned i = 0; i < p->count; i++) {
		const struct plan_module *m = &p->candidates[i].module;
		for (unsigned k = 0; m->manifest && manifest_offer(m->manifest, k, &offer); k++)
			if (!strcmp(offer.name, need->name))
				return arena_printf(p->arena, "%s offers version %u.%u only",
						    m->name, offer.major, offer.minor);
	}
	return NULL;
}

static void unmet(struct planning *p, const struct candidate *c, const struct pstn_need *need)
{
	const char *version = version_text(p->arena, need->major, need->minor);
	const char *wrong = wrong_version(p, need);
	const char *files = who_offers(p, need);

	report_error(p->reports, c->module.place,
		     "%s needs the interface %s %s, which no module here offers%s%s%s%s%s",
		     c->module.name, need->name, version, wrong ? " (" : "", wrong ? wrong : "",
		     wrong ? ")" : "",
		     *files ? "; add one of these under modules: "
			    : "; no file in the module directory offers it either",
		     files);
}

static void ambiguous(struct planning *p, const struct candidate *c, const struct pstn_need *need)
{
	const char *all = "";

	for (unsigned i = 0; i < p->count; i++)
		if (&p->candidates[i] != c &&
		    plan_find_offer(p->candidates[i].module.manifest, need->name, need->major,
				    need->minor) >= 0)
			all = arena_printf(p->arena, "%s%s%s", all, *all ? " and " : "",
					   p->candidates[i].module.name);
	report_error(p->reports, c->module.place,
		     "%s needs one %s, and %s offer it: say which with uses: {%s: NAME}",
		     c->module.name, need->name, all, need->name);
}

/* Something in `uses` has been reported: the choice that seems to be missing may be there. */
static bool uses_are_faulty(const struct candidate *c, const struct conf_node *uses)
{
	if (c->node->lossy || (uses && (uses->kind != CONF_MAP || uses->lossy || uses->broken)))
		return true;
	for (const struct conf_node *n = uses ? uses->first : NULL; n; n = n->next)
		if (n->broken || n->kind != CONF_TEXT || conf_node_is_null(n) ||
		    !has_need(c->module.manifest, n->key))
			return true;
	return false;
}

/* The candidate whose offer meets the need; -1 if none does, -2 if a report says why not. */
static int choose(struct planning *p, const struct candidate *c, const struct pstn_need *need)
{
	const struct conf_node *uses = conf_node_find(c->node, "uses");
	const struct conf_node *wish = uses ? conf_node_find(uses, need->name) : NULL;
	int found = -1;

	if (wish && wish->kind == CONF_TEXT && !conf_node_is_null(wish)) {
		int i = find_instance(p, wish->text);
		const struct pstn_module *m = i >= 0 ? p->candidates[i].module.manifest : NULL;
		if (m && plan_find_offer(m, need->name, need->major, need->minor) >= 0)
			return i;
		if (m)
			report_error(p->reports, wish->place,
				     "%s.uses.%s: \"%s\" does not offer version %u.%u of it",
				     c->module.name, need->name, wish->text, need->major,
				     need->minor);
		return -2;
	}
	for (unsigned i = 0; i < p->count; i++) {
		const struct candidate *other = &p->candidates[i];
		if (other == c || plan_find_offer(other->module.manifest, need->name, need->major,
						  need->minor) < 0)
			continue;
		if (found >= 0) {
			if (!uses_are_faulty(c, uses))
				ambiguous(p, c, need);
			return -2;
		}
		found = (int)i;
	}
	return found;
}

static unsigned count_needs(const struct pstn_module *m)
{
	struct pstn_need need;
	unsigned n = 0;

	while (manifest_need(m, n, &need))
		n++;
	return n;
}

static void bind_one(struct planning *p, struct candidate *c)
{
	const struct pstn_module *m = c->module.manifest;
	struct pstn_need need;

	if (!m)
		return;
	check_uses(p, c);
	c->module.needs = arena_array(p->arena, count_needs(m), sizeof *c->module.needs);
	for (unsigned i = 0; manifest_need(m, i, &need); i++) {
		int other = choose(p, c, &need);
		c->module.needs[i].module = other < 0 ? -1 : other;
		if (other >= 0)
			c->module.needs[i].offer =
			    (unsigned)plan_find_offer(p->candidates[other].module.manifest,
						      need.name, need.major, need.minor);
		else if (other == -1 && !(need.flags & PSTN_OPTIONAL) && !p->lossy)
			unmet(p, c, &need);
	}
}

/* ---- order -------------------------------------------------------------------------------- */

static bool is_ready(const struct planning *p, const struct candidate *c)
{
	struct pstn_need need;

	for (unsigned i = 0; c->module.manifest && manifest_need(c->module.manifest, i, &need); i++)
		if (c->module.needs[i].module >= 0 &&
		    !p->candidates[c->module.needs[i].module].placed)
			return false;
	return true;
}

/* The first need of c whose provider waits too: there is one in every module of a circle. */
static int waits_for(const struct planning *p, unsigned c, const char **what)
{
	const struct plan_module *m = &p->candidates[c].module;
	struct pstn_need need;

	for (unsigned i = 0; manifest_need(m->manifest, i, &need); i++)
		if (m->needs[i].module >= 0 && !p->candidates[m->needs[i].module].placed) {
			*what = need.name;
			return m->needs[i].module;
		}
	return -1;
}

static void report_circle(struct planning *p, unsigned first)
{
	const char *text = "", *what = "";
	unsigned c = first, start = p->count;

	/* After as many steps as there are modules one is inside the circle for sure. */
	for (unsigned i = 0; i < p->count; i++)
		c = (unsigned)waits_for(p, c, &what);
	first = c;
	do { /* begin with the one that the file names first */
		c = (unsigned)waits_for(p, c, &what);
		if (c < start)
			start = c;
	} while (c != first);
	first = c = start;
	do {
		int next = waits_for(p, c, &what);
		text = arena_printf(p->arena, "%s%s%s needs %s of %s", text, *text ? ", " : "",
				    p->candidates[c].module.name, what,
				    p->candidates[next].module.name);
		c = (unsigned)next;
	} while (c != first);
	report_error(p->reports, p->candidates[first].module.place,
		     "modules need each other in a circle, so that none can start first: %s", text);
}

/* Providers first; among those that can start, the order of the file. */
static void put_in_order(struct planning *p)
{
	struct plan *plan = &p->data->plan;
	int *index = arena_array(p->arena, p->count, sizeof *index);
	unsigned i = 0;

	plan->modules = arena_array(p->arena, p->count, sizeof *plan->modules);
	while (plan->nmodules < p->count) {
		for (i = 0; i < p->count; i++)
			if (!p->candidates[i].placed && is_ready(p, &p->candidates[i]))
				break;
		if (i == p->count)
			break;
		p->candidates[i].placed = true;
		index[i] = (int)plan->nmodules;
		plan->modules[plan->nmodules++] = p->candidates[i].module;
	}
	for (i = 0; i < p->count && plan->nmodules < p->count; i++)
		if (!p->candidates[i].placed) {
			report_circle(p, i);
			return;
		}
	for (i = 0; i < plan->nmodules; i++) {
		struct plan_module *m = &plan->modules[i];
		unsigned n = m->manifest ? count_needs(m->manifest) : 0;
		for (unsigned k = 0; k < n; k++)
			if (m->needs[k].module >= 0)
				m->needs[k].module = index[m->needs[k].module];
	}
}

void plan_bind(struct planning *p)
{
	for (unsigned i = 0; i < p->count; i++)
		bind_one(p, &p->candidates[i]);
	put_in_order(p);
}
