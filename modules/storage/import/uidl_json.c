/*
 * uidl_json.c - doveadm fetch -f json: one line, as long as the mailbox is large, so it is taken octet
 * by octet: objects of strings or numbers. Pure.
 */
#include "uidl_lines.h"

#include <string.h>

/* The rest of a string that is too long is passed over. */
static void append(struct uidl_list *l, char c)
{
	if (l->json.used < UIDL_LINE)
		l->line[l->json.used++] = c;
}

/* What is told of mail is ASCII; anything else makes an id that cannot be used. */
static void append_code(struct uidl_list *l, uint32_t code)
{
	append(l, code > 0 && code < 0x80 ? (char)code : '\xff');
}

static void end_value(struct uidl_list *l)
{
	struct uidl_json *j = &l->json;

	l->line[j->used] = '\0';
	if (j->value &&
	    !uidl_doveadm_field(l, &l->current, j->title, j->title_length, l->line, j->used))
		uidl_strange(l);
	j->value = false;
	j->used = 0;
}

static void end_string(struct uidl_list *l)
{
	struct uidl_json *j = &l->json;

	j->string = false;
	if (j->value) {
		end_value(l);
		return;
	}
	j->title_length = j->used < sizeof(j->title) ? j->used : 0;
	memcpy(j->title, l->line, j->title_length);
	j->used = 0;
}

static void escaped(struct uidl_list *l, char c)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const char *at = c ? strchr(letters, c) : NULL;

	l->json.escape = false;
	if (c == 'u') {
		l->json.digits = 4;
		l->json.code = 0;
	} else {
		append(l, at ? meant[at - letters] : c);
	}
}

static uint32_t digit(char c)
{
	if (c >= '0' && c <= '9')
		return (uint32_t)(c - '0');
	return ((uint32_t)(unsigned char)c | 0x20U) - 'a' < 6
		   ? ((uint32_t)(unsigned char)c | 0x20U) - 'a' + 10
		   : 0;
}

static void in_string(struct uidl_list *l, char c)
{
	struct uidl_json *j = &l->json;

	if (j->digits > 0) {
		j->code = j->code << 4 | digit(c);
		if (--j->digits == 0)
			append_code(l, j->code);
	} else if (j->escape) {
		escaped(l, c);
	} else if (c == '\\') {
		j->escape = true;
	} else if (c == '"') {
		end_string(l);
	} else {
		append(l, c);
	}
}

static void begin_message(struct uidl_list *l)
{
	l->current = uidl_blank();
	l->json.object = true;
	l->json.value = false;
	l->json.used = l->json.title_length = 0;
	l->lines++;
}

static void end_message(struct uidl_list *l)
{
	if (l->json.used > 0)
		end_value(l);
	if (l->json.object)
		uidl_doveadm_message(l, &l->current);
	l->json.object = false;
}

void uidl_json_octet(struct uidl_list *l, char c)
{
	struct uidl_json *j = &l->json;

	l->kind = UIDL_KIND_JSON;
	if (j->string) {
		in_string(l, c);
		return;
	}
	switch (c) {
	case '"':
		j->string = true;
		j->used = 0;
		break;
	case '{':
		begin_message(l);
		break;
	case '}':
		end_message(l);
		break;
	case ':':
		j->value = true;
		break;
	case ',':
		if (j->used > 0)
			end_value(l);
		break;
	case '[':
	case ']':
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		break;
	default:
		/* A number. Between objects nothing else stands. */
		if (j->object && j->value)
			append(l, c);
		else
			uidl_strange(l);
	}
}
