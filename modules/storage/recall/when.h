/*
 * when.h - a moment, as an administrator writes it: RFC 3339 in full, without its zone (then in the
 * server's local time), a date alone (its first moment), a time alone (today), or how long ago.
 * Pure but for the local time zone.
 */
#ifndef STORAGE_WHEN_H
#define STORAGE_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* What can be written, as the end of a sentence. */
#define WHEN_EXAMPLES                                                                          \
	"2026-11-24T10:00:00Z, 2026-11-24T10:00:00+01:00, \"2026-11-24 10:00\" or 2026-11-24 " \
	"(local time), 10:00 (today), 90m, 2h, 3d or 1w (ago)"

/* now and *out: ms since 1970. False: text is no moment since then. */
bool when_parse(const char *text, uint64_t now, uint64_t *out);
/* In UTC, to the millisecond, so that it can be given back. */
#define WHEN_TEXT 32
void when_text(uint64_t ms, char out[WHEN_TEXT]);

#endif
