/*
 * posternctl.c - administers a running Postern: the program's own options, and the way from a
 * command line to its exit status (0 done, 1 failed, 2 the command line is wrong, others of
 * sysexits.h).
 */
#include "posternctl.h"
#include "config.h"

#include <errno.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char USAGE[] = "usage: posternctl [--directory DIR | --socket PATH] [--json] "
			    "[--offline] COMMAND [ARGUMENT...]\n"
			    "       posternctl help [COMMAND]\n"
			    "       posternctl completion bash\n";

static const char OPTIONS[] =
    "\n"
    "  --directory DIR  the instance's directory (default: $POSTERN_DIRECTORY, else the system's)\n"
    "  --socket PATH    the control socket itself\n"
    "  --json           print the result as JSON\n"
    "  --offline        the server is stopped: start one without listeners for this command\n"
    "  --config FILE    with --offline: as of posternd\n"
    "  --modules DIR    with --offline: as of posternd\n"
    "  --help, --version\n"
    "\n"
    "\"posternctl help\" lists the commands; the server has to run for that.\n";

int ctl_error(const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("posternctl: ", stderr);
	for (const unsigned char *c = (const unsigned char *)text; *c; c++)
		if ((*c < ' ' && *c != '\n') || *c == 0x7f)
			fprintf(stderr, "\\x%02x", *c);
		else
			putc(*c, stderr);
	putc('\n', stderr);
	return EXIT_FAILURE;
}

/* ---- own options ---- */

static bool take_switch(struct ctl *ctl, const char *word)
{
	if (strcmp(word, "--json") == 0)
		ctl->json = true;
	else if (strcmp(word, "--offline") == 0)
		ctl->offline = true;
	else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		ctl->help = true;
	else
		return false;
	return true;
}

static const char **valued(struct ctl *ctl, const char *word, size_t n)
{
	const struct {
		const char *name;
		const char **value;
	} rows[] = {{"--directory", &ctl->directory},
		    {"--socket", &ctl->socket},
		    {"--config", &ctl->config},
		    {"--modules", &ctl->modules}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].name) == n && strncmp(rows[i].name, word, n) == 0)
			return rows[i].value;
	return NULL;
}

/* Before the command all of them; switches may also follow it. Fills words with the rest. */
static int take_options(struct ctl *ctl, int argc, char **argv, char **words)
{
	bool ended = false;

	ctl->words = words;
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *equals = strchr(word, '=');
		size_t n = equals ? (size_t)(equals - word) : strlen(word);
		const char **value = ctl->nwords == 0 ? valued(ctl, word, n) : NULL;

		if (!ended && value) {
			*value = equals ? equals + 1 : argv[++i];
			if (!*value) {
				ctl_error("%s needs a value", word);
				return EXIT_USAGE;
			}
		} else if (ended || !take_switch(ctl, word)) {
			if (!ended && ctl->nwords == 0 && word[0] == '-' &&
			    strcmp(word, "--version") != 0) {
				ctl_error("there is no option %s", word);
				fputs(USAGE, stderr);
				return EXIT_USAGE;
			}
			ended = ended || strcmp(word, "--") == 0;
			words[ctl->nwords++] = argv[i];
		}
	}
	return EXIT_SUCCESS;
}

/* ---- one command ---- */

static void show(const struct ctl *ctl, const json_t *result)
{
	if (!ctl->json) {
		ctl_show(result);
		return;
	}
	json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

static json_t *generations(const struct ctl *ctl, struct ctl_outcome *outcome)
{
	return ctl_request(ctl, &(struct ctl_request){.command = "generations"}, outcome);
}

/* Put one generation's answer into the joined one, its number in the first column. */
static bool join(json_t *all, json_t *part, json_int_t generation)
{
	json_t *one = json_is_array(part) ? NULL : json_pack("[O]", part);
	size_t i;
	json_t *row;
	bool good = json_is_array(part) || one;

	json_array_foreach (one ? one : part, i, row) {
		json_t *joined = json_pack("{sI}", "generation", generation);

		if (json_is_object(row))
			good = good && joined && json_object_update_missing(joined, row) == 0;
		else
			good = good && joined && json_object_set(joined, "value", row) == 0;
		good = json_array_append_new(all, joined) == 0 && good;
	}
	json_decref(one);
	return good;
}

static int run_each(const struct ctl *ctl, struct ctl_request *request)
{
	struct ctl_outcome outcome;
	json_t *list = generations(ctl, &outcome), *all = json_array(), *row;
	int status = all ? outcome.status : EXIT_FAILURE;
	size_t i;

	json_array_foreach (list, i, row) {
		json_t *part;

		request->generation = json_integer_value(json_object_get(row, "generation"));
		part = ctl_request(ctl, request, &outcome);
		if (!part)
			status = outcome.status;
		else if (!outcome.raw && !join(all, part, request->generation))
			status = ctl_error("out of memory");
		json_decref(part);
	}
	json_decref(list);
	if (all && (json_array_size(all) > 0 || status == EXIT_SUCCESS))
		show(ctl, all);
	json_decref(all);
	return status;
}

static int run_once(const struct ctl *ctl, const struct ctl_request *request)
{
	struct ctl_outcome outcome;
	json_t *result = ctl_request(ctl, request, &outcome);

	if (result && !outcome.raw)
		show(ctl, result);
	json_decref(result);
	return outcome.status;
}

static int run(struct ctl *ctl)
{
	struct ctl_arguments arguments;
	struct ctl_request request;
	int used = 0, status = ctl_learn(ctl);
	const json_t *command;

	if (status != EXIT_SUCCESS)
		return status;
	if (strcmp(ctl->words[0], "help") == 0)
		return ctl_help(ctl, ctl->words + 1, ctl->nwords - 1);
	if (strcmp(ctl->words[0], "completion") == 0)
		return ctl_completion(ctl, ctl->words + 1, ctl->nwords - 1);
	if (ctl->help)
		return ctl_help(ctl, ctl->words, ctl->nwords);
	command = ctl_find(ctl, &used);
	if (!command)
		return ctl_unknown(ctl);
	status = ctl_arguments(command, ctl->words + used, ctl->nwords - used, &arguments);
	if (status == EXIT_SUCCESS) {
		request = (struct ctl_request){.command = ctl_string(command, "name"),
					       .args = arguments.args,
					       .files = arguments.files,
					       .fds = arguments.fds,
					       .directories = arguments.directories,
					       .ndirectories = arguments.ndirectories};
		if (ctl_true(command, "each_generation") && !ctl->offline)
			status = run_each(ctl, &request);
		else
			status = run_once(ctl, &request);
	}
	ctl_arguments_clear(&arguments);
	return status;
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	char **words = calloc((size_t)argc + 1, sizeof(*words));
	int status;

	if (!words)
		return ctl_error("out of memory");
	setlocale(LC_ALL, "");
	status = take_options(&ctl, argc, argv, words);
	if (status == EXIT_SUCCESS && ctl.nwords == 0) {
		fputs(USAGE, ctl.help ? stdout : stderr);
		fputs(OPTIONS, ctl.help ? stdout : stderr);
		status = ctl.help ? EXIT_SUCCESS : EXIT_USAGE;
	} else if (status == EXIT_SUCCESS && strcmp(words[0], "--version") == 0) {
		puts(PACKAGE_STRING);
	} else if (status == EXIT_SUCCESS) {
		status = run(&ctl);
	}
	json_decref(ctl.table);
	free(words);
	if (fflush(stdout) != 0 || ferror(stdout))
		status = ctl_error("cannot write the output: %s", strerror(errno));
	return status;
}
