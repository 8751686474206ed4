/*
 * supervisor_commands.c - what the supervisor answers itself: status, generations, reload, stop,
 * reopen-logs. Their rows for `help` are in control_rows.c.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "control_rows.h"
#include "supervisor.h"

static void audit(struct supervisor *sv, const struct client *c, const char *what)
{
	supervisor_log(sv, PSTN_INFO, "command", "uid %u (process %ld) asks to %s",
		       (unsigned)c->uid, (long)c->pid, what);
}

static void status(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	(void)r;
	client_ok(sv, c, supervisor_status(sv));
}

static void generations(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	(void)r;
	client_ok(sv, c, supervisor_generations(sv));
}

static void reload(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	bool dry_run = strcmp(r->command, "reload") != 0 || control_request_arg(r, "dry-run");

	if (sv->options->mode == MODE_SINGLE) {
		client_error(sv, c,
			     "posternd --single is one process and cannot reload: stop it "
			     "and start it again");
		return;
	}
	if (sv->stopping) {
		client_later(sv, c, "posternd is being stopped");
		return;
	}
	audit(sv, c, dry_run ? "check the configuration" : "reload");
	c->state = CLIENT_QUEUED;
	c->dry_run = dry_run;
	c->deadline = 0;
	if (sv->candidate)
		client_note(sv, c, "another reload is under way; this one follows it");
	reload_next(sv);
}

static void stop(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	bool quick = control_request_arg(r, "quick") != NULL;

	audit(sv, c, quick ? "stop at once" : "stop");
	c->state = CLIENT_STOPPING;
	c->deadline = 0;
	supervisor_stop(sv, quick);
}

static void reopen_logs(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	(void)r;
	audit(sv, c, "open the log files anew");
	(void)kill(getpid(), SIGUSR1);
	client_ok(sv, c, json_string("log files are being opened anew"));
}

/* A worker's row where one serves; a candidate can always be asked. */
static const struct pstn_command check_row[] = {
    {.name = "config check",
     .help = "check the configuration file on disk and name every error in it"},
    {.name = NULL},
};

static const struct pstn_commands check_rows = {
    .size = sizeof(check_rows),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = check_row,
};

static void help(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	bool all = control_request_arg(r, CONTROL_HELP_OWN) == NULL;
	json_t *rows = json_array();

	if (all)
		client_note(sv, c,
			    "no worker serves at the moment (posternctl status tells why): the "
			    "commands of modules are missing");
	if (rows)
		control_rows_json(rows, &supervisor_rows);
	if (rows && all)
		control_rows_json(rows, &check_rows);
	if (all)
		client_part(sv, c, rows);
	else
		client_ok(sv, c, rows);
}

void supervisor_command(struct supervisor *sv, struct client *c, const struct control_request *r)
{
	static const struct {
		const char *name;
		void (*run)(struct supervisor *, struct client *, const struct control_request *);
	} table[] = {
	    {"status", status}, {"generations", generations},
	    {"reload", reload}, {"config check", reload},
	    {"stop", stop},     {"reopen-logs", reopen_logs},
	    {"help", help},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(r->command, table[i].name) == 0)
			table[i].run(sv, c, r);
}

static bool waits_for(const struct client *c, unsigned generation)
{
	if (c->fd < 0)
		return false;
	if (generation == 0)
		return c->state == CLIENT_WAITING || c->state == CLIENT_QUEUED;
	return c->state == CLIENT_WAITING && c->generation == generation;
}

void clients_note(struct supervisor *sv, unsigned generation, const char *text)
{
	for (int i = 0; i < CLIENTS_MAX; i++)
		if (waits_for(&sv->clients[i], generation))
			client_note(sv, &sv->clients[i], text);
}

void clients_answer(struct supervisor *sv, unsigned generation, bool ok, const char *text)
{
	for (int i = 0; i < CLIENTS_MAX; i++) {
		if (!waits_for(&sv->clients[i], generation))
			continue;
		if (ok)
			client_ok(sv, &sv->clients[i], json_string(text));
		else
			client_error(sv, &sv->clients[i], text);
	}
}
