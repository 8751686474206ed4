/*
 * unmet_need.c - needs test.store 1.0, which only the provider beside it offers.
 */
#include <postern/module.h>

static const struct pstn_need needs[] = {
    {"test.store", 1, 0, 0}, {"test.extra", 1, 0, PSTN_OPTIONAL}, {0}};

#define MINIMAL_NEEDS needs
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("unmet_need")};
