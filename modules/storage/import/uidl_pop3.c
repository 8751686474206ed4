/*
 * uidl_pop3.c - what a POP3 server answers to UIDL and LIST, with or without the session around it. Pure.
 */
#include "uidl_lines.h"

#include <string.h>

static struct uidl_section *section(struct uidl_list *l)
{
	return &l->sections[l->nsections ? l->nsections - 1 : 0];
}

static void begin_section(struct uidl_list *l, const char *line)
{
	/* One without messages is no answer to UIDL or LIST; the next takes its place. */
	if (l->nsections == 0 || section(l)->count > 0)
		l->nsections += l->nsections < sizeof(l->sections) / sizeof(*l->sections);
	if (section(l)->count == 0)
		*section(l) = (struct uidl_section){
		    .numbers = true, .sizes = strstr(line, "octets") || strstr(line, "messages")};
}

bool uidl_pop3_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = uidl_blank();
	const char *at = line, *value;
	size_t n;
	uint64_t size;

	if (strncmp(line, "+OK", 3) == 0 || strcmp(line, ".") == 0) {
		begin_section(l, line);
		return true;
	}
	if (!uidl_number(at, strspn(at, "0123456789"), &e.order) || e.order == 0)
		return false;
	at += strspn(at, "0123456789");
	if (*at++ != ' ')
		return false;
	value = uidl_word(&at, &n);
	if (n == 0 || *at)
		return false;
	if (l->nsections == 0)
		begin_section(l, "");
	section(l)->numbers = section(l)->numbers && uidl_number(value, n, &size);
	section(l)->count++;
	e.section = l->nsections;
	e.uidl = uidl_copy(l, value, n);
	uidl_add(l, &e);
	return true;
}

/* Joins the answers to UIDL and LIST by the messages' numbers, as far as both are there. */
void uidl_pop3_end(struct uidl_list *l)
{
	uint32_t ids = 0, sizes = 0;
	size_t kept = 0;

	for (uint32_t i = 1; i <= l->nsections; i++) {
		const struct uidl_section *s = &l->sections[i - 1];

		if (s->count && !s->numbers && !ids)
			ids = i;
		if (s->count && s->numbers &&
		    (!sizes || (s->sizes && !l->sections[sizes - 1].sizes)))
			sizes = i;
	}
	/* A server whose ids are numbers. */
	for (uint32_t i = 1; i <= l->nsections && !ids; i++) {
		if (l->sections[i - 1].count && i != sizes)
			ids = i;
	}
	if (!ids && sizes && !l->sections[sizes - 1].sizes) {
		ids = sizes;
		sizes = 0;
	}
	if (!ids) {
		l->count = 0;
		l->fault = "has the answer to LIST alone; the one to UIDL is needed";
		return;
	}
	uidl_list_by_order(l);
	for (size_t i = 0; i < l->count; i++) {
		struct uidl_entry e = l->entries[i];

		/* Equal numbers stand beside each other, in whatever order. */
		for (size_t j = i > 7 ? i - 7 : 0; j < l->count && j < i + 8; j++) {
			if (l->entries[j].order == e.order && l->entries[j].section == sizes)
				uidl_number(l->entries[j].uidl, strlen(l->entries[j].uidl),
					    &e.size);
		}
		if (e.section == ids)
			e.used = true;
		l->entries[i] = e;
	}
	for (size_t i = 0; i < l->count; i++) {
		if (l->entries[i].used)
			l->entries[kept++] = l->entries[i];
	}
	for (size_t i = 0; i < kept; i++)
		l->entries[i].used = false;
	l->count = kept;
}
