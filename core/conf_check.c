/*
 * conf_check.c - nodes against option rows: every fault is named, every value lands in its struct.
 */
#include "config.h"

#include "conf_check.h"
#include "conf_secret.h"
#include "conf_value.h"
#include "manifest.h"
#include "nearest.h"

#include <string.h>

#define LIST_DEFAULT_MAX 64

/* ---- what a report says ------------------------------------------------------------------- */

const char *conf_found(struct arena *arena, const struct conf_node *node)
{
	if (node->kind == CONF_MAP)
		return "found a mapping";
	if (node->kind == CONF_LIST)
		return "found a list";
	if (conf_node_is_null(node))
		return "found no value";
	size_t n = strlen(node->text);
	if (n > 60)
		for (n = 57; n && ((unsigned char)node->text[n] & 0xc0) == 0x80;)
			n--; /* not within a character */
	return arena_printf(arena, "found \"%.*s%s\"", (int)n, node->text,
			    node->text[n] ? "..." : "");
}

static const char *near_choice(const struct conf_check *c, const struct pstn_option *row,
			       const struct conf_node *node)
{
	struct nearest near;

	if (row->type != PSTN_ENUM || node->kind != CONF_TEXT)
		return "";
	nearest_init(&near, node->text);
	for (unsigned i = 0; row->choices[i]; i++)
		nearest_try(&near, row->choices[i]);
	return nearest_name(&near)
		   ? arena_printf(c->arena, "; did you mean \"%s\"?", nearest_name(&near))
		   : "";
}

/* What is to be said beyond "expected a duration". */
static const char *advice(const struct conf_check *c, const struct pstn_option *row,
			  const struct conf_node *node)
{
	struct value_address address;

	if (node->kind == CONF_MAP && node->place.line > node->key_place.line && node->key)
		return " (are the lines below it indented too deep?)";
	if (node->kind != CONF_TEXT || conf_node_is_null(node))
		return "";
	if (row->type == PSTN_ADDRESS) {
		const char *wrong = value_address(node->text, &address);
		return wrong ? arena_printf(c->arena, " (it %s)", wrong) : "";
	}
	if (row->type == PSTN_DURATION && *node->text &&
	    !node->text[strspn(node->text, "0123456789")])
		return " (a unit is missing)";
	if (row->type == PSTN_MAP && strpbrk(node->text, ": ="))
		return " (is the colon, or the space after it, missing?)";
	return near_choice(c, row, node);
}

static void mismatch(const struct conf_check *c, const struct pstn_option *row,
		     const struct conf_node *node, const char *path)
{
	char expected[512];
	bool hidden = (row->flags & PSTN_SECRET) && node->kind == CONF_TEXT;

	if (node->broken || (node->lossy && conf_node_is_null(node)))
		return;
	value_expected(row, expected, sizeof expected);
	report_error(c->reports, node->place, "%s: %s, expected %s%s", path,
		     hidden ? "found something else" : conf_found(c->arena, node), expected,
		     hidden ? "" : advice(c, row, node));
}

static const char *near_key(const struct conf_check *c, const struct pstn_option *rows,
			    const char *const *extra, const char *key)
{
	struct nearest near;
	struct pstn_option row;

	nearest_init(&near, key);
	for (unsigned i = 0; rows && manifest_option(c->module, rows, i, &row); i++)
		nearest_try(&near, row.name);
	for (unsigned i = 0; extra && extra[i]; i++)
		nearest_try(&near, extra[i]);
	/* A row's name lies in the manifest's copy, an extra name anywhere: both outlive the
	 * report. */
	return nearest_name(&near);
}

static void unknown_key(const struct conf_check *c, const struct pstn_option *rows,
			const char *const *extra, const struct conf_node *node, const char *path)
{
	const char *near = near_key(c, rows, extra, node->key);
	const char *other = c->elsewhere ? c->elsewhere(c->arg, node->key) : NULL;

	if (node->broken && !near) /* not even a key, probably */
		return;
	report_error(c->reports, node->key_place, "%s.%s: unknown key%s%s%s%s%s%s", path, node->key,
		     near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "",
		     other ? "; there is " : "", other ? other : "",
		     near || other ? "" : "; `posternd --print reference` lists those there are");
}

/* ---- texts -------------------------------------------------------------------------------- */

static const char *directory_of(const struct dirs *dirs, const char *word, size_t length)
{
	const struct {
		const char *word, *path;
	} table[] = {{"config", dirs->config},
		     {"state", dirs->state},
		     {"run", dirs->run},
		     {"log", dirs->log},
		     {"modules", dirs->modules}};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (strlen(table[i].word) == length && !memcmp(table[i].word, word, length))
			return table[i].path;
	return NULL;
}

const char *conf_path(struct arena *arena, const struct dirs *dirs, const char *text,
		      const char *file, const char **word)
{
	const char *slash = file ? strrchr(file, '/') : NULL;

	if (!*text || *text == '/')
		return arena_strdup(arena, text);
	if (*text == '{') {
		size_t length = strcspn(text + 1, "}");
		const char *top = directory_of(dirs, text + 1, length);
		bool whole = text[length + 1] == '}' && strchr("/", text[length + 2]);
		if (top && whole)
			return arena_printf(arena, "%s%s", top, text + length + 2);
		*word = arena_strndup(arena, text, strcspn(text, "/"));
		return NULL;
	}
	if (slash)
		return arena_printf(arena, "%.*s/%s", (int)(slash - file), file, text);
	return arena_printf(arena, "%s/%s", dirs->config, text);
}

static const char *expand(const struct conf_check *c, const char *text,
			  const struct conf_node *node, const char *path)
{
	const char *word = NULL;
	const char *whole =
	    conf_path(c->arena, c->dirs, text, node ? node->place.file : NULL, &word);

	if (whole)
		return whole;
	report_error(c->reports, node ? node->place : (struct place){0},
		     "%s: %s is no directory of an instance: expected {config}, {state}, {run}, "
		     "{log} or {modules}, and then / or nothing",
		     path, word);
	return "";
}

static const char *socket_path(const struct conf_check *c, const char *text,
			       const struct conf_node *node, const char *path)
{
	if (strncmp(text, "unix:{", 6))
		return text;
	return arena_printf(c->arena, "unix:%s", expand(c, text + 5, node, path));
}

/* The text as the module is to see it: an absolute path, an address in canonical form. */
static const char *finished_text(const struct conf_check *c, const struct pstn_option *row,
				 const char *text, const struct conf_node *node, const char *path)
{
	struct value_address address;

	if (row->type == PSTN_PATH)
		return expand(c, text, node, path);
	if (row->type == PSTN_ADDRESS && !value_address(text, &address))
		return arena_strdup(c->arena, address.text);
	return arena_strdup(c->arena, text);
}

/* ---- one value ---------------------------------------------------------------------------- */

static bool is_text(uint32_t type)
{
	return type == PSTN_STRING || type == PSTN_PATH || type == PSTN_ADDRESS;
}

static void store(void *field, const struct pstn_option *row, const union value *value)
{
	switch (row->type) {
	case PSTN_BOOL:
		memcpy(field, &value->boolean, sizeof value->boolean);
		break;
	case PSTN_INT:
		memcpy(field, &value->number, sizeof value->number);
		break;
	case PSTN_ENUM:
		memcpy(field, &value->choice, sizeof value->choice);
		break;
	default:
		memcpy(field, &value->amount, sizeof value->amount);
		break;
	}
}

/* node NULL: the text is a row's default. false: it does not fit the row. */
static bool set_scalar(const struct conf_check *c, const struct pstn_option *row, const char *text,
		       const struct conf_node *node, void *field, const char *path)
{
	union value value;

	if (row->type == PSTN_ADDRESS)
		text = socket_path(c, text, node, path);
	if (!value_scalar(row, text, &value) && (node || *text))
		return false;
	if (is_text(row->type)) {
		const char *finished = finished_text(c, row, text, node, path);
		memcpy(field, &finished, sizeof finished);
	} else {
		store(field, row, &value);
	}
	return true;
}

static void check_secret(const struct conf_check *c, const struct pstn_option *row,
			 struct conf_node *node, void *field, const char *path)
{
	const char *text = conf_secret_file(c, node, path);

	if (text && !set_scalar(c, row, text, node, field, path))
		mismatch(c, row, node, path);
}

static void check_scalar(const struct conf_check *c, const struct pstn_option *row,
			 struct conf_node *node, void *field, const char *path)
{
	if ((row->flags & PSTN_SECRET) && node->kind == CONF_MAP) {
		check_secret(c, row, node, field, path);
		return;
	}
	if (node->kind != CONF_TEXT || conf_node_is_null(node) ||
	    !set_scalar(c, row, node->text, node, field, path))
		mismatch(c, row, node, path);
	else if (row->flags & PSTN_SECRET)
		conf_secret_inline(c, node, path);
}

/* ---- lists -------------------------------------------------------------------------------- */

/* A mapping of which only the first key is wanted may be written as that key's value alone. */
static struct conf_node *as_mapping(const struct conf_check *c, const struct pstn_option *item,
				    struct conf_node *node)
{
	struct pstn_option first;

	if (item->type != PSTN_MAP || node->kind != CONF_TEXT || conf_node_is_null(node) ||
	    !manifest_option(c->module, item->child, 0, &first))
		return node;
	struct conf_node *map = conf_node_new(c->arena, CONF_MAP, node->place);
	struct conf_node *value = arena_alloc(c->arena, sizeof *value);
	*value = *node;
	value->next = NULL;
	value->key = first.name;
	value->key_place = node->place;
	map->key_place = node->place;
	conf_node_add(map, value);
	return map;
}

static bool count_is_good(const struct pstn_option *row, unsigned count)
{
	int64_t bound;

	return !(row->min && value_int(row->min, &bound) && count < bound) &&
	       !(row->max && value_int(row->max, &bound) && count > bound);
}

static void check_list(const struct conf_check *c, const struct pstn_option *row,
		       struct conf_node *node, void *field, const char *path)
{
	struct pstn_list list = {0};
	struct pstn_option item;

	if (node->kind != CONF_LIST || !manifest_option(c->module, row->child, 0, &item) ||
	    !count_is_good(row, conf_node_count(node))) {
		mismatch(c, row, node, path);
		return;
	}
	list.items = arena_array(c->arena, conf_node_count(node), item.item_size);
	for (struct conf_node *n = node->first; n; n = n->next) {
		char *at = (char *)list.items + (size_t)list.count * item.item_size;
		const char *where = arena_printf(c->arena, "%s[%u]", path, list.count++);
		conf_check_value(c, &item, as_mapping(c, &item, n), at, where);
	}
	memcpy(field, &list, sizeof list);
}

/* A list's default is its items with commas between them. */
static void default_list(const struct conf_check *c, const struct pstn_option *row, void *field,
			 const char *path)
{
	struct conf_node *list = conf_node_new(c->arena, CONF_LIST, (struct place){0});

	for (const char *p = row->def; *p;) {
		p += strspn(p, ", ");
		size_t length = strcspn(p, ",");
		struct conf_node *item = conf_node_new(c->arena, CONF_TEXT, (struct place){0});
		item->text = arena_strndup(c->arena, p, length);
		if (length)
			conf_node_add(list, item);
		p += length;
	}
	check_list(c, row, list, field, path);
}

/* ---- mappings ----------------------------------------------------------------------------- */

static void check_map_value(const struct conf_check *c, const struct pstn_option *row,
			    struct conf_node *node, void *field, const char *path)
{
	struct place place = node->key ? node->key_place : node->place;
	struct conf_check inside = *c;

	inside.lossy = node->lossy || node->broken;
	if (node->kind == CONF_MAP)
		conf_check_map(&inside, row->child, node, place, field, path, NULL);
	else if (conf_node_is_null(node))
		conf_check_map(&inside, row->child, NULL, place, field, path, NULL);
	else
		mismatch(c, row, node, path);
}

void conf_check_value(const struct conf_check *c, const struct pstn_option *row,
		      struct conf_node *node, void *field, const char *path)
{
	node->known = true;
	if (row->type == PSTN_MAP)
		check_map_value(c, row, node, field, path);
	else if (row->type == PSTN_LIST)
		check_list(c, row, node, field, path);
	else
		check_scalar(c, row, node, field, path);
}

static void set_default(const struct conf_check *c, const struct pstn_option *row,
			struct place place, void *field, const char *path)
{
	const char *none = "";

	if (row->flags & PSTN_REQUIRED) {
		if (!c->lossy)
			report_error(c->reports, place,
				     "%s is missing: it has no default, expected %s", path,
				     value_type_name(row->type));
	} else if (row->type == PSTN_MAP) {
		conf_check_map(c, row->child, NULL, place, field, path, NULL);
	} else if (row->def && row->type == PSTN_LIST) {
		default_list(c, row, field, path);
	} else if (row->def) {
		set_scalar(c, row, row->def, NULL, field, path);
	} else if (is_text(row->type)) {
		memcpy(field, &none, sizeof none);
	}
}

void conf_check_map(const struct conf_check *c, const struct pstn_option *rows,
		    struct conf_node *map, struct place place, void *base, const char *path,
		    const char *const *extra)
{
	struct pstn_option row;

	for (unsigned i = 0; rows && manifest_option(c->module, rows, i, &row); i++) {
		void *field = (char *)base + row.offset;
		const char *where = arena_printf(c->arena, "%s.%s", path, row.name);
		struct conf_node *node = conf_node_find(map, row.name);
		if (node)
			conf_check_value(c, &row, node, field, where);
		else
			set_default(c, &row, place, field, where);
	}
	for (struct conf_node *n = map ? map->first : NULL; n; n = n->next)
		if (!n->known)
			unknown_key(c, rows, extra, n, path);
}
