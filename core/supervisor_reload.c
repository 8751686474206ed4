/*
 * supervisor_reload.c - which generation serves: start, reload, hand-over, refusal.
 *
 * A candidate that says READY is told GO; when it serves, the old one is told DRAIN; when that one
 * accepts no more, the reload is done. Until a candidate serves, nothing has changed for clients.
 * The old one is told RETIRE when the new one has outlived its probation; until then it stays,
 * even without sessions, to be told RESUME if the new one crashes.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor.h"

/* A start or reload has failed; whoever served still does, if there is one. */
static void nothing_new(struct supervisor *sv, const char *why)
{
	if (!sv->current)
		crash_no_worker(sv, why);
	if (sv->serving_once)
		notify_ready(sv);
}

static void begin(struct supervisor *sv, enum reason reason)
{
	char err[256];

	/* A check does not serve: the restart that is due stays due. */
	if (reason != REASON_CHECK) {
		sv->restart_at = 0;
		notify_reloading(sv);
	}
	sv->candidate = child_start(sv, reason, err, sizeof(err));
	if (sv->candidate)
		return;
	supervisor_log(sv, PSTN_ERROR, "reload", "%s", err);
	/* Clients that wait for the next candidate wait for this one. */
	clients_answer(sv, sv->last_generation, false, err);
	if (reason == REASON_START) {
		sv->boot_failed = true;
		sv->stopping = STOP_QUICK;
	} else if (reason != REASON_CHECK) {
		nothing_new(sv, err);
	}
	reload_next(sv);
}

void reload_start(struct supervisor *sv)
{
	begin(sv, REASON_START);
}

void reload_request(struct supervisor *sv)
{
	if (sv->stopping)
		return;
	if (sv->options->mode == MODE_SINGLE) {
		supervisor_log(sv, PSTN_WARNING, "reload",
			       "posternd --single is one process and cannot reload: stop it and "
			       "start it again");
		return;
	}
	sv->reload_wanted = true;
	reload_next(sv);
}

void reload_next(struct supervisor *sv)
{
	bool check = false;

	if (sv->stopping || sv->candidate)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		const struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state == CLIENT_QUEUED) {
			sv->reload_wanted = sv->reload_wanted || !c->dry_run;
			check = check || c->dry_run;
		}
	}
	if (!sv->reload_wanted && !check)
		return;
	for (int i = 0; i < CLIENTS_MAX; i++) {
		struct client *c = &sv->clients[i];
		if (c->fd >= 0 && c->state == CLIENT_QUEUED && c->dry_run != sv->reload_wanted) {
			c->state = CLIENT_WAITING;
			c->generation = sv->last_generation + 1;
		}
	}
	bool reload = sv->reload_wanted;
	sv->reload_wanted = false;
	begin(sv, reload ? REASON_RELOAD : REASON_CHECK);
}

/* ---- the candidate comes up -------------------------------------------------------------------- */

void reload_ready(struct supervisor *sv, struct child *c)
{
	if (c != sv->candidate || c->going)
		return;
	c->going = true;
	c->deadline = supervisor_now() + HANDOVER_LIMIT;
	child_tell(sv, c, LINK_GO);
}

static void log_served(struct supervisor *sv, const struct child *c)
{
	char *phases = lines_join(&c->phases, " ");

	for (char *p = phases; p && *p; p++)
		if (*p == '\n')
			*p = ',';
	supervisor_log(sv, PSTN_INFO, "reload",
		       "generation %u serves, posternd %s: ready in %llu ms (exec %llu ms,%s)",
		       c->generation, c->version, (unsigned long long)(c->serving - c->started),
		       (unsigned long long)(c->hello - c->started), phases ? phases : "");
	free(phases);
}

static void retire(struct supervisor *sv, struct child *c)
{
	c->retired = true;
	child_tell(sv, c, LINK_RETIRE);
}

/* However many reloads one probation sees, two are kept to fall back on: the newest of the older
 * ones, and the oldest, which has outlived a probation. */
static void retire_between(struct supervisor *sv)
{
	struct child *before = NULL;
	bool first = true;

	for (struct child *c = sv->children; c; c = c->next) {
		if (c->state != CHILD_DRAINING || c->retired)
			continue;
		if (before)
			retire(sv, before);
		before = first ? NULL : c;
		first = false;
	}
}

/* The new one serves and the old one, if there is one, accepts no more. */
static void finish_handover(struct supervisor *sv)
{
	struct child *c = sv->candidate, *old = sv->handover_from;
	char text[160];

	sv->candidate = sv->handover_from = NULL;
	if (old)
		snprintf(text, sizeof(text),
			 "generation %u serves; generation %u keeps its %llu "
			 "sessions until they end",
			 c->generation, old->generation, (unsigned long long)old->sessions);
	else
		snprintf(text, sizeof(text), "generation %u serves", c->generation);
	supervisor_trouble(sv, NULL);
	listeners_sweep(sv);
	retire_between(sv);
	clients_answer(sv, c->generation, true, text);
	sv->serving_once = true;
	supervisor_boot_done(sv, true);
	notify_ready(sv);
	reload_next(sv);
}

void reload_serving(struct supervisor *sv, struct child *c)
{
	if (c != sv->candidate || c->state != CHILD_CANDIDATE)
		return;
	c->state = CHILD_CURRENT;
	c->serving = supervisor_now();
	c->deadline = 0;
	sv->probation_until = c->serving + c->limits.probation;
	sv->handover_from = sv->current;
	sv->current = c;
	control_set_group(sv, c);
	log_served(sv, c);
	if (!sv->handover_from) {
		finish_handover(sv);
		return;
	}
	sv->handover_from->state = CHILD_DRAINING;
	sv->handover_deadline = c->serving + HANDOVER_LIMIT;
	child_tell(sv, sv->handover_from, LINK_DRAIN);
}

void reload_drained(struct supervisor *sv, struct child *c)
{
	if (c == sv->handover_from && sv->candidate)
		finish_handover(sv);
}

/* ---- the candidate fails ----------------------------------------------------------------------- */

static char *all_errors(const struct child *c, const char *how)
{
	char *errors = c->errors.n ? lines_join(&c->errors, "") : NULL, *text = NULL;

	/* A candidate that explained itself and ended in order has said it all. */
	if (errors && !c->fate[0] && strncmp(how, "crashed", 7) != 0)
		return errors;
	if (asprintf(&text, "%s%sthe candidate worker %s", errors ? errors : "", errors ? "\n" : "",
		     how) < 0)
		text = NULL;
	free(errors);
	return text;
}

static void report_refusal(struct supervisor *sv, const struct child *c, const char *text)
{
	const char *what = c->reason == REASON_START     ? "posternd does not start"
			   : c->reason == REASON_RESTART ? "a new worker does not start"
							 : "reload refused, nothing has changed";
	char *trouble;

	if (c->errors.n)
		supervisor_log(sv, PSTN_ERROR, "reload", "%s: %u error%s", what,
			       c->errors.n + c->errors.omitted,
			       c->errors.n + c->errors.omitted == 1 ? "" : "s");
	else
		supervisor_log(sv, PSTN_ERROR, "reload", "%s: %s", what, text);
	if (asprintf(&trouble, "%s: %s", what, text) >= 0) {
		supervisor_trouble(sv, trouble);
		free(trouble);
	}
}

static void refused(struct supervisor *sv, const struct child *c, const char *how)
{
	char *errors = all_errors(c, how);
	const char *text = errors ? errors : how;

	sv->candidate = NULL;
	report_refusal(sv, c, text);
	clients_answer(sv, c->generation, false, text);
	if (c->reason == REASON_START) {
		sv->boot_failed = true;
		supervisor_stop(sv, true);
	} else {
		nothing_new(sv, text);
		listeners_sweep(sv);
	}
	free(errors);
	reload_next(sv);
}

static void checked(struct supervisor *sv, const struct child *c, const char *how)
{
	char *errors = all_errors(c, how);
	char text[96];

	sv->candidate = NULL;
	if (c->planned && !c->errors.n && !c->fate[0]) {
		snprintf(text, sizeof(text), "configuration ok: %llu modules, %llu listeners",
			 (unsigned long long)c->modules_count,
			 (unsigned long long)c->listeners_count);
		clients_answer(sv, c->generation, true, text);
	} else {
		clients_answer(sv, c->generation, false, errors ? errors : how);
	}
	free(errors);
	reload_next(sv);
}

/* ---- a worker is gone -------------------------------------------------------------------------- */

/* It was to end, or --single ends with it. */
static void ended_for_good(struct supervisor *sv, struct child *c, const char *how)
{
	if (c->state == CHILD_CANDIDATE && c->reason == REASON_START && !sv->boot_failed) {
		sv->boot_failed = true;
		report_refusal(sv, c, how);
	}
	if (c == sv->candidate)
		sv->candidate = NULL;
	if (c == sv->current)
		sv->current = NULL;
	if (!sv->stopping)
		sv->stopping = STOP_QUICK;
}

void reload_exited(struct supervisor *sv, struct child *c, const char *how)
{
	if (c == sv->handover_from)
		sv->handover_from = NULL;
	if (sv->stopping || sv->options->mode == MODE_SINGLE) {
		ended_for_good(sv, c, how);
		return;
	}
	if (c == sv->candidate && c->state == CHILD_CANDIDATE) {
		(c->reason == REASON_CHECK ? checked : refused)(sv, c, how);
	} else if (c == sv->current) {
		if (c == sv->candidate) /* amid the hand-over */
			sv->candidate = sv->handover_from = NULL;
		crash_of_current(sv, c, how);
		reload_next(sv);
	} else {
		crash_of_draining(sv, c, how);
	}
	/* The one that the hand-over waited for may be the one that is gone. */
	if (sv->candidate && sv->candidate->state == CHILD_CURRENT && !sv->handover_from)
		finish_handover(sv);
}

/* ---- time passes ------------------------------------------------------------------------------- */

static void end_probation(struct supervisor *sv)
{
	sv->probation_until = 0;
	for (struct child *c = sv->children; c; c = c->next)
		if (c->state == CHILD_DRAINING && !c->retired)
			retire(sv, c);
}

void reload_timers(struct supervisor *sv)
{
	uint64_t now = supervisor_now();

	if (sv->stopping)
		return;
	if (sv->restart_at && now >= sv->restart_at && !sv->candidate) {
		sv->restart_at = 0;
		if (!sv->current)
			begin(sv, REASON_RESTART);
	}
	if (sv->handover_from && now >= sv->handover_deadline)
		finish_handover(sv);
	if (sv->probation_until && now >= sv->probation_until && !sv->handover_from)
		end_probation(sv);
}

uint64_t reload_next_timer(const struct supervisor *sv)
{
	uint64_t at[] = {sv->candidate ? 0 : sv->restart_at,
			 sv->handover_from ? sv->handover_deadline : 0,
			 sv->handover_from ? 0 : sv->probation_until};
	uint64_t due = 0;

	for (size_t i = 0; i < sizeof(at) / sizeof(at[0]); i++)
		if (at[i] && (due == 0 || at[i] < due))
			due = at[i];
	return sv->stopping ? 0 : due;
}
