/*
 * command.h - POP3's commands: a row each.
 */
#ifndef POP3_COMMAND_H
#define POP3_COMMAND_H

#include "session.h"

enum pop3_takes {
	POP3_NOTHING,
	POP3_NUMBER_MAYBE,     /* [msg] */
	POP3_NUMBER,           /* msg */
	POP3_NUMBER_AND_LINES, /* msg n */
	POP3_TEXT              /* all the rest of the line, spaces included */
};

struct pop3_args {
	bool has_number;
	uint32_t number; /* 1 to the number of messages, and not marked deleted */
	uint32_t lines;
	char *text;
	size_t length;
};

struct pop3_command {
	char name[5];
	uint8_t states; /* enum pop3_state */
	uint8_t takes;  /* enum pop3_takes */
	bool secret;    /* the arguments are not logged, and wiped afterwards */
	void (*run)(struct pop3_session *, const struct pop3_args *);
	const char *usage; /* what the client is told when the arguments are wrong */
};

extern const struct pop3_command pop3_commands[]; /* name "" ends */

void pop3_command_run(struct pop3_session *, char *line, size_t n);
/* Something that is no command at all; too many of them end the session. */
void pop3_command_bad(struct pop3_session *, const char *text);
/* NULL: unknown. */
const struct pop3_command *pop3_command_find(const char *keyword);

void pop3_user(struct pop3_session *, const struct pop3_args *);
void pop3_pass(struct pop3_session *, const struct pop3_args *);
void pop3_capa(struct pop3_session *, const struct pop3_args *);
void pop3_stat(struct pop3_session *, const struct pop3_args *);
void pop3_list(struct pop3_session *, const struct pop3_args *);
void pop3_uidl(struct pop3_session *, const struct pop3_args *);
void pop3_retr(struct pop3_session *, const struct pop3_args *);
void pop3_top(struct pop3_session *, const struct pop3_args *);
void pop3_dele(struct pop3_session *, const struct pop3_args *);
void pop3_rset(struct pop3_session *, const struct pop3_args *);
void pop3_noop(struct pop3_session *, const struct pop3_args *);
void pop3_quit(struct pop3_session *, const struct pop3_args *);

#endif
