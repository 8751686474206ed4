/*
 * sandbox.h - what a worker can do without, taken away for good after rights were dropped.
 *
 * Two layers, each used if the kernel has it:
 *   seccomp   no new programs or processes, no tracing, mounting, kernel modules and the like
 *   landlock  files are written, made or removed only below state, run, log and the directories of
 *             paths that the configuration names; nothing is executed. Reading stays a matter of
 *             file rights: administrators hand over mailboxes from anywhere.
 */
#ifndef CORE_SANDBOX_H
#define CORE_SANDBOX_H

#include <stddef.h>

#include "plan.h"

/* Before any thread is started. Writes which layers are active, such as "seccomp, landlock 4";
 * "none" in builds with sanitizers, which need what is forbidden. A layer that the kernel has but
 * that cannot be set up is a warning in reports. */
void sandbox_enter(const struct plan *, char *layers, size_t size, struct reports *);

#endif
