/*
 * commands_domain.c - domain add, remove, list.
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
