/*
 * port_holder.h - who listens on a TCP port, for the sentence that says it is in use.
 */
#ifndef CORE_PORT_HOLDER_H
#define CORE_PORT_HOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "dovecot (process 1234)"; false if /proc does not tell (another user's process) or takes
 * too long: it is asked by the supervisor, which others wait for. */
bool port_holder(uint16_t port, char *who, size_t size);

#endif
