/*
 * bind.h - a listening socket for an address as the configuration writes it.
 */
#ifndef CORE_BIND_H
#define CORE_BIND_H

#include <stddef.h>

/* "127.0.0.1:110", "[::1]:110", "unix:/path": a listening, non-blocking, close-on-exec socket, or
 * -1 and a sentence that says what to do. An address that is in use is waited for up to patience
 * ms. */
int bind_address(const char *address, int backlog, unsigned patience, char *err, size_t errlen);
/* Removes the file of a UNIX socket that nobody listens on any more; nothing for others. */
void bind_remove_file(const char *address);

#endif
