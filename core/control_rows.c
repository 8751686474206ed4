/*
 * control_rows.c - see control_rows.h. The supervisor's own rows are here, so that a worker can show
 * them together with its own.
 */
#include "config.h"

#include "control_rows.h"

#include <string.h>

#include <jansson.h>

#include <postern/control.h>

static const struct pstn_arg reload_args[] = {
    {.name = "dry-run",
     .kind = PSTN_ARG_SWITCH,
     .flags = PSTN_ARG_OPTIONAL,
     .help = "check the configuration and the module files; change nothing"},
    {.name = NULL},
};

static const struct pstn_arg stop_args[] = {
    {.name = "quick",
     .kind = PSTN_ARG_SWITCH,
     .flags = PSTN_ARG_OPTIONAL,
     .help = "do not wait for sessions to finish their commands"},
    {.name = NULL},
};

static const struct pstn_command supervisor_table[] = {
    {.name = "status", .help = "How the server is: what serves, since when, what is wrong"},
    {.name = "generations",
     .help = "The live workers, newest first: their state and how many sessions they keep"},
    {.name = "reload",
     .help = "Serve with the configuration, modules and program now on disk; returns when they "
	     "serve, or tells every reason why they do not",
     .args = reload_args,
     .flags = PSTN_CHANGES},
    {.name = "stop",
     .help = "Stop the server; sessions end between commands",
     .args = stop_args,
     .flags = PSTN_CHANGES},
    {.name = "reopen-logs",
     .help = "Open log files anew by name, after they were rotated away",
     .flags = PSTN_CHANGES},
    {.name = NULL},
};

const struct pstn_commands supervisor_rows = {
    .size = sizeof(supervisor_rows),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = supervisor_table,
};

static void copy_row(void *out, size_t known, const void *rows, size_t stride, unsigned i)
{
	memset(out, 0, known);
	memcpy(out, (const char *)rows + i * stride, stride < known ? stride : known);
}

bool control_row(const struct pstn_commands *table, unsigned i, struct pstn_command *out)
{
	copy_row(out, sizeof(*out), table->rows, table->command_size, i);
	return out->name != NULL;
}

bool control_arg_row(const struct pstn_commands *table, const struct pstn_command *row, unsigned i,
		     struct pstn_arg *out)
{
	if (!row->args)
		return false;
	copy_row(out, sizeof(*out), row->args, table->arg_size, i);
	return out->name != NULL;
}

static const char *kind_word(uint32_t kind)
{
	static const char *const words[] = {
	    [PSTN_ARG_TEXT] = CONTROL_KIND_TEXT,     [PSTN_ARG_NUMBER] = CONTROL_KIND_NUMBER,
	    [PSTN_ARG_FILE] = CONTROL_KIND_FILE,     [PSTN_ARG_OPTION] = CONTROL_KIND_OPTION,
	    [PSTN_ARG_SWITCH] = CONTROL_KIND_SWITCH, [PSTN_ARG_SECRET] = CONTROL_KIND_SECRET,
	    [PSTN_ARG_INPUT] = CONTROL_KIND_INPUT,   [PSTN_ARG_DIRECTORY] = CONTROL_KIND_DIRECTORY,
	};

	return kind < sizeof(words) / sizeof(words[0]) && words[kind] ? words[kind] : "unknown";
}

static json_t *args_json(const struct pstn_commands *table, const struct pstn_command *row)
{
	json_t *array = json_array();
	struct pstn_arg arg;

	for (unsigned i = 0; array && control_arg_row(table, row, i, &arg); i++)
		json_array_append_new(array,
				      json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:b, s:s}", "name",
						arg.name, "kind", kind_word(arg.kind), "optional",
						(arg.flags & PSTN_ARG_OPTIONAL) != 0, "confirm",
						(arg.flags & PSTN_ARG_CONFIRM) != 0, "writes",
						(arg.flags & PSTN_ARG_WRITES) != 0, "file",
						(arg.flags & PSTN_ARG_IS_FILE) != 0, "or_directory",
						(arg.flags & PSTN_ARG_OR_DIRECTORY) != 0, "help",
						arg.help ? arg.help : ""));
	return array;
}

int control_rows_json(json_t *array, const struct pstn_commands *table)
{
	struct pstn_command row;

	for (unsigned i = 0; control_row(table, i, &row); i++) {
		json_t *o = json_pack("{s:s, s:s, s:o, s:b, s:b}", "name", row.name, "help",
				      row.help ? row.help : "", "args", args_json(table, &row),
				      "each_generation", (row.flags & PSTN_EACH_GENERATION) != 0,
				      "changes", (row.flags & PSTN_CHANGES) != 0);
		if (!o || json_array_append_new(array, o) < 0)
			return -1;
	}
	return 0;
}
