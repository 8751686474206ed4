/*
 * fuzz_log_format.c - any octets as an event's parts: one line comes out, visible and in bounds.
 */
#include "modules/logging/format.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

enum { FIELDS = 6, NAMES = 4 };

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_log_format: %s\n", what);
	abort();
}

/* A part of the input, its length from the input too; strings get a block of their own. */
static char *take(const uint8_t **at, const uint8_t *end, size_t *length)
{
	size_t want = *at < end ? (size_t) * (*at)++ * 16 : 0, left = (size_t)(end - *at);
	char *part = calloc(1, (want < left ? want : left) + 1);

	must(part, "no memory");
	*length = want < left ? want : left;
	memcpy(part, *at, *length);
	*at += *length;
	return part;
}

static void check(format_line *format, const struct pstn_log_event *e, char last)
{
	char line[FORMAT_LINE_MAX];
	size_t n = format(e, line);

	must(n > 1 && n <= sizeof(line), "a length out of bounds");
	must(line[n - 1] == '\n', "no line end");
	must(!last || line[n - 2] == last, "not closed");
	for (size_t i = 0; i + 1 < n; i++)
		must((unsigned char)line[i] >= ' ' && line[i] != 0x7f, "a control character");
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	const uint8_t *at = octets, *end = octets + n;
	struct pstn_field fields[FIELDS];
	char *values[FIELDS], *names[NAMES];
	size_t length;
	struct pstn_log_event e = {.size = sizeof(e), .level = n ? octets[0] % 8 : 0};

	for (size_t i = 0; i < NAMES; i++)
		names[i] = take(&at, end, &length);
	for (size_t i = 0; i < FIELDS; i++) {
		values[i] = take(&at, end, &length);
		fields[i] = (struct pstn_field){.key = names[3],
						.kind = PSTN_F_STR,
						.length = (uint32_t)length,
						.str = values[i]};
	}
	memcpy(&e.time, octets, n < sizeof(e.time) ? n : sizeof(e.time));
	e.service = names[0];
	e.session = names[1];
	e.event = names[2];
	e.nfields = FIELDS;
	e.fields = fields;
	check(format_text, &e, 0);
	check(format_syslog, &e, 0);
	check(format_json, &e, '}');
	for (size_t i = 0; i < NAMES; i++)
		free(names[i]);
	for (size_t i = 0; i < FIELDS; i++)
		free(values[i]);
	return 0;
}
