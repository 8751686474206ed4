/*
 * undefined.c - calls a function that no library has: judged well, but it cannot be opened.
 */
#include "minimal.h"

void nowhere_to_be_found(void);

PSTN_EXPORT void call_it(void);
PSTN_EXPORT void call_it(void)
{
	nowhere_to_be_found();
}

PSTN_EXPORT const struct pstn_module pstn_module = {MINIMAL_MODULE("undefined")};
