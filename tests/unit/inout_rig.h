/*
 * inout_rig.h - what tests of import and export share: files to be imported, and the two commands.
 */
#ifndef TESTS_INOUT_RIG_H
#define TESTS_INOUT_RIG_H

#include "storage_rig.h"

#include <time.h>

/* A name below the scratch directory; four of them at a time. */
const char *inout_path(const char *name);
/* A file with this text and time. */
void inout_put(const char *name, const char *text, time_t when);
void inout_maildir(const char *name);
/* Commands' answers; folder, uidls and format may be NULL. */
const char *inout_import(struct rig *, const char *user, const char *source, const char *folder,
			 const char *uidls);
const char *inout_export(struct rig *, const char *user, const char *directory, const char *format);
uint32_t inout_deliver(struct rig *, const char *user, const char *folder, const char *text,
		       size_t n, const char *uidl, uint32_t flags, uint64_t received);

#endif
