/*
 * keywords.h - which bits of a folder's messages have which names.
 */
#ifndef STORAGE_KEYWORDS_H
#define STORAGE_KEYWORDS_H

#include "format/keyword.h"
#include "index.h"

struct keywords {
	uint64_t taken;                            /* bits that were given a name */
	char names[KEYWORDS_MAX][KEYWORD_MAX + 1]; /* "": none, or none that can be used */
};

/* Those of a folder; one that is not there has none. 0 or MDB_*. */
int keywords_read(struct index *, MDB_txn *, uint64_t account, uint32_t folder, struct keywords *);
/* The bit with this name; -1: none has it. */
int keywords_find(const struct keywords *, const char *name, size_t n);
/* Their names; bits that have none are left out. */
void keywords_list(const struct keywords *, uint64_t bits, struct keyword_list *);

#endif
