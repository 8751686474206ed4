/*
 * other_major.c - built for a core with which it has nothing in common.
 */
#include "minimal.h"

/* PSTN_MODULE_HEAD takes it up from here. */
#undef PSTN_ABI_MAJOR
#define PSTN_ABI_MAJOR 1000

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("other_major")};
