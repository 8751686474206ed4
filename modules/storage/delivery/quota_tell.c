/*
 * quota_tell.c - what is said of quotas: to the log, to the metrics, to whoever delivers.
 */
#include "quota.h"

#include "store.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define REFUSALS_TOLD ((uint64_t)600000) /* ms between two lines about the same account */

#define REMEDY_SIZE (PSTN_ACCOUNT_NAME_MAX + 64)

static const struct wording {
	bool domain, octets;
	const char *of, *unit;
} wordings[QUOTA_SCOPES] = {
    [QUOTA_ACCOUNT_MESSAGES] = {false, false, "account", "messages"},
    [QUOTA_ACCOUNT_OCTETS] = {false, true, "account", "octets"},
    [QUOTA_DOMAIN_MESSAGES] = {true, false, "domain", "messages"},
    [QUOTA_DOMAIN_OCTETS] = {true, true, "domain", "octets"},
};

/* The account, or its domain. */
static const char *subject(const struct wording *w, const char *name)
{
	const char *at = strrchr(name, '@');

	return w->domain && at ? at + 1 : name;
}

/* The command that raises this limit. */
static void remedy(const struct wording *w, const char *name, char out[REMEDY_SIZE])
{
	snprintf(out, REMEDY_SIZE, "posternctl %s set %s --quota-%s %s", w->of, subject(w, name),
		 w->unit, w->octets ? "SIZE" : "N");
}

/* ---- the log ---- */

/* Whether it is time to tell of this account again; then it counts as told. */
static bool take_turn(struct store *st, uint64_t account)
{
	struct warm *slot = &st->refused[account % REFUSED_SLOTS];
	uint64_t now = st->host->now();

	if (atomic_load(&slot->account) == account && atomic_load(&slot->until) > now)
		return false;
	atomic_store(&slot->account, account);
	atomic_store(&slot->until, now + REFUSALS_TOLD);
	return true;
}

void quota_refused(struct store *st, uint64_t account, const char *name, const struct quota *q)
{
	const struct wording *w = &wordings[q->breach];
	char todo[REMEDY_SIZE];

	st->host->count(st->self, METRIC_REFUSED_QUOTA, 1);
	if (!take_turn(st, account))
		return;
	remedy(w, name, todo);
	st->host->log(PSTN_EVENT(st->self, NULL, PSTN_WARNING, "quota-exceeded",
				 PSTN_S(w->of, subject(w, name)), PSTN_S("refused_for", name),
				 PSTN_S("unit", w->unit), PSTN_U("used", q->used[q->breach]),
				 PSTN_U("limit", q->limit[q->breach]),
				 PSTN_U("octets_of_the_message", q->added), PSTN_S("todo", todo)));
}

void quota_warn(struct store *st, const char *name, const struct quota *q)
{
	for (unsigned i = 0; i < QUOTA_SCOPES; i++) {
		const struct wording *w = &wordings[i];

		if (q->crossed[i])
			st->host->log(
			    PSTN_EVENT(st->self, NULL, PSTN_WARNING, "quota-warning",
				       PSTN_S(w->of, subject(w, name)),
				       PSTN_U("percent", q->crossed[i]), PSTN_S("unit", w->unit),
				       PSTN_U("used", q->used[i] + (w->octets ? q->added : 1)),
				       PSTN_U("limit", q->limit[i])));
	}
}

/* ---- sentences ---- */

void quota_size(uint64_t octets, char out[QUOTA_SIZE])
{
	static const char *const units[] = {"octets", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	uint64_t step = 1;

	while (unit < 6 && octets / step >= 1024) {
		step <<= 10;
		unit++;
	}
	if (octets % step == 0)
		snprintf(out, QUOTA_SIZE, "%" PRIu64 " %s", octets / step, units[unit]);
	else
		snprintf(out, QUOTA_SIZE, "%.1f %s", (double)octets / (double)step, units[unit]);
}

void quota_sentence(const struct quota *q, const char *name, char out[QUOTA_SENTENCE])
{
	const struct wording *w = &wordings[q->breach];
	const char *of = subject(w, name), *the = w->domain ? "The domain " : "";
	uint64_t used = q->used[q->breach], limit = q->limit[q->breach];
	char used_size[QUOTA_SIZE], limit_size[QUOTA_SIZE], size[QUOTA_SIZE];
	char command[REMEDY_SIZE];

	quota_size(used, used_size);
	quota_size(limit, limit_size);
	quota_size(q->added, size);
	remedy(w, name, command);
	if (!w->octets)
		snprintf(out, QUOTA_SENTENCE,
			 "%s%s holds %" PRIu64 " of %" PRIu64
			 " messages: the message was not delivered. Delete mail, or raise the "
			 "quota: %s",
			 the, of, used, limit, command);
	else if (q->added)
		snprintf(out, QUOTA_SENTENCE,
			 "%s%s holds %s of %s, and the message has %s: it was not delivered. "
			 "Delete mail, or raise the quota: %s",
			 the, of, used_size, limit_size, size, command);
	else
		snprintf(out, QUOTA_SENTENCE,
			 "%s%s holds %s of %s: the message was not delivered. Delete mail, or "
			 "raise the quota: %s",
			 the, of, used_size, limit_size, command);
}
