/*
 * scrub.c - see scrub.h.
 */
#include "scrub.h"

#include "checker.h"
#include "command/commands.h"
#include "open/home.h"
#include "store.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_EVERY  60000 /* ms between looks whether one is due */
#define RETRY_EVERY 2000  /* ms, while another process is at it */
#define SAVE_EVERY  10000 /* ms between writings of the file */
#define PIECES      5     /* jobs in a second */
#define PIECE_MIN   ((uint64_t)256 << 10)
#define PAUSE_MAX   60000 /* ms */
#define SLEEP_MAX   100   /* ms, within a large message */

/* ---- telling ---- */

static void time_text(uint64_t ms, char out[32])
{
	time_t when = (time_t)(ms / 1000);
	struct tm t;

	out[0] = '\0';
	if (gmtime_r(&when, &t))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &t);
}

static void result_text(const struct pass *p, char *out, size_t n)
{
	char when[32];

	time_text(p->ended ? p->ended : p->begun, when);
	if (!p->ended)
		snprintf(out, n, "running since %s", when);
	else if (p->faults == 0)
		snprintf(out, n, "%s: no faults in %llu octets", when,
			 (unsigned long long)p->octets);
	else
		snprintf(out, n, "%s: %llu faults; storage check lists them", when,
			 (unsigned long long)p->faults);
}

static void show(struct store *st, const struct pass *p)
{
	char text[128];

	result_text(p, text, sizeof(text));
	st->host->tell(st->self, "scrub", text);
	if (!p->ended)
		return;
	st->host->count(st->self, METRIC_SCRUB_BAD, (int64_t)p->faults - (int64_t)st->scrub.gauge);
	st->scrub.gauge = p->faults;
}

static void log_end(struct store *st, const struct pass *p)
{
	st->host->log(PSTN_EVENT(st->self, NULL, p->faults ? PSTN_ERROR : PSTN_INFO, "scrub-done",
				 PSTN_S("path", st->path), PSTN_U("records", p->records),
				 PSTN_U("octets", p->octets),
				 PSTN_U("seconds", (p->ended - p->begun) / 1000),
				 PSTN_U("faults", p->faults), PSTN_S("first", p->first)));
}

/* ---- the walk ---- */

static void found(struct checker *k, const struct fault *f)
{
	struct store *st = k->store;
	struct fault_named n;

	fault_name(st, f, &n);
	if (!*k->pass.first)
		fault_text(f, &n, k->pass.first, sizeof(k->pass.first));
	fault_log(st, f, &n);
	st->host->count(st->self, METRIC_SCRUB_FAULTS, 1);
	if (fault_of_mail(f->kind))
		st->host->count(st->self, METRIC_DAMAGED, 1);
}

static uint64_t piece_size(const struct store *st)
{
	uint64_t piece = st->options.scrub_rate / PIECES;

	return piece > PIECE_MIN ? piece : PIECE_MIN;
}

static bool go_on(struct checker *k, uint64_t octets)
{
	struct store *st = k->store;
	struct scrub *s = &st->scrub;
	uint64_t now = store_time();

	s->piece += octets;
	st->host->count(st->self, METRIC_SCRUB_OCTETS, (int64_t)octets);
	if (now - s->saved >= SAVE_EVERY) {
		s->saved = now;
		(void)pass_save(st, PASS_SCRUB, &k->pass);
	}
	return !atomic_load(&s->stop) && s->piece < piece_size(st);
}

/* A large message is one step: it is paced within. */
static bool reading(struct checker *k, size_t octets)
{
	struct store *st = k->store;
	struct scrub *s = &st->scrub;

	s->paced = k->octets > PIECE_MIN * 8 ? s->paced + octets : 0;
	if (s->paced > 0) {
		uint64_t ms = octets * 1000 / st->options.scrub_rate;
		struct timespec pause = {0};

		ms = ms < SLEEP_MAX ? ms : SLEEP_MAX;
		pause.tv_nsec = (long)ms * 1000000;
		nanosleep(&pause, NULL);
	}
	return !atomic_load(&s->stop);
}

static void put_away(struct store *st)
{
	struct scrub *s = &st->scrub;

	if (!s->checker)
		return;
	(void)pass_save(st, PASS_SCRUB, &s->checker->pass);
	checker_close(s->checker);
	store_free(st, s->checker);
	s->checker = NULL;
	(void)home_scrub_lock(st, false);
}

/* false: another process does it, or there is no memory. */
static bool take_up(struct store *st)
{
	struct scrub *s = &st->scrub;
	struct checker *k;
	struct pass p;

	if (s->checker)
		return true;
	if (!home_scrub_lock(st, true))
		return false;
	/* The other has finished it. */
	if (s->waited && pass_load(st, PASS_SCRUB, &p) && p.phase == PASS_DONE) {
		s->waited = false;
		show(st, &p);
		(void)home_scrub_lock(st, false);
		return false;
	}
	k = store_alloc(st, sizeof(*k));
	if (!k || checker_open(k, st) != 0) {
		store_free(st, k);
		(void)home_scrub_lock(st, false);
		return false;
	}
	k->texts = true;
	k->leave_no_pages = true;
	k->found = found;
	k->go_on = go_on;
	k->reading = reading;
	if (!pass_load(st, PASS_SCRUB, &k->pass) || k->pass.phase == PASS_DONE)
		k->pass = (struct pass){.begun = store_time()};
	s->checker = k;
	s->saved = store_time();
	/* Whoever finds the lock taken sees that there is something to go on with. */
	(void)pass_save(st, PASS_SCRUB, &k->pass);
	show(st, &k->pass);
	return true;
}

static void finish(struct store *st)
{
	struct checker *k = st->scrub.checker;

	k->pass.ended = store_time();
	log_end(st, &k->pass);
	show(st, &k->pass);
	put_away(st);
}

static uint64_t pause_after(struct store *st, uint64_t took)
{
	uint64_t due = st->scrub.piece * 1000 / st->options.scrub_rate;
	uint64_t pause = due > took ? due - took : 1;

	return pause < PAUSE_MAX ? pause : PAUSE_MAX;
}

/* The generation before this one may be at it, until it is told that it is replaced. */
static int wait_for_other(struct store *st)
{
	struct pass p;

	st->scrub.waited = pass_load(st, PASS_SCRUB, &p) && p.phase != PASS_DONE;
	st->scrub.pause = RETRY_EVERY;
	return st->scrub.waited ? PSTN_OK : PSTN_E_CANCELLED;
}

/* ---- jobs and timers ---- */

static void again(void *arg, int status);

/* PSTN_OK: again, after the pause. */
static int work(void *arg)
{
	struct store *st = arg;
	struct scrub *s = &st->scrub;
	uint64_t begun = store_time();
	bool done;

	if (atomic_load(&s->stop)) {
		put_away(st);
		return PSTN_E_CANCELLED;
	}
	if (!take_up(st))
		return wait_for_other(st);
	s->piece = s->paced = 0;
	done = checker_run(s->checker);
	checker_tell(s->checker);
	if (done) {
		finish(st);
		return PSTN_E_CANCELLED;
	}
	if (s->checker->error || atomic_load(&s->stop)) {
		put_away(st);
		return PSTN_E_CANCELLED;
	}
	s->pause = pause_after(st, store_time() - begun);
	return PSTN_OK;
}

static void worked(void *arg, int status)
{
	struct store *st = arg;
	struct scrub *s = &st->scrub;

	if (status == PSTN_OK)
		s->next = st->host->after(st->self, NULL, s->pause, again, st);
	if (status != PSTN_OK || !s->next)
		atomic_store(&s->busy, false);
}

static void orphaned(void *arg)
{
	struct store *st = arg;

	atomic_store(&st->scrub.busy, false);
}

static bool submit(struct store *st)
{
	if (st->host->job(st->self, NULL, work, worked, orphaned, st))
		return true;
	atomic_store(&st->scrub.busy, false);
	return false;
}

static void again(void *arg, int status)
{
	struct store *st = arg;

	(void)status;
	st->scrub.next = NULL;
	(void)submit(st);
}

/* false: one is under way here already, or it cannot be now. */
static bool start(struct store *st)
{
	if (atomic_load(&st->scrub.stop) || atomic_exchange(&st->scrub.busy, true))
		return false;
	return submit(st);
}

static bool is_due(struct store *st, const struct pass *p)
{
	uint64_t now = store_time();

	return p->phase != PASS_DONE || p->begun > now ||
	       now - p->begun >= st->options.scrub_interval;
}

static void look(void *arg, int status)
{
	struct store *st = arg;
	struct pass p;

	(void)status;
	st->scrub.look = st->host->after(st->self, NULL, LOOK_EVERY, look, st);
	if (!atomic_load(&st->scrub.busy) && (!pass_load(st, PASS_SCRUB, &p) || is_due(st, &p)))
		(void)start(st);
}

void scrub_open(struct store *st)
{
	struct pass p;

	if (pass_load(st, PASS_SCRUB, &p))
		show(st, &p);
	if (st->options.scrub_interval > 0)
		st->scrub.look = st->host->after(st->self, NULL, LOOK_EVERY, look, st);
}

void scrub_stop(struct store *st)
{
	if (atomic_exchange(&st->scrub.stop, true))
		return;
	/* The next generation measures anew. */
	st->host->count(st->self, METRIC_SCRUB_BAD, -(int64_t)st->scrub.gauge);
	st->scrub.gauge = 0;
}

void scrub_close(struct store *st)
{
	if (st->scrub.look)
		st->host->cancel(&st->scrub.look);
	if (st->scrub.next)
		st->host->cancel(&st->scrub.next);
	put_away(st);
}

/* ---- commands ---- */

static void answer_pass(struct store *st, struct pstn_call *c, const struct pass *p)
{
	const struct pstn_call_ops *call = st->host->call;
	char begun[32], ended[32] = "";

	time_text(p->begun, begun);
	if (p->ended)
		time_text(p->ended, ended);
	call->text(c, "begun", begun);
	call->text(c, "ended", ended);
	call->integer(c, "accounts", (int64_t)p->accounts);
	call->integer(c, "records", (int64_t)p->records);
	call->integer(c, "octets", (int64_t)p->octets);
	call->integer(c, "faults", (int64_t)p->faults);
	call->text(c, "first", p->first);
}

void scrub_answer(struct store *st, struct pstn_call *c)
{
	char text[128] = "never yet";
	struct pass p;

	if (pass_load(st, PASS_SCRUB, &p))
		result_text(&p, text, sizeof(text));
	st->host->call->text(c, "scrub", text);
}

static const char *start_text(struct store *st)
{
	struct pass p;
	bool part = pass_load(st, PASS_SCRUB, &p) && p.phase != PASS_DONE;

	if (start(st))
		return part ? "goes on" : "begins";
	return atomic_load(&st->scrub.busy) ? "is running" : "cannot begin now; try again soon";
}

void command_scrub(void *inst, struct pstn_call *c)
{
	struct store *st = inst;
	const struct pstn_call_ops *call = st->host->call;
	bool status = call->arg(c, "status") != NULL;
	struct pass p = {0};
	bool known = pass_load(st, PASS_SCRUB, &p);

	call->open_object(c, NULL);
	if (!status)
		call->text(c, "scrub", start_text(st));
	else
		scrub_answer(st, c);
	call->integer(c, "octets_a_second", (int64_t)st->options.scrub_rate);
	call->integer(c, "interval_seconds", (int64_t)(st->options.scrub_interval / 1000));
	if (status && known)
		answer_pass(st, c, &p);
	call->close(c);
}
