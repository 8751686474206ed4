/*
 * listing.c - rows of messages, many in a listing or one that is looked up.
 *
 * A small folder is read on the reactor. Of a large one a job reads a batch of rows, out of which the
 * calls that follow are answered. Rows in LMDB's map that have not been touched cost a fault and
 * perhaps a wait for the disk; a reactor reads only those that a job has brought near.
 */
#include "maildrop_parts.h"
#include "store.h"

#include <string.h>

#define NEAR_TIME  60000 /* ms */
#define NEAR_ROWS  1024  /* from one that is looked up on */
#define BATCH_ROWS 4096

/* ---- rows near by ---- */

static bool is_small(const struct pstn_maildrop *d)
{
	return d->view.messages <= VIEW_NEAR_MESSAGES;
}

bool maildrop_was_near(const struct pstn_maildrop *d)
{
	return d->view.store->host->now() < d->near.until;
}

bool maildrop_is_near(const struct pstn_maildrop *d, uint32_t number)
{
	return number >= d->near.first && number < d->near.end && maildrop_was_near(d);
}

static void set_near(struct pstn_maildrop *d, uint32_t first, uint32_t count)
{
	d->near =
	    (struct near){first, (uint64_t)first + count, d->view.store->host->now() + NEAR_TIME};
}

bool maildrop_is_all_near(const struct pstn_maildrop *d)
{
	return is_small(d) && maildrop_is_near(d, 1);
}

void maildrop_set_all_near(struct pstn_maildrop *d)
{
	if (is_small(d))
		set_near(d, 1, VIEW_NEAR_MESSAGES);
}

void maildrop_bring_all_near(struct pstn_maildrop *d)
{
	if (!is_small(d) || view_map(&d->view, true) != PSTN_OK)
		return;
	if (d->view.messages > 0)
		view_bring(&d->view, 1, d->view.messages);
	maildrop_set_all_near(d);
}

void maildrop_bring_near(struct pstn_maildrop *d, uint32_t number)
{
	if (maildrop_is_near(d, number))
		return;
	if (is_small(d)) {
		maildrop_bring_all_near(d);
		return;
	}
	view_bring(&d->view, number, NEAR_ROWS);
	set_near(d, number, NEAR_ROWS);
}

/* ---- batches ---- */

void maildrop_forget_rows(struct pstn_maildrop *d)
{
	store_free(d->view.store, d->listed.rows);
	d->listed = (struct listed){.rows = NULL};
}

/* Listings go forward; whoever goes back wants rows as they are now. */
static bool is_batched(const struct pstn_maildrop *d, uint32_t number)
{
	return number >= d->listed.next && number < d->listed.end;
}

static bool make_room(struct pstn_maildrop *d, uint32_t rows)
{
	if (d->listed.room >= rows)
		return true;
	maildrop_forget_rows(d);
	d->listed.rows = store_alloc(d->view.store, rows * sizeof(*d->listed.rows));
	if (d->listed.rows)
		d->listed.room = rows;
	return d->listed.rows;
}

static int fill_batch(struct pstn_maildrop *d, uint32_t first, uint32_t rows)
{
	struct listed *b = &d->listed;
	uint32_t count;
	int status;

	if (!make_room(d, rows))
		return PSTN_E_NO_MEMORY;
	b->first = b->next = b->end = first;
	status = view_list(&d->view, first, b->rows, rows, true, &count);
	if (status == PSTN_OK)
		b->end = first + count;
	return status;
}

static uint32_t take_batched(struct pstn_maildrop *d, uint32_t first, struct pstn_message *out,
			     uint32_t max)
{
	struct listed *b = &d->listed;
	uint32_t count = b->end - first < max ? b->end - first : max;

	memcpy(out, &b->rows[first - b->first], count * sizeof(*out));
	b->next = first + count;
	if (b->next > d->view.messages)
		maildrop_forget_rows(d);
	return count;
}

/* ---- the call ---- */

static int list_by_job(struct call *c)
{
	struct pstn_maildrop *d = c->drop;
	uint32_t left = d->view.messages - c->list.first + 1;
	int status = view_map(&d->view, true);

	if (status != PSTN_OK)
		return status;
	if (is_small(d) || !c->list.many)
		maildrop_bring_near(d, c->list.first);
	c->list.batched = true;
	return fill_batch(d, c->list.first,
			  !c->list.many       ? 1
			  : left < BATCH_ROWS ? left
					      : BATCH_ROWS);
}

/* On the reactor, or for a caller who is on a job thread and waits. */
static int list_here(struct call *c, bool may_block)
{
	struct pstn_maildrop *d = c->drop;
	bool many = c->list.many;
	uint32_t count;
	int status;

	c->list.batched = many && is_batched(d, c->list.first);
	if (c->list.batched)
		return PSTN_OK;
	if (!may_block && !(many ? maildrop_is_all_near(d) : maildrop_is_near(d, c->list.first)))
		return VIEW_COLD;
	status = view_map(&d->view, may_block);
	if (status == PSTN_OK)
		status =
		    view_list(&d->view, c->list.first, c->list.out, c->list.max, may_block, &count);
	if (status == PSTN_OK)
		*c->list.count = count;
	return status;
}

/* A job must not touch the caller's rows. */
static int list_run(struct call *c, bool may_block)
{
	return may_block && c->drop->session ? list_by_job(c) : list_here(c, may_block);
}

static void list_give(struct call *c)
{
	c->drop->mapped = true;
	if (c->list.batched)
		*c->list.count = take_batched(c->drop, c->list.first, c->list.out, c->list.max);
}

static void list_discard(struct call *c)
{
	(void)c;
}

int maildrop_list(struct pstn_maildrop *d, uint32_t first, struct pstn_message *rows, uint32_t max,
		  uint32_t *count, pstn_done *done, void *arg)
{
	struct call c = {
	    .drop = d,
	    .run = list_run,
	    .give = list_give,
	    .discard = list_discard,
	    .done = done,
	    .arg = arg,
	    .list = {.first = first, .max = max, .many = max > 1, .out = rows, .count = count}};

	*count = 0;
	if (first == 0 || first > d->view.messages || max == 0)
		return PSTN_OK;
	if (max > d->view.messages - first + 1)
		c.list.max = d->view.messages - first + 1;
	return maildrop_call(&c);
}
