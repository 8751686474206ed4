/*
 * script.h - what a session of each scenario says, and what it has to hear.
 */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "reply.h"

enum step { GREETING, USER, PASS, STAT, UIDL, LIST, RETR, QUIT, CLOSED, HELD };

struct script {
	const char *name;
	enum step steps[10];
	bool per_message; /* an operation is a message, else a session */
	bool pipelined;   /* all RETRs are sent at once */
};

const struct script *script_find(const char *name);
void script_names(char *out, size_t size); /* separated by spaces */
enum reply_kind script_reply(enum step);
/* Whether a complete reply says what it has to; NULL or what is wrong. messages 0 = any number. */
const char *script_judge(enum step, const struct reply *, uint32_t messages, uint64_t *octets);

#endif
