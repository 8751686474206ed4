/*
 * numbers.h - numbers that mail may have which recovery could not read.
 */
#ifndef STORAGE_NUMBERS_H
#define STORAGE_NUMBERS_H

struct recovery;
struct source;

/* No number that a record in what was lost may have is given again. 0, errno or MDB_*. */
int numbers_skip(struct recovery *);
/* The source's message has a uid that another has: both were acknowledged. It gets a new one, and a new
 * unique id, which its record says from now on. 0, errno or MDB_*. */
int numbers_anew(struct recovery *, struct source *);

#endif
