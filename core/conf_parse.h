/*
 * conf_parse.h - the YAML of one file to nodes. Private to conf_read.c and conf_parse.c.
 */
#ifndef CORE_CONF_PARSE_H
#define CORE_CONF_PARSE_H

#include "conf_source.h"

/* NULL: the file says nothing (only comments), or is no mapping. The source may get mended. */
struct conf_node *conf_parse(struct conf_source *, struct reports *);

#endif
