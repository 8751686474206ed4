/*
 * plan_private.h - a plan with what only its makers need. Private to plan*.c and conf_doc*.c.
 */
#ifndef CORE_PLAN_PRIVATE_H
#define CORE_PLAN_PRIVATE_H

#include "conf_check.h"
#include "conf_rows.h"

/* A module file that was looked at, good or not. */
struct module_file {
	struct module_file *next;
	const char *path;
	struct manifest *manifest; /* NULL: refused */
	const char *error;
};

/* A module of the configuration, on its way into the plan. */
struct candidate {
	struct plan_module module; /* manifest NULL: its file is not usable */
	struct conf_node *node;    /* its mapping, or a text that is null */
	bool placed;               /* has its place in the starting order */
};

struct plan_data {
	struct plan plan; /* first: the public half */
	struct arena *arena;
	struct conf_node *root;
	struct module_file *files;
};

struct planning {
	struct plan_data *data;
	struct arena *arena;
	struct reports *reports;
	struct candidate *candidates;
	unsigned count;
	bool lossy;    /* something could not be read: what seems to be missing may not be */
	bool searched; /* all files of the module directory are in data->files */
};

/* plan_modules.c: find and judge files. */
void plan_find_modules(struct planning *, const struct conf_node *modules);
const struct module_file *plan_judge_file(struct planning *, const char *path);
void plan_search_directory(struct planning *);

/* plan_check.c: values. */
void plan_check_server(struct planning *, struct conf_node *server);
void plan_check_module(struct planning *, struct candidate *);
void plan_check_overlaps(struct planning *);

/* plan_needs.c: who uses whom; fills plan.modules in starting order. */
void plan_bind(struct planning *);

/* Whether clients connect to it, so that it has listeners. */
bool plan_is_service(const struct pstn_module *);
/* Index of the offer row that meets an interface; -1. */
int plan_find_offer(const struct pstn_module *, const char *name, uint16_t major, uint16_t minor);

#endif
