/*
 * later_need.c - needs test.store 2.0, which nobody offers.
 */
#include <postern/module.h>

static const struct pstn_need needs[] = {{"test.store", 2, 0, 0}, {0}};

#define MINIMAL_NEEDS needs
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("later_need")};
