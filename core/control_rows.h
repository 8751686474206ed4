/*
 * control_rows.h - tables of commands: read by stride, and shown as JSON to posternctl.
 */
#ifndef CORE_CONTROL_ROWS_H
#define CORE_CONTROL_ROWS_H

#include <postern/commands.h>

struct json_t;

extern const struct pstn_commands supervisor_rows; /* run is NULL: it has no pstn_call */

/* Row i; false when the table ends before it. What an older table lacks is zero. */
bool control_row(const struct pstn_commands *, unsigned i, struct pstn_command *out);
bool control_arg_row(const struct pstn_commands *, const struct pstn_command *, unsigned i,
		     struct pstn_arg *out);
/* Appends the table's rows as `help` shows them. 0, or -1 without memory. */
int control_rows_json(struct json_t *array, const struct pstn_commands *);

#endif
