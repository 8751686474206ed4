/*
 * script.c - see script.h.
 */
#include "script.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct script scripts[] = {
    {"connect", {GREETING, QUIT, CLOSED}, false, false},
    {"login", {GREETING, USER, PASS, STAT, QUIT, CLOSED}, false, false},
    {"poll", {GREETING, USER, PASS, STAT, UIDL, LIST, QUIT, CLOSED}, false, false},
    {"retr", {GREETING, USER, PASS, STAT, LIST, RETR, QUIT, CLOSED}, true, false},
    {"retr-pipe", {GREETING, USER, PASS, STAT, LIST, RETR, QUIT, CLOSED}, true, true},
    {"idle", {GREETING, USER, PASS, STAT, HELD}, false, false},
    {"idle-greeted", {GREETING, HELD}, false, false},
};

#define SCRIPTS (sizeof scripts / sizeof scripts[0])

const struct script *script_find(const char *name)
{
	for (size_t i = 0; i < SCRIPTS; i++)
		if (strcmp(scripts[i].name, name) == 0)
			return &scripts[i];
	return NULL;
}

void script_names(char *out, size_t size)
{
	size_t at = 0;
	for (size_t i = 0; i < SCRIPTS && at < size; i++)
		at += (size_t)snprintf(out + at, size - at, "%s%s", i ? " " : "", scripts[i].name);
}

enum reply_kind script_reply(enum step step)
{
	switch (step) {
	case UIDL:
		return REPLY_UIDL;
	case LIST:
		return REPLY_LIST;
	case RETR:
		return REPLY_TEXT;
	default:
		return REPLY_LINE;
	}
}

const char *script_judge(enum step step, const struct reply *r, uint32_t messages, uint64_t *octets)
{
	uint64_t count;
	switch (step) {
	case STAT:
		if (sscanf(r->line, "+OK %" SCNu64 " %" SCNu64, &count, octets) != 2)
			return "STAT without two numbers";
		return messages && count != messages ? "STAT counts another number of messages"
						     : NULL;
	case UIDL:
		return messages && r->rows != messages ? "UIDL lists another number of messages"
						       : NULL;
	case LIST:
		if (messages && r->rows != messages)
			return "LIST lists another number of messages";
		return r->sum != *octets ? "LIST sizes do not add up to STAT's" : NULL;
	default:
		return NULL;
	}
}
