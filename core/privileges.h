/*
 * privileges.h - from root to the configured user, for good; and directories that this user owns.
 */
#ifndef CORE_PRIVILEGES_H
#define CORE_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "dirs.h"
#include "reports.h"

struct identity { /* whom to become; drop false: not started as root, so nobody else */
	bool drop;
	uid_t uid;
	gid_t gid;
	char user[64];
};

/* Finds the user; -1 and a report if there is none. */
int privileges_find(const char *user, struct identity *, struct reports *);
/* The control group's id; 1: found, 0: name is "", -1 and a report. */
int privileges_group(const char *name, gid_t *, struct reports *);
/* Makes state, run and log where they are missing and gives them to the user; or checks that they
 * can be used. -1 and reports. */
int privileges_dirs(const struct dirs *, const struct identity *, struct reports *);
/* After that: whether the user gets there, past the directories above. -1 and reports. */
int privileges_reach(const struct dirs *, const struct identity *, struct reports *);
/* Before any thread is started. -1 and a report; the process has to end then. */
int privileges_drop(const struct identity *, struct reports *);

#endif
