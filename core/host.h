/*
 * host.h - the function table that modules call the core through.
 */
#ifndef CORE_HOST_H
#define CORE_HOST_H

#include <postern/commands.h>

extern const struct pstn_host host_table;
/* host_table.call points here; control.c implements the functions. */
extern const struct pstn_call_ops call_ops;

#endif
