/*
 * uidl_doveadm.c - what `doveadm fetch` tells, in its formats, and `doveadm mailbox status` before it.
 * Pure.
 */
#include "uidl_lines.h"

#include <string.h>

enum column {
	COLUMN_OTHER,
	COLUMN_UID,
	COLUMN_UIDL,
	COLUMN_GUID,
	COLUMN_SIZE,
	COLUMN_NAME,
	COLUMN_ORDER,
	COLUMN_VALIDITY
};

static enum column column_of(const char *name, size_t n)
{
	static const struct {
		const char *name;
		enum column column;
	} names[] = {{"uid", COLUMN_UID},
		     {"pop3.uidl", COLUMN_UIDL},
		     {"guid", COLUMN_GUID},
		     {"size.virtual", COLUMN_SIZE},
		     {"storageid", COLUMN_NAME},
		     {"pop3.order", COLUMN_ORDER},
		     {"uidvalidity", COLUMN_VALIDITY}};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i].name) == n && memcmp(names[i].name, name, n) == 0)
			return names[i].column;
	}
	return COLUMN_OTHER;
}

static bool set_field(struct uidl_list *l, struct uidl_entry *e, enum column column,
		      const char *value, size_t n)
{
	switch (column) {
	case COLUMN_UID:
		return uidl_number32(value, n, &e->uid);
	case COLUMN_UIDL:
		e->uidl = n ? uidl_copy(l, value, n) : NULL;
		return true;
	case COLUMN_GUID:
		e->guid = n ? uidl_copy(l, value, n) : NULL;
		return true;
	case COLUMN_NAME:
		e->name = n ? uidl_copy(l, value, n) : NULL;
		return true;
	case COLUMN_SIZE:
		return uidl_number(value, n, &e->size);
	case COLUMN_ORDER:
		return n == 0 || uidl_number(value, n, &e->order);
	case COLUMN_VALIDITY:
		return uidl_number32(value, n, &l->uidvalidity);
	case COLUMN_OTHER:
		break;
	}
	return true;
}

bool uidl_doveadm_field(struct uidl_list *l, struct uidl_entry *e, const char *title, size_t n,
			const char *value, size_t length)
{
	return set_field(l, e, column_of(title, n), value, length);
}

void uidl_doveadm_message(struct uidl_list *l, struct uidl_entry *e)
{
	if (e->uid == 0 && !e->uidl && !e->name)
		return;
	if (e->uid == 0 && e->order == UINT64_MAX)
		e->order = l->count;
	uidl_message(l, e);
}

/* "uid=1 pop3.uidl=x"; also "INBOX uidvalidity=5" of `doveadm mailbox status`. */
static bool flow_line(struct uidl_list *l, const char *line, bool known)
{
	struct uidl_entry e = uidl_blank();
	const char *at = line;
	bool any = false;
	size_t n;

	for (const char *w = uidl_word(&at, &n); n > 0; w = uidl_word(&at, &n)) {
		const char *equals = memchr(w, '=', n);
		enum column column = equals ? column_of(w, (size_t)(equals - w)) : COLUMN_OTHER;

		if (column == COLUMN_OTHER)
			continue;
		any |= set_field(l, &e, column, equals + 1, n - (size_t)(equals + 1 - w));
	}
	if (any)
		uidl_doveadm_message(l, &e);
	else if (known)
		uidl_strange(l);
	return any;
}

/* Tab: fields between tabs. Table: each begins where its title does, filled up with spaces; one that
 * is empty is spaces alone. NULL: the line does not fit its titles. */
static const char *cell(const struct uidl_list *l, const char *line, uint32_t i, size_t *n)
{
	size_t length = strlen(line), from = l->column_at[i], to = length;

	if (l->kind == UIDL_KIND_TAB) {
		for (; i > 0; i--) {
			line += strcspn(line, "\t");
			line += *line == '\t';
		}
		*n = strcspn(line, "\t");
		return line;
	}
	if (from > length)
		from = length;
	if (i + 1 < l->columns && l->column_at[i + 1] < length)
		to = l->column_at[i + 1];
	if (to < length && line[to - 1] != ' ')
		return NULL;
	while (to > from && line[to - 1] == ' ')
		to--;
	*n = to - from;
	return memchr(line + from, ' ', *n) ? NULL : line + from;
}

/* A word that only a line of titles has. */
static bool has_titles(const char *line, enum uidl_kind kind)
{
	const char *separators = kind == UIDL_KIND_TAB ? "\t" : " ";

	for (const char *at = line; *at;) {
		size_t n = strcspn(at, separators);
		enum column column = column_of(at, n);

		if (column == COLUMN_UIDL || column == COLUMN_VALIDITY ||
		    (kind == UIDL_KIND_TAB && column == COLUMN_UID))
			return true;
		at += n;
		at += strspn(at, separators);
	}
	return false;
}

/* The titles of messages, or of the status before them. */
static bool columns(struct uidl_list *l, const char *line, enum uidl_kind kind)
{
	const char *separators = kind == UIDL_KIND_TAB ? "\t" : " ";
	bool known = false;

	l->columns = 0;
	for (const char *at = line; *at && l->columns < UIDL_COLUMNS; l->columns++) {
		size_t n = strcspn(at, separators);
		enum column column = column_of(at, n);

		known |= column == COLUMN_UID || column == COLUMN_UIDL || column == COLUMN_VALIDITY;
		l->column[l->columns] = (unsigned char)column;
		l->column_at[l->columns] = (uint16_t)(at - line);
		at += n;
		at += kind == UIDL_KIND_TAB ? *at == '\t' : strspn(at, " ");
	}
	if (known)
		l->kind = kind;
	return known;
}

static void columns_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = uidl_blank();
	bool good = true;

	if (l->count == 0 && has_titles(line, l->kind) && columns(l, line, l->kind))
		return;
	for (uint32_t i = 0; i < l->columns && good; i++) {
		size_t n;
		const char *value = cell(l, line, i, &n);

		good = value && (n == 0 || set_field(l, &e, (enum column)l->column[i], value, n));
	}
	if (good)
		uidl_doveadm_message(l, &e);
	else
		uidl_strange(l);
}

/* A line a field, and a form feed behind each message. */
static bool pager_line(struct uidl_list *l, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	enum column column = colon ? column_of(line, (size_t)(colon - line)) : COLUMN_OTHER;
	const char *value = colon ? colon + 1 : line;

	value += strspn(value, " ");
	if (*line == '\f') {
		uidl_doveadm_message(l, &l->current);
		l->current = uidl_blank();
		return true;
	}
	/* Fields that are of no use here, and lines that go on. */
	if (column == COLUMN_OTHER)
		return colon || *line == ' ' || *line == '\t';
	if (!set_field(l, &l->current, column, value, strlen(value)))
		uidl_strange(l);
	return true;
}

/* "uid: 1" or another field that begins a message; the status before it has none. */
static bool begins_pager(struct uidl_list *l, const char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	enum column column = colon ? column_of(line, (size_t)(colon - line)) : COLUMN_OTHER;

	if (column == COLUMN_OTHER || colon[1] != ' ')
		return false;
	l->current = uidl_blank();
	pager_line(l, line, n);
	if (column != COLUMN_VALIDITY)
		l->kind = UIDL_KIND_PAGER;
	return true;
}

bool uidl_doveadm_begin(struct uidl_list *l, const char *line, size_t n)
{
	if (strchr(line, '\t') && has_titles(line, UIDL_KIND_TAB) &&
	    columns(l, line, UIDL_KIND_TAB))
		return true;
	if (has_titles(line, UIDL_KIND_TABLE) && columns(l, line, UIDL_KIND_TABLE))
		return true;
	if (begins_pager(l, line, n))
		return true;
	if (!strchr(line, '=') || !flow_line(l, line, false))
		return false;
	/* The status of a mailbox stands before any format. */
	l->kind = l->count ? UIDL_KIND_FLOW : UIDL_KIND_NONE;
	return true;
}

bool uidl_doveadm_line(struct uidl_list *l, const char *line, size_t n)
{
	if (l->kind == UIDL_KIND_PAGER)
		return pager_line(l, line, n);
	if (l->kind == UIDL_KIND_FLOW)
		flow_line(l, line, true);
	else
		columns_line(l, line);
	return true;
}

void uidl_doveadm_end(struct uidl_list *l)
{
	if (l->kind == UIDL_KIND_PAGER)
		uidl_doveadm_message(l, &l->current);
}
