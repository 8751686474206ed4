/*
 * uidl_cyrus.c - what mbexamine tells of a mailbox of Cyrus. Pure.
 */
#include "uidl_lines.h"

#include <stdio.h>
#include <string.h>

static bool value_behind(const char *line, const char *what, uint64_t *out)
{
	const char *at = strstr(line, what);

	if (!at)
		return false;
	at += strlen(what);
	at += strspn(at, " ");
	return uidl_number(at, strspn(at, "0123456789"), out);
}

/* "  UIDValidity: 5  Last UID: 9", "000001> UID:00000007   INT_DATE:... SIZE:99". What else it
 * tells is no concern of ours, and not strange. */
bool uidl_cyrus_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = uidl_blank();
	size_t digits = strspn(line, "0123456789");
	uint64_t value;

	if (value_behind(line, "  UIDValidity:", &value) && value <= UINT32_MAX) {
		l->uidvalidity = (uint32_t)value;
		return true;
	}
	if (strncmp(line, "  Mailbox Options:", 18) == 0 && !strstr(line, "POP3_NEW_UIDL"))
		snprintf(l->own_template, sizeof(l->own_template), "%%u");
	if (digits == 0 || strncmp(line + digits, "> UID:", 6) != 0 ||
	    !value_behind(line, "> UID:", &value) || value == 0 || value > UINT32_MAX)
		return false;
	e.uid = (uint32_t)value;
	if (value_behind(line, " SIZE:", &value))
		e.size = value;
	uidl_message(l, &e);
	return true;
}
