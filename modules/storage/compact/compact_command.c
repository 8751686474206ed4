/*
 * compact_command.c - storage compact, and what `storage status` says of it.
 */
#include "command/commands.h"
#include "compact.h"
#include "open/maintenance.h"
#include "store.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct compact_call {
	struct store *store;
	struct pstn_call *call;
};

static bool cancelled(void *arg)
{
	const struct compact_call *k = arg;

	return k->store->host->call->cancelled(k->call);
}

static bool parse_duration(const char *text, uint64_t *ms)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || n > UINT32_MAX)
		return false;
	*ms = 0;
	if (n == 0 && *end == '\0')
		return true;
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (strcmp(end, units[i].unit) != 0)
			continue;
		*ms = n * units[i].ms;
		return true;
	}
	return false;
}

static bool read_retention(const struct compact_call *k, uint64_t *retention)
{
	const struct pstn_call_ops *call = k->store->host->call;
	const char *text = call->arg(k->call, "retention");

	*retention = k->store->options.retention;
	if (!text || parse_duration(text, retention))
		return true;
	call->fail(k->call, "--retention takes a time like 12h, 7d or 0, not \"%s\".", text);
	return false;
}

static void pause_after(const struct store *st, uint64_t octets)
{
	uint64_t rate = st->options.compaction_rate;
	uint64_t ms = rate ? octets * 1000 / rate : 0;
	const struct timespec pause = {.tv_sec = (time_t)(ms / 1000),
				       .tv_nsec = (long)(ms % 1000) * 1000000};

	if (ms)
		nanosleep(&pause, NULL);
}

static void run(struct compact_call *k, struct compactor *c)
{
	while (compactor_step(c) && !cancelled(k)) {
		k->store->host->call->progress(k->call, c->done, c->total, "octets");
		pause_after(k->store, c->read);
	}
}

static void answer(const struct compact_call *k, const struct compactor *c)
{
	const struct pstn_call_ops *call = k->store->host->call;

	call->open_object(k->call, NULL);
	call->integer(k->call, "retention_seconds", (int64_t)(c->retention / 1000));
	call->integer(k->call, "segments_removed", (int64_t)c->tally.segments);
	call->integer(k->call, "octets_reclaimed", (int64_t)c->tally.octets);
	call->integer(k->call, "octets_moved", (int64_t)c->tally.moved);
	call->integer(k->call, "segments_blocked", (int64_t)c->tally.blocked);
	call->text(k->call, "note",
		   c->tally.blocked ? "the log tells why segments had to stay" : "");
	call->close(k->call);
}

void command_compact(void *inst, struct pstn_call *call)
{
	struct compact_call k = {.store = inst, .call = call};
	struct compactor c;
	uint64_t retention;

	if (!read_retention(&k, &retention))
		return;
	if (!maintenance_wait(k.store, call, cancelled, &k)) {
		k.store->host->call->fail(call, "Nothing was done: a compaction or a backup that "
						"was running did not end before.");
		return;
	}
	compactor_begin(&c, k.store, retention, true);
	run(&k, &c);
	compactor_end(&c);
	maintenance_end(k.store);
	answer(&k, &c);
}

/* ---- storage status ---- */

static uint64_t reclaimable(struct store *st)
{
	struct survey s;
	uint64_t octets = 0;
	int rc = survey_begin(&s, st, st->options.retention);

	while (rc == 0)
		rc = survey_step(&s);
	for (size_t i = 0; i < s.count; i++)
		octets += survey_reclaimable(&s.segments[i]);
	survey_end(&s);
	return octets;
}

void compact_status(struct store *st, struct pstn_call *c)
{
	const struct pstn_call_ops *call = st->host->call;
	time_t last = (time_t)(atomic_load(&st->compaction.last_time) / 1000);
	char when[32] = "";
	struct tm t;

	if (last && gmtime_r(&last, &t))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &t);
	call->integer(c, "retention_seconds", (int64_t)(st->options.retention / 1000));
	call->integer(c, "compaction_threshold_percent", st->options.compaction_threshold);
	call->integer(c, "octets_reclaimable", (int64_t)reclaimable(st));
	call->text(c, "last_compaction", when);
	call->integer(c, "last_compaction_segments",
		      (int64_t)atomic_load(&st->compaction.last_segments));
	call->integer(c, "last_compaction_octets",
		      (int64_t)atomic_load(&st->compaction.last_octets));
}
