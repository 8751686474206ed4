/*
 * postern-modinfo.c - prints what a module says of itself, without running a line of it.
 *
 * postern-modinfo [--json] FILE.so...: exit 0 if all files are good, 1 if one is not, 2 on usage.
 */
#include "config.h"

#include "conf_value.h"
#include "manifest.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

/* ---- words -------------------------------------------------------------------------------- */

static const char *type_word(uint32_t type)
{
	static const char *const words[] = {
	    [PSTN_BOOL] = "bool",         [PSTN_INT] = "int",       [PSTN_BYTES] = "bytes",
	    [PSTN_DURATION] = "duration", [PSTN_STRING] = "string", [PSTN_PATH] = "path",
	    [PSTN_ADDRESS] = "address",   [PSTN_ENUM] = "enum",     [PSTN_MAP] = "map",
	    [PSTN_LIST] = "list"};

	return type >= PSTN_BOOL && type <= PSTN_LIST ? words[type] : "?";
}

static const char *kind_word(uint32_t kind)
{
	return kind == PSTN_COUNTER ? "counter" : kind == PSTN_GAUGE ? "gauge" : "microseconds";
}

/* ---- for people --------------------------------------------------------------------------- */

static void print_options(const struct pstn_module *m, const struct pstn_option *rows, int indent)
{
	struct pstn_option row;
	char expected[512];

	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		value_expected(&row, expected, sizeof expected);
		printf("%*s%s: %s", indent, "", *row.name ? row.name : "each item", expected);
		if (row.flags & PSTN_REQUIRED)
			printf("; required");
		else if (row.def && *row.def)
			printf("; default %s", row.def);
		if (row.flags & PSTN_SECRET)
			printf("; secret");
		if (row.flags & PSTN_AT_BOOT)
			printf("; a change takes a restart");
		putchar('\n');
		if (row.help && *row.help)
			printf("%*s%s\n", indent + 4, "", row.help);
		if (row.child && row.type == PSTN_LIST) {
			struct pstn_option item;
			if (manifest_option(m, row.child, 0, &item) && item.type == PSTN_MAP)
				print_options(m, item.child, indent + 4);
		} else if (row.child) {
			print_options(m, row.child, indent + 4);
		}
	}
}

static void print_interfaces(const struct pstn_module *m)
{
	struct pstn_offer offer;
	struct pstn_need need;

	if (m->offers)
		puts("\noffers");
	for (unsigned i = 0; manifest_offer(m, i, &offer); i++)
		printf("  %s %u.%u\n", offer.name, offer.major, offer.minor);
	if (m->needs)
		puts("\nneeds");
	for (unsigned i = 0; manifest_need(m, i, &need); i++)
		printf("  %s %u.%u%s\n", need.name, need.major, need.minor,
		       need.flags & PSTN_OPTIONAL ? " (optional)" : "");
}

static void print_metrics(const struct pstn_module *m)
{
	struct pstn_metric metric;

	if (m->metrics)
		puts("\nmetrics");
	for (unsigned i = 0; manifest_metric(m, i, &metric); i++)
		printf("  %s: %s%s%s\n", metric.name, kind_word(metric.kind),
		       metric.help ? "\n      " : "", metric.help ? metric.help : "");
}

static void print_module(const char *path, const struct pstn_module *m)
{
	printf("%s %s: %s\n", m->name, m->version, m->summary);
	printf("  file %s\n  module ABI %u.%u\n", path, m->abi_major, m->abi_minor);
	print_interfaces(m);
	if (m->options)
		puts("\noptions");
	print_options(m, m->options, 2);
	print_metrics(m);
}

/* ---- for programs ------------------------------------------------------------------------- */

static void json_text(const char *key, const char *text)
{
	printf("\"%s\":", key);
	if (!text) {
		fputs("null", stdout);
		return;
	}
	putchar('"');
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			printf("\\%c", *p);
		else if (*p < 0x20)
			printf("\\u%04x", *p);
		else
			putchar(*p);
	}
	putchar('"');
}

static void json_choices(const struct pstn_option *row)
{
	fputs(",\"choices\":[", stdout);
	for (unsigned i = 0; row->choices[i]; i++)
		printf("%s\"%s\"", i ? "," : "", row->choices[i]);
	putchar(']');
}

static void json_options(const char *key, const struct pstn_module *m,
			 const struct pstn_option *rows)
{
	struct pstn_option row;

	printf("\"%s\":[", key);
	for (unsigned i = 0; manifest_option(m, rows, i, &row); i++) {
		fputs(i ? ",{" : "{", stdout);
		json_text("name", row.name);
		putchar(',');
		json_text("type", type_word(row.type));
		printf(",\"required\":%s,\"secret\":%s,\"at_boot\":%s,",
		       row.flags & PSTN_REQUIRED ? "true" : "false",
		       row.flags & PSTN_SECRET ? "true" : "false",
		       row.flags & PSTN_AT_BOOT ? "true" : "false");
		json_text("default", row.def);
		putchar(',');
		json_text("min", row.min);
		putchar(',');
		json_text("max", row.max);
		putchar(',');
		json_text("help", row.help);
		if (row.type == PSTN_ENUM)
			json_choices(&row);
		if (row.child) {
			putchar(',');
			json_options("children", m, row.child);
		}
		putchar('}');
		if (!*row.name) /* a list has one row for all its items, and no end row is sure */
			break;
	}
	putchar(']');
}

static void json_interfaces(const struct pstn_module *m)
{
	struct pstn_offer offer;
	struct pstn_need need;

	fputs(",\"offers\":[", stdout);
	for (unsigned i = 0; manifest_offer(m, i, &offer); i++)
		printf("%s{\"name\":\"%s\",\"major\":%u,\"minor\":%u}", i ? "," : "", offer.name,
		       offer.major, offer.minor);
	fputs("],\"needs\":[", stdout);
	for (unsigned i = 0; manifest_need(m, i, &need); i++)
		printf("%s{\"name\":\"%s\",\"major\":%u,\"minor\":%u,\"optional\":%s}",
		       i ? "," : "", need.name, need.major, need.minor,
		       need.flags & PSTN_OPTIONAL ? "true" : "false");
	putchar(']');
}

static void json_metrics(const struct pstn_module *m)
{
	struct pstn_metric metric;

	fputs(",\"metrics\":[", stdout);
	for (unsigned i = 0; manifest_metric(m, i, &metric); i++) {
		printf("%s{\"name\":\"%s\",\"kind\":\"%s\",", i ? "," : "", metric.name,
		       kind_word(metric.kind));
		json_text("help", metric.help);
		putchar('}');
	}
	putchar(']');
}

static void json_module(const char *path, const struct pstn_module *m)
{
	putchar('{');
	json_text("file", path);
	putchar(',');
	json_text("name", m->name);
	putchar(',');
	json_text("version", m->version);
	putchar(',');
	json_text("summary", m->summary);
	printf(",\"abi\":{\"major\":%u,\"minor\":%u}", m->abi_major, m->abi_minor);
	json_interfaces(m);
	putchar(',');
	json_options("options", m, m->options);
	json_metrics(m);
	putchar('}');
}

static void json_error(const char *path, const char *error)
{
	putchar('{');
	json_text("file", path);
	putchar(',');
	json_text("error", error);
	putchar('}');
}

/* ---- files -------------------------------------------------------------------------------- */

static int show(const char *path, bool json)
{
	char err[512];
	struct manifest *manifest = manifest_read(path, err, sizeof err);

	if (!manifest && json)
		json_error(path, err);
	if (!manifest) {
		fprintf(stderr, "postern-modinfo: %s: %s\n", path, err);
		return 1;
	}
	if (json)
		json_module(path, manifest_module(manifest));
	else
		print_module(path, manifest_module(manifest));
	manifest_free(&manifest);
	return 0;
}

static int usage(FILE *out, int code)
{
	fputs("usage: postern-modinfo [--json] FILE.so...\n"
	      "Prints what Postern modules say of themselves; none of their code is run.\n",
	      out);
	return code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{0}};
	bool json = false;
	int result = 0;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		if (c == 'h')
			return usage(stdout, 0);
		if (c == 'V')
			return printf("postern-modinfo %s\n", PACKAGE_VERSION) < 0;
		if (c != 'j')
			return usage(stderr, 2);
		json = true;
	}
	if (optind == argc)
		return usage(stderr, 2);
	for (int i = optind; i < argc; i++) {
		fputs(json ? i > optind ? ",\n" : "[" : i > optind ? "\n" : "", stdout);
		result |= show(argv[i], json);
	}
	if (json)
		puts("]");
	if (fflush(stdout) || ferror(stdout)) {
		fputs("postern-modinfo: standard output cannot be written\n", stderr);
		return 2;
	}
	return result;
}
