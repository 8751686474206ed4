/*
 * conf_check.h - nodes against option rows: every fault is named, every value lands in its struct.
 */
#ifndef CORE_CONF_CHECK_H
#define CORE_CONF_CHECK_H

#include "conf_node.h"
#include "dirs.h"

struct conf_check {
	struct arena *arena;
	struct reports *reports;
	const struct dirs *dirs;
	const struct pstn_module *module; /* whose rows: its strides */
	bool lossy; /* where there is no mapping: whether its lines may have been lost */
	/* Where else a key of this name is known: "storage.path"; NULL: nowhere. May be NULL. */
	const char *(*elsewhere)(void *arg, const char *key);
	void *arg;
};

/*
 * Fill base by the rows from a mapping. map NULL or empty: all defaults; place is then blamed for
 * what is required. extra: further names that are good here (NULL ends; may be NULL), for
 * suggestions only: their nodes are to be marked as known before.
 */
void conf_check_map(const struct conf_check *, const struct pstn_option *rows,
		    struct conf_node *map, struct place place, void *base, const char *path,
		    const char *const *extra);
/* One value by one row; field is where it goes. */
void conf_check_value(const struct conf_check *, const struct pstn_option *row,
		      struct conf_node *node, void *field, const char *path);
/* Absolute; relative to the file that names it (NULL: the configuration's directory). NULL: an
 * unknown {word}, which *word then names. */
const char *conf_path(struct arena *, const struct dirs *, const char *text, const char *file,
		      const char **word);
/* 'found "10x"', 'found a list': what a report says of a node. */
const char *conf_found(struct arena *, const struct conf_node *);

#endif
