/*
 * nearest.h - of some known names, the one that was probably meant.
 */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

#include <stddef.h>

struct nearest {
	const char *word;
	const char *best;
	unsigned distance;
};

void nearest_init(struct nearest *, const char *word);
void nearest_try(struct nearest *, const char *candidate); /* keeps the pointer */
const char *nearest_name(const struct nearest *);          /* NULL: nothing is near */

#endif
