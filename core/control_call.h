/*
 * control_call.h - one command being run: its request and the answer as it is built. struct
 * pstn_call of postern/commands.h.
 */
#ifndef CORE_CONTROL_CALL_H
#define CORE_CONTROL_CALL_H

#include <postern/commands.h>
#include <postern/control.h>

#include "control_request.h"
#include "reactor.h"

#define CALL_DEPTH_MAX 16

struct json_t;

struct pstn_call {
	struct task task;
	int client;
	uint32_t who;
	char *text; /* the request's line */
	struct control_request request;
	int files[CONTROL_FILES_MAX];
	unsigned nfiles;

	struct json_t *root;
	struct json_t *open[CALL_DEPTH_MAX]; /* the objects and arrays not yet closed */
	unsigned depth;
	bool misbuilt; /* calls that do not fit together, or no memory */
	bool gone;     /* the client does not take our octets */
	bool has_bytes;
	bool can_start_again, starts_again; /* the modules, before the answer is given */
	char *failure;
	int failed_as;        /* enum pstn_status; 0: nothing in particular */
	uint64_t progress_at; /* when the last progress line went out */

	unsigned asked;  /* the last question about a file */
	int files_error; /* why no more are asked; 0: they are */
};

/* The last line: ok with the result, or the failure. */
void call_answer(struct pstn_call *);
void call_clear(struct pstn_call *);
/* The worker is ending: cancelled() is true for all from now on. */
void calls_cancel(void);
bool calls_are_cancelled(void);
/* A line to the client. Takes over the value. */
void call_send(struct pstn_call *, struct json_t *);

/* ---- control_files.c: of struct pstn_call_ops ---- */
int call_file(struct pstn_call *, const char *name, const char *path, int mode);
int call_rename(struct pstn_call *, const char *name, const char *from, const char *to);
int call_remove(struct pstn_call *, const char *name, const char *path);

#endif
