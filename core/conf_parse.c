/*
 * conf_parse.c - the YAML of one file to nodes.
 *
 * Postern takes a plain subset: one document, mappings with plain keys, lists, one-line values.
 * Anchors, aliases, tags and values that run over lines are refused: in a configuration they are
 * nearly always a slip (a missing quote, a wrong indentation), and refusing them names the line.
 */
#include "config.h"

#include "conf_fault.h"
#include "conf_parse.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 32
#define NODES_MAX 10000
#define MENDS_MAX 60
#define KEY_MAX   256
#define VALUE_MAX 16384

struct parse {
	struct conf_source *source;
	struct reports *reports;
	yaml_parser_t parser;
	unsigned nodes;
	bool failed;   /* this attempt is over */
	bool hopeless; /* and there is no sense in mending */
	struct conf_fault fault;
	unsigned line;          /* to be mended */
	unsigned flows;         /* how many [ and { are open */
	yaml_mark_t flow_begin; /* the outermost */
};

static struct conf_node *build(struct parse *, const yaml_event_t *, unsigned depth);

static struct place place_of(const struct parse *p, const yaml_mark_t *mark)
{
	return conf_source_place(p->source, mark->line, mark->column);
}

static const yaml_mark_t *open_flow(const struct parse *p)
{
	return p->flows ? &p->flow_begin : NULL;
}

/* Ends the attempt. A line is reported once, however often it was mended. */
static void fail(struct parse *p)
{
	struct place place = place_of(p, &p->fault.at);
	const struct conf_source *s = p->source;

	p->failed = true;
	p->hopeless = s->nlines == 0;
	p->line = place.line < s->nlines ? place.line : s->nlines; /* or the end of the file */
	if (!p->hopeless && !s->suspect[p->line - 1] && s->states[p->line - 1] == LINE_AS_WRITTEN)
		report_error(p->reports, place, "%s", p->fault.text);
}

static void over_lines(struct parse *p, const yaml_event_t *e)
{
	conf_fault_over_lines(&p->fault, p->source, e, open_flow(p));
	fail(p);
}

/* ---- nodes -------------------------------------------------------------------------------- */

static bool next_event(struct parse *p, yaml_event_t *event)
{
	if (p->failed)
		return false;
	if (yaml_parser_parse(&p->parser, event))
		return true;
	if (p->parser.error == YAML_MEMORY_ERROR)
		arena_must(NULL);
	conf_fault_of_parser(&p->fault, p->source, &p->parser, open_flow(p));
	fail(p);
	return false;
}

static void refuse_extras(struct parse *p, const struct place *place, const yaml_char_t *anchor,
			  const yaml_char_t *tag)
{
	if (anchor)
		report_error(p->reports, *place,
			     "an anchor (&%s): anchors are not supported; write the value out",
			     (const char *)anchor);
	if (tag)
		report_error(p->reports, *place,
			     "a tag (%s): tags are not supported; leave it away",
			     (const char *)tag);
}

static bool runs_over_lines(const yaml_event_t *e)
{
	yaml_scalar_style_t style = e->data.scalar.style;

	return e->end_mark.line > e->start_mark.line && style != YAML_LITERAL_SCALAR_STYLE &&
	       style != YAML_FOLDED_SCALAR_STYLE;
}

static struct conf_node *build_text(struct parse *p, const yaml_event_t *e, struct place place)
{
	const char *text = (const char *)e->data.scalar.value;
	size_t length = e->data.scalar.length;
	struct conf_node *node = conf_node_new(p->source->arena, CONF_TEXT, place);

	node->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	node->broken = p->source->states[place.line - 1] == LINE_KEY_ONLY;
	if (length > VALUE_MAX || strlen(text) != length) {
		report_error(p->reports, place, "a value %s",
			     length > VALUE_MAX ? "of more than 16 KiB" : "with a NUL in it");
		node->broken = true;
		length = 0;
	}
	node->text = arena_strndup(p->source->arena, text, length);
	return node;
}

/* A mark of 1 in flows per open [ or {: what runs over lines inside means that one is not closed. */
static bool enter_flow(struct parse *p, const yaml_event_t *e)
{
	bool flow = e->type == YAML_SEQUENCE_START_EVENT
			? e->data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE
			: e->data.mapping_start.style == YAML_FLOW_MAPPING_STYLE;

	if (flow && !p->flows++)
		p->flow_begin = e->start_mark;
	return flow;
}

/*
 * A child is complete where the next event begins. Lines lost inside it count as its own if they
 * began where its keys begin; deeper ones belong to its children.
 */
static void settle(const struct parse *p, struct conf_node *node, const yaml_event_t *next)
{
	bool map = node && node->kind == CONF_MAP && node->first;

	if (node)
		node->lossy =
		    conf_source_lost(p->source, node->key ? node->key_place.line : node->place.line,
				     (unsigned)next->start_mark.line + 1,
				     node->key ? node->key_place.column + 1 : node->place.column,
				     map ? node->place.column : UINT_MAX);
}

static struct conf_node *build_list(struct parse *p, const yaml_event_t *start, unsigned depth)
{
	struct conf_node *list =
	    conf_node_new(p->source->arena, CONF_LIST, place_of(p, &start->start_mark));
	bool flow = enter_flow(p, start);
	yaml_event_t event;

	while (next_event(p, &event)) {
		settle(p, list->last, &event);
		bool end = event.type == YAML_SEQUENCE_END_EVENT;
		struct conf_node *item = end ? NULL : build(p, &event, depth + 1);
		yaml_event_delete(&event);
		if (end || !item)
			break;
		conf_node_add(list, item);
	}
	p->flows -= flow;
	return list;
}

/* The key as text; NULL (reported) if it is none. */
static const char *build_key(struct parse *p, const yaml_event_t *e, struct place place)
{
	if (e->type != YAML_SCALAR_EVENT) {
		report_error(p->reports, place, "a key has to be a plain name");
		return NULL;
	}
	refuse_extras(p, &place, e->data.scalar.anchor, e->data.scalar.tag);
	if (runs_over_lines(e)) {
		over_lines(p, e);
		return NULL;
	}
	const char *text = (const char *)e->data.scalar.value;
	if (!e->data.scalar.length || e->data.scalar.length > KEY_MAX ||
	    strlen(text) != e->data.scalar.length) {
		report_error(p->reports, place, "a key has to be a plain name");
		return NULL;
	}
	return arena_strdup(p->source->arena, text);
}

static void add_entry(struct parse *p, struct conf_node *map, const char *key, struct place place,
		      struct conf_node *value)
{
	struct conf_node *there = conf_node_find(map, key);

	value->key = key;
	value->key_place = place;
	if (!there) {
		conf_node_add(map, value);
		return;
	}
	report_error(p->reports, place, "%s is set here and in line %u: remove one of them", key,
		     there->key_place.line);
}

static bool build_entry(struct parse *p, struct conf_node *map, const yaml_event_t *key_event,
			unsigned depth)
{
	struct place place = place_of(p, &key_event->start_mark);
	const char *key = build_key(p, key_event, place);
	yaml_event_t event;

	if (key_event->type != YAML_SCALAR_EVENT && !build(p, key_event, depth))
		return false;
	if (!next_event(p, &event))
		return false;
	struct conf_node *value = build(p, &event, depth);
	yaml_event_delete(&event);
	if (value && key)
		add_entry(p, map, key, place, value);
	return value != NULL;
}

static struct conf_node *build_map(struct parse *p, const yaml_event_t *start, unsigned depth)
{
	struct conf_node *map =
	    conf_node_new(p->source->arena, CONF_MAP, place_of(p, &start->start_mark));
	bool flow = enter_flow(p, start);
	yaml_event_t event;

	while (next_event(p, &event)) {
		settle(p, map->last, &event);
		bool more =
		    event.type != YAML_MAPPING_END_EVENT && build_entry(p, map, &event, depth + 1);
		yaml_event_delete(&event);
		if (!more)
			break;
	}
	p->flows -= flow;
	return map;
}

static struct conf_node *build_alias(struct parse *p, const yaml_event_t *e, struct place place)
{
	report_error(p->reports, place,
		     "an alias (*%s): aliases are not supported; write the value out, and put a "
		     "value that begins with * in quotes",
		     (const char *)e->data.alias.anchor);
	struct conf_node *node = conf_node_new(p->source->arena, CONF_TEXT, place);
	node->text = "";
	node->broken = true;
	return node;
}

/* NULL: this attempt is over. */
static struct conf_node *build(struct parse *p, const yaml_event_t *e, unsigned depth)
{
	struct place place = place_of(p, &e->start_mark);

	if (depth > DEPTH_MAX || ++p->nodes > NODES_MAX) {
		report_error(p->reports, place,
			     "more than %d levels or %d values: no configuration", DEPTH_MAX,
			     NODES_MAX);
		p->failed = p->hopeless = true;
		return NULL;
	}
	switch (e->type) {
	case YAML_SCALAR_EVENT:
		refuse_extras(p, &place, e->data.scalar.anchor, e->data.scalar.tag);
		if (runs_over_lines(e)) {
			over_lines(p, e);
			return NULL;
		}
		return build_text(p, e, place);
	case YAML_SEQUENCE_START_EVENT:
		refuse_extras(p, &place, e->data.sequence_start.anchor, e->data.sequence_start.tag);
		return build_list(p, e, depth);
	case YAML_MAPPING_START_EVENT:
		refuse_extras(p, &place, e->data.mapping_start.anchor, e->data.mapping_start.tag);
		return build_map(p, e, depth);
	case YAML_ALIAS_EVENT:
		return build_alias(p, e, place);
	default:
		p->failed = p->hopeless = true;
		return NULL;
	}
}

/* ---- documents and attempts --------------------------------------------------------------- */

static struct conf_node *parse_stream(struct parse *p)
{
	struct conf_node *root = NULL;
	yaml_event_t event;
	bool end = false;

	while (!end && next_event(p, &event)) {
		end = event.type == YAML_STREAM_END_EVENT;
		if (event.type == YAML_DOCUMENT_START_EVENT && root) {
			report_error(p->reports, place_of(p, &event.start_mark),
				     "a second document (---): one file holds one");
			end = true;
		} else if (event.type == YAML_SCALAR_EVENT ||
			   event.type == YAML_SEQUENCE_START_EVENT ||
			   event.type == YAML_MAPPING_START_EVENT ||
			   event.type == YAML_ALIAS_EVENT) {
			root = build(p, &event, 0);
			if (root)
				root->lossy = conf_source_lost(p->source, 1, UINT_MAX, 1, 1);
		}
		yaml_event_delete(&event);
	}
	return root;
}

static struct conf_node *attempt(struct parse *p)
{
	size_t size;
	char *text = conf_source_text(p->source, &size);

	if (!yaml_parser_initialize(&p->parser))
		arena_must(NULL);
	yaml_parser_set_encoding(&p->parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&p->parser, (const unsigned char *)text, size);
	struct conf_node *root = parse_stream(p);
	yaml_parser_delete(&p->parser);
	free(text);
	return root;
}

static bool mend(struct parse *p)
{
	bool mended = conf_source_mend(p->source, p->line, p->fault.indentation);

	if (mended && p->fault.last_line > p->line)
		conf_source_blank_below(p->source, p->line, (unsigned)p->fault.last_line);
	return mended;
}

struct conf_node *conf_parse(struct conf_source *source, struct reports *reports)
{
	struct conf_node *root = NULL;
	unsigned tries = 0;
	bool again = true;

	while (again) {
		struct parse p = {.source = source, .reports = reports};
		root = attempt(&p);
		again = p.failed && !p.hopeless && mend(&p);
		if (again && ++tries > MENDS_MAX) {
			report_error(reports, (struct place){source->path, p.line, 0},
				     "too many syntax errors; the rest of the file was not read");
			return NULL;
		}
	}
	if (root && root->kind == CONF_MAP)
		return root;
	if (!root)
		return NULL;
	if (!root->broken && !conf_node_is_null(root))
		report_error(
		    reports, root->place,
		    "expected \"modules:\" and the modules to run, as \"key: value\" lines");
	return NULL;
}
