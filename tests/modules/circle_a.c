/*
 * circle_a.c - needs what circle_b offers, which needs what this one offers.
 */
#include <postern/module.h>

static const struct {
	uint32_t size;
	uint32_t reserved;
} table = {.size = sizeof table};

static const struct pstn_offer offers[] = {{"test.circle_a", 1, 0, &table}, {0}};
static const struct pstn_need needs[] = {{"test.circle_b", 1, 0, 0}, {0}};

#define MINIMAL_OFFERS offers
#define MINIMAL_NEEDS  needs
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("circle_a")};
