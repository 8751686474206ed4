/*
 * control.c - from a request to the row that answers it, on a job thread.
 */
#include "config.h"

#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <jansson.h>

#include "control_call.h"
#include "control_rows.h"
#include "host.h"
#include "jobs.h"
#include "log.h"

#define RUNNING_MAX  32
#define SEND_TIMEOUT 30 /* s that a client may let a piece of its answer wait */

static const struct control_scope *scope;
static atomic_uint running;

struct found { /* a command's row and whom to call with it */
	const struct pstn_commands *table;
	struct pstn_command row;
	void *inst;
};

void control_start(const struct control_scope *s)
{
	scope = s;
}

unsigned control_running(void)
{
	return atomic_load(&running);
}

void control_cancel(void)
{
	calls_cancel();
}

/* ---- finding ----------------------------------------------------------------------------------- */

static bool find_in(const struct pstn_commands *table, void *inst, const char *name,
		    struct found *f)
{
	for (unsigned i = 0; control_row(table, i, &f->row); i++) {
		if (strcmp(f->row.name, name) == 0) {
			f->table = table;
			f->inst = inst;
			return true;
		}
	}
	return false;
}

static const struct pstn_commands *module_table(unsigned i, void **inst)
{
	const struct pstn_self *self = instances_at(scope->instances, i);

	*inst = instance_handle(self);
	return *inst ? instance_offer(self, PSTN_CONTROL_COMMANDS, 1) : NULL;
}

static bool find(const char *name, struct found *f)
{
	if (find_in(&control_core_rows, (void *)scope, name, f))
		return true;
	for (unsigned i = 0; i < instances_count(scope->instances); i++) {
		void *inst;
		const struct pstn_commands *table = module_table(i, &inst);
		if (table && find_in(table, inst, name, f))
			return true;
	}
	return false;
}

static void help(struct pstn_call *c)
{
	json_t *rows = json_array();
	int status = rows ? control_rows_json(rows, &supervisor_rows) : -1;

	if (status == 0)
		status = control_rows_json(rows, &control_core_rows);
	for (unsigned i = 0; status == 0 && i < instances_count(scope->instances); i++) {
		void *inst;
		const struct pstn_commands *table = module_table(i, &inst);
		if (table)
			status = control_rows_json(rows, table);
	}
	c->root = rows;
	c->misbuilt = status < 0;
}

/* ---- checking ---------------------------------------------------------------------------------- */

static bool is_file(const struct pstn_arg *arg)
{
	return arg->kind == PSTN_ARG_FILE || arg->kind == PSTN_ARG_INPUT ||
	       (arg->kind == PSTN_ARG_OPTION && (arg->flags & PSTN_ARG_IS_FILE));
}

static bool find_arg(const struct found *f, const char *name, struct pstn_arg *out)
{
	for (unsigned i = 0; control_arg_row(f->table, &f->row, i, out); i++)
		if (strcmp(out->name, name) == 0)
			return true;
	return false;
}

static bool is_number(const char *text)
{
	return *text && strlen(text) <= 20 && text[strspn(text, "0123456789")] == '\0';
}

static bool check_given(struct pstn_call *c, const struct found *f)
{
	const char *name;
	json_t *value;
	struct pstn_arg arg;

	json_object_foreach (c->request.args, name, value) {
		if (!find_arg(f, name, &arg) ||
		    (is_file(&arg) && !(arg.flags & PSTN_ARG_OR_DIRECTORY))) {
			call_ops.fail(c, "%s takes no argument \"%.40s\"", f->row.name, name);
			return false;
		}
		if (arg.kind == PSTN_ARG_NUMBER && json_is_string(value) &&
		    !is_number(json_string_value(value))) {
			call_ops.fail(c, "%s: \"%.40s\" is not a number", name,
				      json_string_value(value));
			return false;
		}
		if (arg.kind != PSTN_ARG_SWITCH && !json_is_string(value)) {
			call_ops.fail(c, "%s needs a value", name);
			return false;
		}
	}
	for (unsigned i = 0; i < c->request.nfiles; i++) {
		if (!find_arg(f, c->request.files[i], &arg) || !is_file(&arg)) {
			call_ops.fail(c, "%s takes no file \"%.40s\"", f->row.name,
				      c->request.files[i]);
			return false;
		}
	}
	return true;
}

static bool check_missing(struct pstn_call *c, const struct found *f)
{
	struct pstn_arg arg;

	for (unsigned i = 0; control_arg_row(f->table, &f->row, i, &arg); i++) {
		bool given = is_file(&arg) ? call_ops.fd(c, arg.name) >= 0
					   : call_ops.arg(c, arg.name) != NULL;

		given |= (arg.flags & PSTN_ARG_OR_DIRECTORY) && call_ops.arg(c, arg.name);
		if (!given && !(arg.flags & PSTN_ARG_OPTIONAL) && arg.kind != PSTN_ARG_OPTION &&
		    arg.kind != PSTN_ARG_SWITCH) {
			call_ops.fail(c, "%s: %s is missing", f->row.name, arg.name);
			return false;
		}
	}
	return true;
}

/* ---- running ----------------------------------------------------------------------------------- */

static void describe_args(const struct pstn_call *c, const struct found *f, char *out, size_t size)
{
	const char *name;
	json_t *value;
	struct pstn_arg arg;
	size_t n = 0;

	out[0] = '\0';
	json_object_foreach (c->request.args, name, value) {
		bool secret = !find_arg(f, name, &arg) || arg.kind == PSTN_ARG_SECRET;
		int more = snprintf(out + n, size - n, "%s%s=%.64s", n ? " " : "", name,
				    secret                  ? "***"
				    : json_is_string(value) ? json_string_value(value)
							    : "yes");
		if (more < 0 || (size_t)more >= size - n)
			return;
		n += (size_t)more;
	}
}

static void audit(const struct pstn_call *c, const struct found *f)
{
	char args[512];

	if (!(f->row.flags & PSTN_CHANGES))
		return;
	describe_args(c, f, args, sizeof(args));
	CORE_EVENT(PSTN_INFO, "command", PSTN_U("uid", c->who), PSTN_S("command", f->row.name),
		   PSTN_S("arguments", args), PSTN_S("outcome", c->failure ? c->failure : "ok"));
}

/* The supervisor's commands come here only when there is none. */
static void unknown(struct pstn_call *c)
{
	for (const struct pstn_command *row = supervisor_rows.rows; row->name; row++)
		if (strcmp(row->name, c->request.command) == 0) {
			call_ops.fail(c, "%s needs the running server: leave out --offline",
				      row->name);
			return;
		}
	call_ops.fail(c, "there is no command \"%.60s\"; posternctl help lists them all",
		      c->request.command);
}

static void run_command(struct pstn_call *c)
{
	struct found f;
	char err[256];

	if (control_request_parse(&c->request, c->text, strlen(c->text), err, sizeof(err)) < 0) {
		call_ops.fail(c, "%s", err);
		return;
	}
	if (strcmp(c->request.command, "help") == 0) {
		help(c);
		return;
	}
	if (!find(c->request.command, &f)) {
		unknown(c);
		return;
	}
	c->can_start_again = scope->held != NULL;
	if (check_given(c, &f) && check_missing(c, &f))
		f.row.run(f.inst, c);
	audit(c, &f);
}

static void run_task(struct task *t)
{
	struct pstn_call *c = (struct pstn_call *)((char *)t - offsetof(struct pstn_call, task));

	run_command(c);
	if (c->starts_again && !c->failure && !c->misbuilt) {
		*scope->held = c;
	} else {
		call_answer(c);
		call_clear(c);
	}
	atomic_fetch_sub(&running, 1);
}

static struct pstn_call *new_call(int client, uint32_t uid, const char *request, const int *files,
				  unsigned nfiles)
{
	struct pstn_call *c = calloc(1, sizeof(*c));

	if (c)
		c->text = strdup(request);
	if (!c || !c->text) {
		free(c);
		close(client);
		for (unsigned i = 0; i < nfiles; i++)
			close(files[i]);
		return NULL;
	}
	c->client = client;
	c->who = uid;
	c->nfiles = nfiles;
	memcpy(c->files, files, nfiles * sizeof(*files));
	return c;
}

/* The supervisor used the connection without blocking; a job thread may block, for a while. */
static void make_patient(int fd)
{
	struct timeval limit = {.tv_sec = SEND_TIMEOUT};
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
}

void control_serve(int client, uint32_t uid, const char *request, const int *files, unsigned nfiles)
{
	struct pstn_call *c = new_call(client, uid, request, files, nfiles);

	if (!c)
		return;
	make_patient(client);
	c->task.run = run_task;
	bool room = atomic_fetch_add(&running, 1) < RUNNING_MAX;
	if (!room)
		call_ops.fail_as(c, PSTN_E_BUSY, "too many commands are being run; try again soon");
	if (!room || !jobs_submit(&c->task, true)) {
		if (room)
			call_ops.fail_as(c, PSTN_E_BUSY,
					 "the worker takes no more work; try again soon");
		call_answer(c);
		call_clear(c);
		atomic_fetch_sub(&running, 1);
	}
}
