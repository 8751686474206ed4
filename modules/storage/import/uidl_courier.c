/*
 * uidl_courier.c - courierpop3dsizelist, in which Courier's POP3 server keeps its numbers. Pure.
 */
#include "maildir.h"
#include "uidl_lines.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool uidl_courier_header(struct uidl_list *l, const char *line)
{
	const char *at = line + 1;
	size_t n;
	const char *w;
	uint32_t version, next;

	if (*line != '/')
		return false;
	w = uidl_word(&at, &n);
	if (!uidl_number32(w, n, &version) || (version != 2 && version != 3))
		return false;
	w = uidl_word(&at, &n);
	if (!uidl_number32(w, n, &next))
		return false;
	w = uidl_word(&at, &n);
	return n == 0 || uidl_number32(w, n, &l->uidvalidity);
}

/* A message that was there before Courier numbered them: its file's name. */
static const char *name_as_id(struct uidl_list *l, const char *name, size_t n)
{
	char out[3 * UIDL_MAX + 4];
	size_t used = 0;

	for (size_t i = 0; i < n && used <= UIDL_MAX; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+')
			used += (size_t)snprintf(out + used, 4, "+%02X", c);
		else
			out[used++] = (char)c;
	}
	return uidl_copy(l, out, used);
}

/* "FILE SIZE UID:UIDVALIDITY", in version 3 with ":UTF8"; names may have spaces. */
bool uidl_courier_line(struct uidl_list *l, char *line)
{
	struct uidl_entry e = uidl_blank();
	char text[UIDL_MAX + 1], *ids = strrchr(line, ' '), *size;
	uint64_t uid = 0, validity = 0;
	size_t n;

	if (!ids)
		return false;
	*ids++ = '\0';
	size = strrchr(line, ' ');
	if (!size || size == line || !uidl_number(size + 1, strlen(size + 1), &e.size))
		return false;
	*size = '\0';
	n = strcspn(ids, ":");
	if (ids[n] != ':' || !uidl_number(ids, n, &uid))
		return false;
	ids += n + 1;
	if (!uidl_number(ids, strcspn(ids, ":"), &validity))
		return false;
	e.name = uidl_copy(l, line, maildir_base(line));
	if (uid == 0) {
		e.uidl = name_as_id(l, line, maildir_base(line));
	} else {
		snprintf(text, sizeof(text), validity ? "UID%" PRIu64 "-%" PRIu64 : "UID%" PRIu64,
			 uid, validity);
		e.uidl = uidl_copy(l, text, strlen(text));
	}
	e.order = l->count; /* as its POP3 server sorted them */
	uidl_message(l, &e);
	return true;
}
