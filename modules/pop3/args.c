/*
 * args.c - command lines taken apart. Pure functions over the octets of one line: they are fuzzed.
 */
#include "args.h"

#include <string.h>

#define KEYWORD_MAX 4 /* RFC 1939 section 3 */

bool pop3_args_line(char *line, size_t n, struct pop3_line *out)
{
	size_t i = 0;

	for (; i < n && line[i] != ' '; i++) {
		char c = line[i];

		if (i == KEYWORD_MAX)
			return false;
		if (c >= 'a' && c <= 'z')
			line[i] = (char)(c - 'a' + 'A');
		else if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			return false;
	}
	if (i == 0)
		return false;
	*out = (struct pop3_line){.keyword = line};
	if (i < n) {
		out->rest = line + i + 1;
		out->rest_length = n - i - 1;
	}
	line[i] = '\0';
	return true;
}

static bool is_word(const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (word[i] <= ' ' || word[i] > '~')
			return false;
	return n > 0;
}

int pop3_args_words(char *rest, size_t n, char *words[POP3_WORDS_MAX])
{
	char *end;
	int count = 0;

	while (n > 0 && rest[n - 1] == ' ')
		n--;
	for (end = rest + n; rest < end; count++) {
		char *space = memchr(rest, ' ', (size_t)(end - rest));
		size_t length = (size_t)((space ? space : end) - rest);

		if (count == POP3_WORDS_MAX || !is_word(rest, length))
			return -1;
		words[count] = rest;
		rest[length] = '\0';
		rest += length + 1;
	}
	return count;
}

bool pop3_args_number(const char *word, uint32_t *out)
{
	uint64_t value = 0;

	for (const char *c = word; *c; c++) {
		if (*c < '0' || *c > '9')
			return false;
		if (value < UINT32_MAX)
			value = value * 10 + (uint64_t)(*c - '0');
	}
	*out = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
	return *word != '\0';
}
