/*
 * conf_node.h - a configuration as it was written: mappings, lists, texts, each with its place.
 */
#ifndef CORE_CONF_NODE_H
#define CORE_CONF_NODE_H

#include "arena.h"
#include "reports.h"

enum conf_kind { CONF_TEXT = 1, CONF_MAP, CONF_LIST };

struct conf_node {
	struct conf_node *next; /* sibling */
	enum conf_kind kind;
	struct place place;
	const char *key; /* in a mapping, else NULL */
	struct place key_place;
	const char *text; /* CONF_TEXT */
	bool quoted;
	bool broken; /* a syntax error has been reported here: not judged again */
	bool lossy;  /* lines of its own were lost to one: what seems to be missing may not be */
	bool known;  /* the check has taken it up */
	struct conf_node *first, *last; /* children */
};

struct conf_node *conf_node_new(struct arena *, enum conf_kind, struct place);
void conf_node_add(struct conf_node *parent, struct conf_node *child);
struct conf_node *conf_node_find(const struct conf_node *map, const char *key);
unsigned conf_node_count(const struct conf_node *);
/* "key:" and nothing behind it, "~" or "null". */
bool conf_node_is_null(const struct conf_node *);

/*
 * Read a file and all that it includes into one mapping. Everything wrong with the files themselves
 * (unreadable, not UTF-8, not YAML, a key twice) goes to reports; what could be read is returned
 * all the same, so that it can be checked in the same run. NULL: nothing could be read.
 */
struct conf_node *conf_read(const char *path, struct arena *, struct reports *);

#endif
