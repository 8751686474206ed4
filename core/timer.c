/*
 * timer.c - a hierarchical wheel of timers (see timer.h).
 *
 * Level 0 has a slot per millisecond, each further level slots 64 times as wide. A timer is put
 * where its distance fits and moves down when its slot comes up, so that setting and clearing are
 * a few stores and a timer is touched once per level at most. A bit per slot says where to look;
 * clearing a timer leaves its bit set, which costs one look at an empty slot later.
 */
#include "timer.h"

#define SLOT_MASK (WHEEL_SLOTS - 1u)
#define REACH     (UINT64_C(1) << (WHEEL_BITS * WHEEL_LEVELS)) /* about 2 years */

void wheel_init(struct wheel *w, uint64_t now)
{
	*w = (struct wheel){.now = now};
}

static unsigned shift_of(unsigned level)
{
	return level * WHEEL_BITS;
}

/* The level at which `due` and now differ in the slot number alone. */
static unsigned level_of(const struct wheel *w, uint64_t due)
{
	uint64_t differ = due ^ w->now;

	for (unsigned level = 0; level < WHEEL_LEVELS - 1; level++)
		if (differ >> shift_of(level + 1) == 0)
			return level;
	return WHEEL_LEVELS - 1;
}

static void insert(struct wheel *w, struct timer *t, uint64_t at)
{
	unsigned level = level_of(w, at);
	unsigned slot = (unsigned)(at >> shift_of(level)) & SLOT_MASK;
	struct timer **head = &w->slots[level][slot];

	t->next = *head;
	if (t->next)
		t->next->prev = &t->next;
	t->prev = head;
	*head = t;
	w->occupied[level] |= UINT64_C(1) << slot;
}

void wheel_set(struct wheel *w, struct timer *t, uint64_t due)
{
	uint64_t at = due;

	timer_clear(t);
	/* What is due belongs to the next tick: the current one's slot may have been run already.
	 */
	if (at <= w->now)
		at = w->now + 1;
	if (at - w->now >= REACH / 2)
		at = w->now + REACH / 2;
	t->due = due;
	insert(w, t, at);
}

void timer_clear(struct timer *t)
{
	if (!t->prev)
		return;
	*t->prev = t->next;
	if (t->next)
		t->next->prev = t->prev;
	t->next = NULL;
	t->prev = NULL;
}

/* When the next occupied slot of a level begins, counted from now; UINT64_MAX if none. */
static uint64_t next_of_level(const struct wheel *w, unsigned level)
{
	uint64_t bits = w->occupied[level];
	unsigned shift = shift_of(level);
	unsigned here = (unsigned)(w->now >> shift) & SLOT_MASK;
	unsigned turn = (here + 1) & SLOT_MASK;
	uint64_t ahead;

	if (!bits)
		return UINT64_MAX;
	ahead = turn ? (bits >> turn | bits << (WHEEL_SLOTS - turn)) : bits;
	return ((w->now >> shift) + 1 + (unsigned)__builtin_ctzll(ahead)) << shift;
}

static uint64_t next_tick(const struct wheel *w)
{
	uint64_t next = UINT64_MAX;

	for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
		uint64_t at = next_of_level(w, level);

		if (at < next)
			next = at;
	}
	return next;
}

uint64_t wheel_wait(const struct wheel *w, uint64_t now)
{
	uint64_t next = next_tick(w);

	if (next == UINT64_MAX)
		return UINT64_MAX;
	return next > now ? next - now : 0;
}

static void detach(struct wheel *w, unsigned level, struct timer **list)
{
	unsigned slot = (unsigned)(w->now >> shift_of(level)) & SLOT_MASK;

	*list = w->slots[level][slot];
	if (*list)
		(*list)->prev = list;
	w->slots[level][slot] = NULL;
	w->occupied[level] &= ~(UINT64_C(1) << slot);
}

/* Runs what is in the current tick's slots, the wide ones first so that they can fall down. */
static void run_tick(struct wheel *w)
{
	for (unsigned level = WHEEL_LEVELS; level-- > 0;) {
		struct timer *list;

		if (w->now & ((UINT64_C(1) << shift_of(level)) - 1))
			continue;
		detach(w, level, &list);
		while (list) {
			struct timer *t = list;

			timer_clear(t);
			if (t->due <= w->now)
				t->fire(t);
			else
				insert(w, t,
				       t->due - w->now >= REACH / 2 ? w->now + REACH / 2 : t->due);
		}
	}
}

void wheel_run(struct wheel *w, uint64_t now)
{
	for (;;) {
		uint64_t next = next_tick(w);

		if (next > now)
			break;
		w->now = next;
		run_tick(w);
	}
	if (now > w->now)
		w->now = now;
}
