/*
 * touched.c - a set of folders: open addressing, at most three quarters full.
 */
#include "touched.h"

#include "store.h"

#include <errno.h>

static struct touched_folder *place(const struct touched *t, uint64_t account, uint32_t folder)
{
	uint64_t at =
	    (account * UINT64_C(0x9e3779b97f4a7c15)) ^ (folder * UINT64_C(0xff51afd7ed558ccd));

	for (at ^= at >> 29;; at++) {
		struct touched_folder *f = &t->table[at & (t->room - 1)];

		if (f->account == 0 || (f->account == account && f->folder == folder))
			return f;
	}
}

static int make_room(struct touched *t, struct store *st)
{
	struct touched larger = {.room = t->room ? t->room * 2 : 64};

	if (t->used < t->room / 4 * 3)
		return 0;
	larger.table = store_alloc(st, larger.room * sizeof(*larger.table));
	if (!larger.table)
		return ENOMEM;
	for (uint32_t i = 0; i < t->room; i++) {
		if (t->table[i].account)
			*place(&larger, t->table[i].account, t->table[i].folder) = t->table[i];
	}
	larger.used = t->used;
	store_free(st, t->table);
	*t = larger;
	return 0;
}

int touched_add(struct touched *t, struct store *st, uint64_t account, uint32_t folder)
{
	struct touched_folder *f;
	int rc = make_room(t, st);

	if (rc != 0)
		return rc;
	f = place(t, account, folder);
	t->used += f->account == 0;
	*f = (struct touched_folder){account, folder};
	return 0;
}

bool touched_take(struct touched *t, uint32_t *at, struct touched_folder *out)
{
	for (; t->used > 0 && *at < t->room; (*at)++) {
		if (t->table[*at].account == 0)
			continue;
		*out = t->table[*at];
		/* Others may have been placed behind it: nobody looks for them any more. */
		t->table[*at].account = 0;
		t->used--;
		return true;
	}
	return false;
}

void touched_free(struct touched *t, struct store *st)
{
	store_free(st, t->table);
	*t = (struct touched){0};
}
