/*
 * args.h - command lines taken apart, without any state (RFC 1939 section 3).
 */
#ifndef POP3_ARGS_H
#define POP3_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pop3_line {
	char *keyword; /* terminated, in upper case */
	char *rest;    /* terminated; behind the one space; NULL: there was no space */
	size_t rest_length;
};

#define POP3_WORDS_MAX 2

/* Cut a line of n octets, in place; false if it does not begin with a keyword. */
bool pop3_args_line(char *line, size_t n, struct pop3_line *out);
/* Split rest at single spaces into 0 to POP3_WORDS_MAX words; trailing spaces are let pass. -1 if
 * there are more words, an empty one, or octets that belong into no word. */
int pop3_args_words(char *rest, size_t n, char *words[POP3_WORDS_MAX]);
/* A decimal number; one too large for 32 bits becomes UINT32_MAX. false: not a number. */
bool pop3_args_number(const char *word, uint32_t *out);

#endif
