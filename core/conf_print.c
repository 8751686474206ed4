/*
 * conf_print.c - values from their structs back to YAML, by the rows that put them there.
 */
#include "config.h"

#include "conf_print.h"
#include "conf_value.h"
#include "manifest.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

static bool is_plain(const char *text)
{
	if (!isalnum((unsigned char)*text) && *text != '/')
		return false;
	for (const char *p = text; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_./-@+", *p))
			return false;
	return strcmp(text, "null") != 0;
}

void conf_print_text(FILE *out, const char *text)
{
	if (is_plain(text)) {
		fputs(text, out);
		return;
	}
	putc('\'', out);
	for (const char *p = text; *p; p++) {
		if (*p == '\'')
			putc('\'', out);
		putc(*p, out);
	}
	putc('\'', out);
}

static void print_number(FILE *out, const struct pstn_option *row, const void *field)
{
	char text[40];
	int64_t number;
	uint64_t amount;

	memcpy(&number, field, sizeof number);
	memcpy(&amount, field, sizeof amount);
	if (row->type == PSTN_INT)
		snprintf(text, sizeof text, "%" PRId64, number);
	else if (row->type == PSTN_BYTES)
		value_print_bytes(amount, text, sizeof text);
	else
		value_print_duration(amount, text, sizeof text);
	fputs(text, out);
}

static void print_choice(FILE *out, const struct pstn_option *row, const void *field)
{
	int32_t wanted, i = 0;

	memcpy(&wanted, field, sizeof wanted);
	while (i < wanted && row->choices[i])
		i++;
	conf_print_text(out, row->choices[i] ? row->choices[i] : "");
}

static void print_string(FILE *out, const struct pstn_option *row, const void *field,
			 enum conf_secrets secrets)
{
	const char *text;

	memcpy(&text, field, sizeof text);
	if (!text)
		text = "";
	if ((row->flags & PSTN_SECRET) && *text && secrets == CONF_HIDE_SECRETS)
		text = "***";
	conf_print_text(out, text);
}

static void print_map(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
		      const void *base, enum conf_secrets secrets)
{
	struct pstn_option child;

	putc('{', out);
	for (unsigned i = 0; manifest_option(m, row->child, i, &child); i++) {
		fprintf(out, "%s%s: ", i ? ", " : "", child.name);
		conf_print_value(out, m, &child, (const char *)base + child.offset, secrets);
	}
	putc('}', out);
}

static void print_list(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
		       const void *field, enum conf_secrets secrets)
{
	struct pstn_list list;
	struct pstn_option item;

	memcpy(&list, field, sizeof list);
	putc('[', out);
	manifest_option(m, row->child, 0, &item);
	item.flags |= row->flags & PSTN_SECRET;
	for (uint32_t i = 0; i < list.count; i++) {
		fputs(i ? ", " : "", out);
		conf_print_value(out, m, &item,
				 (const char *)list.items + (size_t)i * item.item_size, secrets);
	}
	putc(']', out);
}

void conf_print_value(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
		      const void *field, enum conf_secrets secrets)
{
	bool on;

	switch (row->type) {
	case PSTN_BOOL:
		memcpy(&on, field, sizeof on);
		fputs(on ? "true" : "false", out);
		break;
	case PSTN_INT:
	case PSTN_BYTES:
	case PSTN_DURATION:
		print_number(out, row, field);
		break;
	case PSTN_ENUM:
		print_choice(out, row, field);
		break;
	case PSTN_MAP:
		print_map(out, m, row, field, secrets);
		break;
	case PSTN_LIST:
		print_list(out, m, row, field, secrets);
		break;
	default:
		print_string(out, row, field, secrets);
		break;
	}
}

void conf_print_rows(FILE *out, const struct pstn_module *m, const struct pstn_option *rows,
		     const void *base, unsigned indent)
{
	struct pstn_option row;

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		const char *field = (const char *)base + row.offset;
		fprintf(out, "%*s%s:", (int)indent, "", row.name);
		if (row.type == PSTN_MAP) {
			putc('\n', out);
			conf_print_rows(out, m, row.child, field, indent + 2);
			continue;
		}
		putc(' ', out);
		conf_print_value(out, m, &row, field, CONF_HIDE_SECRETS);
		putc('\n', out);
	}
}
