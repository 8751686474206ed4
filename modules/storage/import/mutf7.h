/*
 * mutf7.h - names of folders as Maildir++ writes them: modified UTF-7 (RFC 3501 section 5.1.3). Pure.
 */
#ifndef STORAGE_MUTF7_H
#define STORAGE_MUTF7_H

#include <stdbool.h>
#include <stddef.h>

/* Both: false if it is not valid or does not fit; out is a string then, too. */
bool mutf7_decode(const char *in, char *out, size_t room);
bool mutf7_encode(const char *in, char *out, size_t room);

#endif
