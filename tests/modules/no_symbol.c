/*
 * no_symbol.c - a shared object that is no module at all.
 */
#include <postern/module.h>

PSTN_EXPORT extern const int something_else;
const int something_else = 1;
