/*
 * uidl_lines.c - a line of another server's listing, in whichever of the formats it is. Pure.
 */
#include "maildir.h"
#include "uidl_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
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

static void strange(struct uidl_list *l)
{
	if (l->kind != UIDL_KIND_NONE && l->strange++ == 0)
		l->first_strange = l->lines;
}

/* All digits, and it fits. */
static bool number(const char *text, size_t n, uint64_t *out)
{
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		if (text[i] < '0' || text[i] > '9' || *out > (UINT64_MAX - 9) / 10)
			return false;
		*out = *out * 10 + (uint64_t)(text[i] - '0');
	}
	return n > 0;
}

static bool number32(const char *text, size_t n, uint32_t *out)
{
	uint64_t value;

	if (!number(text, n, &value) || value > UINT32_MAX)
		return false;
	*out = (uint32_t)value;
	return true;
}

/* The next word of a line; *n 0: none is left. */
static const char *word(const char **at, size_t *n)
{
	const char *begin = *at + strspn(*at, " ");

	*n = strcspn(begin, " ");
	*at = begin + *n;
	return begin;
}

static struct uidl_entry blank(void)
{
	return (struct uidl_entry){.size = UIDL_NO_SIZE, .order = UINT64_MAX};
}

/* Dovecot may have the size in wire form in the name of a file: ",W=1234". */
static uint64_t size_of_name(const char *name)
{
	const char *at = strstr(name, ",W=");
	uint64_t size;

	return at && number(at + 3, strspn(at + 3, "0123456789"), &size) ? size : UIDL_NO_SIZE;
}

static void add(struct uidl_list *l, struct uidl_entry *e)
{
	if (e->name && e->size == UIDL_NO_SIZE)
		e->size = size_of_name(e->name);
	if (e->order == UINT64_MAX)
		e->order = e->uid;
	uidl_add(l, e);
}

/* ---- dovecot-uidlist ---- */

static bool uidlist_header(struct uidl_list *l, const char *line)
{
	const char *at = line;
	size_t n;
	const char *w = word(&at, &n);
	uint32_t validity;

	if (n != 1 || (*w != '1' && *w != '3'))
		return false;
	if (*w == '1') {
		uint32_t next;

		w = word(&at, &n);
		if (!number32(w, n, &validity))
			return false;
		w = word(&at, &n);
		if (!number32(w, n, &next) || *at)
			return false;
		l->uidvalidity = validity;
		l->columns = 1;
		return true;
	}
	for (w = word(&at, &n); n > 0; w = word(&at, &n)) {
		if (*w < 'A' || *w > 'Z')
			return false;
		if (*w == 'V' && number32(w + 1, n - 1, &validity))
			l->uidvalidity = validity;
		/* How ids are made that no line tells. */
		if (*w == 'P' && n - 1 <= UIDL_TEMPLATE)
			snprintf(l->own_template, sizeof(l->own_template), "%.*s", (int)n - 1,
				 w + 1);
	}
	l->columns = 3;
	return l->uidvalidity != 0;
}

static void uidlist_field(struct uidl_list *l, struct uidl_entry *e, const char *w, size_t n)
{
	uint64_t value;

	if (*w == 'P')
		e->uidl = uidl_copy(l, w + 1, n - 1);
	else if (*w == 'G')
		e->guid = uidl_copy(l, w + 1, n - 1);
	else if (*w == 'W' && number(w + 1, n - 1, &value))
		e->size = value;
	else if (*w == 'O' && number(w + 1, n - 1, &value))
		e->order = value;
}

static void uidlist_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = blank();
	const char *at = line;
	size_t n;
	const char *w = word(&at, &n);

	if (!number32(w, n, &e.uid) || e.uid == 0) {
		strange(l);
		return;
	}
	at += strspn(at, " ");
	while (l->columns == 3 && *at && *at != ':') {
		w = word(&at, &n);
		uidlist_field(l, &e, w, n);
		at += strspn(at, " ");
	}
	if (*at == ':')
		at++;
	if (*at == '\0' || strchr(at, '/')) {
		strange(l);
		return;
	}
	e.size = e.size == UIDL_NO_SIZE ? size_of_name(at) : e.size;
	e.name = uidl_copy(l, at, maildir_base(at));
	/* A P without more: the name of the file. Those with an order come before those without. */
	if (e.uidl && *e.uidl == '\0')
		e.uidl = e.name;
	if (e.order == UINT64_MAX)
		e.order = ((uint64_t)1 << 32) + e.uid;
	add(l, &e);
}

/* ---- courierpop3dsizelist ---- */

static bool courier_header(struct uidl_list *l, const char *line)
{
	const char *at = line + 1;
	size_t n;
	const char *w;
	uint32_t version, next;

	if (*line != '/')
		return false;
	w = word(&at, &n);
	if (!number32(w, n, &version) || (version != 2 && version != 3))
		return false;
	w = word(&at, &n);
	if (!number32(w, n, &next))
		return false;
	w = word(&at, &n);
	return n == 0 || number32(w, n, &l->uidvalidity);
}

/* A message that was there before Courier numbered them: its file's name. */
static const char *courier_name(struct uidl_list *l, const char *name, size_t n)
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
static bool courier_line(struct uidl_list *l, char *line)
{
	struct uidl_entry e = blank();
	char text[UIDL_MAX + 1], *ids = strrchr(line, ' '), *size;
	uint64_t uid = 0, validity = 0;
	size_t n;

	if (!ids)
		return false;
	*ids++ = '\0';
	size = strrchr(line, ' ');
	if (!size || size == line || !number(size + 1, strlen(size + 1), &e.size))
		return false;
	*size = '\0';
	n = strcspn(ids, ":");
	if (ids[n] != ':' || !number(ids, n, &uid))
		return false;
	ids += n + 1;
	if (!number(ids, strcspn(ids, ":"), &validity))
		return false;
	e.name = uidl_copy(l, line, maildir_base(line));
	if (uid == 0) {
		e.uidl = courier_name(l, line, maildir_base(line));
	} else {
		snprintf(text, sizeof(text), validity ? "UID%" PRIu64 "-%" PRIu64 : "UID%" PRIu64,
			 uid, validity);
		e.uidl = uidl_copy(l, text, strlen(text));
	}
	e.order = l->count; /* as its POP3 server sorted them */
	add(l, &e);
	return true;
}

/* ---- doveadm ---- */

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
		return number32(value, n, &e->uid);
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
		return number(value, n, &e->size);
	case COLUMN_ORDER:
		return n == 0 || number(value, n, &e->order);
	case COLUMN_VALIDITY:
		return number32(value, n, &l->uidvalidity);
	case COLUMN_OTHER:
		break;
	}
	return true;
}

static void add_known(struct uidl_list *l, struct uidl_entry *e)
{
	if (e->uid == 0 && !e->uidl && !e->name)
		return;
	if (e->uid == 0 && e->order == UINT64_MAX)
		e->order = l->count;
	add(l, e);
}

/* "uid=1 pop3.uidl=x"; also "INBOX uidvalidity=5" of `doveadm mailbox status`. */
static bool flow_line(struct uidl_list *l, const char *line, bool known)
{
	struct uidl_entry e = blank();
	const char *at = line;
	bool any = false;
	size_t n;

	for (const char *w = word(&at, &n); n > 0; w = word(&at, &n)) {
		const char *equals = memchr(w, '=', n);
		enum column column = equals ? column_of(w, (size_t)(equals - w)) : COLUMN_OTHER;

		if (column == COLUMN_OTHER)
			continue;
		any |= set_field(l, &e, column, equals + 1, n - (size_t)(equals + 1 - w));
	}
	if (any)
		add_known(l, &e);
	else if (known)
		strange(l);
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

/* The titles. */
static bool columns(struct uidl_list *l, const char *line, enum uidl_kind kind)
{
	const char *separators = kind == UIDL_KIND_TAB ? "\t" : " ";
	bool known = false;

	l->columns = 0;
	for (const char *at = line; *at && l->columns < UIDL_COLUMNS; l->columns++) {
		size_t n = strcspn(at, separators);
		enum column column = column_of(at, n);

		known |= column == COLUMN_UID || column == COLUMN_UIDL;
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
	struct uidl_entry e = blank();
	bool good = true;

	for (uint32_t i = 0; i < l->columns && good; i++) {
		size_t n;
		const char *value = cell(l, line, i, &n);

		good = value && (n == 0 || set_field(l, &e, (enum column)l->column[i], value, n));
	}
	if (good)
		add_known(l, &e);
	else
		strange(l);
}

/* A line a field, and a form feed behind each message. */
static bool pager_line(struct uidl_list *l, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	enum column column = colon ? column_of(line, (size_t)(colon - line)) : COLUMN_OTHER;
	const char *value = colon ? colon + 1 : line;

	value += strspn(value, " ");
	if (*line == '\f') {
		add_known(l, &l->current);
		l->current = blank();
		return true;
	}
	if (column == COLUMN_OTHER)
		return false;
	if (!set_field(l, &l->current, column, value, strlen(value)))
		strange(l);
	return true;
}

/* ---- Cyrus ---- */

static bool value_behind(const char *line, const char *what, uint64_t *out)
{
	const char *at = strstr(line, what);

	if (!at)
		return false;
	at += strlen(what);
	at += strspn(at, " ");
	return number(at, strspn(at, "0123456789"), out);
}

/* "  UIDValidity: 5  Last UID: 9", "000001> UID:00000007   INT_DATE:... SIZE:99". What else it
 * tells is no concern of ours, and not strange. */
static bool cyrus_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = blank();
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
	add(l, &e);
	return true;
}

/* ---- a POP3 server's answers ---- */

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

static bool pop3_line(struct uidl_list *l, const char *line)
{
	struct uidl_entry e = blank();
	const char *at = line, *value;
	size_t n;
	uint64_t size;

	if (strncmp(line, "+OK", 3) == 0 || strcmp(line, ".") == 0) {
		begin_section(l, line);
		return true;
	}
	if (!number(at, strspn(at, "0123456789"), &e.order) || e.order == 0)
		return false;
	at += strspn(at, "0123456789");
	if (*at++ != ' ')
		return false;
	value = word(&at, &n);
	if (n == 0 || *at)
		return false;
	if (l->nsections == 0)
		begin_section(l, "");
	section(l)->numbers = section(l)->numbers && number(value, n, &size);
	section(l)->count++;
	e.section = l->nsections;
	e.uidl = uidl_copy(l, value, n);
	uidl_add(l, &e);
	return true;
}

/* Joins the answers to UIDL and LIST by the messages' numbers, as far as both are there. */
static void pop3_end(struct uidl_list *l)
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
				number(l->entries[j].uidl, strlen(l->entries[j].uidl), &e.size);
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

/* ---- which of them ---- */

static bool is_table_header(const char *line)
{
	const char *at = line;
	size_t n;

	for (const char *w = word(&at, &n); n > 0; w = word(&at, &n)) {
		if (column_of(w, n) == COLUMN_UIDL)
			return true;
	}
	return false;
}

static void recognise(struct uidl_list *l, char *line, size_t n)
{
	if (l->lines == 1 && uidlist_header(l, line)) {
		l->kind = UIDL_KIND_UIDLIST;
	} else if (l->lines == 1 && courier_header(l, line)) {
		l->kind = UIDL_KIND_COURIER;
	} else if (strchr(line, '\t') && columns(l, line, UIDL_KIND_TAB)) {
		return;
	} else if (is_table_header(line) && columns(l, line, UIDL_KIND_TABLE)) {
		return;
	} else if (strstr(line, "Mailbox Header Info:") || strstr(line, "Index Header Info:")) {
		l->kind = UIDL_KIND_CYRUS;
	} else if (strncmp(line, "uid: ", 5) == 0 || strncmp(line, "pop3.uidl: ", 11) == 0) {
		l->current = blank();
		pager_line(l, line, n);
		l->kind = UIDL_KIND_PAGER;
	} else if (strchr(line, '=') && flow_line(l, line, false)) {
		/* The status of a mailbox stands before any format. */
		l->kind = l->count ? UIDL_KIND_FLOW : UIDL_KIND_NONE;
	} else if (pop3_line(l, line)) {
		l->kind = UIDL_KIND_POP3;
	}
}

void uidl_line(struct uidl_list *l, char *line, size_t n)
{
	bool known = true;

	if (n == 0)
		return;
	if (memchr(line, '\0', n)) {
		strange(l);
		return;
	}
	switch (l->kind) {
	case UIDL_KIND_NONE:
		recognise(l, line, n);
		break;
	case UIDL_KIND_UIDLIST:
		uidlist_line(l, line);
		break;
	case UIDL_KIND_COURIER:
		known = courier_line(l, line);
		break;
	case UIDL_KIND_FLOW:
		flow_line(l, line, true);
		break;
	case UIDL_KIND_TAB:
	case UIDL_KIND_TABLE:
		columns_line(l, line);
		break;
	case UIDL_KIND_PAGER:
		known = pager_line(l, line, n);
		break;
	case UIDL_KIND_CYRUS:
		cyrus_line(l, line);
		break;
	case UIDL_KIND_POP3:
		known = pop3_line(l, line);
		break;
	}
	if (!known)
		strange(l);
}

void uidl_line_end(struct uidl_list *l)
{
	if (l->kind == UIDL_KIND_PAGER)
		add_known(l, &l->current);
	if (l->kind == UIDL_KIND_POP3)
		pop3_end(l);
}
