/*
 * control_request.h - one request of the control protocol (postern/control.h), parsed and judged.
 *
 * The supervisor reads it to see where it belongs, the worker to run it.
 */
#ifndef CORE_CONTROL_REQUEST_H
#define CORE_CONTROL_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_t;

struct control_request {
	struct json_t *root; /* owns the rest */
	const char *command;
	struct json_t *args; /* object of strings and true; NULL: none */
	unsigned nfiles;     /* names of the descriptors, in order */
	const char *files[4];
	uint64_t generation; /* 0: the current one */
};

/* n octets without the newline. 0, or -1 and a sentence; nothing to clear then. */
int control_request_parse(struct control_request *, const char *text, size_t n, char *err,
			  size_t errlen);
void control_request_clear(struct control_request *);
/* An argument's value; "" for a switch, NULL if not given. */
const char *control_request_arg(const struct control_request *, const char *name);

#endif
