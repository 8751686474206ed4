/*
 * bundle.c - messages that are committed together.
 */
#include "bundle.h"

bool bundle_add(struct bundle *b, struct pstn_delivery *d, struct pending *p, uint64_t tag)
{
	b->deliveries[b->count] = d;
	b->pending[b->count] = p;
	b->tags[b->count++] = tag;
	b->octets += p->deliver.record.octets;
	return b->count == BUNDLE_MAX || b->octets >= BUNDLE_OCTETS;
}

void bundle_commit(struct bundle *b)
{
	for (unsigned i = 0; i < b->count; i++)
		b->pending[i]->next = i + 1 < b->count ? b->pending[i + 1] : NULL;
	if (b->count)
		commit_wait(b->store, b->pending[0]);
	for (unsigned i = 0; i < b->count; i++) {
		if (b->pending[i]->status == PSTN_OK)
			delivery_committed(b->deliveries[i]);
		b->settled(b->arg, b->pending[i], b->tags[i]);
		delivery_free(b->deliveries[i]);
	}
	b->count = 0;
	b->octets = 0;
}
