/*
 * control.h - administrative commands in a worker: found, checked, run on job threads, answered.
 */
#ifndef CORE_CONTROL_H
#define CORE_CONTROL_H

#include <postern/commands.h>
#include <postern/control.h>

#include "instance.h"

struct reactors;

struct control_scope { /* what the core's own commands speak of; outlives them */
	unsigned generation;
	const struct plan *plan;
	struct instances *instances;
	struct reactors *reactors;
	/* Offline: where a call is put whose answer waits until the modules have started again. NULL:
	 * they do not for a command. */
	struct pstn_call **held;
};

void control_start(const struct control_scope *);
/* Takes over the descriptors: the client's, then its files'. Answers when the command is done. */
void control_serve(int client, uint32_t uid, const char *request, const int *files,
		   unsigned nfiles);
unsigned control_running(void); /* commands under way */
/* The worker has to end: commands that ask hear that they are cancelled. */
void control_cancel(void);

/* ---- control_core.c, control_config.c: the core's own rows; inst is the scope ---- */
extern const struct pstn_commands control_core_rows;
void control_config_check(void *inst, struct pstn_call *);
void control_config_show(void *inst, struct pstn_call *);
void control_config_diff(void *inst, struct pstn_call *);
void control_config_explain(void *inst, struct pstn_call *);

#endif
