/*
 * command.c - the table of commands, and the way of a line to its row.
 */
#include "command.h"
#include "args.h"
#include "audit.h"
#include "marks.h"

#include <string.h>

#define EITHER (POP3_AUTHORIZATION | POP3_TRANSACTION)

#define ROW(name, states, takes, run, usage)           \
	{                                              \
		name, states, takes, false, run, usage \
	}

const struct pop3_command pop3_commands[] = {
    ROW("CAPA", EITHER, POP3_NOTHING, pop3_capa, "CAPA takes no argument"),
    ROW("USER", POP3_AUTHORIZATION, POP3_TEXT, pop3_user, "USER takes a name"),
    {"PASS", POP3_AUTHORIZATION, POP3_TEXT, true, pop3_pass, "PASS takes a password"},
    ROW("STAT", POP3_TRANSACTION, POP3_NOTHING, pop3_stat, "STAT takes no argument"),
    ROW("LIST", POP3_TRANSACTION, POP3_NUMBER_MAYBE, pop3_list,
	"LIST takes a message number or nothing"),
    ROW("UIDL", POP3_TRANSACTION, POP3_NUMBER_MAYBE, pop3_uidl,
	"UIDL takes a message number or nothing"),
    ROW("RETR", POP3_TRANSACTION, POP3_NUMBER, pop3_retr, "RETR takes a message number"),
    ROW("TOP", POP3_TRANSACTION, POP3_NUMBER_AND_LINES, pop3_top,
	"TOP takes a message number and a number of lines"),
    ROW("DELE", POP3_TRANSACTION, POP3_NUMBER, pop3_dele, "DELE takes a message number"),
    ROW("RSET", POP3_TRANSACTION, POP3_NOTHING, pop3_rset, "RSET takes no argument"),
    ROW("NOOP", POP3_TRANSACTION, POP3_NOTHING, pop3_noop, "NOOP takes no argument"),
    ROW("QUIT", EITHER, POP3_NOTHING, pop3_quit, "QUIT takes no argument"),
    {.name = ""},
};

const struct pop3_command *pop3_command_find(const char *keyword)
{
	for (const struct pop3_command *c = pop3_commands; *c->name; c++)
		if (strcmp(c->name, keyword) == 0)
			return c;
	return NULL;
}

/* RFC 1939 section 7: PASS comes directly after USER. */
static void forget_user(struct pop3_session *p)
{
	pop3_host(p)->free(p->pop3->self, p->user);
	p->user = NULL;
}

void pop3_command_bad(struct pop3_session *p, const char *text)
{
	int64_t limit = p->pop3->conf->bad_command_limit;

	pop3_host(p)->count(p->pop3->self, POP3_BAD_COMMANDS, 1);
	p->bad_commands++;
	if (p->state == POP3_AUTHORIZATION)
		forget_user(p);
	if (limit && p->bad_commands >= limit)
		pop3_err_close(p, "too many bad commands; closing", "too many bad commands");
	else
		pop3_err(p, text);
}

static bool take_numbers(const struct pop3_command *c, struct pop3_line *line,
			 struct pop3_args *args)
{
	char *words[POP3_WORDS_MAX];
	int n = line->rest ? pop3_args_words(line->rest, line->rest_length, words) : 0;
	int max = c->takes == POP3_NUMBER_AND_LINES ? 2 : 1;
	int min = c->takes == POP3_NUMBER_MAYBE ? 0 : max;

	if (n < min || n > max)
		return false;
	args->has_number = n > 0;
	return (n < 1 || pop3_args_number(words[0], &args->number)) &&
	       (n < 2 || pop3_args_number(words[1], &args->lines));
}

static bool take_args(const struct pop3_command *c, struct pop3_line *line, struct pop3_args *args)
{
	char *none[POP3_WORDS_MAX];

	switch (c->takes) {
	case POP3_NOTHING:
		return !line->rest || pop3_args_words(line->rest, line->rest_length, none) == 0;
	case POP3_TEXT:
		args->text = line->rest;
		args->length = line->rest_length;
		return line->rest && !memchr(line->rest, '\0', line->rest_length);
	default:
		return take_numbers(c, line, args);
	}
}

static const char *objection(const struct pop3_session *p, const struct pop3_args *args)
{
	if (!args->has_number)
		return NULL;
	if (args->number < 1 || args->number > p->messages)
		return "no such message";
	return pop3_marked(p, args->number) ? "message is marked deleted" : NULL;
}

static void run(struct pop3_session *p, const struct pop3_command *c, struct pop3_line *line)
{
	struct pop3_args args = {0};
	const char *error;

	if (p->state == POP3_AUTHORIZATION && c->run != pop3_pass)
		forget_user(p);
	if (!(c->states & p->state))
		pop3_command_bad(p, p->state == POP3_AUTHORIZATION ? "log in first"
								   : "already logged in");
	else if (!take_args(c, line, &args))
		pop3_command_bad(p, c->usage);
	else if ((error = objection(p, &args)))
		pop3_err(p, error);
	else
		c->run(p, &args);
}

void pop3_command_run(struct pop3_session *p, char *text, size_t n)
{
	struct pop3_line line;
	const struct pop3_command *c = NULL;

	pop3_host(p)->count(p->pop3->self, POP3_COMMANDS, 1);
	if (pop3_args_line(text, n, &line))
		c = pop3_command_find(line.keyword);
	if (!c) {
		pop3_audit_unknown(p, n);
		pop3_command_bad(p, "unknown command");
		return;
	}
	pop3_audit_command(p, c, line.rest, line.rest_length);
	run(p, c, &line);
	if (c->secret && line.rest)
		explicit_bzero(line.rest, line.rest_length);
}
