/*
 * conf_fault.c - where a syntax error is, and a sentence for it.
 *
 * libyaml says where it could not go on. That is often a line or more behind the slip: an unclosed
 * bracket is noticed at the next colon. What is blamed here is the line to be corrected.
 */
#include "config.h"

#include "conf_fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MISSING_COLON "expected \"key: value\": the colon, or the space after it, is missing"

static void blame(struct conf_fault *f, const yaml_mark_t *at, const char *fmt, ...)
    PSTN_PRINTF(3, 4);

static void blame(struct conf_fault *f, const yaml_mark_t *at, const char *fmt, ...)
{
	va_list ap;

	f->at = *at;
	f->last_line = at->line + 1;
	va_start(ap, fmt);
	vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
}

static bool says(const char *where, const char *what)
{
	return where && strstr(where, what);
}

/* A sentence for the commonest of libyaml's problems; NULL: its own words will do. */
static const char *sentence(const char *problem)
{
	static const struct {
		const char *problem, *sentence;
	} table[] = {
	    {"found character that cannot start",
	     "a value cannot begin with this character: put it in quotes"},
	    {"alphabetic or numeric", "a value that begins with * or & has to be put in quotes"},
	    {"unknown escape character",
	     "an unknown \\ escape: use single quotes, in which \\ stands for itself"},
	    {"expected hexdecimal",
	     "a \\ escape without its hexadecimal digits: use single quotes"},
	    {"block sequence entries",
	     "a list item is not expected here: items go on their own lines below the key"},
	    {"expected '-' indicator", "expected a list item (\"- value\") here"},
	    {"<document start>", "expected \"key: value\" at the left margin"},
	    {"could not find expected directive", "an unknown % line: put the value in quotes"},
	    {"undefined tag handle", "a value that begins with ! has to be put in quotes"},
	    {"comment or line break", "expected nothing more on this line"},
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (says(problem, table[i].problem))
			return table[i].sentence;
	return NULL;
}

static void misplaced(struct conf_fault *f, const struct conf_source *s, const yaml_mark_t *here,
		      const char *otherwise)
{
	unsigned line = (unsigned)here->line + 1;

	f->indentation = line <= s->nlines && !conf_source_indent_fits(s, line);
	blame(f, here, "%s",
	      f->indentation ? "the indentation of this line fits no line above it" : otherwise);
}

static void unclosed(struct conf_fault *f, const struct conf_source *s, const yaml_mark_t *begin,
		     size_t line)
{
	bool list = s->lines[begin->line][begin->column] == '[';

	blame(f, begin,
	      "the %s that begins here is not closed, or a comma is missing (noticed in line %zu)",
	      list ? "list" : "mapping", line);
	f->last_line = line;
}

void conf_fault_of_parser(struct conf_fault *f, const struct conf_source *s, const yaml_parser_t *y,
			  const yaml_mark_t *flow)
{
	const yaml_mark_t *here = &y->problem_mark;
	const char *known = sentence(y->problem);

	*f = (struct conf_fault){0};
	if (says(y->context, "quoted scalar") && says(y->problem, "end of stream"))
		blame(f, &y->context_mark, "the quotation mark opened here is never closed");
	else if (says(y->context, "simple key"))
		blame(f, &y->context_mark, MISSING_COLON);
	else if (says(y->context, "flow"))
		unclosed(f, s, flow ? flow : &y->context_mark, here->line + 1);
	else if (says(y->problem, "mapping values are not allowed"))
		misplaced(f, s, here, "a second \": \" in one value: put the value in quotes");
	else if (says(y->problem, "expected key"))
		misplaced(f, s, here, "expected \"key: value\" and nothing more on this line");
	else
		blame(f, here, "%s%s", known ? "" : "not valid YAML: ", known ? known : y->problem);
}

/* The line that says something after `line`; both count from 0. */
static size_t next_line(const struct conf_source *s, size_t line)
{
	const char *text;

	do
		text = s->lines[++line];
	while (!text[strspn(text, " ")] && line + 1 < s->nlines);
	return line;
}

/* Nothing stands before it on its line, so it should have been a key. */
static bool stands_alone(const struct conf_source *s, const yaml_mark_t *mark)
{
	return mark->column == conf_source_indent(s, (unsigned)mark->line + 1);
}

void conf_fault_over_lines(struct conf_fault *f, const struct conf_source *s, const yaml_event_t *e,
			   const yaml_mark_t *flow)
{
	yaml_mark_t second = {.line = next_line(s, e->start_mark.line)};

	*f = (struct conf_fault){0};
	second.column = conf_source_indent(s, (unsigned)second.line + 1);
	if (e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) {
		blame(f, &e->start_mark,
		      "the quotation mark opened here is not closed on its line");
	} else if (flow) {
		unclosed(f, s, flow, second.line + 1);
	} else if (stands_alone(s, &e->start_mark)) {
		blame(f, &e->start_mark, MISSING_COLON);
	} else {
		f->indentation = true;
		blame(f, &second,
		      "expected \"key: value\"; this line would continue the value of line %zu: a "
		      "colon is missing, or the indentation is wrong",
		      e->start_mark.line + 1);
	}
}
