/*
 * bundle.h - messages that a command brings in many at once: they are committed together, and one
 * sync serves all of them.
 */
#ifndef STORAGE_BUNDLE_H
#define STORAGE_BUNDLE_H

#include "delivery/delivery.h"

#define BUNDLE_MAX    64
#define BUNDLE_OCTETS ((uint64_t)4 << 20)

struct bundle {
	struct store *store;
	/* Told what has become of each (pending->status), in the order in which they were added. */
	void (*settled)(void *arg, const struct pending *, uint64_t tag);
	void *arg;
	/* the bundle's own */
	struct pstn_delivery *deliveries[BUNDLE_MAX];
	struct pending *pending[BUNDLE_MAX];
	uint64_t tags[BUNDLE_MAX]; /* the caller's, to know them by */
	unsigned count;
	uint64_t octets;
};

/* A sealed delivery, and what delivery_seal() made of it. Both are the bundle's from now on. True:
 * the bundle is full, and has to be committed before the next one. */
bool bundle_add(struct bundle *, struct pstn_delivery *, struct pending *, uint64_t tag);
/* Blocks until all of them are settled. */
void bundle_commit(struct bundle *);

#endif
