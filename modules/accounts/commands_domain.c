/*
 * commands_domain.c - domain add, set, remove, list.
 */
#include "commands.h"

static void answer_domain(struct request *r)
{
	r->ops->open_object(r->call, NULL);
	r->ops->text(r->call, "domain", r->name);
	r->ops->close(r->call);
}

void domain_add(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	int status;

	if (!request_domain(&r))
		return;
	status = store_domain_add(r.a->store, r.name);
	if (status == PSTN_E_EXISTS) {
		r.ops->fail(call, "The domain %s exists already.", r.name);
	} else if (status != PSTN_OK) {
		request_fail(&r, status, "the domain was not added");
	} else {
		answer_domain(&r);
	}
}

/* ---- limits ---- */

struct domain_settings {
	struct limits quota, account_quota;
	bool given[4];
};

static void edit_domain(void *arg, struct domain *d)
{
	const struct domain_settings *s = arg;

	if (s->given[0])
		d->quota.messages = s->quota.messages;
	if (s->given[1])
		d->quota.octets = s->quota.octets;
	if (s->given[2])
		d->account_quota.messages = s->account_quota.messages;
	if (s->given[3])
		d->account_quota.octets = s->account_quota.octets;
}

static bool domain_settings(struct request *r, struct domain_settings *s)
{
	static const char *const options[] = {"quota-messages", "quota-octets",
					      "account-quota-messages", "account-quota-octets"};
	bool any = false;

	for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++) {
		s->given[i] = r->ops->arg(r->call, options[i]);
		any |= s->given[i];
	}
	if (!any)
		r->ops->fail(r->call, "Nothing to set; give --quota-messages, --quota-octets, "
				      "--account-quota-messages or --account-quota-octets.");
	return any && request_messages(r, options[0], &s->quota.messages) &&
	       request_octets(r, options[1], &s->quota.octets) &&
	       request_messages(r, options[2], &s->account_quota.messages) &&
	       request_octets(r, options[3], &s->account_quota.octets);
}

/* What an account of the domain may hold that has no limits of its own. */
static struct pstn_quota account_default(const struct accounts *a, const struct domain *d)
{
	const struct row row = {.domain_default = d->account_quota};

	return accounts_quota(a, &row);
}

static void answer_limits(struct request *r, const struct domain *d)
{
	request_quota(r, "quota_messages", "quota_octets", accounts_domain_quota(r->a, &d->quota));
	request_quota(r, "account_quota_messages", "account_quota_octets",
		      account_default(r->a, d));
}

void domain_set(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	struct domain_settings s = {0};
	struct domain d;
	int status;

	if (!request_domain(&r) || !domain_settings(&r, &s))
		return;
	status = store_domain_change(r.a->store, r.name, edit_domain, &s, &d);
	if (status != PSTN_OK) {
		request_fail(&r, status, "the domain was not changed");
		return;
	}
	r.ops->open_object(call, NULL);
	r.ops->text(call, "domain", r.name);
	answer_limits(&r, &d);
	r.ops->close(call);
}

void domain_remove(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	uint64_t accounts = 0;
	int status;

	if (!request_domain(&r))
		return;
	status = store_domain_remove(r.a->store, r.name, &accounts);
	if (status == PSTN_E_BUSY) {
		r.ops->fail(call,
			    "The domain %s has %ju account%s; remove %s first (\"account list "
			    "%s\").",
			    r.name, (uintmax_t)accounts, accounts == 1 ? "" : "s",
			    accounts == 1 ? "it" : "them", r.name);
	} else if (status != PSTN_OK) {
		request_fail(&r, status, "the domain was not removed");
	} else {
		answer_domain(&r);
	}
}

static bool list_one(void *arg, const char *name, const struct domain *d)
{
	struct request *r = arg;

	r->ops->open_object(r->call, NULL);
	r->ops->text(r->call, "domain", name);
	r->ops->integer(r->call, "accounts", (int64_t)d->accounts);
	request_time(r, "created", d->created);
	answer_limits(r, d);
	r->ops->close(r->call);
	return !r->ops->cancelled(r->call);
}

void domain_list(void *inst, struct pstn_call *call)
{
	struct request r = request_of(inst, call);
	int status;

	r.ops->open_array(call, NULL);
	status = store_domain_each(r.a->store, list_one, &r);
	r.ops->close(call);
	if (status != PSTN_OK)
		r.ops->fail(call,
			    "The domains could not be listed: the database gave an error, which "
			    "is in the log.");
}
