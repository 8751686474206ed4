/*
 * name.c - checking names octet by octet and folding them to their canonical form.
 */
#include "name.h"

#include <string.h>

enum { LOCAL_MAX = 64, DOMAIN_MAX = 254, LABEL_MAX = 63 };

/* RFC 5322 atext without '/', which would make a name a path. */
static const char atext_marks[] = "!#$%&'*+-=?^_`{|}~";

static bool is_alnum(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char lower(unsigned char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* Characters that cannot be seen, or that turn a line of a log around. */
static bool is_invisible(uint32_t c)
{
	return (c >= 0x80 && c <= 0xa0) || c == 0xad || (c >= 0x2000 && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202f) || (c >= 0x205f && c <= 0x206f) || c == 0x3000 ||
	       c == 0xfeff || (c >= 0xfff0 && c <= 0xffff) || c >= 0xe0000;
}

/* How many octets the UTF-8 sequence at s has (2 to 4); 0: not well-formed (RFC 3629 section 4). */
static size_t utf8_sequence(const unsigned char *s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0] & (0xffu >> (n + 1));

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*code = c;
	return n;
}

/* Octets of the character at s if it may be in a name, else 0 and why. */
static size_t character(const unsigned char *s, const char *marks, const char **why)
{
	uint32_t code;
	size_t n;

	if (*s < 0x80) {
		if (is_alnum(*s) || (*s && strchr(marks, *s)))
			return 1;
		*why = *s == '/'                ? "contains '/'"
		       : *s == ' '              ? "contains a space"
		       : *s < ' ' || *s == 0x7f ? "contains a control character"
		       : *s == '@'              ? "contains more than one '@'"
						: "contains a character that names cannot have";
		return 0;
	}
	n = utf8_sequence(s, &code);
	if (!n)
		*why = "is not valid UTF-8";
	else if (is_invisible(code))
		*why = "contains an invisible character";
	else
		return n;
	return 0;
}

/* Copy dot-separated atoms, folded; label_max bounds each atom. */
static const char *fold(const char *text, size_t length, const char *marks, size_t label_max,
			char *out)
{
	const unsigned char *s = (const unsigned char *)text;
	const char *why = NULL;
	size_t label = 0;

	for (size_t i = 0, n; i < length; i += n) {
		if (s[i] == '.') {
			if (label == 0)
				return i ? "contains '..'" : "begins with a dot";
			label = 0;
			out[i] = '.';
			n = 1;
			continue;
		}
		n = character(s + i, marks, &why);
		if (!n)
			return why;
		label += n;
		if (label > label_max)
			return "has a domain label of more than 63 octets";
		for (size_t k = 0; k < n; k++)
			out[i + k] = lower(s[i + k]);
	}
	out[length] = '\0';
	return label == 0 ? "ends with a dot" : NULL;
}

const char *name_domain(const char *text, char *out)
{
	size_t length = strnlen(text, DOMAIN_MAX + 1);
	const char *why;

	if (length == 0)
		return "has no domain after the '@'";
	if (length > DOMAIN_MAX)
		return "has a domain of more than 254 octets";
	why = fold(text, length, "-_", LABEL_MAX, out);
	if (why)
		return why;
	for (size_t i = 0; i < length; i++) {
		if (out[i] == '-' &&
		    (i == 0 || out[i - 1] == '.' || i + 1 == length || out[i + 1] == '.'))
			return "has a domain label that begins or ends with '-'";
	}
	return NULL;
}

const char *name_account(const char *text, const char *default_domain, char *out)
{
	const char *at = memchr(text, '@', strnlen(text, PSTN_ACCOUNT_NAME_MAX + 1));
	size_t length = at ? (size_t)(at - text) : strnlen(text, LOCAL_MAX + 1);
	const char *why;

	if (length == 0)
		return at ? "has nothing before the '@'" : "is empty";
	if (length > LOCAL_MAX)
		return "has more than 64 octets before the '@'";
	why = fold(text, length, atext_marks, LOCAL_MAX, out);
	if (why)
		return why;
	if (!at && !*default_domain)
		return "has no domain, and no default_domain is configured";
	out[length] = '@';
	return name_domain(at ? at + 1 : default_domain, out + length + 1);
}

const char *name_service(const char *text)
{
	size_t length = strnlen(text, NAME_SERVICE_MAX + 1);

	if (length == 0)
		return "is empty";
	if (length > NAME_SERVICE_MAX)
		return "has more than 32 octets";
	for (size_t i = 0; i < length; i++) {
		if (!is_alnum((unsigned char)text[i]) && !strchr("-_.", text[i]))
			return "contains a character other than letters, digits, '-', '_' and '.'";
	}
	return NULL;
}
