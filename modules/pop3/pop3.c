/*
 * pop3.c - the POP3 service: RFC 1939 with 2449 (CAPA) and 3206 (response codes).
 *
 * This file is the module as the core sees it: its options, counters, needs, and the calls that a
 * session gets. What a command does is in the files named after them; command.c has the table.
 */
#include "args.h"
#include "audit.h"
#include "command.h"
#include "transfer.h"

#include <stdio.h>
#include <string.h>

/* Tests build a second edition of the module to be told apart from this one. */
#ifndef POP3_EDITION
#define POP3_EDITION ""
#endif
#ifndef POP3_SESSION_PADDING
#define POP3_SESSION_PADDING 0
#endif

#define GREETING_MAX       480
#define IMPLEMENTATION_MAX 200
#define LINE_LIMIT         1024

/* ---- options ---- */

static const char *const plaintext_choices[] = {"never", "loopback", "always", NULL};

static const struct pstn_option options[] = {
    PSTN_OPT_STRING(struct pop3_conf, greeting, .def = "Postern ready" POP3_EDITION,
		    .help = "What a client is told after \"+OK \" when it connects."),
    PSTN_OPT_STRING(struct pop3_conf, implementation, .def = "Postern" POP3_EDITION,
		    .help = "The IMPLEMENTATION line of CAPA (RFC 2449 section 6.9); empty: none."),
    PSTN_OPT_ENUM(
	struct pop3_conf, plaintext_login, .def = "loopback", .choices = plaintext_choices,
	.help = "Where USER and PASS are allowed on an unencrypted connection: never; from "
		"the machine itself (loopback addresses and UNIX sockets); always. "
		"With always, passwords can be read on the way."),
    PSTN_OPT_DURATION(struct pop3_conf, idle_timeout, .def = "10m", .min = "10m", .max = "7d",
		      .help = "A logged-in client that sends nothing for so long is disconnected, "
			      "and nothing is deleted. RFC 1939 asks for 10 minutes at least."),
    PSTN_OPT_DURATION(struct pop3_conf, login_timeout, .def = "1m", .min = "1s", .max = "1h",
		      .help = "A client that has not logged in by then is disconnected."),
    PSTN_OPT_DURATION(struct pop3_conf, auth_failure_delay, .def = "1s", .min = "0", .max = "1m",
		      .help = "How long the answer to a wrong password waits."),
    PSTN_OPT_INT(struct pop3_conf, login_failure_limit, .def = "3", .min = "0", .max = "1000000",
		 .help =
		     "So many failed logins end a session; 0: no limit, which lets passwords be "
		     "guessed."),
    PSTN_OPT_INT(struct pop3_conf, bad_command_limit, .def = "10", .min = "0", .max = "1000000",
		 .help = "So many unknown, malformed or misplaced commands end a session; 0: no "
			 "limit."),
    PSTN_OPT_BYTES(struct pop3_conf, line_limit, .def = "1024", .min = "255", .max = "8192",
		   .help =
		       "Octets of a command line with its end; RFC 2449 asks for 255 at least."),
    {.name = NULL},
};

static const struct pstn_metric metrics[] = {
    [POP3_SESSIONS] = {"sessions_total", PSTN_COUNTER, "Clients that connected."},
    [POP3_LOGINS] = {"logins_total", PSTN_COUNTER, "Successful logins."},
    [POP3_LOGIN_FAILURES] = {"login_failures_total", PSTN_COUNTER, "Wrong credentials."},
    [POP3_RETRIEVED] = {"retrieved_messages_total", PSTN_COUNTER, "Messages sent by RETR."},
    [POP3_RETRIEVED_OCTETS] = {"retrieved_octets_total", PSTN_COUNTER, "Their octets."},
    [POP3_DELETED] = {"deleted_messages_total", PSTN_COUNTER, "Messages removed by DELE and QUIT."},
    [POP3_COMMANDS] = {"commands_total", PSTN_COUNTER, "Command lines."},
    [POP3_BAD_COMMANDS] = {"bad_commands_total", PSTN_COUNTER,
			   "Unknown, malformed, misplaced and over-long command lines."},
    {.name = NULL},
};

enum { NEED_DIRECTORY, NEED_MAILDROP };

static const struct pstn_need needs[] = {
    [NEED_DIRECTORY] = {PSTN_ACCOUNTS_DIRECTORY, 2, 0, 0},
    [NEED_MAILDROP] = {PSTN_STORAGE_MAILDROP, 1, 0, 0},
    {.name = NULL},
};

/* ---- a session ---- */

static bool plaintext_allowed(const struct pop3 *pop3, const char *address)
{
	switch (pop3->conf->plaintext_login) {
	case POP3_PLAINTEXT_ALWAYS:
		return true;
	case POP3_PLAINTEXT_LOOPBACK:
		return strcmp(address, "unix") == 0 || strcmp(address, "::1") == 0 ||
		       strncmp(address, "127.", 4) == 0 || strncmp(address, "::ffff:127.", 11) == 0;
	default:
		return false;
	}
}

static void session_open(void *inst, struct pstn_session *stream, void *state)
{
	struct pop3 *pop3 = inst;
	const struct pstn_host *host = pop3->host;
	struct pop3_session *p = state;
	struct pstn_peer peer = {.size = sizeof(peer)};

	host->peer(stream, &peer);
	p->pop3 = pop3;
	p->stream = stream;
	p->state = POP3_AUTHORIZATION;
	p->opened = host->now();
	p->plaintext = plaintext_allowed(pop3, peer.address);
	host->count(pop3->self, POP3_SESSIONS, 1);
	host->set_state(stream, "authorization");
	host->line_limit(stream, pop3->conf->line_limit);
	host->idle_limit(stream, pop3->conf->login_timeout);
	pop3_status(p, "%s", pop3->conf->greeting);
}

/* Before login the time is counted from the connect on: a stranger cannot stay by saying CAPA. */
static bool login_in_time(struct pop3_session *p)
{
	const struct pstn_host *host = pop3_host(p);
	uint64_t limit = p->pop3->conf->login_timeout, spent = host->now() - p->opened;

	if (spent < limit) {
		host->idle_limit(p->stream, limit - spent);
		return true;
	}
	p->state = POP3_UPDATE;
	host->drop(p->stream, "not logged in in time");
	return false;
}

static void session_line(void *inst, struct pstn_session *stream, void *state, char *line, size_t n)
{
	struct pop3_session *p = state;

	(void)inst;
	(void)stream;
	if (p->state == POP3_UPDATE || (p->state == POP3_AUTHORIZATION && !login_in_time(p)))
		return;
	pop3_command_run(p, line, n);
}

static void session_overlong(void *inst, struct pstn_session *stream, void *state)
{
	struct pop3_session *p = state;

	(void)inst;
	(void)stream;
	if (p->state != POP3_UPDATE)
		pop3_command_bad(p, "line too long");
}

/* Only listings ask for it. */
static void session_drained(void *inst, struct pstn_session *stream, void *state)
{
	struct pop3_session *p = state;

	(void)inst;
	(void)stream;
	pop3_listing_go_on(p);
}

static void session_close(void *inst, struct pstn_session *stream, void *state, const char *why)
{
	struct pop3 *pop3 = inst;
	struct pop3_session *p = state;

	(void)stream;
	pop3_transfers_abort(p);
	pop3_audit_session(p, why);
	if (p->maildrop)
		pop3->maildrops->close(p->maildrop);
	pop3->host->free(pop3->self, p->scratch);
	pop3->host->free(pop3->self, p->marks);
	pop3->host->free(pop3->self, p->user);
}

static const struct pstn_service service = {
    .size = sizeof(service),
    .session_size = sizeof(struct pop3_session) + POP3_SESSION_PADDING,
    .protocol = "pop3",
    .default_listener = "127.0.0.1:110",
    .line_limit = LINE_LIMIT,
    .open = session_open,
    .line = session_line,
    .overlong = session_overlong,
    .drained = session_drained,
    .close = session_close,
    .refusal = "-ERR [SYS/TEMP] too many connections; try again later\r\n",
};

static const struct pstn_offer offers[] = {
    {PSTN_SERVICE_STREAM, 1, 0, &service},
    {.name = NULL},
};

/* ---- an instance ---- */

static bool printable(const char *text, size_t max)
{
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return n <= max;
}

/* '[' would begin a response code (RFC 2449 section 8), '<' an APOP timestamp (RFC 1939 section 7).
 */
static const char *conf_objection(const struct pop3_conf *conf)
{
	if (!printable(conf->greeting, GREETING_MAX))
		return "greeting: at most 480 printable ASCII characters";
	if (*conf->greeting == '[' || strchr(conf->greeting, '<'))
		return "greeting: must not begin with '[' nor contain '<', which POP3 clients take "
		       "for "
		       "something else";
	if (!printable(conf->implementation, IMPLEMENTATION_MAX))
		return "implementation: at most 200 printable ASCII characters";
	return NULL;
}

static void warn(const struct pop3 *pop3, const char *key, const char *text)
{
	pop3->host->log(PSTN_EVENT(pop3->self, NULL, PSTN_WARNING, "unsafe_setting",
				   PSTN_S("key", key), PSTN_S("text", text)));
}

static void warn_of_unsafe_settings(const struct pop3 *pop3)
{
	if (pop3->conf->plaintext_login == POP3_PLAINTEXT_ALWAYS)
		warn(pop3, "plaintext_login",
		     "passwords cross the network unencrypted; \"loopback\" is safe");
	if (pop3->conf->login_failure_limit == 0)
		warn(pop3, "login_failure_limit",
		     "a session may guess passwords without end; 3 is a good limit");
	if (pop3->conf->bad_command_limit == 0)
		warn(pop3, "bad_command_limit",
		     "a session may send bad commands without end; 10 is a good limit");
}

static void stop(void *inst)
{
	struct pop3 *pop3 = inst;

	pop3->host->free(pop3->self, pop3);
}

static void *start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
		   char *err, size_t errlen)
{
	const char *objection = conf_objection(conf);
	struct pop3 *pop3;

	if (objection) {
		snprintf(err, errlen, "%s", objection);
		return NULL;
	}
	pop3 = host->alloc(self, sizeof(*pop3));
	if (!pop3) {
		snprintf(err, errlen, "out of memory");
		return NULL;
	}
	pop3->self = self;
	pop3->host = host;
	pop3->conf = conf;
	pop3->directory = host->need(self, NEED_DIRECTORY, &pop3->directory_inst);
	pop3->maildrops = host->need(self, NEED_MAILDROP, &pop3->maildrops_inst);
	if (!pop3->directory || !pop3->maildrops) {
		snprintf(err, errlen, "needs %s 1.0 and %s 1.0 of other modules",
			 PSTN_ACCOUNTS_DIRECTORY, PSTN_STORAGE_MAILDROP);
		stop(pop3);
		return NULL;
	}
	warn_of_unsafe_settings(pop3);
	return pop3;
}

static int self_test(void *inst, char *err, size_t errlen)
{
	const struct pop3 *pop3 = inst;
	char text[] = "top 12 3";
	struct pop3_line line;
	char *words[POP3_WORDS_MAX];
	uint32_t number = 0;

	for (const struct pop3_command *c = pop3_commands; *c->name; c++)
		if (pop3_command_find(c->name) != c || !c->run || !c->states || !c->usage) {
			snprintf(err, errlen, "the row of command %s is wrong", c->name);
			return -1;
		}
	if (!pop3_args_line(text, sizeof(text) - 1, &line) || !pop3_command_find(line.keyword) ||
	    pop3_args_words(line.rest, line.rest_length, words) != 2 ||
	    !pop3_args_number(words[0], &number) || number != 12) {
		snprintf(err, errlen, "command lines are not understood");
		return -1;
	}
	if (!PSTN_HAS(struct pstn_directory, pop3->directory, verify) ||
	    !PSTN_HAS(struct pstn_maildrops, pop3->maildrops, close)) {
		snprintf(err, errlen, "%s or %s is incomplete", PSTN_ACCOUNTS_DIRECTORY,
			 PSTN_STORAGE_MAILDROP);
		return -1;
	}
	return 0;
}

PSTN_EXPORT extern const struct pstn_module pstn_module;
const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "pop3",
    .version = "0.1.0",
    .summary = "POP3 (RFC 1939, 2449, 3206)",
    .conf_size = sizeof(struct pop3_conf),
    .options = options,
    .metrics = metrics,
    .offers = offers,
    .needs = needs,
    .start = start,
    .self_test = self_test,
    .stop = stop,
};
