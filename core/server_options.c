/*
 * server_options.c - the core's own option rows: `server:`, and the keys that every module has.
 */
#include "config.h"

#include "conf_rows.h"

#define REACTORS    __typeof__(((struct server_conf *)0)->reactors)
#define JOB_THREADS __typeof__(((struct server_conf *)0)->job_threads)
#define CONTROL     __typeof__(((struct server_conf *)0)->control)

static const struct pstn_option reactor_rows[] = {
    PSTN_OPT_INT(REACTORS, min, .def = "0", .min = "0", .max = "1024",
		 .help = "Threads that serve connections, at least. 0: as many as max."),
    PSTN_OPT_INT(REACTORS, max, .def = "0", .min = "0", .max = "1024",
		 .help = "Threads that serve connections, at most. 0: one per processor core."),
    {0}};

static const struct pstn_option job_rows[] = {
    PSTN_OPT_INT(JOB_THREADS, min, .def = "2", .min = "1", .max = "1024",
		 .help = "Threads for disk work and password hashing that are always there."),
    PSTN_OPT_INT(JOB_THREADS, max, .def = "16", .min = "1", .max = "1024",
		 .help = "How many there may be while work is waiting."),
    PSTN_OPT_INT(JOB_THREADS, queue, .def = "1024", .min = "16", .max = "1000000",
		 .help = "Jobs that may wait. Beyond that, clients are told to try again later."),
    {0}};

static const struct pstn_option control_rows[] = {
    PSTN_OPT_STRING(CONTROL, group, .def = "", .max = "64",
		    .help = "Members of this group may use posternctl. Empty: only root and the "
			    "server's own user."),
    {0}};

static const struct pstn_option server_rows[] = {
    PSTN_OPT_STRING(struct server_conf, user, .def = "postern", .min = "1", .max = "64",
		    .help = "The user that the server becomes when it is started as root. Started "
			    "by anybody else it stays what it is."),
    PSTN_OPT_PATH(struct server_conf, module_directory, .def = "{modules}",
		  .help = "Where module files are. Directory and files have to belong to root or "
			  "to the user that starts the server; nobody else may write them."),
    PSTN_OPT_MAP(struct server_conf, reactors, reactor_rows,
		 .help = "The threads that serve connections."),
    PSTN_OPT_MAP(struct server_conf, job_threads, job_rows,
		 .help = "The threads that do what may block."),
    PSTN_OPT_INT(struct server_conf, max_sessions, .def = "0", .min = "0", .max = "10000000",
		 .help = "Connections that are served at the same time, over all services; 0: as "
			 "many as the process may open files for."),
    PSTN_OPT_DURATION(struct server_conf, ready_deadline, .def = "20s", .min = "1s", .max = "1h",
		      .help = "A reloaded configuration that is not ready to serve by then is "
			      "refused; the running one stays."),
    PSTN_OPT_DURATION(struct server_conf, probation, .def = "10s", .min = "0", .max = "1h",
		      .help = "If the new generation crashes within this time after a reload, the "
			      "old one takes over again."),
    PSTN_OPT_DURATION(struct server_conf, drain_limit, .def = "0", .min = "0", .max = "7d",
		      .help = "After a reload, sessions of the old generation are ended after this "
			      "time. 0: they end when their clients end them."),
    PSTN_OPT_DURATION(struct server_conf, stop_limit, .def = "30s", .min = "0", .max = "1h",
		      .help = "How long a graceful stop waits for sessions to end."),
    PSTN_OPT_DURATION(struct server_conf, watchdog, .def = "30s", .min = "0", .max = "1h",
		      .help = "A worker that shows no sign of life for so long is killed and "
			      "started again. 0: never."),
    PSTN_OPT_BYTES(struct server_conf, output_limit, .def = "256KiB", .min = "16KiB",
		   .max = "64MiB",
		   .help = "Octets that are kept ready for a client that reads slowly, before "
			   "whoever produces them has to wait."),
    PSTN_OPT_MAP(struct server_conf, control, control_rows, .help = "Who may use posternctl."),
    {0}};

const struct pstn_module conf_server = {
    PSTN_MODULE_HEAD,
    .name = "server",
    .version = PACKAGE_VERSION,
    .summary = "What holds for the server as a whole.",
    .conf_size = sizeof(struct server_conf),
    .options = server_rows,
};

static const struct pstn_option listener_rows[] = {
    PSTN_OPT_ADDRESS(struct plan_listener, address, .flags = PSTN_REQUIRED,
		     .help = "IP address and port, or unix: and an absolute path ({run} and the "
			     "other directories may begin it)."),
    PSTN_OPT_INT(struct plan_listener, backlog, .def = "511", .min = "1", .max = "65535",
		 .help = "Connections that may wait to be accepted."),
    {0}};

static const struct pstn_option listener_item = {.name = "",
						 .type = PSTN_MAP,
						 .item_size = sizeof(struct plan_listener),
						 .child = listener_rows};

static const struct pstn_option module_rows[] = {
    [KEY_ENABLED] = PSTN_OPT_BOOL(struct module_keys, enabled, .def = "true",
				  .help = "false: as if the module were not in the file."),
    [KEY_FILE] = PSTN_OPT_PATH(struct module_keys, file,
			       .help = "The module's file. A name without a slash is looked for in "
				       "server.module_directory; the default is the key and .so."),
    [KEY_LISTENERS] = PSTN_OPT_LIST(struct module_keys, listeners, &listener_item, .max = "256",
				    .help = "Where clients connect; only for modules that serve "
					    "clients. An address may stand alone or as {address: "
					    "..., backlog: ...}."),
    {0}};

const struct pstn_module conf_module_keys = {
    PSTN_MODULE_HEAD,
    .name = "module",
    .version = PACKAGE_VERSION,
    .summary = "Keys that every module has.",
    .conf_size = sizeof(struct module_keys),
    .options = module_rows,
};

const char *const conf_module_key_names[] = {"enabled", "file", "listeners", "uses", NULL};
