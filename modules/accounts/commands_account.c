/*
 * commands_account.c - account add, passwd, set, remove, list, show, check.
 */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SESSIONS_MAX = 1000000 };

/* ---- arguments ---- */

/* "12", "0" or "default"; leaves *limit alone if the option was not given. */
static bool limit_argument(struct request *r, uint32_t *limit)
{
	const char *text = r->ops->arg(r->call, "session-limit");
	unsigned long n;
	char *end;

	if (!text)
		return true;
	if (strcmp(text, "default") == 0) {
		*limit = ROW_DEFAULT_LIMIT;
		return true;
	}
	n = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || n > SESSIONS_MAX) {
		r->ops->fail(r->call,
			     "--session-limit %s: expected a number from 0 (no limit) to %d, "
			     "or \"default\".",
			     text, SESSIONS_MAX);
		return false;
	}
	*limit = (uint32_t)n;
	return true;
}

static bool quota_arguments(struct request *r, struct limits *quota)
{
	return request_messages(r, "quota-messages", &quota->messages) &&
	       request_octets(r, "quota-octets", &quota->octets);
}

/* -1: as configured. */
static bool scheme_argument(struct request *r, int *scheme)
{
	const char *text = r->ops->arg(r->call, "scheme");

	*scheme = -1;
	if (!text)
		return true;
	for (int i = 0; i < VERIFIER_SCHEMES; i++) {
		if (strcmp(text, verifier_scheme_names[i]) == 0) {
			*scheme = i;
			return true;
		}
	}
	r->ops->fail(r->call, "--scheme %s: expected scram-sha-256 or yescrypt.", text);
	return false;
}

static bool password_is_good(struct request *r, const char *password)
{
	size_t max = (size_t)r->a->conf->password_max;

	if (!password || !*password) {
		r->ops->fail(r->call, "%s: the password is empty; nothing was done.", r->name);
		return false;
	}
	if (strnlen(password, max + 1) > max) {
		r->ops->fail(r->call,
			     "%s: the password has more than %zu octets; nothing was done. "
			     "The option password_max sets the limit.",
			     r->name, max);
		return false;
	}
	return true;
}

static bool given_verifier(struct request *r, const char *text, char *out)
{
	const char *why = verifier_refusal(text);

	if (why)
		r->ops->fail(r->call, "%s: the verifier %s; nothing was done.", r->name, why);
	else
		memcpy(out, text, strlen(text) + 1);
	return !why;
}

/* What is kept of the secret that was given: itself if it is a verifier, else what is made of it. */
static bool verifier_argument(struct request *r, char *out)
{
	const char *secret = r->ops->arg(r->call, "password");
	int scheme;

	if (!scheme_argument(r, &scheme))
		return false;
	if (r->ops->arg(r->call, "verifier"))
		return given_verifier(r, secret ? secret : "", out);
	if (!password_is_good(r, secret))
		return false;
	if (accounts_make_verifier(r->a, scheme, secret, out) == 0)
		return true;
	r->ops->fail(r->call,
		     "%s: the password could not be hashed: there is no memory left. Nothing "
		     "was done.",
		     r->name);
	return false;
}

/* ---- answers ---- */

static void answer_denied(struct request *r, const struct row *row)
{
	char text[ROW_SERVICES_MAX * (NAME_SERVICE_MAX + 1)] = "";
	size_t n = 0;

	for (unsigned i = 0; i < row->ndenied; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i ? " " : "",
				      row->denied[i]);
	r->ops->text(r->call, "denied", text);
}

/* What `list` shows in a line. */
static void answer_fields(struct request *r, const char *name, const struct row *row)
{
	r->ops->text(r->call, "account", name);
	r->ops->integer(r->call, "id", (int64_t)row->id);
	r->ops->boolean(r->call, "enabled", !row->disabled);
	answer_denied(r, row);
	r->ops->integer(r->call, "session_limit", accounts_session_limit(r->a, row));
	request_quota(r, "quota_messages", "quota_octets", accounts_quota(r->a, row));
}

static void answer_account(struct request *r, const struct row *row, bool new_domain)
{
	r->ops->open_object(r->call, NULL);
	answer_fields(r, r->name, row);
	if (new_domain)
		r->ops->text(r->call, "note", "the domain was new and has been added too");
	r->ops->close(r->call);
}

/* ---- the commands ---- */

void account_add(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	struct row row = {.session_limit = ROW_DEFAULT_LIMIT};
	bool new_domain = false;
	int status;

	if (!request_account(&r) || !limit_argument(&r, &row.session_limit) ||
	    !quota_arguments(&r, &row.quota) || !verifier_argument(&r, row.verifier))
		return;
	status = store_add(r.a->store, r.name, &row, &new_domain);
	if (status == PSTN_E_EXISTS) {
		r.ops->fail(call,
			    "The account %s exists already; \"account passwd\" gives it a new "
			    "password.",
			    r.name);
	} else if (status != PSTN_OK) {
		request_fail(&r, status, "the account was not added");
	} else {
		answer_account(&r, &row, new_domain);
	}
	explicit_bzero(&row, sizeof(row));
}

/* Applies one edit and answers with the account as it is now. */
static void change(struct request *r, int (*edit)(void *, struct row *), void *arg)
{
	struct row row;
	int status = store_change(r->a->store, r->name, edit, arg, &row);

	if (status == PSTN_E_TOO_LARGE) {
		r->ops->fail(r->call, "%s: an account can be denied %d services at most.", r->name,
			     ROW_SERVICES_MAX);
	} else if (status != PSTN_OK) {
		request_fail(r, status, "the account was not changed");
	} else {
		answer_account(r, &row, false);
	}
	explicit_bzero(&row, sizeof(row));
}

static int edit_verifier(void *arg, struct row *row)
{
	memcpy(row->verifier, arg, VERIFIER_SIZE);
	return PSTN_OK;
}

void account_passwd(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	char verifier[VERIFIER_SIZE] = "";

	if (!request_account(&r) || !verifier_argument(&r, verifier))
		return;
	change(&r, edit_verifier, verifier);
	explicit_bzero(verifier, sizeof(verifier));
}

struct settings {
	const char *enable, *disable, *allow, *deny;
	uint32_t limit;
	bool limit_given, messages_given, octets_given;
	struct limits quota;
};

static int edit_settings(void *arg, struct row *row)
{
	const struct settings *s = arg;

	if (s->enable || s->disable)
		row->disabled = s->disable;
	if (s->allow)
		row_allow(row, s->allow);
	if (s->limit_given)
		row->session_limit = s->limit;
	if (s->messages_given)
		row->quota.messages = s->quota.messages;
	if (s->octets_given)
		row->quota.octets = s->quota.octets;
	return s->deny && !row_deny(row, s->deny) ? PSTN_E_TOO_LARGE : PSTN_OK;
}

static bool service_is_good(struct request *r, const char *option, const char *service)
{
	const char *why = service ? name_service(service) : NULL;

	if (why)
		r->ops->fail(r->call, "--%s %s: the service's name %s.", option, service, why);
	return !why;
}

static bool settings_arguments(struct request *r, struct settings *s)
{
	s->enable = r->ops->arg(r->call, "enable");
	s->disable = r->ops->arg(r->call, "disable");
	s->allow = r->ops->arg(r->call, "allow");
	s->deny = r->ops->arg(r->call, "deny");
	s->limit_given = r->ops->arg(r->call, "session-limit");
	s->messages_given = r->ops->arg(r->call, "quota-messages");
	s->octets_given = r->ops->arg(r->call, "quota-octets");
	if (s->enable && s->disable)
		r->ops->fail(r->call, "--enable and --disable together make no sense.");
	else if (!s->enable && !s->disable && !s->allow && !s->deny && !s->limit_given &&
		 !s->messages_given && !s->octets_given)
		r->ops->fail(r->call, "Nothing to set; give --enable, --disable, --allow, --deny, "
				      "--session-limit, --quota-messages or --quota-octets.");
	else
		return service_is_good(r, "allow", s->allow) &&
		       service_is_good(r, "deny", s->deny) && limit_argument(r, &s->limit) &&
		       quota_arguments(r, &s->quota);
	return false;
}

void account_set(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	struct settings s = {0};

	if (request_account(&r) && settings_arguments(&r, &s))
		change(&r, edit_settings, &s);
}

void account_remove(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	uint64_t id = 0;
	int status;

	if (!request_account(&r))
		return;
	status = store_remove(r.a->store, r.name, &id);
	if (status != PSTN_OK) {
		request_fail(&r, status, "the account was not removed");
		return;
	}
	r.ops->open_object(call, NULL);
	r.ops->text(call, "account", r.name);
	r.ops->integer(call, "id", (int64_t)id);
	r.ops->close(call);
}

void account_show(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	uint64_t version;
	struct row row;
	int status;

	if (!request_account(&r))
		return;
	status = store_find(r.a->store, r.name, &row, &version);
	if (status != PSTN_OK) {
		request_fail(&r, status, "the account cannot be shown");
		return;
	}
	r.ops->open_object(call, NULL);
	answer_fields(&r, r.name, &row);
	r.ops->boolean(call, "own_session_limit", row.session_limit != ROW_DEFAULT_LIMIT);
	r.ops->text(call, "scheme", verifier_kind(row.verifier));
	request_time(&r, "created", row.created);
	request_time(&r, "changed", row.changed);
	r.ops->boolean(call, "own_quota_messages", row.quota.messages != LIMIT_DEFAULT);
	r.ops->boolean(call, "own_quota_octets", row.quota.octets != LIMIT_DEFAULT);
	request_quota(&r, "domain_quota_messages", "domain_quota_octets",
		      accounts_domain_quota(r.a, &row.domain_quota));
	r.ops->close(call);
	explicit_bzero(&row, sizeof(row));
}

static bool list_one(void *arg, const char *name, const struct row *row)
{
	struct request *r = arg;

	if (!*r->name || strcmp(strchr(name, '@') + 1, r->name) == 0) {
		r->ops->open_object(r->call, NULL);
		answer_fields(r, name, row);
		r->ops->close(r->call);
	}
	return !r->ops->cancelled(r->call);
}

void account_list(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	int status;

	if (r.ops->arg(call, "domain") && !request_domain(&r))
		return;
	r.ops->open_array(call, NULL);
	status = store_each(r.a->store, list_one, &r);
	r.ops->close(call);
	if (status != PSTN_OK)
		r.ops->fail(call,
			    "The accounts could not be listed: the database gave an error, which "
			    "is in the log.");
}

void account_check(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	char err[512];

	if (store_check(r.a->store, UINT64_MAX, err, sizeof(err)) != 0) {
		r.ops->fail(call, "%s.", err);
		return;
	}
	r.ops->open_object(call, NULL);
	r.ops->text(call, "accounts", "all are in order");
	r.ops->close(call);
}
