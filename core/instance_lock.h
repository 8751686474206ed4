/*
 * instance_lock.h - one daemon per instance: a lock that dies with its process, and the pid file.
 */
#ifndef CORE_INSTANCE_LOCK_H
#define CORE_INSTANCE_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "dirs.h"

/* Makes the instance's directories where they are missing. */
int instance_make_dirs(const struct dirs *, char *err, size_t errlen);
/* The lock's descriptor (close-on-exec), or -1 and a sentence that names who has it. offline: the
 * sentence is for posternctl --offline. */
int instance_lock(const struct dirs *, bool offline, char *err, size_t errlen);
/* Writes the pid of this process, replacing what was there. */
int pid_file_write(const char *path, char *err, size_t errlen);

#endif
