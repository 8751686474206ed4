/*
 * arena.h - memory that is given back all at once: a plan's, a file's, a document's.
 *
 * There is no failure to handle: reading a configuration takes little memory and happens in a
 * candidate or a command-line run, so having none at all ends the process with a message, which
 * refuses the candidate and leaves the running server as it is.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <postern/module.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena **);
void *arena_alloc(struct arena *, size_t n); /* zeroed, aligned for everything */
void *arena_array(struct arena *, size_t count, size_t size);
char *arena_strdup(struct arena *, const char *);
char *arena_strndup(struct arena *, const char *, size_t n);
char *arena_printf(struct arena *, const char *fmt, ...) PSTN_PRINTF(2, 3);

/* Passes p on; with p NULL says that there is no memory and exits. */
void *arena_must(void *p);

#endif
