/*
 * commands.c - the rows from which posternctl knows the commands, and what they share.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* ---- the rows ---- */

/* clang-format off */
#define ACCOUNT {"name", PSTN_ARG_TEXT, 0, "the account, user@domain"}
#define DOMAIN {"domain", PSTN_ARG_TEXT, 0, "the domain"}
#define OPTIONAL(name, kind, help) {name, PSTN_ARG_##kind, PSTN_ARG_OPTIONAL, help}
#define QUOTA OPTIONAL("quota-messages", OPTION, "how many messages: N, \"none\" or \"default\""), \
	OPTIONAL("quota-octets", OPTION, "how much they may take: 10GiB, \"none\" or \"default\"")
#define PASSWORD {"password", PSTN_ARG_SECRET, PSTN_ARG_CONFIRM, "the new password"}
/* clang-format on */

static const struct pstn_arg add_args[] = {
    ACCOUNT,
    OPTIONAL("scheme", OPTION, "how the password is kept: scram-sha-256 or yescrypt"),
    OPTIONAL("verifier", SWITCH, "what is read is a SCRAM-SHA-256 or crypt(3) string, no password"),
    OPTIONAL("session-limit", OPTION, "simultaneous sessions, 0 for no limit, or \"default\""),
    QUOTA,
    PASSWORD,
    {0},
};

static const struct pstn_arg passwd_args[] = {
    ACCOUNT,
    OPTIONAL("scheme", OPTION, "how the password is kept: scram-sha-256 or yescrypt"),
    OPTIONAL("verifier", SWITCH, "what is read is a SCRAM-SHA-256 or crypt(3) string, no password"),
    PASSWORD,
    {0},
};

static const struct pstn_arg set_args[] = {
    ACCOUNT,
    OPTIONAL("enable", SWITCH, "let the account log in"),
    OPTIONAL("disable", SWITCH, "do not let the account log in; its mail stays"),
    OPTIONAL("allow", OPTION, "let the account use a service, as \"pop3\""),
    OPTIONAL("deny", OPTION, "do not let the account use a service"),
    OPTIONAL("session-limit", OPTION, "simultaneous sessions, 0 for no limit, or \"default\""),
    QUOTA,
    {0},
};

static const struct pstn_arg account_args[] = {ACCOUNT, {0}};
static const struct pstn_arg domain_args[] = {DOMAIN, {0}};
static const struct pstn_arg domain_set_args[] = {
    DOMAIN,
    QUOTA,
    OPTIONAL("account-quota-messages", OPTION, "the same for each account without its own"),
    OPTIONAL("account-quota-octets", OPTION, "the same for each account without its own"),
    {0},
};
static const struct pstn_arg list_args[] = {
    OPTIONAL("domain", TEXT, "only accounts of this domain"), {0}};
static const struct pstn_arg no_args[] = {{0}};

static const struct pstn_command rows[] = {
    {"account add", "Make an account, and its domain if that is new", add_args, PSTN_CHANGES, 0,
     account_add},
    {"account passwd", "Give an account a new password", passwd_args, PSTN_CHANGES, 0,
     account_passwd},
    {"account set", "Switch an account or its services on or off, limit it", set_args, PSTN_CHANGES,
     0, account_set},
    {"account remove", "Remove an account; its stored mail is not touched", account_args,
     PSTN_CHANGES, 0, account_remove},
    {"account list", "List accounts", list_args, 0, 0, account_list},
    {"account show", "Show all that is known of an account but its password", account_args, 0, 0,
     account_show},
    {"account check", "Read every account and tell the first that is damaged", no_args, 0, 0,
     account_check},
    {"domain add", "Make a domain", domain_args, PSTN_CHANGES, 0, domain_add},
    {"domain set", "Limit what a domain's accounts may hold, together and each", domain_set_args,
     PSTN_CHANGES, 0, domain_set},
    {"domain remove", "Remove a domain that has no accounts", domain_args, PSTN_CHANGES, 0,
     domain_remove},
    {"domain list", "List domains, how many accounts each has, what they may hold", no_args, 0, 0,
     domain_list},
    {0},
};

const struct pstn_commands accounts_commands = {
    .size = sizeof(accounts_commands),
    .command_size = sizeof(struct pstn_command),
    .arg_size = sizeof(struct pstn_arg),
    .rows = rows,
};

/* ---- what they share ---- */

struct request request_of(void *inst, struct pstn_call *call)
{
	struct accounts *a = inst;

	return (struct request){.a = a, .call = call, .ops = a->host->call};
}

bool request_account(struct request *r)
{
	const char *text = r->ops->arg(r->call, "name");
	const char *why = name_account(text ? text : "", r->a->conf->default_domain, r->name);

	if (why)
		r->ops->fail(r->call,
			     "\"%s\" is no account name: it %s. An account is written as "
			     "user@domain.",
			     text ? text : "", why);
	return !why;
}

bool request_domain(struct request *r)
{
	const char *text = r->ops->arg(r->call, "domain");
	const char *why = name_domain(text ? text : "", r->name);

	if (why)
		r->ops->fail(r->call, "\"%s\" is no domain: it %s.", text ? text : "", why);
	return !why;
}

static const char *reason(int status)
{
	switch (status) {
	case PSTN_E_FULL:
		return "the disk, or the database, is full; make room and try again";
	case PSTN_E_DAMAGED:
		return "the database is damaged; the log has the details, \"account check\" tells "
		       "more";
	case PSTN_E_NO_MEMORY:
		return "there is no memory left";
	default:
		return "the database gave an error, which is in the log";
	}
}

void request_fail(struct request *r, int status, const char *what)
{
	if (status == PSTN_E_NOT_FOUND)
		r->ops->fail_as(r->call, status, "There is no account or domain %s.", r->name);
	else
		r->ops->fail_as(r->call, status, "%s: %s: %s.", r->name, what, reason(status));
}

void request_time(struct request *r, const char *key, uint64_t seconds)
{
	char text[40] = "";
	time_t t = (time_t)seconds;
	struct tm tm;

	if (gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	r->ops->text(r->call, key, text);
}
