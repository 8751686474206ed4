/*
 * listing.c - LIST and UIDL (RFC 1939 sections 5 and 7).
 *
 * A listing of any length takes one batch of rows and one piece of output at a time: when the
 * client reads slowly, it stops and goes on when the output has drained. A message that somebody
 * else removed is listed with 0 octets; one that this session marked is not listed.
 */
#include "command.h"
#include "marks.h"

#include <inttypes.h>
#include <string.h>

#define BATCH           128
#define OUTPUT_ENOUGH   32768
#define LINE_OCTETS_MAX (10 + 1 + PSTN_UIDL_MAX + 2)

struct listing {
	uint32_t next, max, count;
	bool uidl, begun;
	struct pstn_message rows[];
};

/* ---- lines ---- */

static char *put_number(char *to, uint64_t value)
{
	char digits[20];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + value % 10);
	while (value /= 10);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

static char *put_line(char *to, uint32_t number, const struct pstn_message *m, bool uidl)
{
	to = put_number(to, number);
	*to++ = ' ';
	if (uidl) {
		size_t n = strnlen(m->uidl, PSTN_UIDL_MAX);

		memcpy(to, m->uidl, n);
		to += n;
	} else {
		to = put_number(to, m->octets);
	}
	*to++ = '\r';
	*to++ = '\n';
	return to;
}

static void put_rows(struct pop3_session *p, const struct listing *l)
{
	char lines[2048], *to = lines;

	for (uint32_t i = 0; i < l->count; i++) {
		if (pop3_marked(p, l->next + i))
			continue;
		if (lines + sizeof(lines) - to < LINE_OCTETS_MAX) {
			pop3_host(p)->write(p->stream, lines, (size_t)(to - lines));
			to = lines;
		}
		to = put_line(to, l->next + i, &l->rows[i], l->uidl);
	}
	pop3_host(p)->write(p->stream, lines, (size_t)(to - lines));
}

/* ---- the whole listing ---- */

static void begin(struct pop3_session *p, struct listing *l)
{
	if (!l->begun)
		pop3_status(p, "%" PRIu32 " message%s", POP3_COUNTED(p->messages - p->marked));
	l->begun = true;
}

static void end(struct pop3_session *p, struct listing *l)
{
	begin(p, l);
	pop3_host(p)->write(p->stream, ".\r\n", 3);
	pop3_complete(p);
}

/* An error line cannot stand inside a listing, and a short listing must not look complete. */
static void fail(struct pop3_session *p, const struct listing *l, int status)
{
	if (!l->begun)
		pop3_err_status(p, status);
	else
		pop3_host(p)->drop(p->stream, "the store failed in a listing");
}

/* false: the listing is over, and so is the command. */
static bool take_batch(struct pop3_session *p, struct listing *l, int status)
{
	if (status != PSTN_OK) {
		fail(p, l, status);
		return false;
	}
	begin(p, l);
	put_rows(p, l);
	l->next += l->count;
	if (l->count == 0 || l->next > p->messages) {
		end(p, l);
		return false;
	}
	return true;
}

/* Whether to go on at once; if not, pop3_listing_go_on() is called when output has drained. */
static bool reader_keeps_up(struct pop3_session *p)
{
	if (pop3_host(p)->queued(p->stream) <= OUTPUT_ENOUGH)
		return true;
	pop3_hold(p);
	pop3_host(p)->want_drained(p->stream);
	return false;
}

static void batch_listed(void *arg, int status)
{
	struct pop3_session *p = arg;

	if (take_batch(p, p->scratch, status) && reader_keeps_up(p))
		pop3_listing_go_on(p);
}

void pop3_listing_go_on(struct pop3_session *p)
{
	struct listing *l = p->scratch;

	do {
		int status = p->pop3->maildrops->list(p->maildrop, l->next, l->rows, l->max,
						      &l->count, batch_listed, p);

		if (status == PSTN_LATER) {
			pop3_hold(p);
			return;
		}
		if (!take_batch(p, l, status))
			return;
	} while (reader_keeps_up(p));
}

static void list_all(struct pop3_session *p, bool uidl)
{
	uint32_t max = p->messages < BATCH ? p->messages : BATCH;
	struct listing *l;

	l = pop3_scratch(p, sizeof(*l) + max * sizeof(l->rows[0]));
	if (!l)
		return;
	l->next = 1;
	l->max = max;
	l->uidl = uidl;
	if (max)
		pop3_listing_go_on(p);
	else
		end(p, l);
}

/* ---- one message ---- */

static void row_listed(void *arg, int status)
{
	struct pop3_session *p = arg;
	const struct pop3_row *row = p->scratch;

	if (status == PSTN_OK && row->count == 1)
		pop3_ok(p, "%" PRIu32 " %" PRIu64, row->message.number, row->message.octets);
	else
		pop3_err_status(p, status == PSTN_OK ? PSTN_E_NOT_FOUND : status);
}

static void row_identified(void *arg, int status)
{
	struct pop3_session *p = arg;
	const struct pop3_row *row = p->scratch;

	if (status == PSTN_OK && row->count == 1)
		pop3_ok(p, "%" PRIu32 " %.*s", row->message.number, PSTN_UIDL_MAX,
			row->message.uidl);
	else
		pop3_err_status(p, status == PSTN_OK ? PSTN_E_NOT_FOUND : status);
}

void pop3_list(struct pop3_session *p, const struct pop3_args *args)
{
	if (args->has_number)
		pop3_find_row(p, args->number, row_listed);
	else
		list_all(p, false);
}

void pop3_uidl(struct pop3_session *p, const struct pop3_args *args)
{
	if (args->has_number)
		pop3_find_row(p, args->number, row_identified);
	else
		list_all(p, true);
}
