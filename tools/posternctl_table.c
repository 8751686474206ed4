/*
 * posternctl_table.c - the server's table of commands: asking for it, finding in it.
 */
#include "posternctl.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define WORD_MAX 63 /* octets of a word that are compared for likeness */

const char *ctl_string(const json_t *object, const char *key)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value ? value : "";
}

bool ctl_true(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

bool ctl_is_kind(const json_t *arg, const char *kind)
{
	return strcmp(ctl_string(arg, "kind"), kind) == 0;
}

static int ask_table(struct ctl *ctl, const char *which)
{
	struct ctl_request request = {.command = "help"};
	struct ctl_outcome outcome;

	if (which)
		request.args = json_pack("{s:b}", which, 1);
	json_decref(ctl->table);
	ctl->table = ctl_request(ctl, &request, &outcome);
	json_decref(request.args);
	if (!ctl->table)
		return outcome.status;
	ctl->partial = outcome.status;
	if (json_is_array(ctl->table))
		return EXIT_SUCCESS;
	ctl_error("the server's table of commands is not understood");
	return EX_TEMPFAIL;
}

/* The supervisor's commands take no words but switches; a module's may begin as they do. */
static bool is_found(const struct ctl *ctl)
{
	int used;

	return ctl_find(ctl, &used) && (used == ctl->nwords || ctl->words[used][0] == '-');
}

int ctl_learn(struct ctl *ctl)
{
	int status = EXIT_SUCCESS;

	/* What the supervisor does itself has to work when no worker answers. */
	if (!ctl->offline && !ctl->help)
		status = ask_table(ctl, CONTROL_HELP_OWN);
	if (status != EXIT_SUCCESS || (ctl->table && is_found(ctl)))
		return status;
	return ask_table(ctl, NULL);
}

/* How many of the words a command's name is; 0: they do not begin with it. */
static int match(const char *name, char *const *words, int n)
{
	for (int i = 0; i < n; i++) {
		size_t length = strcspn(name, " ");

		if (strlen(words[i]) != length || strncmp(words[i], name, length) != 0)
			return 0;
		name += length;
		if (*name == '\0')
			return i + 1;
		name++;
	}
	return 0;
}

const json_t *ctl_find(const struct ctl *ctl, int *used)
{
	const json_t *best = NULL;
	size_t i;
	json_t *command;

	*used = 0;
	json_array_foreach (ctl->table, i, command) {
		int n = match(ctl_string(command, "name"), ctl->words, ctl->nwords);

		if (n > *used) {
			*used = n;
			best = command;
		}
	}
	return best;
}

/* ---- nearest ---- */

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;

	return least < c ? least : c;
}

size_t ctl_distance(const char *a, const char *b)
{
	size_t row[WORD_MAX + 1], na = strnlen(a, WORD_MAX), nb = strnlen(b, WORD_MAX);

	for (size_t j = 0; j <= nb; j++)
		row[j] = j;
	for (size_t i = 1; i <= na; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= nb; j++) {
			size_t above = row[j];

			row[j] =
			    smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[nb];
}

/* The words, as many as the name has, joined by spaces; returns how long the name's part is. */
static size_t join_words(const struct ctl *ctl, const char *name, char *out, size_t n)
{
	size_t at = 0, part = 0;

	out[0] = '\0';
	for (int i = 0; i < ctl->nwords && name[part] && at < n; i++) {
		at += (size_t)snprintf(out + at, n - at, "%s%s", i ? " " : "", ctl->words[i]);
		part += i > 0; /* the space */
		part += strcspn(name + part, " ");
	}
	return part;
}

/* The name, or its first words, that what was said is most like. */
static bool nearest(const struct ctl *ctl, char *best, size_t n)
{
	size_t least = SIZE_MAX, i;
	json_t *command;

	json_array_foreach (ctl->table, i, command) {
		char said[WORD_MAX + 1], part[WORD_MAX + 1];
		size_t length = join_words(ctl, ctl_string(command, "name"), said, sizeof(said));
		size_t distance;

		snprintf(part, sizeof(part), "%.*s", (int)length, ctl_string(command, "name"));
		distance = ctl_distance(said, part);
		if (distance <= 1 + length / 3 && distance < least) {
			snprintf(best, n, "%s", part);
			least = distance;
		}
	}
	return least < SIZE_MAX;
}

/* "mailbox" alone: what can follow it. */
static bool list_longer(const struct ctl *ctl)
{
	const char *word = ctl->words[0];
	bool any = false;
	size_t i;
	json_t *command;

	json_array_foreach (ctl->table, i, command) {
		const char *name = ctl_string(command, "name");
		size_t length = strlen(word);

		if (strncmp(name, word, length) != 0 || name[length] != ' ')
			continue;
		if (!any)
			ctl_error("%s takes one more word:", word);
		any = true;
		fputs("  ", stderr);
		ctl_usage_line(stderr, command);
	}
	return any;
}

int ctl_unknown(const struct ctl *ctl)
{
	char near[WORD_MAX + 1];

	if (ctl->partial) {
		ctl_error("whether there is a command \"%s\" is not known now; try again later",
			  ctl->words[0]);
		return ctl->partial;
	}
	if (ctl->nwords == 1 && list_longer(ctl))
		return EXIT_USAGE;
	if (nearest(ctl, near, sizeof(near)) && strcmp(near, ctl->words[0]) != 0)
		ctl_error("there is no command \"%s%s%s\"; did you mean \"%s\"?", ctl->words[0],
			  ctl->nwords > 1 ? " " : "", ctl->nwords > 1 ? ctl->words[1] : "", near);
	else if (!list_longer(ctl))
		ctl_error("there is no command \"%s\"; \"posternctl help\" lists them",
			  ctl->words[0]);
	return EXIT_USAGE;
}
