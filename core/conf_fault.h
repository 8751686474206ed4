/*
 * conf_fault.h - where a syntax error is, and a sentence for it. Private to conf_parse.c.
 */
#ifndef CORE_CONF_FAULT_H
#define CORE_CONF_FAULT_H

#include "conf_source.h"

#include <yaml.h>

struct conf_fault {
	yaml_mark_t at;   /* what to blame */
	size_t last_line; /* of what has to go with it, from 1: the rest of an unclosed list */
	bool indentation; /* try another one first */
	char text[256];
};

/* flow: where the outermost open [ or { is; NULL: there is none. */
void conf_fault_of_parser(struct conf_fault *, const struct conf_source *, const yaml_parser_t *,
			  const yaml_mark_t *flow);
/* A scalar that runs over several lines. */
void conf_fault_over_lines(struct conf_fault *, const struct conf_source *, const yaml_event_t *,
			   const yaml_mark_t *flow);

#endif
