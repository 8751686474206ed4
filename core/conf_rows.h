/*
 * conf_rows.h - the core's own option rows, in the form in which modules bring theirs.
 */
#ifndef CORE_CONF_ROWS_H
#define CORE_CONF_ROWS_H

#include "plan.h"

/* `server:`, for struct server_conf. */
extern const struct pstn_module conf_server;

/* What the core takes from every module's mapping before the module's own rows are asked. */
struct module_keys {
	bool enabled;
	const char *file;
	struct pstn_list listeners; /* of struct plan_listener */
};
extern const struct pstn_module conf_module_keys;
enum { KEY_ENABLED, KEY_FILE, KEY_LISTENERS }; /* the rows' order */

/* Their names, and `uses`, which is no row: its keys are interfaces. NULL ends. */
extern const char *const conf_module_key_names[];

#endif
