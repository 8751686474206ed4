/*
 * disk_cuts.c - where the power may go, and what is on disk then.
 */
#include "disk_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cuts {
	struct disk_history history;
	uint32_t *durable; /* by op: the sync that brings it to disk; count: none does */
	uint32_t at;       /* the next op */
	uint32_t last;
	uint32_t *pending;
	struct image *base;
};

static bool syncs(const struct disk_op *sync, const struct disk_op *op)
{
	if (sync->kind == DISK_SYNC_ALL)
		return true;
	if (sync->kind != DISK_SYNC)
		return false;
	switch (op->kind) {
	case DISK_WRITE:
	case DISK_TRUNCATE:
	case DISK_EXTEND:
		return op->object == sync->object;
	case DISK_ENTER:
	case DISK_REMOVE:
	case DISK_RENAME:
		return op->directory == sync->object;
	default:
		return false;
	}
}

static bool is_sync(const struct disk_op *op)
{
	return op->kind == DISK_SYNC || op->kind == DISK_SYNC_ALL;
}

static bool changes(const struct disk_op *op)
{
	return !is_sync(op) && op->kind != DISK_MARK;
}

struct cuts *cuts_new(const struct disk_history *h)
{
	struct cuts *c = calloc(1, sizeof(*c));

	c->history = *h;
	c->durable = malloc((h->count + 1) * sizeof(*c->durable));
	c->pending = malloc((h->count + 1) * sizeof(*c->pending));
	c->base = image_new(h);
	c->at = h->first;
	for (uint32_t i = 0; i < h->count; i++) {
		uint32_t s = i < h->first ? i : i + 1;

		while (i >= h->first && s < h->count && !syncs(&h->ops[s], &h->ops[i]))
			s++;
		c->durable[i] = s;
		if (i < h->first)
			image_apply(c->base, &h->ops[i], 0, NULL, NULL);
	}
	return c;
}

void cuts_free(struct cuts *c)
{
	image_free(c->base);
	free(c->durable);
	free(c->pending);
	free(c);
}

const struct image *cuts_base(const struct cuts *c)
{
	return c->base;
}

/* What the syncs since the last cut brought to disk. All that came before on the same object is
 * there already. */
static void advance_base(struct cuts *c, uint32_t before)
{
	for (uint32_t i = c->history.first; i < before; i++) {
		if (c->durable[i] < before && c->durable[i] >= c->last)
			image_apply(c->base, &c->history.ops[i], 0, NULL, NULL);
	}
}

bool cuts_next(struct cuts *c, struct cut *cut)
{
	const struct disk_history *h = &c->history;
	uint32_t at = c->at;

	if (at > h->count)
		return false;
	/* The next sync before which something happened. */
	while (at < h->count && !is_sync(&h->ops[at]))
		at++;
	*cut = (struct cut){.before = at, .last = c->last, .which = c->pending};
	advance_base(c, at);
	for (uint32_t i = h->first; i < at; i++) {
		if (changes(&h->ops[i]) && c->durable[i] >= at)
			c->pending[cut->pending++] = i;
	}
	/* None, all; prefixes, whole and torn; each alone, each missing. */
	cut->variants = 2 + 4 * cut->pending;
	c->last = at;
	c->at = at + 1;
	return true;
}

/* ---- choosing ---- */

struct chance {
	uint64_t state;
	uint32_t share; /* of 256 */
};

static uint64_t draw(struct chance *c)
{
	/* splitmix64 */
	uint64_t z = (c->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static bool lucky(void *arg)
{
	struct chance *c = arg;

	return (draw(c) & 0xff) < c->share;
}

static void torn(const struct cuts *c, uint32_t op, struct chance *chance, struct image *im)
{
	image_apply(im, &c->history.ops[op], draw(chance) % 3 ? 512 : 4096, lucky, chance);
}

static void random_choice(const struct cuts *c, const struct cut *cut, struct chance *chance,
			  struct image *im)
{
	static const uint32_t shares[] = {16, 64, 128, 192, 240};
	uint32_t share = shares[draw(chance) % 5], tear = shares[draw(chance) % 5];

	for (uint32_t i = 0; i < cut->pending; i++) {
		const struct disk_op *op = &c->history.ops[cut->which[i]];

		chance->share = share;
		if (!lucky(chance))
			continue;
		chance->share = tear;
		if (op->kind == DISK_WRITE && draw(chance) % 2)
			torn(c, cut->which[i], chance, im);
		else
			image_apply(im, op, 0, NULL, NULL);
	}
}

void cuts_choose(const struct cuts *c, const struct cut *cut, uint32_t v, uint64_t seed,
		 struct image *im, char *what, size_t n)
{
	struct chance chance = {.state = seed ^ ((uint64_t)cut->before << 32 | v), .share = 128};
	uint32_t kind = v < 2 ? v : 2 + (v - 2) % 4, i = v < 2 ? 0 : (v - 2) / 4;
	static const char *const names[] = {
	    "nothing of what was not synced", "everything", "everything up to",
	    "everything up to, torn,",        "only",       "everything but"};

	image_copy(im, c->base);
	if (v >= cut->variants) {
		random_choice(c, cut, &chance, im);
		snprintf(what, n, "by chance, of %u", cut->pending);
		return;
	}
	for (uint32_t k = 0; k < cut->pending; k++) {
		uint32_t op = cut->which[k];
		bool there = kind == 1 || (kind == 2 && k <= i) || (kind == 3 && k < i) ||
			     (kind == 4 && k == i) || (kind == 5 && k != i);

		if (there)
			image_apply(im, &c->history.ops[op], 0, NULL, NULL);
		else if (kind == 3 && k == i)
			torn(c, op, &chance, im);
	}
	snprintf(what, n, "%s op %u of %u", names[kind], v < 2 ? 0 : cut->which[i], cut->before);
}
