/*
 * wrong_magic.c - exports the symbol, but is no Postern module.
 */
#include "minimal.h"

/* PSTN_MODULE_HEAD takes it up from here. */
#undef PSTN_MAGIC
#define PSTN_MAGIC UINT64_C(0x4e4f544f55525321)

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("wrong_magic")};
