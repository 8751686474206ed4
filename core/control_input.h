/*
 * control_input.h - a request as it comes in: one bounded line, and descriptors with it.
 */
#ifndef CORE_CONTROL_INPUT_H
#define CORE_CONTROL_INPUT_H

#include <stddef.h>

#include <postern/control.h>

struct control_input {
	char *text; /* ends in '\0' once it is whole */
	size_t size;
	int files[CONTROL_FILES_MAX];
	unsigned nfiles;
};

enum control_got {
	CONTROL_GONE = -1, /* the client hung up */
	CONTROL_PART,      /* nothing whole yet: read again */
	CONTROL_WHOLE,
	CONTROL_BAD /* err is a sentence for the client */
};

int control_input_open(struct control_input *); /* -1 without memory */
/* Reads once; flags as of recvmsg(2). */
enum control_got control_input_read(struct control_input *, int fd, int flags, char *err,
				    size_t errlen);
void control_input_clear(struct control_input *); /* closes the files */

#endif
