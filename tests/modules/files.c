/*
 * files.c - commands that have posternctl open files below a directory, well and badly.
 */
#include <postern/commands.h>
#include <postern/module.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct files {
	const struct pstn_call_ops *call;
};

static void show(const struct pstn_call_ops *call, struct pstn_call *c, int fd)
{
	char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	if (n < 0 && errno == EISDIR)
		n = snprintf(text, sizeof(text), "a directory");
	text[n < 0 ? 0 : n] = '\0';
	call->text(c, NULL, text);
}

/* The word HOW names one of the calls. */
static int act(const struct pstn_call_ops *call, struct pstn_call *c)
{
	static const char *const modes[] = {"", "read", "create", "write", "directory", NULL};
	const char *how = call->arg(c, "how"), *path = call->arg(c, "path");
	const char *text = call->arg(c, "text"), *to = call->arg(c, "to");
	int mode = 1, fd;

	if (strcmp(how, "rename") == 0)
		return call->rename(c, "target", path, to ? to : "");
	if (strcmp(how, "remove") == 0)
		return call->remove(c, "target", path);
	while (modes[mode] && strcmp(modes[mode], how) != 0)
		mode++;
	fd = call->file(c, "target", path, mode);
	if (fd < 0)
		return -1;
	if (text && (pwrite(fd, text, strlen(text), 0) < 0 || fsync(fd) < 0)) {
		close(fd);
		return -1;
	}
	show(call, c, fd);
	close(fd);
	return 0;
}

static void files_do(void *inst, struct pstn_call *c)
{
	const struct files *f = inst;

	f->call->note(c, "in %s", f->call->arg(c, "target"));
	if (act(f->call, c) < 0)
		f->call->fail(c, "%s %s: %s", f->call->arg(c, "how"), f->call->arg(c, "path"),
			      strerrorname_np(errno));
}

/* Opens files until nobody answers any more, one of them all the while. */
static void files_many(void *inst, struct pstn_call *c)
{
	const struct files *f = inst;
	long count = strtol(f->call->arg(c, "count"), NULL, 10), done = 0;
	int held = f->call->file(c, "target", "", PSTN_FILE_READ), fd;

	for (; done < count && !f->call->cancelled(c); done++) {
		fd = f->call->file(c, "target", "one", PSTN_FILE_READ);
		if (fd < 0)
			break;
		close(fd);
	}
	if (held >= 0)
		close(held);
	f->call->integer(c, NULL, done);
}

static const struct pstn_arg do_args[] = {
    {"target", PSTN_ARG_DIRECTORY, PSTN_ARG_WRITES, "where"},
    {"how", PSTN_ARG_TEXT, 0, "what to do"},
    {"path", PSTN_ARG_TEXT, 0, "with what"},
    {"to", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "the new name"},
    {"text", PSTN_ARG_OPTION, PSTN_ARG_OPTIONAL, "written to the file"},
    {0},
};

static const struct pstn_arg look_args[] = {
    {"target", PSTN_ARG_DIRECTORY, 0, "where"},
    {"how", PSTN_ARG_TEXT, 0, "what to try"},
    {"path", PSTN_ARG_TEXT, 0, "with what"},
    {0},
};

static const struct pstn_arg many_args[] = {
    {"target", PSTN_ARG_DIRECTORY, 0, "where"},
    {"count", PSTN_ARG_NUMBER, 0, "how often the file \"one\" is opened"},
    {0},
};

static const struct pstn_command rows[] = {
    {"files do", "One call in a directory that may be changed", do_args, PSTN_CHANGES, 0, files_do},
    {"files look", "One call in a directory that may not", look_args, 0, 0, files_do},
    {"files many", "Many calls", many_args, 0, 0, files_many},
    {0},
};

static const struct pstn_commands commands = {
    .size = sizeof(commands),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = rows,
};

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	struct files *f = calloc(1, sizeof(*f));

	(void)self;
	(void)conf;
	(void)err;
	(void)errlen;
	if (f)
		f->call = host->call;
	return f;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	(void)inst;
	(void)err;
	(void)errlen;
	return 0;
}

static void stop(void *inst)
{
	free(inst);
}

static const struct pstn_offer offers[] = {{PSTN_CONTROL_COMMANDS, 1, 1, &commands}, {0}};

PSTN_EXPORT const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD, .name = "files", .version = "1.0",       .summary = "Made for tests.",
    .offers = offers, .start = start,  .self_test = self_test, .stop = stop,
};
