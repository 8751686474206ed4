/*
 * session.h - what the files of the POP3 service share: the instance, the session, and the few
 * functions that end a command.
 *
 * A command handler runs until it has answered or until a provider says PSTN_LATER; then the
 * session is held and the handler's next step is the provider's callback. However it goes, a
 * command ends with exactly one call of pop3_complete(), which pop3_ok() and pop3_err() contain.
 */
#ifndef POP3_SESSION_H
#define POP3_SESSION_H

#include <postern/directory.h>
#include <postern/maildrop.h>
#include <postern/service.h>

enum pop3_plaintext { POP3_PLAINTEXT_NEVER, POP3_PLAINTEXT_LOOPBACK, POP3_PLAINTEXT_ALWAYS };

struct pop3_conf {
	const char *greeting, *implementation;
	uint64_t idle_timeout, login_timeout, auth_failure_delay;
	uint64_t line_limit;
	int64_t bad_command_limit, login_failure_limit;
	int32_t plaintext_login;
};

enum pop3_metric {
	POP3_SESSIONS,
	POP3_LOGINS,
	POP3_LOGIN_FAILURES,
	POP3_RETRIEVED,
	POP3_RETRIEVED_OCTETS,
	POP3_DELETED,
	POP3_COMMANDS,
	POP3_BAD_COMMANDS
};

struct pop3 {
	struct pstn_self *self;
	const struct pstn_host *host;
	const struct pop3_conf *conf;
	const struct pstn_directory *directory;
	const struct pstn_maildrops *maildrops;
	void *directory_inst, *maildrops_inst;
};

/* RFC 1939 section 3; the bits of a command row's `states`. */
enum pop3_state { POP3_AUTHORIZATION = 1, POP3_TRANSACTION = 2, POP3_UPDATE = 4 };

struct pop3_transfer; /* transfer.h */

struct pop3_session {
	struct pop3 *pop3;
	struct pstn_session *stream;
	struct pstn_maildrop *maildrop;
	char *user;                         /* what USER said, and after login the account's name */
	uint64_t *marks;                    /* see marks.h */
	void *scratch;                      /* what the command under way needs to remember */
	struct pop3_transfer *transfers;    /* texts read and not yet sent */
	pstn_done *when_sent;               /* what waits for them; see pop3_when_sent() */
	struct pstn_maildrop_totals totals; /* as last asked for */
	uint64_t opened;                    /* host->now() */
	uint64_t marked_octets, retrieved_octets;
	uint32_t messages; /* fixed at login, whatever the store says later */
	uint32_t marked, retrieved, removed;
	uint32_t zombies; /* as marked_octets knows them */
	uint32_t bad_commands, login_failures;
	uint8_t state;
	bool held;      /* a command is under way */
	bool plaintext; /* USER and PASS are allowed on this connection */
};

/* ---- reply.c: answers, and the end of a command ---- */

/* A status line, for replies with more lines to come. */
void pop3_status(struct pop3_session *, const char *fmt, ...) PSTN_PRINTF(2, 3);
/* pop3_status(p, "%" PRIu32 " message%s", POP3_COUNTED(n)) */
#define POP3_COUNTED(n) (n), (n) == 1 ? "" : "s"
/* A one-line reply; the command is over. The text of an error never holds what a client sent. */
void pop3_ok(struct pop3_session *, const char *fmt, ...) PSTN_PRINTF(2, 3);
void pop3_err(struct pop3_session *, const char *text);
/* The same for a provider's failure, with the response code that fits (RFC 3206 section 4). */
void pop3_err_status(struct pop3_session *, int status);
/* A last reply, then close. */
void pop3_err_close(struct pop3_session *, const char *text, const char *why);
void pop3_finish(struct pop3_session *, const char *why);
void pop3_complete(struct pop3_session *);
/* No further command until pop3_complete(). */
void pop3_hold(struct pop3_session *);
/* A provider's call returned `status`: go on with `next`, now or when the callback comes. */
void pop3_await(struct pop3_session *, int status, pstn_done *next);
/* Memory for the command under way, gone with it. On NULL the command has been answered. */
void *pop3_scratch(struct pop3_session *, size_t n);

/* ---- row.c: one message's row ---- */

struct pop3_row {
	struct pstn_message message;
	uint32_t count; /* 1, unless the store is wrong */
};

void pop3_fill_row(struct pop3_session *, struct pop3_row *, uint32_t number, pstn_done *next);
/* The same into scratch. */
void pop3_find_row(struct pop3_session *, uint32_t number, pstn_done *next);

/* ---- listing.c: output has drained ---- */
void pop3_listing_go_on(struct pop3_session *);

static inline const struct pstn_host *pop3_host(const struct pop3_session *p)
{
	return p->pop3->host;
}

#endif
