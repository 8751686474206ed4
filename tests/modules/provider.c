/*
 * provider.c - offers the interface test.store 1.1.
 */
#include <postern/module.h>

static const struct {
	uint32_t size;
	uint32_t number;
} store = {.size = sizeof store, .number = 42};

static const struct pstn_offer offers[] = {{"test.store", 1, 1, &store}, {0}};

#define MINIMAL_OFFERS offers
#include "minimal.h"

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("provider")};
