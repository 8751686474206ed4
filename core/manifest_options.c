/*
 * manifest_options.c - judge a module's option rows before anybody relies on them.
 *
 * A row that passes has a name, a type that is known, a field that lies inside the conf struct, and
 * a default and bounds that its own type can read. Rows form trees (maps, lists); the depth and the
 * number of rows are bounded, so that a row which is its own child ends here.
 */
#include "config.h"

#include "conf_value.h"
#include "manifest.h"
#include "manifest_judge.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX     8
#define ALL_ROWS_MAX  4096
#define CHOICES_MAX   256
#define ITEM_SIZE_MAX 65536

static bool judge_rows(struct judge *, const struct pstn_module *, const struct pstn_option *rows,
		       size_t room, unsigned depth);

static size_t field_size(uint32_t type)
{
	switch (type) {
	case PSTN_BOOL:
		return sizeof(bool);
	case PSTN_INT:
	case PSTN_BYTES:
	case PSTN_DURATION:
		return sizeof(int64_t);
	case PSTN_STRING:
	case PSTN_PATH:
	case PSTN_ADDRESS:
		return sizeof(const char *);
	case PSTN_ENUM:
		return sizeof(int32_t);
	case PSTN_LIST:
		return sizeof(struct pstn_list);
	default:
		return 0;
	}
}

static size_t field_alignment(uint32_t type)
{
	switch (type) {
	case PSTN_BOOL:
	case PSTN_MAP: /* its rows are judged one by one */
		return 1;
	case PSTN_ENUM:
		return _Alignof(int32_t);
	default:
		return _Alignof(int64_t) > _Alignof(void *) ? _Alignof(int64_t) : _Alignof(void *);
	}
}

static bool judge_choices(struct judge *j, const struct pstn_option *row)
{
	char what[JUDGE_NAME_MAX + 32];

	snprintf(what, sizeof what, "a choice of option %s", row->name);
	for (unsigned i = 0; row->choices && i < CHOICES_MAX; i++) {
		if ((uintptr_t)row->choices % _Alignof(void *) ||
		    !elf_image_has(j->image, row->choices + i, sizeof *row->choices))
			break;
		if (!row->choices[i])
			return i > 0 || judge_fail(j, "option %s has no choices", row->name);
		if (!judge_text(j, row->choices[i], JUDGE_NAME_MAX, what))
			return false;
	}
	return judge_fail(j, "the choices of option %s lie outside the file or have no end",
			  row->name);
}

static bool judge_texts(struct judge *j, const struct pstn_option *row)
{
	const struct {
		const char *text, *what;
		size_t max;
	} texts[] = {
	    {row->def, "default", 1024},
	    {row->min, "minimum", 32},
	    {row->max, "maximum", 32},
	    {row->help, "help", JUDGE_HELP_MAX},
	};

	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		char what[JUDGE_NAME_MAX + 32];
		snprintf(what, sizeof what, "the %s of option %s", texts[i].what, row->name);
		if (texts[i].text && !judge_text(j, texts[i].text, texts[i].max, what))
			return false;
	}
	return row->type != PSTN_ENUM || judge_choices(j, row);
}

static bool bound_is_good(const struct pstn_option *row, const char *bound)
{
	int64_t number;
	uint64_t amount;

	switch (row->type) {
	case PSTN_INT:
	case PSTN_STRING:
	case PSTN_LIST:
		return value_int(bound, &number);
	case PSTN_BYTES:
		return value_bytes(bound, &amount);
	case PSTN_DURATION:
		return value_duration(bound, &amount);
	default:
		return false;
	}
}

/* A default of "" is "none" for texts, paths and addresses; a list's is judged item by item. */
static bool default_is_good(const struct pstn_option *row)
{
	union value value;

	if (!row->def || row->type == PSTN_LIST || (row->type == PSTN_ADDRESS && !*row->def))
		return true;
	return row->type != PSTN_MAP && value_scalar(row, row->def, &value);
}

static bool judge_values(struct judge *j, const struct pstn_option *row)
{
	if ((row->min && !bound_is_good(row, row->min)) ||
	    (row->max && !bound_is_good(row, row->max)))
		return judge_fail(j, "option %s has a bound that is not %s: correct its row",
				  row->name, value_type_name(row->type));
	if (!default_is_good(row))
		return judge_fail(j, "option %s has a default that its own row refuses: correct it",
				  row->name);
	return true;
}

static bool judge_field(struct judge *j, const struct pstn_option *row, size_t offset, size_t room)
{
	if (offset <= room && field_size(row->type) <= room - offset &&
	    offset % field_alignment(row->type) == 0)
		return true;
	return judge_fail(j,
			  "option %s does not lie inside the module's conf struct: set "
			  ".conf_size = sizeof that struct",
			  row->name);
}

static bool judge_item(struct judge *j, const struct pstn_module *m, const struct pstn_option *row,
		       unsigned depth)
{
	struct pstn_option item;
	bool end;

	if (!judge_row(j, row->child, 0, m->option_size, "list item", &end))
		return false;
	if (end || !manifest_option(m, row->child, 0, &item) || !item.item_size ||
	    item.item_size > ITEM_SIZE_MAX)
		return judge_fail(j, "list option %s does not say how large an item is", row->name);
	if (!judge_text(j, item.name, 0, "a list item's name (it has to be empty)"))
		return false;
	item.name = row->name;
	if (item.type == PSTN_LIST)
		return judge_fail(j, "option %s is a list of lists, which is not supported",
				  row->name);
	if (item.type == PSTN_MAP)
		return judge_rows(j, m, item.child, item.item_size, depth + 1);
	return field_size(item.type) ? judge_field(j, &item, 0, item.item_size) &&
					   judge_texts(j, &item) && judge_values(j, &item)
				     : judge_fail(j, "option %s has items of an unknown type (%u)",
						  row->name, item.type);
}

static bool judge_option(struct judge *j, const struct pstn_module *m,
			 const struct pstn_option *row, size_t room, unsigned depth)
{
	if (!judge_name(j, row->name, "", "an option's name"))
		return false;
	if (row->type < PSTN_BOOL || row->type > PSTN_LIST)
		return judge_fail(j, "option %s is of an unknown type (%u)", row->name, row->type);
	if (!judge_texts(j, row) || !judge_values(j, row) ||
	    !judge_field(j, row, row->offset, room))
		return false;
	if (row->type == PSTN_MAP)
		return judge_rows(j, m, row->child, room - row->offset, depth + 1);
	return row->type != PSTN_LIST || judge_item(j, m, row, depth + 1);
}

static bool judge_rows(struct judge *j, const struct pstn_module *m, const struct pstn_option *rows,
		       size_t room, unsigned depth)
{
	struct pstn_option row, earlier;
	bool end = false;

	if (depth > DEPTH_MAX)
		return judge_fail(
		    j, "its option rows are nested more than %u deep (or in a circle)", DEPTH_MAX);
	for (unsigned i = 0; !end; i++) {
		if (++j->rows > ALL_ROWS_MAX)
			return judge_fail(j, "more than %u option rows are absurd", ALL_ROWS_MAX);
		if (!judge_row(j, rows, i, m->option_size, "option", &end))
			return false;
		if (end || !manifest_option(m, rows, i, &row))
			break;
		if (!judge_option(j, m, &row, room, depth))
			return false;
		for (unsigned k = 0; k < i && manifest_option(m, rows, k, &earlier); k++)
			if (!strcmp(earlier.name, row.name))
				return judge_fail(j, "two option rows have the name %s", row.name);
	}
	return true;
}

bool judge_options(struct judge *j, const struct pstn_module *m)
{
	static const char *const of_the_core[] = {"enabled", "file", "uses", "listeners"};
	struct pstn_option row;

	if (!m->options)
		return true;
	if (!judge_rows(j, m, m->options, m->conf_size, 0))
		return false;
	for (unsigned i = 0; manifest_option(m, m->options, i, &row); i++)
		for (size_t k = 0; k < sizeof of_the_core / sizeof *of_the_core; k++)
			if (!strcmp(row.name, of_the_core[k]))
				return judge_fail(j,
						  "option %s has a name that the core keeps for "
						  "itself: rename it",
						  row.name);
	return true;
}
