/*
 * uidl_lines.c - a line of another server's listing: in which of the formats it is, and what all of
 * them need. Pure.
 */
#include "uidl_lines.h"

#include <string.h>

void uidl_strange(struct uidl_list *l)
{
	if (l->kind != UIDL_KIND_NONE && l->strange++ == 0)
		l->first_strange = l->lines;
}

bool uidl_number(const char *text, size_t n, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' || *out > (UINT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(text[i] - '0');
	}
	return n > 0;
}

bool uidl_number32(const char *text, size_t n, uint32_t *out)
{
	uint64_t value;

	if (!uidl_number(text, n, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

const char *uidl_word(const char **at, size_t *n)
{
	const char *begin = *at + strspn(*at, " ");

	*n = strcspn(begin, " ");
	*at = begin + *n;
	return begin;
}

struct uidl_entry uidl_blank(void)
{
	return (struct uidl_entry){.size = UIDL_NO_SIZE, .order = UINT64_MAX};
}

uint64_t uidl_size_of_name(const char *name)
{
	const char *at = strstr(name, ",W=");
	uint64_t size;

	return at && uidl_number(at + 3, strspn(at + 3, "0123456789"), &size) ? size : UIDL_NO_SIZE;
}

void uidl_message(struct uidl_list *l, struct uidl_entry *e)
{
	if (e->name && e->size == UIDL_NO_SIZE)
		e->size = uidl_size_of_name(e->name);
	if (e->order == UINT64_MAX)
		e->order = e->uid;
	uidl_add(l, e);
}

/* ---- which of them ---- */

static void recognise(struct uidl_list *l, char *line, size_t n)
{
	if (l->lines == 1 && uidl_dovecot_header(l, line))
		l->kind = UIDL_KIND_UIDLIST;
	else if (l->lines == 1 && uidl_courier_header(l, line))
		l->kind = UIDL_KIND_COURIER;
	else if (strstr(line, "Mailbox Header Info:") || strstr(line, "Index Header Info:"))
		l->kind = UIDL_KIND_CYRUS;
	else if (!uidl_doveadm_begin(l, line, n) && uidl_pop3_line(l, line))
		l->kind = UIDL_KIND_POP3;
}

void uidl_line(struct uidl_list *l, char *line, size_t n)
{
	bool known = true;

	if (n == 0)
		return;
	if (memchr(line, '\0', n)) {
		uidl_strange(l);
		return;
	}
	switch (l->kind) {
	case UIDL_KIND_NONE:
		recognise(l, line, n);
		break;
	case UIDL_KIND_UIDLIST:
		uidl_dovecot_line(l, line);
		break;
	case UIDL_KIND_COURIER:
		known = uidl_courier_line(l, line);
		break;
	case UIDL_KIND_FLOW:
	case UIDL_KIND_TAB:
	case UIDL_KIND_TABLE:
	case UIDL_KIND_PAGER:
		known = uidl_doveadm_line(l, line, n);
		break;
	case UIDL_KIND_JSON: /* has no lines */
		break;
	case UIDL_KIND_CYRUS:
		uidl_cyrus_line(l, line);
		break;
	case UIDL_KIND_POP3:
		known = uidl_pop3_line(l, line);
		break;
	}
	if (!known)
		uidl_strange(l);
}

void uidl_line_end(struct uidl_list *l)
{
	uidl_doveadm_end(l);
	if (l->kind == UIDL_KIND_POP3)
		uidl_pop3_end(l);
}
