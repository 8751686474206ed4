/*
 * uidl_template.c - Dovecot's pop3_uidl_format. Pure.
 */
#include "uidl_template.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct item { /* a variable, as it is written */
	char variable;
	bool hexadecimal, zeros;
	unsigned width;
};

static bool skip(const char **at, const char *text)
{
	size_t n = strlen(text);

	if (strncmp(*at, text, n) != 0)
		return false;
	*at += n;
	return true;
}

static unsigned number(const char **at)
{
	unsigned n = 0;

	while (**at >= '0' && **at <= '9' && n <= UIDL_MAX)
		n = n * 10 + (unsigned)(*(*at)++ - '0');
	return n;
}

/* "{uid}", "{uid | hex(8)}" and the same without spaces, as Dovecot 2.4 writes it. */
static bool long_item(const char **at, struct item *item)
{
	static const struct {
		const char *name;
		char variable;
	} names[] = {{"uidvalidity", 'v'}, {"uid", 'u'}, {"filename", 'f'}, {"guid", 'g'}};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && !item->variable; i++) {
		if (skip(at, names[i].name))
			item->variable = names[i].variable;
	}
	*at += strspn(*at, " ");
	if (skip(at, "|")) {
		*at += strspn(*at, " ");
		if (!skip(at, "hex("))
			return false;
		item->hexadecimal = item->zeros = true;
		item->width = number(at);
		if (!skip(at, ")"))
			return false;
		*at += strspn(*at, " ");
	}
	return item->variable && skip(at, "}");
}

/* Behind "%". */
static bool take_item(const char **at, struct item *item)
{
	*item = (struct item){0};
	if (skip(at, "{"))
		return long_item(at, item);
	item->zeros = **at == '0';
	item->width = number(at);
	item->hexadecimal = skip(at, "X");
	if (**at == '\0' || !strchr("uvfg", **at))
		return false;
	item->variable = *(*at)++;
	return item->width <= UIDL_MAX;
}

const char *uidl_template_fault(const char *format)
{
	struct item item;
	bool one = false, own = false;

	if (strlen(format) > UIDL_TEMPLATE)
		return "is longer than 127 octets";
	for (const char *at = format; *at;) {
		if (*at++ != '%')
			continue;
		if (skip(&at, "%"))
			continue;
		if (!take_item(&at, &item))
			return "has a variable that is not known here; %u, %v, %f and %g are, with "
			       "a width and X for hexadecimal (%08Xu%08Xv)";
		one |= item.variable != 'v';
		own = true;
	}
	if (!own || !one)
		return "is the same for all messages; it needs %u, %f or %g";
	return NULL;
}

static int print_item(const struct item *item, const struct uidl_values *v, char *out, size_t room)
{
	uint32_t n = item->variable == 'u' ? v->uid : v->uidvalidity;
	const char *text = item->variable == 'f' ? v->name : v->guid;

	if (item->variable == 'f' || item->variable == 'g')
		return text ? snprintf(out, room, "%s", text) : -1;
	if (n == 0)
		return -1;
	if (item->hexadecimal)
		return snprintf(out, room, item->zeros ? "%0*" PRIx32 : "%*" PRIx32,
				(int)item->width, n);
	return snprintf(out, room, item->zeros ? "%0*" PRIu32 : "%*" PRIu32, (int)item->width, n);
}

bool uidl_template_expand(const char *format, const struct uidl_values *v, char out[UIDL_MAX + 1])
{
	size_t used = 0;

	for (const char *at = format; *at;) {
		struct item item;
		int n = 1;

		if (*at != '%' || at[1] == '%') {
			at += *at == '%';
			out[used] = *at++;
		} else {
			at++;
			if (!take_item(&at, &item))
				return false;
			n = print_item(&item, v, out + used, UIDL_MAX + 1 - used);
		}
		if (n < 0 || (size_t)n > UIDL_MAX - used)
			return false;
		used += (size_t)n;
	}
	out[used] = '\0';
	return uidl_valid(out, used);
}
