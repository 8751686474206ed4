/*
 * newer_minor.c - built against headers that have grown since: this core cannot judge it.
 */
#include "minimal.h"

/* PSTN_MODULE_HEAD takes it up from here. */
#undef PSTN_ABI_MINOR
#define PSTN_ABI_MINOR 1000

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("newer_minor")};
