/*
 * home_parts.h - what home.c and identity.c share.
 */
#ifndef STORAGE_HOME_PARTS_H
#define STORAGE_HOME_PARTS_H

#include "home.h"

/* -1, and what is wrong with the file of that name as a sentence. */
int home_say(const struct store *, char *err, size_t n, const char *name, const char *what);

#endif
