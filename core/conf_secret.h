/*
 * conf_secret.h - values that are never shown, and files that hold them. Private to conf_check.c.
 */
#ifndef CORE_CONF_SECRET_H
#define CORE_CONF_SECRET_H

#include "conf_check.h"

/* The first line of the file that {file: PATH} names; NULL: reported. */
const char *conf_secret_file(const struct conf_check *, struct conf_node *map, const char *path);
/* Warns if the secret stands in a configuration file that everybody may read. */
void conf_secret_inline(const struct conf_check *, const struct conf_node *, const char *path);

#endif
