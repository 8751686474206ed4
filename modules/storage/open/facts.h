/*
 * facts.h - what `posternctl status` shows of the store: a lowered guarantee, trouble, results.
 *
 * Any thread. Each stays until it is told anew.
 */
#ifndef STORAGE_FACTS_H
#define STORAGE_FACTS_H

#include <stdbool.h>

struct store;

extern const char *const durability_names[]; /* by enum durability; NULL ends */

/* What the level can lose. */
const char *durability_meaning(int level);
void facts_opened(struct store *);
void facts_full(struct store *, bool full);
void facts_broken(struct store *);
void facts_unwritable(struct store *, bool unwritable);
/* The index is made anew when the server is started the next time. */
void facts_rebuild_asked(struct store *);

#endif
