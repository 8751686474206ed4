/*
 * intake.c - a message's text on its way in. A small one is gathered in memory and written once,
 * with its group. A large one goes into a segment of its own while it arrives, through a buffer
 * that stays small; its record's head is written when it is committed.
 */
#include "intake.h"

#include "format/bytes.h"
#include "format/checksum.h"
#include "maildrop/view.h"
#include "segment/dots.h"
#include "store.h"

#include <stdio.h>
#include <string.h>

#define BUFFER_MIN ((size_t)4096)
#define DOTS_MIN   64
#define DOTS_MAX   65536 /* kept of a large message; of more it is looked for them again */

/* ---- begin ---- */

static int judge(const struct store *st, const struct pstn_delivery_request *q)
{
	if (!q->account || q->account->id == 0 || !q->folder || folder_name_fault(q->folder))
		return PSTN_E_INVALID;
	if (q->uidl && !uidl_valid(q->uidl, strlen(q->uidl)))
		return PSTN_E_INVALID;
	return q->expected > st->options.message_size_limit ? PSTN_E_TOO_LARGE : PSTN_OK;
}

static bool make_buffers(struct pstn_delivery *d, uint64_t expected)
{
	uint64_t room = BUFFER_MIN;

	/* A little more than announced: bare LFs grow. */
	if (expected)
		room = expected + expected / 16 + 2;
	if (room > d->store->options.stream_threshold)
		room = d->store->options.stream_threshold;
	if (room < BUFFER_MIN)
		room = BUFFER_MIN;
	d->out.bytes = store_alloc(d->store, (size_t)room);
	d->out.dots = store_alloc(d->store, DOTS_MIN * sizeof(*d->out.dots));
	d->out.room = (size_t)room;
	d->out.dots_room = DOTS_MIN;
	return d->out.bytes && d->out.dots;
}

int delivery_begin(struct store *st, const struct pstn_delivery_request *q,
		   const unsigned char *import_key, struct pstn_delivery **out)
{
	struct pstn_delivery *d;
	struct record *r;
	int status = judge(st, q);

	if (status != PSTN_OK)
		return status;
	d = store_alloc(st, sizeof(*d));
	if (!d)
		return PSTN_E_NO_MEMORY;
	d->store = st;
	d->large.fd = -1;
	if (!make_buffers(d, q->expected)) {
		delivery_free(d);
		return PSTN_E_NO_MEMORY;
	}
	atomic_init(&d->refs, 1);
	wire_begin(&d->wire);
	snprintf(d->account_name, sizeof(d->account_name), "%s", q->account->name);
	snprintf(d->folder_name, sizeof(d->folder_name), "%s", q->folder);
	d->pending.kind = PENDING_DELIVER;
	d->pending.account = q->account->id;
	quota_of(&d->pending.quota, q->account);
	d->room = UINT64_MAX;
	d->pending.deliver.account_name = d->account_name;
	d->pending.deliver.folder_name = d->folder_name;
	d->pending.deliver.named = q->uidl != NULL;
	r = &d->pending.deliver.record;
	r->type = RECORD_MESSAGE;
	r->received = q->received ? q->received : store_time() / 1000;
	r->message_flags = q->flags;
	if (q->uidl)
		snprintf(r->uidl, sizeof(r->uidl), "%s", q->uidl);
	if (import_key)
		memcpy(r->import_key, import_key, sizeof(r->import_key));
	*out = d;
	return PSTN_OK;
}

void delivery_free(struct pstn_delivery *d)
{
	struct store *st = d->store;

	if (d->committed)
		segment_close(&d->large, false);
	else
		segment_discard(st, &d->large);
	store_free(st, d->sum_memory);
	store_free(st, d->copy);
	store_free(st, d->keywords);
	store_free(st, d->out.bytes);
	store_free(st, d->out.dots);
	store_free(st, d);
}

/* ---- large ones: a segment of their own ---- */

/* XXH3's state wants more alignment than memory comes with. */
static XXH3_state_t *sum_state(const struct pstn_delivery *d)
{
	return (XXH3_state_t *)(((uintptr_t)d->sum_memory + 63) & ~(uintptr_t)63);
}

static uint64_t text_at(const struct pstn_delivery *d)
{
	return SEGMENT_HEAD + record_head_length(&d->pending.deliver.record);
}

static int begin_large(struct pstn_delivery *d)
{
	struct record *r = &d->pending.deliver.record;
	int status = segment_create(d->store, SEGMENT_LARGE, &d->large);

	if (status != PSTN_OK)
		return status;
	d->sum_memory = store_alloc(d->store, sizeof(XXH3_state_t) + 64);
	if (!d->sum_memory)
		return PSTN_E_NO_MEMORY;
	XXH3_64bits_reset_withSeed(sum_state(d), d->large.seed);
	/* As long as the one that will be assigned: the text's place depends on it. */
	if (!d->pending.deliver.named)
		uidl_format(r->uidl, 0, 1);
	return PSTN_OK;
}

static int flush_large(struct pstn_delivery *d)
{
	struct iovec v = {d->out.bytes, d->out.used};
	int rc;

	if (d->out.used == 0)
		return PSTN_OK;
	XXH3_64bits_update(sum_state(d), d->out.bytes, d->out.used);
	rc = segment_write(&d->large, &v, 1, text_at(d) + d->written);
	if (rc != 0)
		return index_status(rc);
	d->written += d->out.used;
	d->out.used = 0;
	return PSTN_OK;
}

/* ---- room ---- */

static int more_bytes(struct pstn_delivery *d, bool may_block)
{
	uint64_t limit = d->store->options.stream_threshold;
	size_t room = d->out.room * 2 < limit ? d->out.room * 2 : (size_t)limit;
	unsigned char *larger;
	int status = PSTN_OK;

	if (d->large.fd < 0 && room > d->out.room) {
		larger = store_alloc(d->store, room);
		if (!larger)
			return PSTN_E_NO_MEMORY;
		memcpy(larger, d->out.bytes, d->out.used);
		store_free(d->store, d->out.bytes);
		d->out.bytes = larger;
		d->out.room = room;
		return PSTN_OK;
	}
	if (!may_block)
		return VIEW_COLD;
	if (d->large.fd < 0)
		status = begin_large(d);
	return status == PSTN_OK ? flush_large(d) : status;
}

static int more_dots(struct pstn_delivery *d)
{
	size_t room = d->out.dots_room * 2;
	uint64_t *larger;

	if (d->large.fd >= 0 && room > DOTS_MAX) {
		d->dots_lost = true;
		d->dots_before += d->out.ndots;
		d->out.ndots = 0;
		return PSTN_OK;
	}
	larger = store_alloc(d->store, room * sizeof(*larger));
	if (!larger)
		return PSTN_E_NO_MEMORY;
	memcpy(larger, d->out.dots, d->out.ndots * sizeof(*larger));
	store_free(d->store, d->out.dots);
	d->out.dots = larger;
	d->out.dots_room = room;
	return PSTN_OK;
}

/* ---- write ---- */

int delivery_expect(struct pstn_delivery *d, uint64_t octets)
{
	struct quota *q = &d->pending.quota;
	int status = quota_expect(d->store, d->pending.account, d->account_name, q, octets);

	d->room = quota_room(q);
	if (status != PSTN_OK)
		quota_refused(d->store, d->pending.account, d->account_name, q);
	return status;
}

/* Takes d->in; VIEW_COLD leaves what has to be taken where it may wait. */
int intake_take(struct pstn_delivery *d, bool may_block)
{
	for (;;) {
		size_t taken = wire_feed(&d->wire, d->in, d->in_length, &d->out);
		int status = PSTN_OK;

		d->in += taken;
		d->in_length -= taken;
		if (d->wire.octets > d->store->options.message_size_limit ||
		    d->dots_before + d->out.ndots > DOT_LINES_MAX)
			return PSTN_E_TOO_LARGE;
		/* Meanwhile mail may have gone. */
		if (d->wire.octets > d->room)
			status = may_block ? delivery_expect(d, d->wire.octets) : VIEW_COLD;
		if (status != PSTN_OK || d->in_length == 0)
			return status;
		if (d->out.ndots == d->out.dots_room)
			status = more_dots(d);
		else
			status = more_bytes(d, may_block);
		if (status != PSTN_OK)
			return status;
	}
}

int intake_settle(struct pstn_delivery *d, int status)
{
	if (status != PSTN_OK)
		d->status = status;
	return status;
}

int delivery_write(struct pstn_delivery *d, const char *bytes, size_t n)
{
	if (d->status != PSTN_OK)
		return d->status;
	d->in = bytes;
	d->in_length = n;
	return intake_settle(d, intake_take(d, true));
}

/* ---- the end of the text ---- */

static int finish_text(struct pstn_delivery *d)
{
	if (d->out.room - d->out.used < 2) {
		/* Two octets more than the threshold are still a small message. */
		unsigned char *larger;

		if (d->large.fd >= 0) {
			int status = flush_large(d);

			if (status != PSTN_OK)
				return status;
		} else {
			larger = store_alloc(d->store, d->out.room + 2);
			if (!larger)
				return PSTN_E_NO_MEMORY;
			memcpy(larger, d->out.bytes, d->out.used);
			store_free(d->store, d->out.bytes);
			d->out.bytes = larger;
			d->out.room += 2;
		}
	}
	wire_end(&d->wire, &d->out);
	return PSTN_OK;
}

static int finish_large(struct pstn_delivery *d)
{
	struct record *r = &d->pending.deliver.record;
	struct dots_place place = {d->store, &d->large, text_at(d), r->octets};
	int rc, status = flush_large(d);

	if (status != PSTN_OK)
		return status;
	r->body_sum = XXH3_64bits_digest(sum_state(d));
	rc = d->dots_lost ? dots_find(&place, &r->count, &r->tail_sum)
			  : dots_write(&place, d->out.dots, r->count, &r->tail_sum);
	/* The head is written when all of this is on disk: a sound head means a whole message. */
	if (rc == 0)
		rc = segment_sync(&d->large);
	return index_status(rc);
}

struct pending *delivery_seal(struct pstn_delivery *d, int *status)
{
	struct record *r = &d->pending.deliver.record;

	*status = d->status;
	if (*status == PSTN_OK)
		*status = finish_text(d);
	if (*status != PSTN_OK)
		return NULL;
	r->octets = r->body_length = d->wire.octets;
	r->header_octets = d->wire.header_octets;
	r->count = (uint32_t)d->out.ndots;
	if (d->large.fd >= 0) {
		*status = finish_large(d);
		d->pending.deliver.large = &d->large;
	} else {
		d->pending.deliver.body = d->out.bytes;
		d->pending.deliver.dots = d->out.dots;
	}
	if (*status != PSTN_OK)
		return NULL;
	d->sealed = true;
	/* Until the group says otherwise. */
	d->pending.status = PSTN_E_CANCELLED;
	return &d->pending;
}

int delivery_keywords(struct pstn_delivery *d, const char *names)
{
	size_t n = strlen(names) + 1;

	if (n == 1)
		return PSTN_OK;
	d->keywords = store_alloc(d->store, n);
	if (!d->keywords)
		return PSTN_E_NO_MEMORY;
	memcpy(d->keywords, names, n);
	d->pending.deliver.keywords = d->keywords;
	return PSTN_OK;
}

void delivery_committed(struct pstn_delivery *d)
{
	d->committed = true;
}
