/*
 * directory.c - accounts.directory: credentials in, account out.
 *
 * A password known to be right is answered on the reactor, without a look at the database, as long
 * as the database has not changed at all. Otherwise a job reads the row; if that is the very row
 * the password was compared with, no hash is needed either. All other passwords are hashed, and
 * compared with nobody's verifier if there is no such account.
 */
#include "accounts.h"

#include <string.h>

/* A verification on its way. */
struct check {
	struct accounts *a;
	struct pstn_account *out; /* the caller's; only touched by done() */
	pstn_done *done;
	void *arg;
	struct pstn_account account;
	char name[NAME_SIZE]; /* canonical */
	struct cache_digest digest;
	char service[NAME_SERVICE_MAX + 1];
	size_t password_size;
	char password[];
};

/* limits: all that the directory says of an account beside its name and id. */
static void fill_account(struct pstn_account *out, const char *name,
			 const struct cache_entry *limits)
{
	memset(out, 0, sizeof(*out));
	out->size = sizeof(*out);
	out->id = limits->account;
	out->session_limit = limits->session_limit;
	out->quota = limits->quota;
	out->domain_quota = limits->domain_quota;
	memcpy(out->name, name, strlen(name) + 1);
}

static void take_limits(const struct accounts *a, const struct row *row, struct cache_entry *out)
{
	out->account = row->id;
	out->session_limit = accounts_session_limit(a, row);
	out->quota = accounts_quota(a, row);
	out->domain_quota = accounts_domain_quota(a, &row->domain_quota);
}

static void fill_from_row(const struct accounts *a, struct pstn_account *out, const char *name,
			  const struct row *row)
{
	struct cache_entry limits;

	take_limits(a, row, &limits);
	fill_account(out, name, &limits);
}

/* The caller may know less of the struct than this module. */
static void hand_over(struct pstn_account *out, const struct pstn_account *account)
{
	uint32_t size = out->size < account->size ? out->size : account->size;

	memcpy(out, account, size);
	out->size = size;
}

static int count(struct accounts *a, int status)
{
	a->host->count(a->self,
		       status == PSTN_OK         ? METRIC_VERIFIED
		       : status == PSTN_E_DENIED ? METRIC_DENIED
						 : METRIC_FAILED,
		       1);
	return status;
}

/* ---- on a job thread ---- */

/* 1, 0 or -1, as verifier_check(). */
static int hash(struct accounts *a, const char *verifier, const char *password)
{
	void *scratch = a->host->alloc(a->self, VERIFIER_SCRATCH);
	int right = -1;

	if (!scratch)
		return -1;
	a->host->count(a->self, METRIC_HASHES, 1);
	right = verifier_check(verifier, password, scratch);
	a->host->free(a->self, scratch);
	return right;
}

/* Whether the password was compared with exactly this row a short while ago. */
static bool is_known(struct accounts *a, const struct check *c, const struct row *row,
		     struct cache_entry *entry)
{
	return cache_find(a->cache, &c->digest, a->host->now(), entry) &&
	       entry->account == row->id && entry->revision == row->revision;
}

static int could_not(struct check *c, const struct row *row)
{
	const char *why = verifier_refusal(row->verifier);

	c->a->host->log(
	    PSTN_EVENT(c->a->self, NULL, PSTN_ERROR, "password_not_checked",
		       PSTN_S("account", c->name), PSTN_S("verifier", why ? why : "is in order"),
		       PSTN_S("todo", why ? "set a new password" : "free some memory")));
	return PSTN_E_TEMPORARY;
}

static int judge(struct check *c, const struct row *row, uint64_t version)
{
	struct accounts *a = c->a;
	struct cache_entry entry;

	if (!is_known(a, c, row, &entry)) {
		int right = hash(a, row->verifier, c->password);

		if (right < 0)
			return could_not(c, row);
		if (!right)
			return PSTN_E_DENIED;
		entry.verified = a->host->now();
	}
	if (row->disabled || !row_may_use(row, c->service))
		return PSTN_E_DENIED;
	take_limits(a, row, &entry);
	entry.revision = row->revision;
	entry.checked = version;
	cache_put(a->cache, &c->digest, &entry);
	fill_account(&c->account, c->name, &entry);
	return PSTN_OK;
}

static int look_up_and_judge(struct check *c)
{
	uint64_t version;
	struct row row;
	int status = store_find(c->a->store, c->name, &row, &version);

	if (status == PSTN_OK)
		status = judge(c, &row, version);
	else if (status == PSTN_E_NOT_FOUND)
		status =
		    hash(c->a, c->a->nobody, c->password) < 0 ? PSTN_E_TEMPORARY : PSTN_E_DENIED;
	else
		status = PSTN_E_TEMPORARY;
	explicit_bzero(&row, sizeof(row));
	return status;
}

static int work(void *arg)
{
	struct check *c = arg;
	int status = look_up_and_judge(c);

	if (status != PSTN_OK)
		cache_forget(c->a->cache, &c->digest);
	explicit_bzero(c->password, c->password_size);
	return count(c->a, status);
}

/* ---- on the session's reactor ---- */

static void free_check(void *arg)
{
	struct check *c = arg;

	explicit_bzero(c->password, c->password_size);
	c->a->host->free(c->a->self, c);
}

static void done(void *arg, int status)
{
	struct check *c = arg;
	pstn_done *callback = c->done;
	void *callback_arg = c->arg;

	if (status == PSTN_OK)
		hand_over(c->out, &c->account);
	free_check(c);
	callback(callback_arg, status);
}

/* Right without any look at the database: *out is filled. */
static bool answer_at_once(struct accounts *a, const struct cache_digest *digest, const char *name,
			   struct pstn_account *out)
{
	struct cache_entry entry;
	struct pstn_account account;

	if (!cache_find(a->cache, digest, a->host->now(), &entry) ||
	    entry.checked != store_version(a->store))
		return false;
	fill_account(&account, name, &entry);
	hand_over(out, &account);
	a->host->count(a->self, METRIC_CACHED, 1);
	return true;
}

static int begin_job(struct accounts *a, struct pstn_session *s, const struct check *like,
		     const char *password, size_t length)
{
	struct check *c = a->host->alloc(a->self, sizeof(*c) + length + 1);

	if (!c)
		return PSTN_E_TEMPORARY;
	*c = *like;
	c->password_size = length + 1;
	memcpy(c->password, password, length + 1);
	if (a->host->job(a->self, s, work, done, free_check, c))
		return PSTN_LATER;
	free_check(c);
	return PSTN_E_TEMPORARY;
}

static int verify(void *inst, struct pstn_session *s, const char *service, const char *name,
		  const char *password, struct pstn_account *out, pstn_done *callback, void *arg)
{
	struct accounts *a = inst;
	struct check c = {.a = a, .out = out, .done = callback, .arg = arg};
	size_t length = strnlen(password, (size_t)a->conf->password_max + 1);
	int status;

	/* No account can have these; refusing them at once tells nothing about any. */
	if (name_service(service) || length == 0 || length > (size_t)a->conf->password_max ||
	    name_account(name, a->conf->default_domain, c.name))
		return count(a, PSTN_E_DENIED);
	memcpy(c.service, service, strlen(service) + 1);
	if (!cache_digest(a->cache, service, c.name, password, &c.digest))
		return count(a, PSTN_E_TEMPORARY);
	if (answer_at_once(a, &c.digest, c.name, out))
		return count(a, PSTN_OK);
	status = begin_job(a, s, &c, password, length);
	return status == PSTN_LATER ? status : count(a, status);
}

/* ---- for job threads ---- */

static int lookup(void *inst, const char *name, struct pstn_account *out)
{
	struct accounts *a = inst;
	char canonical[NAME_SIZE];
	struct pstn_account account;
	uint64_t version;
	struct row row;
	int status;

	if (name_account(name, a->conf->default_domain, canonical))
		return PSTN_E_INVALID;
	status = store_find(a->store, canonical, &row, &version);
	if (status == PSTN_OK) {
		fill_from_row(a, &account, canonical, &row);
		hand_over(out, &account);
	}
	return status == PSTN_OK || status == PSTN_E_NOT_FOUND ? status : PSTN_E_TEMPORARY;
}

struct each_account {
	struct accounts *a;
	bool (*each)(void *, const struct pstn_account *);
	void *arg;
};

static bool hand_out(void *arg, const char *name, const struct row *row)
{
	const struct each_account *e = arg;
	struct pstn_account account;

	fill_from_row(e->a, &account, name, row);
	return e->each(e->arg, &account);
}

static int each(void *inst, bool (*callback)(void *arg, const struct pstn_account *), void *arg)
{
	struct accounts *a = inst;
	struct each_account e = {a, callback, arg};
	int status = store_each(a->store, hand_out, &e);

	return status == PSTN_OK ? status : PSTN_E_TEMPORARY;
}

static int backup_status(int status)
{
	return status == PSTN_OK || status == PSTN_E_DAMAGED || status == PSTN_E_FULL
		   ? status
		   : PSTN_E_TEMPORARY;
}

static int save(void *inst, int fd)
{
	struct accounts *a = inst;

	return backup_status(store_save(a->store, fd));
}

static int load(void *inst, int fd, const char *name, uint64_t *added, uint64_t *refused)
{
	struct accounts *a = inst;

	return backup_status(store_load(a->store, fd, name, added, refused));
}

const struct pstn_directory accounts_directory = {
    .size = sizeof(accounts_directory),
    .verify = verify,
    .lookup = lookup,
    .each = each,
    .save = save,
    .load = load,
};
