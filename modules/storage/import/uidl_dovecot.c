/*
 * uidl_dovecot.c - dovecot-uidlist, which lies in each folder of a Maildir that Dovecot serves. Pure.
 */
#include "maildir.h"
#include "uidl_lines.h"

#include <stdio.h>
#include <string.h>

bool uidl_dovecot_header(struct uidl_list *l, const char *line)
{
	const char *at = line;
	size_t n;
	const char *w = uidl_word(&at, &n);
	uint32_t validity;

	if (n != 1 || (*w != '1' && *w != '3'))
		return false;
	if (*w == '1') {
		uint32_t next;

		w = uidl_word(&at, &n);
		if (!uidl_number32(w, n, &validity))
			return false;
		w = uidl_word(&at, &n);
		if (!uidl_number32(w, n, &next) || *at)
			return false;
		l->uidvalidity = validity;
		l->columns = 1;
		return true;
	}
	for (w = uidl_word(&at, &n); n > 0; w = uidl_word(&at, &n)) {
		if (*w < 'A' || *w > 'Z')
			return false;
		if (*w == 'V' && uidl_number32(w + 1, n - 1, &validity))
			l->uidvalidity = validity;
		/* How ids are made that no line tells. */
		if (*w == 'P' && n - 1 <= UIDL_TEMPLATE)
			snprintf(l->own_template, sizeof(l->own_template), "%.*s", (int)n - 1,
				 w + 1);
	}
	l->columns = 3;
	return l->uidvalidity != 0;
}

static void field(struct uidl_list *l, struct uidl_entry *e, const char *w, size_t n)
{
	uint64_t value;

	if (*w == 'P')
		e->uidl = uidl_copy(l, w + 1, n - 1);
	else if (*w == 'G')
		e->guid = uidl_copy(l, w + 1, n - 1);
	else if (*w == 'W' && uidl_number(w + 1, n - 1, &value))
		e->size = value;
	else if (*w == 'O' && uidl_number(w + 1, n - 1, &value))
		e->order = value;
}

void uidl_dovecot_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = uidl_blank();
	const char *at = line;
	size_t n;
	const char *w = uidl_word(&at, &n);

	if (!uidl_number32(w, n, &e.uid) || e.uid == 0) {
		uidl_strange(l);
		return;
	}
	at += strspn(at, " ");
	while (l->columns == 3 && *at && *at != ':') {
		w = uidl_word(&at, &n);
		field(l, &e, w, n);
		at += strspn(at, " ");
	}
	if (*at == ':')
		at++;
	if (*at == '\0' || strchr(at, '/')) {
		uidl_strange(l);
		return;
	}
	e.size = e.size == UIDL_NO_SIZE ? uidl_size_of_name(at) : e.size;
	e.name = uidl_copy(l, at, maildir_base(at));
	/* A P without more: the name of the file. Those with an order come before those without. */
	if (e.uidl && *e.uidl == '\0')
		e.uidl = e.name;
	if (e.order == UINT64_MAX)
		e.order = ((uint64_t)1 << 32) + e.uid;
	uidl_message(l, &e);
}
