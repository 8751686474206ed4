/*
 * posternctl_arguments.c - the words behind a command's name, as the command's rows want them.
 *
 * Files are opened here, with the rights of the person who asks, and travel as descriptors.
 */
#include "posternctl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct parse {
	const json_t *command;
	char *const *words;
	int n, at;
	size_t position; /* rows before it are used, as far as they are positional */
	struct ctl_arguments *out;
};

static int usage(const struct parse *p)
{
	fputs("usage: posternctl ", stderr);
	ctl_usage_line(stderr, p->command);
	return EXIT_USAGE;
}

static const json_t *rows(const struct parse *p)
{
	return json_object_get(p->command, "args");
}

static int set(struct parse *p, const json_t *row, json_t *value)
{
	if (json_object_set_new(p->out->args, ctl_string(row, "name"), value) == 0)
		return EXIT_SUCCESS;
	ctl_error("the value of %s is not valid UTF-8", ctl_string(row, "name"));
	return EXIT_USAGE;
}

static int add_file(struct parse *p, const json_t *row, int fd)
{
	struct ctl_arguments *out = p->out;

	if (out->nfds == CONTROL_FILES_MAX ||
	    json_array_append_new(out->files, json_string(ctl_string(row, "name"))) != 0) {
		if (fd > STDERR_FILENO)
			close(fd);
		return ctl_error("too many files");
	}
	out->fds[out->nfds++] = fd;
	return EXIT_SUCCESS;
}

/* The server gets the path to speak of it, and files below it when it asks for them. */
static int open_directory(struct parse *p, const json_t *row, const char *path)
{
	struct ctl_arguments *out = p->out;
	bool writes = ctl_true(row, "writes");
	int fd;

	if (out->ndirectories == CONTROL_FILES_MAX)
		return ctl_error("too many directories");
	fd = ctl_open_directory(path, writes);
	if (fd < 0)
		return EXIT_FAILURE;
	out->directories[out->ndirectories++] =
	    (struct ctl_directory){.name = ctl_string(row, "name"), .fd = fd, .writes = writes};
	return set(p, row, json_string(path));
}

static bool is_directory(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static int open_file(struct parse *p, const json_t *row, const char *path)
{
	int fd = STDIN_FILENO;

	if (strcmp(path, "-") != 0)
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return ctl_error("%s: %s", path, strerror(errno));
	if (fd == STDIN_FILENO || !is_directory(fd))
		return add_file(p, row, fd);
	close(fd);
	if (ctl_true(row, "or_directory"))
		return open_directory(p, row, path);
	return ctl_error("%s is a directory", path);
}

/* ---- options ---- */

static int set_option(struct parse *p, const json_t *row, const char *value)
{
	return ctl_true(row, "file") ? open_file(p, row, value) : set(p, row, json_string(value));
}

static const char *nearest_option(const struct parse *p, const char *word)
{
	const char *best = NULL;
	size_t least = 0, i;
	json_t *row;

	json_array_foreach (rows(p), i, row) {
		const char *name = ctl_string(row, "name");
		size_t distance = ctl_distance(name, word);

		if (!ctl_is_kind(row, CONTROL_KIND_OPTION) &&
		    !ctl_is_kind(row, CONTROL_KIND_SWITCH))
			continue;
		if (distance <= 1 + strlen(name) / 3 && (!best || distance < least)) {
			best = name;
			least = distance;
		}
	}
	return best;
}

static int no_option(const struct parse *p, const char *word)
{
	const char *near = nearest_option(p, word + 2);

	if (near)
		ctl_error("there is no option %s; did you mean --%s?", word, near);
	else
		ctl_error("there is no option %s", word);
	return usage(p);
}

static int take_option(struct parse *p, const char *word)
{
	const char *name = word + 2, *equals = strchr(name, '=');
	size_t length = equals ? (size_t)(equals - name) : strlen(name), i;
	json_t *row;

	json_array_foreach (rows(p), i, row) {
		const char *row_name = ctl_string(row, "name");

		if (strlen(row_name) != length || strncmp(row_name, name, length) != 0)
			continue;
		if (ctl_is_kind(row, CONTROL_KIND_SWITCH) && !equals)
			return set(p, row, json_true());
		if (!ctl_is_kind(row, CONTROL_KIND_OPTION))
			continue;
		if (equals)
			return set_option(p, row, equals + 1);
		if (++p->at < p->n)
			return set_option(p, row, p->words[p->at]);
		ctl_error("--%s needs a value", row_name);
		return usage(p);
	}
	return no_option(p, word);
}

/* ---- words in their order ---- */

static bool is_positional(const json_t *row)
{
	return ctl_is_kind(row, CONTROL_KIND_TEXT) || ctl_is_kind(row, CONTROL_KIND_NUMBER) ||
	       ctl_is_kind(row, CONTROL_KIND_FILE) || ctl_is_kind(row, CONTROL_KIND_DIRECTORY);
}

static const json_t *next_positional(struct parse *p)
{
	while (p->position < json_array_size(rows(p))) {
		const json_t *row = json_array_get(rows(p), p->position++);

		if (is_positional(row))
			return row;
	}
	return NULL;
}

static int take_word(struct parse *p, const char *word)
{
	const json_t *row = next_positional(p);

	if (!row) {
		ctl_error("\"%s\" is one word too many", word);
		return usage(p);
	}
	if (ctl_is_kind(row, CONTROL_KIND_FILE))
		return open_file(p, row, word);
	if (ctl_is_kind(row, CONTROL_KIND_DIRECTORY))
		return open_directory(p, row, word);
	if (ctl_is_kind(row, CONTROL_KIND_NUMBER) &&
	    (*word == '\0' || word[strspn(word, "0123456789")] != '\0')) {
		ctl_error("%s has to be a number, not \"%s\"", ctl_string(row, "name"), word);
		return usage(p);
	}
	return set(p, row, json_string(word));
}

static int take_words(struct parse *p)
{
	bool ended = false;
	int status = EXIT_SUCCESS;

	for (; status == EXIT_SUCCESS && p->at < p->n; p->at++) {
		const char *word = p->words[p->at];

		if (!ended && strcmp(word, "--") == 0)
			ended = true;
		else if (!ended && strncmp(word, "--", 2) == 0)
			status = take_option(p, word);
		else
			status = take_word(p, word);
	}
	return status;
}

static int check_complete(struct parse *p)
{
	const json_t *row;

	while ((row = next_positional(p))) {
		if (ctl_true(row, "optional"))
			continue;
		ctl_error("%s is missing", ctl_string(row, "name"));
		return usage(p);
	}
	return EXIT_SUCCESS;
}

/* ---- what takes no word ---- */

static int ask_secret(struct parse *p, const json_t *row)
{
	bool optional = ctl_true(row, "optional");
	char *secret = ctl_secret(ctl_string(row, "name"), ctl_true(row, "confirm"), optional);
	int status = EXIT_SUCCESS;

	if (!secret)
		return EXIT_FAILURE;
	if (*secret || !optional)
		status = set(p, row, json_string(secret));
	explicit_bzero(secret, strlen(secret));
	free(secret);
	return status;
}

static int give_input(struct parse *p, const json_t *row)
{
	if (isatty(STDIN_FILENO))
		fputs("posternctl: reading from the terminal; end with Ctrl-D\n", stderr);
	return add_file(p, row, STDIN_FILENO);
}

static int take_the_rest(struct parse *p)
{
	int status = EXIT_SUCCESS;
	size_t i;
	json_t *row;

	json_array_foreach (rows(p), i, row) {
		if (status == EXIT_SUCCESS && ctl_is_kind(row, CONTROL_KIND_SECRET))
			status = ask_secret(p, row);
		else if (status == EXIT_SUCCESS && ctl_is_kind(row, CONTROL_KIND_INPUT))
			status = give_input(p, row);
	}
	return status;
}

int ctl_arguments(const json_t *command, char *const *words, int n, struct ctl_arguments *out)
{
	struct parse p = {.command = command, .words = words, .n = n, .out = out};
	int status;

	*out = (struct ctl_arguments){.args = json_object(), .files = json_array()};
	if (!out->args || !out->files)
		return ctl_error("out of memory");
	status = take_words(&p);
	if (status == EXIT_SUCCESS)
		status = check_complete(&p);
	return status == EXIT_SUCCESS ? take_the_rest(&p) : status;
}

void ctl_arguments_clear(struct ctl_arguments *a)
{
	for (int i = 0; i < a->nfds; i++)
		if (a->fds[i] > STDERR_FILENO)
			close(a->fds[i]);
	for (int i = 0; i < a->ndirectories; i++)
		close(a->directories[i].fd);
	json_decref(a->args);
	json_decref(a->files);
}
