/*
 * keyword.c - names of keywords, and lists of them. Pure.
 */
#include "keyword.h"

#include <string.h>
#include <strings.h>

const char *keyword_fault(const char *name, size_t n)
{
	if (n == 0 || n > KEYWORD_MAX)
		return "must have 1 to 127 octets";
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= 0x7f)
			return "has octets that are not ASCII";
		if (c <= ' ')
			return "has a space or a control character";
		if (strchr("(){%*\"\\]", c))
			return "has one of ( ) { % * \" \\ ]";
	}
	return NULL;
}

bool keyword_same(const char *a, size_t na, const char *b, size_t nb)
{
	return na == nb && strncasecmp(a, b, na) == 0;
}

void keyword_list_clear(struct keyword_list *l)
{
	l->count = l->lost = 0;
	l->used = 0;
	l->text[0] = '\0';
}

const char *keyword_next(const char **at, size_t *n)
{
	const char *name = *at;

	*n = strcspn(name, "\n");
	*at = name + *n;
	*at += **at == '\n';
	return name;
}

static bool holds(const struct keyword_list *l, const char *name, size_t n)
{
	const char *at = l->text;
	size_t length;

	for (const char *w = keyword_next(&at, &length); length > 0;
	     w = keyword_next(&at, &length)) {
		if (keyword_same(w, length, name, n))
			return true;
	}
	return false;
}

void keyword_list_add(struct keyword_list *l, const char *name, size_t n)
{
	if (n == 0 || holds(l, name, n))
		return;
	if (n > KEYWORD_MAX || l->count == KEYWORDS_MAX) {
		l->lost++;
		return;
	}
	memcpy(l->text + l->used, name, n);
	l->used += n;
	l->text[l->used++] = '\n';
	l->text[l->used] = '\0';
	l->count++;
}
