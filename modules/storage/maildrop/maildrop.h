/*
 * maildrop.h - the table behind interface storage.maildrop; the instance is the store.
 */
#ifndef STORAGE_MAILDROP_H
#define STORAGE_MAILDROP_H

#include <postern/maildrop.h>

extern const struct pstn_maildrops maildrop_table;

#endif
