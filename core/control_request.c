/*
 * control_request.c - one line of JSON from a client that may send anything.
 */
#include "config.h"

#include "control_request.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include <postern/control.h>

_Static_assert(sizeof((struct control_request *)0)->files / sizeof(char *) == CONTROL_FILES_MAX,
	       "as many names as descriptors");

static int check_version(const json_t *root, char *err, size_t errlen)
{
	const json_t *version = json_object_get(root, "version");

	if (!json_is_integer(version)) {
		snprintf(err, errlen, "the request has no \"version\"; this server speaks %d",
			 CONTROL_VERSION);
		return -1;
	}
	if (json_integer_value(version) != CONTROL_VERSION) {
		snprintf(
		    err, errlen,
		    "the request is of version %lld, this server speaks %d: use the posternctl "
		    "that came with it",
		    (long long)json_integer_value(version), CONTROL_VERSION);
		return -1;
	}
	return 0;
}

static int check_args(const json_t *args, char *err, size_t errlen)
{
	const char *name;
	json_t *value;

	if (!json_is_object(args)) {
		snprintf(err, errlen, "\"args\" has to be an object");
		return -1;
	}
	json_object_foreach ((json_t *)args, name, value) {
		if (!json_is_string(value) && !json_is_boolean(value)) {
			snprintf(err, errlen, "argument \"%.40s\": expected a string or true",
				 name);
			return -1;
		}
	}
	return 0;
}

static int take_files(struct control_request *r, const json_t *files, char *err, size_t errlen)
{
	size_t i;
	json_t *name;

	if (!json_is_array(files) || json_array_size(files) > CONTROL_FILES_MAX) {
		snprintf(err, errlen, "\"files\" has to be an array of at most %d names",
			 CONTROL_FILES_MAX);
		return -1;
	}
	json_array_foreach ((json_t *)files, i, name) {
		if (!json_is_string(name)) {
			snprintf(err, errlen, "\"files\" has to be an array of names");
			return -1;
		}
		r->files[r->nfiles++] = json_string_value(name);
	}
	return 0;
}

static int take_generation(struct control_request *r, const json_t *generation, char *err,
			   size_t errlen)
{
	if (!json_is_integer(generation) || json_integer_value(generation) < 1) {
		snprintf(err, errlen, "\"generation\" has to be a number from 1 on");
		return -1;
	}
	r->generation = (uint64_t)json_integer_value(generation);
	return 0;
}

static int take_fields(struct control_request *r, char *err, size_t errlen)
{
	const json_t *files = json_object_get(r->root, "files");
	const json_t *generation = json_object_get(r->root, "generation");

	if (!json_is_object(r->root)) {
		snprintf(err, errlen, "the request has to be a JSON object");
		return -1;
	}
	if (check_version(r->root, err, errlen) < 0)
		return -1;
	r->command = json_string_value(json_object_get(r->root, "command"));
	if (!r->command) {
		snprintf(err, errlen, "the request has no \"command\"");
		return -1;
	}
	r->args = json_object_get(r->root, "args");
	if (r->args && check_args(r->args, err, errlen) < 0)
		return -1;
	if (files && take_files(r, files, err, errlen) < 0)
		return -1;
	return generation ? take_generation(r, generation, err, errlen) : 0;
}

/* jansson recurses for each level and allows 2048; the supervisor's stack is not for that. */
static bool too_deep(const char *text, size_t n)
{
	unsigned depth = 0;
	bool quoted = false;

	for (size_t i = 0; i < n; i++) {
		char c = text[i];
		if (c == '\\' && quoted)
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '[' || c == '{') && ++depth > 32)
			return true;
		else if (!quoted && (c == ']' || c == '}') && depth > 0)
			depth--;
	}
	return false;
}

int control_request_parse(struct control_request *r, const char *text, size_t n, char *err,
			  size_t errlen)
{
	json_error_t why;

	*r = (struct control_request){0};
	if (too_deep(text, n)) {
		snprintf(err, errlen, "the request is nested too deeply");
		return -1;
	}
	r->root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
	if (!r->root) {
		snprintf(err, errlen, "the request is not JSON: %s", why.text);
		return -1;
	}
	if (take_fields(r, err, errlen) < 0) {
		control_request_clear(r);
		return -1;
	}
	return 0;
}

void control_request_clear(struct control_request *r)
{
	json_decref(r->root);
	*r = (struct control_request){0};
}

const char *control_request_arg(const struct control_request *r, const char *name)
{
	const json_t *value = json_object_get(r->args, name);

	if (json_is_true(value))
		return "";
	return json_string_value(value);
}
