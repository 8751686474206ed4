/*
 * sink.c - what all sinks share: who wants what, and saying that lines were lost.
 */
#include "sink.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum { REPORT_EVERY = 60 * 1000 };

format_line *sink_format(int32_t format)
{
	return format == FORMAT_JSON ? format_json : format_text;
}

static bool takes(const struct sink *s, const char *service)
{
	const char *const *names = s->services ? s->services->items : NULL;

	if (!s->services || s->services->count == 0)
		return true;
	for (uint32_t i = 0; i < s->services->count; i++) {
		if (strcmp(names[i], service) == 0)
			return true;
	}
	return false;
}

int sink_level(const struct sink *s, const char *service)
{
	if (!takes(s, service))
		return 0;
	return s->level ? s->level : levels_of(s->l->levels, service);
}

/* The other sinks get an event; there may be none that works. */
static void tell_stderr(const struct sink *s, const char *doing, int error)
{
	char text[512];
	int n = snprintf(
	    text, sizeof(text), "%s: %s: %s: %s; %ju log lines lost so far, trying again\n",
	    s->l->host->name(s->l->self), s->name, doing, strerror(error), (uintmax_t)s->lost);

	if (n > 0)
		sink_stderr_write(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void sink_failed(struct sink *s, uint64_t lines, const char *doing, int error)
{
	const struct pstn_host *host = s->l->host;
	uint64_t now = host->now();

	s->lost += lines;
	if (s->reported && now - s->reported < REPORT_EVERY)
		return;
	s->reported = now ? now : 1;
	host->log(PSTN_EVENT(s->l->self, NULL, PSTN_ERROR, "log_sink_failed",
			     PSTN_S("sink", s->name), PSTN_S("doing", doing),
			     PSTN_S("error", strerror(error)), PSTN_U("lines_lost", s->lost)));
	if (!s->l->conf->stderr.enabled)
		tell_stderr(s, doing, error);
}

void sink_lost_event(const struct sink *s, struct sink_lost *lost)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	lost->fields[0] = PSTN_S("sink", s->name);
	lost->fields[1] = PSTN_U("lines_lost", s->lost);
	lost->event = (struct pstn_log_event){
	    .size = sizeof(lost->event),
	    .level = PSTN_WARNING,
	    .time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec,
	    .service = s->l->host->name(s->l->self),
	    .session = "",
	    .event = "log_lines_lost",
	    .nfields = 2,
	    .fields = lost->fields,
	};
}
