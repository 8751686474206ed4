/*
 * posternctl_help.c - help and shell completion, both from the server's table.
 */
#include "posternctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_upper(FILE *to, const char *text)
{
	for (; *text; text++)
		putc(*text >= 'a' && *text <= 'z' ? *text - 'a' + 'A' : *text, to);
}

static void put_argument(FILE *to, const json_t *arg)
{
	const char *name = ctl_string(arg, "name");
	bool optional = ctl_true(arg, "optional");

	if (ctl_is_kind(arg, CONTROL_KIND_OPTION)) {
		const char *value = ctl_true(arg, "file") ? "FILE" : "VALUE";

		fprintf(to, optional ? " [--%s %s]" : " --%s %s", name, value);
	} else if (ctl_is_kind(arg, CONTROL_KIND_SWITCH)) {
		fprintf(to, " [--%s]", name);
	} else if (!ctl_is_kind(arg, CONTROL_KIND_SECRET) &&
		   !ctl_is_kind(arg, CONTROL_KIND_INPUT)) {
		fputs(optional ? " [" : " ", to);
		put_upper(to, name);
		fputs(optional ? "]" : "", to);
	}
}

void ctl_usage_line(FILE *to, const json_t *command)
{
	size_t i;
	json_t *arg;

	fputs(ctl_string(command, "name"), to);
	json_array_foreach (json_object_get(command, "args"), i, arg)
		put_argument(to, arg);
	json_array_foreach (json_object_get(command, "args"), i, arg)
		if (ctl_is_kind(arg, CONTROL_KIND_INPUT))
			fprintf(to, " < %s", ctl_string(arg, "name"));
	putc('\n', to);
}

/* ---- help ---- */

static void list_commands(const struct ctl *ctl)
{
	int widest = 0;
	size_t i;
	json_t *command;

	json_array_foreach (ctl->table, i, command) {
		int n = (int)strlen(ctl_string(command, "name"));

		widest = n > widest ? n : widest;
	}
	json_array_foreach (ctl->table, i, command)
		printf("  %-*s  %s\n", widest, ctl_string(command, "name"),
		       ctl_string(command, "help"));
	puts("\n\"posternctl help COMMAND\" tells a command's arguments.");
}

static const char *how_given(const json_t *arg)
{
	if (ctl_is_kind(arg, CONTROL_KIND_FILE))
		return "a path, or - for standard input";
	if (ctl_is_kind(arg, CONTROL_KIND_DIRECTORY))
		return ctl_true(arg, "writes") ? "a directory, made if missing" : "a directory";
	if (ctl_is_kind(arg, CONTROL_KIND_SECRET))
		return "asked for, or one line of standard input";
	if (ctl_is_kind(arg, CONTROL_KIND_INPUT))
		return "standard input";
	return "";
}

static void explain(const json_t *command)
{
	size_t i;
	json_t *arg;

	fputs("posternctl ", stdout);
	ctl_usage_line(stdout, command);
	printf("\n%s\n", ctl_string(command, "help"));
	if (json_array_size(json_object_get(command, "args")) > 0)
		putchar('\n');
	json_array_foreach (json_object_get(command, "args"), i, arg) {
		bool dashed =
		    ctl_is_kind(arg, CONTROL_KIND_OPTION) || ctl_is_kind(arg, CONTROL_KIND_SWITCH);
		const char *given = how_given(arg);

		printf("  %s%-*s  %s%s%s%s\n", dashed ? "--" : "", dashed ? 16 : 18,
		       ctl_string(arg, "name"), ctl_string(arg, "help"), *given ? " (" : "", given,
		       *given ? ")" : "");
	}
}

int ctl_help(const struct ctl *ctl, char *const *words, int n)
{
	struct ctl about = *ctl;
	const json_t *command;
	int used = 0;

	if (n == 0) {
		list_commands(ctl);
		return EXIT_SUCCESS;
	}
	about.words = words;
	about.nwords = n;
	command = ctl_find(&about, &used);
	if (!command)
		return ctl_unknown(&about);
	explain(command);
	return EXIT_SUCCESS;
}

/* ---- completion ---- */

static const char BASH[] =
    "_posternctl()\n"
    "{\n"
    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} words= next= row name i\n"
    "\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
    "\t\tcase ${COMP_WORDS[i]} in\n"
    "\t\t--directory|--socket|--config|--modules) ((i++)) ;;\n"
    "\t\t-*) ;;\n"
    "\t\t*) words+=\"${COMP_WORDS[i]} \" ;;\n"
    "\t\tesac\n"
    "\tdone\n"
    "\tfor row in \"${_posternctl_rows[@]}\"; do\n"
    "\t\tname=\"${row%%|*} \"\n"
    "\t\tif [[ $name == \"$words\"* && $name != \"$words\" ]]; then\n"
    "\t\t\tname=${name#\"$words\"}\n"
    "\t\t\tnext+=\" ${name%% *}\"\n"
    "\t\telif [[ -n $words && $words == \"$name\"* ]]; then\n"
    "\t\t\tnext+=\" ${row#*|}\"\n"
    "\t\tfi\n"
    "\tdone\n"
    "\t[[ -z $words ]] && next+=\" --directory --socket --json --offline --help --version\"\n"
    "\tCOMPREPLY=($(compgen -W \"$next\" -- \"$cur\"))\n"
    "\t[[ ${#COMPREPLY[@]} -eq 0 ]] && COMPREPLY=($(compgen -f -- \"$cur\"))\n"
    "}\n"
    "complete -F _posternctl posternctl\n";

/* What stands in single quotes of a shell script. */
static void put_name(const char *text)
{
	for (; *text; text++)
		if (*text != '\'' && *text != '|' && (unsigned char)*text >= ' ')
			putchar(*text);
}

int ctl_completion(const struct ctl *ctl, char *const *words, int n)
{
	size_t i, j;
	json_t *command, *arg;

	if (n != 1 || strcmp(words[0], "bash") != 0) {
		fputs("usage: posternctl completion bash\n", stderr);
		return EXIT_USAGE;
	}
	puts("# Completion for posternctl, made by \"posternctl completion bash\".");
	puts("_posternctl_rows=(");
	puts("\t'help|'");
	puts("\t'completion bash|'");
	json_array_foreach (ctl->table, i, command) {
		fputs("\t'", stdout);
		put_name(ctl_string(command, "name"));
		putchar('|');
		json_array_foreach (json_object_get(command, "args"), j, arg) {
			if (!ctl_is_kind(arg, CONTROL_KIND_OPTION) &&
			    !ctl_is_kind(arg, CONTROL_KIND_SWITCH))
				continue;
			fputs(" --", stdout);
			put_name(ctl_string(arg, "name"));
		}
		puts("'");
	}
	puts(")");
	fputs(BASH, stdout);
	return EXIT_SUCCESS;
}
