/*
 * auth.c - USER and PASS: from a name and a password to an open maildrop (RFC 1939 sections 4, 7).
 *
 * PASS takes these steps, each of which may have to wait: verify the credentials, open the
 * maildrop, count it, take one of the account's session places. Only then has the client logged in;
 * a failure before gives everything back, so that it may try again.
 */
#include "audit.h"
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SERVICE "pop3"
#define FOLDER  "INBOX"

struct login {
	struct pstn_account account;
	uint64_t began;
};

static const char NOT_HERE[] = "plain-text login is not allowed on this connection; connect in the "
			       "way your administrator told you";

static char *copy(struct pop3_session *p, const char *text, size_t n)
{
	char *s = pop3_host(p)->alloc(p->pop3->self, n + 1);

	return s ? memcpy(s, text, n) : NULL;
}

static void set_user(struct pop3_session *p, char *user)
{
	pop3_host(p)->free(p->pop3->self, p->user);
	p->user = user;
}

void pop3_user(struct pop3_session *p, const struct pop3_args *args)
{
	if (!p->plaintext) {
		pop3_err(p, NOT_HERE);
		return;
	}
	if (args->length == 0) {
		pop3_command_bad(p, "USER takes a name");
		return;
	}
	set_user(p, copy(p, args->text, args->length));
	if (!p->user)
		pop3_err_status(p, PSTN_E_NO_MEMORY);
	else
		pop3_ok(p, "send PASS");
}

/* ---- failure ---- */

static void close_maildrop(struct pop3_session *p)
{
	if (p->maildrop)
		p->pop3->maildrops->close(p->maildrop);
	p->maildrop = NULL;
	p->totals = (struct pstn_maildrop_totals){0};
}

static void denied(void *arg, int status)
{
	struct pop3_session *p = arg;
	int64_t limit = p->pop3->conf->login_failure_limit;

	(void)status;
	if (limit && p->login_failures >= limit)
		pop3_err_close(p, "[AUTH] wrong user name or password; too many failures, closing",
			       "too many failed logins");
	else
		pop3_err(p, "[AUTH] wrong user name or password");
}

/* The answer comes late, so that guessing is slow; the session alone waits. */
static void deny(struct pop3_session *p)
{
	const struct pop3 *pop3 = p->pop3;
	uint64_t delay = pop3->conf->auth_failure_delay;

	pop3->host->count(pop3->self, POP3_LOGIN_FAILURES, 1);
	pop3_audit_login_failed(p, "wrong credentials");
	p->login_failures++;
	set_user(p, NULL);
	if (delay && pop3->host->after(pop3->self, p->stream, delay, denied, p))
		pop3_hold(p);
	else
		denied(p, PSTN_OK);
}

/* The credentials are not to blame. */
static void fail(struct pop3_session *p, int status, const char *why)
{
	close_maildrop(p);
	pop3_audit_login_failed(p, why);
	set_user(p, NULL);
	if (status == PSTN_E_NOT_FOUND || status == PSTN_E_GONE)
		status = PSTN_E_TEMPORARY;
	pop3_err_status(p, status);
}

/* ---- the steps ---- */

static bool take_place(struct pop3_session *p, const struct pstn_account *account)
{
	char key[40];

	if (account->session_limit == 0)
		return true;
	snprintf(key, sizeof(key), "account:%" PRIu64, account->id);
	return pop3_host(p)->claim(p->stream, key, account->session_limit);
}

static void in_use(struct pop3_session *p)
{
	close_maildrop(p);
	pop3_audit_login_failed(p, "too many sessions of this account");
	set_user(p, NULL);
	pop3_err(p, "[IN-USE] this account has as many sessions as it may; try again later");
}

static void enter_transaction(struct pop3_session *p, const struct login *login)
{
	const struct pop3 *pop3 = p->pop3;

	p->state = POP3_TRANSACTION;
	p->messages = p->totals.messages;
	p->zombies = p->totals.zombies;
	pop3->host->set_account(p->stream, p->user);
	pop3->host->set_state(p->stream, "transaction");
	pop3->host->idle_limit(p->stream, pop3->conf->idle_timeout);
	pop3->host->count(pop3->self, POP3_LOGINS, 1);
	pop3_audit_login(p, login->began);
	pop3_ok(p, "logged in; %" PRIu32 " message%s", POP3_COUNTED(p->messages));
}

static void counted(void *arg, int status)
{
	struct pop3_session *p = arg;
	struct login *login = p->scratch;
	char *name;

	if (status != PSTN_OK) {
		fail(p, status, "the maildrop cannot be counted");
		return;
	}
	name = copy(p, login->account.name, strlen(login->account.name));
	if (!name) {
		fail(p, PSTN_E_NO_MEMORY, "out of memory");
		return;
	}
	/* Last, because a place is only given back when the session ends. */
	if (!take_place(p, &login->account)) {
		pop3_host(p)->free(p->pop3->self, name);
		in_use(p);
		return;
	}
	set_user(p, name);
	enter_transaction(p, login);
}

static void opened(void *arg, int status)
{
	struct pop3_session *p = arg;

	if (status != PSTN_OK) {
		p->maildrop = NULL;
		fail(p, status, "the maildrop cannot be opened");
		return;
	}
	pop3_await(p, p->pop3->maildrops->totals(p->maildrop, &p->totals, counted, p), counted);
}

static void verified(void *arg, int status)
{
	struct pop3_session *p = arg;
	const struct pop3 *pop3 = p->pop3;
	struct login *login = p->scratch;

	switch (status) {
	case PSTN_OK:
		pop3_await(p,
			   pop3->maildrops->open(pop3->maildrops_inst, p->stream, &login->account,
						 FOLDER, &p->maildrop, opened, p),
			   opened);
		return;
	case PSTN_E_DENIED:
	case PSTN_E_NOT_FOUND:
	case PSTN_E_INVALID: /* no name that an account could have */
		deny(p);
		return;
	default:
		fail(p, status, "the credentials cannot be checked");
	}
}

void pop3_pass(struct pop3_session *p, const struct pop3_args *args)
{
	const struct pop3 *pop3 = p->pop3;
	struct login *login;
	int status;

	if (!p->plaintext) {
		pop3_err(p, NOT_HERE);
		return;
	}
	if (!p->user) {
		pop3_command_bad(p, "USER comes first");
		return;
	}
	login = pop3_scratch(p, sizeof(*login));
	if (!login)
		return;
	login->began = pop3->host->now();
	login->account.size = sizeof(login->account);
	status = pop3->directory->verify(pop3->directory_inst, p->stream, SERVICE, p->user,
					 args->text, &login->account, verified, p);
	pop3_await(p, status, verified);
}
