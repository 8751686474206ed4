/*
 * phase.c - a service for reload scenes: one source, several module files.
 *
 * Compiled with
 *   PHASE_GREETING "..."   the first line of every session and the answer to WHO
 *   PHASE_ROOM n           octets of session state, each marked and checked
 *   PHASE_FAILS_START, PHASE_FAILS_TEST, PHASE_CRASHES_START, PHASE_HANGS_START
 *   PHASE_TELLS n          a start of n steps of 100 ms that tells how far it is
 *   PHASE_CRASHES_AFTER ms a crash so long after the start (within probation)
 *
 * Commands: WHO (which build answers), ECHO text, CRASH (the worker), WEDGE (the reactor for ever),
 * LATER (an answer after half a second, for graceful stops), QUIT.
 */
#include <postern/service.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef PHASE_GREETING
#define PHASE_GREETING "one"
#endif
#ifndef PHASE_ROOM
#define PHASE_ROOM 16
#endif
#ifndef PHASE_CRASHES_AFTER
#define PHASE_CRASHES_AFTER 0
#endif

struct phase {
	struct pstn_self *self;
	const struct pstn_host *host;
};

struct phase_session {
	struct phase *phase;
	struct pstn_session *session;
	unsigned char room[PHASE_ROOM];
};

/* A death by signal, whatever a sanitizer made of the signal and wherever it is blocked. */
static void crash(void *arg, int status)
{
	sigset_t set;

	(void)arg;
	(void)status;
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	(void)signal(SIGSEGV, SIG_DFL);
	(void)raise(SIGSEGV);
}

static void *phase_start(struct pstn_self *self, const struct pstn_host *host, const void *conf,
			 char *err, size_t errlen)
{
	struct phase *p = host->alloc(self, sizeof(*p));

	(void)conf;
	if (!p) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	*p = (struct phase){.self = self, .host = host};
#ifdef PHASE_CRASHES_START
	crash(p, 0);
#endif
	host->tell(self, "greeting", PHASE_GREETING);
#ifdef PHASE_TELLS
	for (unsigned i = 0; i < PHASE_TELLS; i++) {
		host->progress(self, "waiting for the tide", i, PHASE_TELLS);
		usleep(100000);
	}
#endif
#ifdef PHASE_HANGS_START
	pause();
#endif
#ifdef PHASE_FAILS_START
	snprintf(err, errlen, "the moon is in the wrong phase; wait for another one");
	host->free(self, p);
	return NULL;
#endif
	if (PHASE_CRASHES_AFTER > 0)
		host->after(self, NULL, PHASE_CRASHES_AFTER, crash, p);
	return p;
}

static int phase_self_test(void *inst, char *err, size_t errlen)
{
	(void)inst;
#ifdef PHASE_FAILS_TEST
	snprintf(err, errlen, "two and two are five");
	return -1;
#else
	(void)err;
	(void)errlen;
	return 0;
#endif
}

static void phase_stop(void *inst)
{
	struct phase *p = inst;

	p->host->free(p->self, p);
}

static void on_open(void *inst, struct pstn_session *s, void *state)
{
	struct phase *p = inst;
	struct phase_session *session = state;

	session->phase = p;
	session->session = s;
	memset(session->room, 0x5a, sizeof(session->room));
	p->host->set_state(s, "waiting");
	p->host->write(s, PHASE_GREETING "\r\n", sizeof(PHASE_GREETING "\r\n") - 1);
}

static bool is_whole(const struct phase_session *session)
{
	for (size_t i = 0; i < sizeof(session->room); i++)
		if (session->room[i] != 0x5a)
			return false;
	return true;
}

static void answer_later(void *arg, int status)
{
	struct phase_session *session = arg;
	const struct pstn_host *host = session->phase->host;

	if (status == PSTN_OK)
		host->print(session->session, "later\r\n");
	host->resume(session->session);
}

static void on_line(void *inst, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct phase *p = inst;
	struct phase_session *session = state;

	(void)n;
	if (strcmp(line, "WHO") == 0) {
		p->host->print(s, "%s %s %u\r\n", PHASE_GREETING,
			       is_whole(session) ? "whole" : "damaged",
			       (unsigned)sizeof(session->room));
	} else if (strncmp(line, "ECHO ", 5) == 0) {
		p->host->print(s, "%s\r\n", line + 5);
	} else if (strcmp(line, "CRASH") == 0) {
		crash(p, 0);
	} else if (strcmp(line, "WEDGE") == 0) {
		for (;;)
			pause();
	} else if (strcmp(line, "LATER") == 0) {
		p->host->hold(s);
		if (!p->host->after(p->self, s, 500, answer_later, session))
			p->host->drop(s, "no memory");
	} else if (strcmp(line, "QUIT") == 0) {
		p->host->write(s, "bye\r\n", 5);
		p->host->finish(s, "quit");
	} else {
		p->host->write(s, "what?\r\n", 7);
	}
}

static void on_overlong(void *inst, struct pstn_session *s, void *state)
{
	struct phase *p = inst;

	(void)state;
	p->host->write(s, "too long\r\n", 10);
}

static void on_close(void *inst, struct pstn_session *s, void *state, const char *why)
{
	(void)inst;
	(void)s;
	(void)state;
	(void)why;
}

static const struct pstn_service service = {
    .size = sizeof(service),
    .session_size = sizeof(struct phase_session),
    .protocol = "phase",
    .default_listener = "127.0.0.1:7",
    .line_limit = 512,
    .open = on_open,
    .line = on_line,
    .overlong = on_overlong,
    .close = on_close,
    .refusal = "full\r\n",
};

static const struct pstn_offer offers[] = {{PSTN_SERVICE_STREAM, 1, 0, &service}, {0}};

PSTN_EXPORT const struct pstn_module pstn_module = {
    PSTN_MODULE_HEAD,
    .name = "phase",
    .version = PHASE_GREETING,
    .summary = "Tells which build of it answers.",
    .offers = offers,
    .start = phase_start,
    .self_test = phase_self_test,
    .stop = phase_stop,
};
