/*
 * prepare_keywords.c - keywords of a delivery become bits of its folder. A name that no bit of the
 * folder has yet gets one, told by a record of its own before the message's.
 */
#include "prepare.h"

#include "index/keywords.h"

#include <errno.h>
#include <string.h>

/* *bit -1: all 64 have other names. */
static int give_bit(struct apply *a, struct batch *b, const struct record *message,
		    struct keywords *known, const char *name, size_t n, int *bit)
{
	struct record r = {.type = RECORD_KEYWORD,
			   .account = message->account,
			   .folder = message->folder,
			   .body_length = n};
	char *body;
	uint64_t offset;
	int rc;

	for (*bit = 0; *bit < KEYWORDS_MAX && known->taken >> *bit & 1;)
		++*bit;
	if (*bit == KEYWORDS_MAX) {
		*bit = -1;
		return 0;
	}
	r.uid = (uint32_t)*bit;
	body = batch_alloc(b, n + 1);
	if (!body)
		return ENOMEM;
	memcpy(body, name, n);
	body[n] = '\0';
	known->taken |= UINT64_C(1) << *bit;
	memcpy(known->names[*bit], body, n + 1);
	rc = batch_add(b, &r, body, NULL, &offset);
	return rc == 0 ? apply_keyword(a, &r, body) : rc;
}

int prepare_keywords(struct apply *a, struct batch *b, struct pending *p)
{
	struct record *r = &p->deliver.record;
	const char *at = p->deliver.keywords;
	struct keywords *known;
	size_t n;
	int rc;

	p->deliver.no_bit = r->keywords = 0;
	if (!at)
		return 0;
	known = batch_alloc(b, sizeof(*known));
	if (!known)
		return ENOMEM;
	rc = keywords_read(a->index, a->txn, r->account, r->folder, known);
	for (int i = 0; rc == 0 && i < KEYWORDS_MAX; i++) {
		const char *name = keyword_next(&at, &n);
		int bit = keywords_find(known, name, n);

		if (n == 0)
			break;
		if (bit < 0)
			rc = give_bit(a, b, r, known, name, n, &bit);
		if (bit < 0)
			p->deliver.no_bit |= UINT64_C(1) << i;
		else
			r->keywords |= UINT64_C(1) << bit;
	}
	return rc;
}
