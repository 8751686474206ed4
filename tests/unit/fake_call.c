/*
 * fake_call.c - administrative commands of the fake host: arguments are set by the test, the
 * answer becomes a JSON string.
 */
#include "fake_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/posternctl_beneath.h"

enum { ARGS = 16, DEPTH = 16 };

struct pstn_call {
	struct {
		char *name, *value;
		int fd;
	} args[ARGS];
	unsigned nargs;
	char *text; /* the JSON */
	size_t length;
	FILE *out;
	char *raw; /* bytes() */
	size_t raw_length;
	FILE *raw_out;
	char *notes; /* a line each */
	size_t notes_length;
	FILE *notes_out;
	char open[DEPTH]; /* '{' or '[' */
	bool first[DEPTH];
	unsigned depth;
	bool answered, cancelled;
	char *error;
	uint64_t progress;
};

struct pstn_call *fake_call(void)
{
	struct pstn_call *c = fake_must(calloc(1, sizeof(*c)));
	c->out = fake_must(open_memstream(&c->text, &c->length));
	c->raw_out = fake_must(open_memstream(&c->raw, &c->raw_length));
	c->notes_out = fake_must(open_memstream(&c->notes, &c->notes_length));
	return c;
}

static void add_arg(struct pstn_call *c, const char *name, const char *value, int fd)
{
	if (c->nargs == ARGS)
		fake_die("more arguments than the fake has room for");
	c->args[c->nargs].name = fake_must(strdup(name));
	c->args[c->nargs].value = value ? fake_must(strdup(value)) : NULL;
	c->args[c->nargs++].fd = fd;
}

void fake_call_arg(struct pstn_call *c, const char *name, const char *value)
{
	add_arg(c, name, value, -1);
}

void fake_call_fd(struct pstn_call *c, const char *name, int fd)
{
	add_arg(c, name, NULL, fd);
}

void fake_call_cancel(struct pstn_call *c)
{
	__atomic_store_n(&c->cancelled, true, __ATOMIC_RELAXED);
}

/* ---- what the command calls ---- */

static void alive(struct pstn_call *c, const char *what)
{
	if (!fake_in_job)
		fake_die("call->%s was not called on the command's thread", what);
	if (c->error)
		fake_die("call->%s after fail()", what);
}

static const char *call_arg(struct pstn_call *c, const char *name)
{
	for (unsigned i = 0; i < c->nargs; i++)
		if (strcmp(c->args[i].name, name) == 0)
			return c->args[i].value;
	return NULL;
}

static int call_fd(struct pstn_call *c, const char *name)
{
	for (unsigned i = 0; i < c->nargs; i++)
		if (strcmp(c->args[i].name, name) == 0)
			return c->args[i].fd;
	return -1;
}

static void quote(FILE *out, const char *text)
{
	fputc('"', out);
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(out, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(out, "\\u%04x", *p);
		else
			fputc(*p, out);
	}
	fputc('"', out);
}

/* What precedes any value: comma and key, as the place demands. */
static void lead_in(struct pstn_call *c, const char *key, const char *what)
{
	alive(c, what);
	if (c->depth == 0) {
		if (c->answered || key)
			fake_die("call->%s: the outermost value is one, without a key", what);
		c->answered = true;
		return;
	}
	if ((c->open[c->depth - 1] == '{') != (key != NULL))
		fake_die("call->%s: a key belongs into an object and only there", what);
	if (!c->first[c->depth - 1])
		fputc(',', c->out);
	c->first[c->depth - 1] = false;
	if (key) {
		quote(c->out, key);
		fputc(':', c->out);
	}
}

static void call_open(struct pstn_call *c, const char *key, char bracket, const char *what)
{
	lead_in(c, key, what);
	if (c->depth == DEPTH)
		fake_die("call->%s: an answer nested too deeply", what);
	c->open[c->depth] = bracket;
	c->first[c->depth++] = true;
	fputc(bracket, c->out);
}

static void call_open_object(struct pstn_call *c, const char *key)
{
	call_open(c, key, '{', "open_object");
}

static void call_open_array(struct pstn_call *c, const char *key)
{
	call_open(c, key, '[', "open_array");
}

static void call_close(struct pstn_call *c)
{
	alive(c, "close");
	if (c->depth == 0)
		fake_die("call->close without an open object or array");
	fputc(c->open[--c->depth] == '{' ? '}' : ']', c->out);
}

static void call_text(struct pstn_call *c, const char *key, const char *value)
{
	lead_in(c, key, "text");
	quote(c->out, value);
}

static void call_integer(struct pstn_call *c, const char *key, int64_t value)
{
	lead_in(c, key, "integer");
	fprintf(c->out, "%" PRId64, value);
}

static void call_boolean(struct pstn_call *c, const char *key, bool value)
{
	lead_in(c, key, "boolean");
	fputs(value ? "true" : "false", c->out);
}

static void call_bytes(struct pstn_call *c, const void *bytes, size_t n)
{
	alive(c, "bytes");
	if (c->answered)
		fake_die("call->bytes together with a JSON answer");
	fwrite(bytes, 1, n, c->raw_out);
}

static void call_progress(struct pstn_call *c, uint64_t done, uint64_t total, const char *unit)
{
	(void)total;
	(void)unit;
	alive(c, "progress");
	c->progress = done;
}

PSTN_PRINTF(2, 0)
static void set_error(struct pstn_call *c, const char *fmt, va_list ap)
{
	alive(c, "fail");
	if (vasprintf(&c->error, fmt, ap) < 0)
		fake_die("fail cannot format %s", fmt);
}

PSTN_PRINTF(2, 3) static void call_fail(struct pstn_call *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_error(c, fmt, ap);
	va_end(ap);
}

PSTN_PRINTF(3, 4)
static void call_fail_as(struct pstn_call *c, int status, const char *fmt, ...)
{
	va_list ap;
	if (status >= 0)
		fake_die("call->fail_as(%d): it is no failure", status);
	va_start(ap, fmt);
	set_error(c, fmt, ap);
	va_end(ap);
}

static bool call_cancelled(struct pstn_call *c)
{
	return __atomic_load_n(&c->cancelled, __ATOMIC_RELAXED);
}

static uint32_t call_uid(struct pstn_call *c)
{
	(void)c;
	return 0;
}

/* ---- files of a directory argument: the test's own directory ---- */

static int open_target(struct pstn_call *c, const char *name, const char *what)
{
	const char *path = call_arg(c, name);

	alive(c, what);
	if (!path)
		fake_die("call->%s: there is no directory argument %s", what, name);
	return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int close_target(int dir, int status)
{
	int error = errno;

	if (dir >= 0)
		close(dir);
	errno = error;
	return status;
}

static int call_file(struct pstn_call *c, const char *name, const char *path, int mode)
{
	static const int flags[] = {[PSTN_FILE_READ] = O_RDONLY,
				    [PSTN_FILE_CREATE] = O_RDWR | O_CREAT | O_EXCL,
				    [PSTN_FILE_WRITE] = O_RDWR,
				    [PSTN_FILE_DIRECTORY] = O_RDONLY | O_DIRECTORY};
	int dir = open_target(c, name, "file"), fd = -1;

	if (dir >= 0 && (mode != PSTN_FILE_DIRECTORY || beneath_mkdir(dir, path) == 0))
		fd = beneath_open(dir, path, flags[mode]);
	return close_target(dir, fd);
}

static int call_rename(struct pstn_call *c, const char *name, const char *from, const char *to)
{
	int dir = open_target(c, name, "rename");

	return close_target(dir, dir < 0 ? -1 : beneath_rename(dir, from, to));
}

static int call_remove(struct pstn_call *c, const char *name, const char *path)
{
	int dir = open_target(c, name, "remove");

	return close_target(dir, dir < 0 ? -1 : beneath_remove(dir, path));
}

PSTN_PRINTF(2, 3) static void call_note(struct pstn_call *c, const char *fmt, ...)
{
	va_list ap;
	alive(c, "note");
	va_start(ap, fmt);
	vfprintf(c->notes_out, fmt, ap);
	va_end(ap);
	fputc('\n', c->notes_out);
}

static bool call_start_again(struct pstn_call *c)
{
	alive(c, "start_again");
	return false; /* as with a running server */
}

const struct pstn_call_ops fake_call_table = {
    .size = sizeof(struct pstn_call_ops),
    .arg = call_arg,
    .fd = call_fd,
    .open_object = call_open_object,
    .open_array = call_open_array,
    .close = call_close,
    .text = call_text,
    .integer = call_integer,
    .boolean = call_boolean,
    .bytes = call_bytes,
    .progress = call_progress,
    .fail = call_fail,
    .cancelled = call_cancelled,
    .uid = call_uid,
    .file = call_file,
    .rename = call_rename,
    .remove = call_remove,
    .note = call_note,
    .start_again = call_start_again,
    .fail_as = call_fail_as,
};

/* ---- running it and looking at the answer ---- */

struct running {
	struct pstn_call *call;
	const struct pstn_command *row;
	void *inst;
};

static void run_command(void *arg)
{
	struct running *r = arg;
	r->row->run(r->inst, r->call);
}

void fake_call_run(struct pstn_call *c, const struct pstn_commands *commands, const char *name,
		   void *inst)
{
	const struct pstn_command *row = commands->rows;
	while (row->name && strcmp(row->name, name) != 0)
		row = (const void *)((const char *)row + commands->command_size);
	if (!row->name)
		fake_die("there is no command %s", name);
	struct running r = {c, row, inst};
	fake_block_on(run_command, &r);
	if (c->depth && !c->error)
		fake_die("command %s left an object or array open", name);
}

const char *fake_call_answer(struct pstn_call *c)
{
	fflush(c->out);
	return c->error ? "" : c->text;
}

const char *fake_call_error(struct pstn_call *c)
{
	return c->error;
}

const char *fake_call_notes(struct pstn_call *c)
{
	fflush(c->notes_out);
	return c->notes;
}

const char *fake_call_bytes(struct pstn_call *c, size_t *n)
{
	fflush(c->raw_out);
	*n = c->raw_length;
	return c->raw;
}

uint64_t fake_call_progress(struct pstn_call *c)
{
	return c->progress;
}

void fake_call_free(struct pstn_call *c)
{
	for (unsigned i = 0; i < c->nargs; i++) {
		free(c->args[i].name);
		free(c->args[i].value);
	}
	fclose(c->out);
	fclose(c->raw_out);
	fclose(c->notes_out);
	free(c->text);
	free(c->raw);
	free(c->notes);
	free(c->error);
	free(c);
}
