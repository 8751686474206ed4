/*
 * fuzz_args.c - POP3 command lines taken apart: no octet outside the line is touched, and what comes
 * out is what a plain second reading gives.
 */
#include "modules/pop3/args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_args: %s\n", what);
	abort();
}

static void check_words(char *rest, size_t n)
{
	char *words[POP3_WORDS_MAX];
	int count = pop3_args_words(rest, n, words);

	must(count >= -1 && count <= POP3_WORDS_MAX, "an impossible number of words");
	for (int i = 0; i < count; i++) {
		uint32_t number = 0;
		size_t digits = strspn(words[i], "0123456789");
		bool good = pop3_args_number(words[i], &number);

		must(*words[i] && !strchr(words[i], ' '), "a word is empty or has a space");
		must(good == (words[i][digits] == '\0'), "a number is judged wrongly");
		if (good && digits < 10)
			must(number == strtoul(words[i], NULL, 10), "a number is read wrongly");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	char *line = malloc(n + 1);
	struct pop3_line out;

	must(line, "out of memory");
	if (n > 0)
		memcpy(line, octets, n);
	line[n] = '\0';
	if (pop3_args_line(line, n, &out)) {
		must(out.keyword == line && strlen(out.keyword) <= 4 && *out.keyword,
		     "a keyword is too long or empty");
		must(!out.rest || (size_t)(out.rest - line) + out.rest_length == n,
		     "the rest does not end where the line ends");
		if (out.rest)
			check_words(out.rest, out.rest_length);
	}
	free(line);
	return 0;
}
