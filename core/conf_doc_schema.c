/*
 * conf_doc_schema.c - a JSON schema of the configuration, for editors that complete and check.
 */
#include "config.h"

#include "conf_doc.h"
#include "conf_rows.h"
#include "conf_value.h"

#include <inttypes.h>

static void print_map(FILE *, const struct pstn_module *, const struct pstn_option *rows);
static void print_row(FILE *, const struct pstn_module *, const struct pstn_option *row);

static void print_text(FILE *out, const char *text)
{
	putc('"', out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(out, "\\u%04x", *p);
		else
			putc(*p, out);
	}
	putc('"', out);
}

static void print_member(FILE *out, const char *key, const char *text)
{
	fprintf(out, ",\"%s\":", key);
	print_text(out, text);
}

static void print_bounds(FILE *out, const struct pstn_option *row, const char *min, const char *max)
{
	int64_t n;

	if (row->min && value_int(row->min, &n))
		fprintf(out, ",\"%s\":%" PRId64, min, n);
	if (row->max && value_int(row->max, &n))
		fprintf(out, ",\"%s\":%" PRId64, max, n);
}

static void print_string(FILE *out, const struct pstn_option *row)
{
	if (row->flags & PSTN_SECRET) {
		fputs("\"type\":[\"string\",\"object\"]", out);
		return;
	}
	fputs("\"type\":[\"string\",\"number\",\"boolean\"]", out);
	if (row->type == PSTN_STRING)
		print_bounds(out, row, "minLength", "maxLength");
}

static void print_choices(FILE *out, const struct pstn_option *row)
{
	fputs("\"enum\":[", out);
	for (unsigned i = 0; row->choices[i]; i++) {
		fputs(i ? "," : "", out);
		print_text(out, row->choices[i]);
	}
	putc(']', out);
}

static void print_list(FILE *out, const struct pstn_module *m, const struct pstn_option *row)
{
	struct pstn_option item, first;

	fputs("\"type\":\"array\",\"items\":{", out);
	manifest_option(m, row->child, 0, &item);
	if (item.type == PSTN_MAP && manifest_option(m, item.child, 0, &first)) {
		fputs("\"anyOf\":[{", out);
		print_row(out, m, &first);
		fputs("},{", out);
		print_map(out, m, item.child);
		fputs("}]", out);
	} else {
		print_row(out, m, &item);
	}
	putc('}', out);
	print_bounds(out, row, "minItems", "maxItems");
}

static void print_type(FILE *out, const struct pstn_module *m, const struct pstn_option *row)
{
	switch (row->type) {
	case PSTN_BOOL:
		fputs("\"type\":\"boolean\"", out);
		break;
	case PSTN_INT:
		fputs("\"type\":\"integer\"", out);
		print_bounds(out, row, "minimum", "maximum");
		break;
	case PSTN_BYTES:
		fputs("\"type\":[\"integer\",\"string\"],\"pattern\":"
		      "\"^[0-9]+ *([KkMmGgTt]([Ii]?[Bb])?|[Bb])?$\"",
		      out);
		break;
	case PSTN_DURATION:
		fputs("\"type\":[\"integer\",\"string\"],\"pattern\":"
		      "\"^(0|([0-9]+ *(ms|s|m|h|d) *)+)$\",\"maximum\":0",
		      out);
		break;
	case PSTN_ENUM:
		print_choices(out, row);
		break;
	case PSTN_MAP:
		print_map(out, m, row->child);
		break;
	case PSTN_LIST:
		print_list(out, m, row);
		break;
	default:
		print_string(out, row);
		break;
	}
}

static void print_row(FILE *out, const struct pstn_module *m, const struct pstn_option *row)
{
	char text[1024];

	print_type(out, m, row);
	if (row->help && *row->help)
		print_member(out, "description", row->help);
	if (row->def && row->type != PSTN_LIST) {
		conf_doc_value(row, text, sizeof text);
		print_member(out, "title", text);
	}
}

static void print_property(FILE *out, const struct pstn_module *m, const struct pstn_option *row,
			   bool *any)
{
	fprintf(out, "%s\"%s\":{", *any ? ",\n" : "", row->name);
	print_row(out, m, row);
	putc('}', out);
	*any = true;
}

static void open_map(FILE *out)
{
	fputs("\"type\":[\"object\",\"null\"],\"additionalProperties\":false,\"properties\":{",
	      out);
}

static void close_map(FILE *out, const struct pstn_module *m, const struct pstn_option *rows)
{
	struct pstn_option row;
	bool any = false;

	putc('}', out);
	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++)
		if (row.flags & PSTN_REQUIRED) {
			fprintf(out, "%s\"%s\"", any ? "," : ",\"required\":[", row.name);
			any = true;
		}
	fputs(any ? "]" : "", out);
}

static void print_map(FILE *out, const struct pstn_module *m, const struct pstn_option *rows)
{
	struct pstn_option row;
	bool any = false;

	open_map(out);
	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++)
		print_property(out, m, &row, &any);
	close_map(out, m, rows);
}

static void print_module(FILE *out, const struct pstn_module *m)
{
	struct pstn_option row;
	bool service, any = true;

	conf_doc_listener(m, &service);
	fprintf(out, "\"%s\":{", m->name);
	open_map(out);
	fputs("\"uses\":{\"type\":\"object\",\"additionalProperties\":{\"type\":\"string\"}}", out);
	for (unsigned i = 0; manifest_option(&conf_module_keys, conf_module_keys.options, i, &row);
	     i++)
		if (i != KEY_LISTENERS || service)
			print_property(out, &conf_module_keys, &row, &any);
	for (unsigned i = 0; manifest_option(m, m->options, i, &row); i++)
		print_property(out, m, &row, &any);
	close_map(out, m, m->options);
	print_member(out, "description", m->summary);
	putc('}', out);
}

void conf_doc_schema(const struct conf_doc *doc, FILE *out)
{
	fputs("{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
	      "\"title\":\"Configuration of Postern\",\"type\":\"object\","
	      "\"additionalProperties\":false,\n\"properties\":{\n"
	      "\"include\":{\"anyOf\":[{\"type\":\"string\"},"
	      "{\"type\":\"array\",\"items\":{\"type\":\"string\"}}]},\n\"server\":{",
	      out);
	print_map(out, &conf_server, conf_server.options);
	/* A key that is no module's own name needs `file`; what else it may hold is not known here. */
	fputs("},\n\"modules\":{\"type\":\"object\",\"additionalProperties\":"
	      "{\"type\":\"object\",\"required\":[\"file\"]},\n\"properties\":{\n",
	      out);
	for (unsigned i = 0; i < doc->count; i++) {
		fputs(i ? ",\n" : "", out);
		print_module(out, doc->modules[i]);
	}
	fputs("}}}}\n", out);
}
