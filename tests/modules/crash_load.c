/*
 * crash_load.c - aborts while it is being loaded, before anybody has called it.
 */
#include <stdlib.h>

#include "minimal.h"

__attribute__((constructor)) static void on_load(void)
{
	abort();
}

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("crash_load")};
