/*
 * posternctl_show.c - a JSON value for people: objects as "key: value", arrays of objects as
 * tables.
 */
#include "posternctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one value as a line ---- */

/* What came from outside must not steer the terminal. */
static void put_safe(FILE *to, const char *text)
{
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			fprintf(to, "\\x%02x", *c);
		else if (*c == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) /* U+0080 to U+009F */
			fprintf(to, "\\x%02x\\x%02x", *c, c[1]), c++;
		else
			putc(*c, to);
}

static void put_scalar(FILE *to, const json_t *value)
{
	if (json_is_string(value))
		put_safe(to, json_string_value(value));
	else if (json_is_boolean(value))
		fputs(json_is_true(value) ? "yes" : "no", to);
	else if (!value || json_is_null(value))
		putc('-', to);
	else
		json_dumpf(value, to, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6));
}

/* malloc'd; NULL: no memory. */
static char *cell(const json_t *value)
{
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	if (!to)
		return NULL;
	put_scalar(to, value);
	fclose(to);
	return text;
}

/* Columns on the screen: UTF-8 sequences count as one. */
static int width(const char *text)
{
	int n = 0;

	for (; *text; text++)
		n += (*text & 0xc0) != 0x80;
	return n;
}

static void pad(int n)
{
	for (; n > 0; n--)
		putchar(' ');
}

/* ---- tables ---- */

struct column {
	const char *key;
	int width;
	bool numeric;
};

static char *heading(const char *key)
{
	char *text = strdup(key);

	for (char *c = text; c && *c; c++)
		*c = *c == '_' ? ' ' : (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
	return text;
}

static void measure(struct column *column, const json_t *rows)
{
	size_t i;
	json_t *row;

	column->numeric = true;
	column->width = width(column->key);
	json_array_foreach (rows, i, row) {
		const json_t *value = json_object_get(row, column->key);
		char *text = cell(value);

		if (text && width(text) > column->width)
			column->width = width(text);
		if (value && !json_is_number(value) && !json_is_null(value))
			column->numeric = false;
		free(text);
	}
}

static void put_cell(const struct column *column, const char *text, bool last)
{
	int space = column->width - width(text);

	if (column->numeric)
		pad(space);
	fputs(text, stdout);
	if (!last) {
		if (!column->numeric)
			pad(space);
		fputs("  ", stdout);
	}
}

/* Columns behind the last cell that says anything are not filled up with spaces. */
static size_t used_columns(const struct column *columns, size_t n, const json_t *row)
{
	const char *text = "";

	while (n > 1 && text && !*text) {
		text = json_string_value(json_object_get(row, columns[n - 1].key));
		n -= text && !*text;
	}
	return n;
}

static void put_row(const struct column *columns, size_t all, const json_t *row, int indent)
{
	size_t n = row ? used_columns(columns, all, row) : all;

	pad(indent);
	for (size_t i = 0; i < n; i++) {
		char *text =
		    row ? cell(json_object_get(row, columns[i].key)) : heading(columns[i].key);

		put_cell(&columns[i], text ? text : "", i + 1 == n);
		free(text);
	}
	putchar('\n');
}

static void put_table(const json_t *rows, int indent)
{
	json_t *first = json_array_get(rows, 0), *row, *value;
	struct column *columns = calloc(json_object_size(first) + 1, sizeof(*columns));
	const char *key;
	size_t n = 0, i;

	if (!columns) {
		ctl_error("out of memory");
		return;
	}
	json_object_foreach (first, key, value) {
		columns[n].key = key;
		measure(&columns[n++], rows);
	}
	put_row(columns, n, NULL, indent);
	json_array_foreach (rows, i, row)
		put_row(columns, n, row, indent);
	free(columns);
}

/* ---- anything ---- */

static void put_value(const json_t *value, int indent);

static void put_object(json_t *object, int indent)
{
	const char *key;
	json_t *value;
	int widest = 0;

	json_object_foreach (object, key, value)
		if (!json_is_object(value) && !json_is_array(value) && width(key) > widest)
			widest = width(key);
	json_object_foreach (object, key, value) {
		bool nested = (json_is_object(value) && json_object_size(value) > 0) ||
			      (json_is_array(value) && json_array_size(value) > 0);

		pad(indent);
		put_safe(stdout, key);
		putchar(':');
		if (nested) {
			putchar('\n');
			put_value(value, indent + 2);
		} else {
			pad(widest - width(key) + 1);
			if (json_is_object(value) || json_is_array(value))
				putchar('-');
			else
				put_scalar(stdout, value);
			putchar('\n');
		}
	}
}

static void put_value(const json_t *value, int indent)
{
	size_t i;
	json_t *item;

	if (json_is_object(value)) {
		put_object((json_t *)(size_t)value, indent);
	} else if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
		put_table(value, indent);
	} else if (json_is_array(value)) {
		json_array_foreach (value, i, item)
			put_value(item, indent);
	} else if (!json_is_null(value)) {
		pad(indent);
		/* Texts of several lines are meant as they are: a configuration, a report. */
		for (const char *c = json_string_value(value); c && *c; c++)
			if (*c == '\n' || *c == '\t' || ((unsigned char)*c >= ' ' && *c != 0x7f))
				putchar(*c);
		if (!json_is_string(value))
			put_scalar(stdout, value);
		if (!json_is_string(value) || json_string_length(value) == 0 ||
		    json_string_value(value)[json_string_length(value) - 1] != '\n')
			putchar('\n');
	}
}

void ctl_show(const json_t *value)
{
	put_value(value, 0);
}
