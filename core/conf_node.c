/*
 * conf_node.c - a configuration as it was written: mappings, lists, texts, each with its place.
 */
#include "config.h"

#include "conf_node.h"

#include <string.h>

struct conf_node *conf_node_new(struct arena *arena, enum conf_kind kind, struct place place)
{
	struct conf_node *node = arena_alloc(arena, sizeof *node);

	node->kind = kind;
	node->place = place;
	return node;
}

void conf_node_add(struct conf_node *parent, struct conf_node *child)
{
	if (parent->last)
		parent->last->next = child;
	else
		parent->first = child;
	parent->last = child;
}

struct conf_node *conf_node_find(const struct conf_node *map, const char *key)
{
	if (!map || map->kind != CONF_MAP)
		return NULL;
	for (struct conf_node *n = map->first; n; n = n->next)
		if (!strcmp(n->key, key))
			return n;
	return NULL;
}

unsigned conf_node_count(const struct conf_node *node)
{
	unsigned count = 0;

	for (const struct conf_node *n = node->first; n; n = n->next)
		count++;
	return count;
}

bool conf_node_is_null(const struct conf_node *node)
{
	return node->kind == CONF_TEXT && !node->quoted &&
	       (!*node->text || !strcmp(node->text, "~") || !strcmp(node->text, "null"));
}
