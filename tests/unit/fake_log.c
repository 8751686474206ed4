/*
 * fake_log.c - log events of the fake host, rendered and kept for assertions.
 */
#include "fake_parts.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_event **events;
static unsigned nevents, room;
static int wanted = PSTN_PROTOCOL;

static char *render(const struct pstn_field *fields, size_t n)
{
	char *text = NULL;
	size_t length = 0;
	FILE *f = fake_must(open_memstream(&text, &length));
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "%s%s=", i ? " " : "", fields[i].key);
		if (fields[i].kind == PSTN_F_STR)
			fwrite(fields[i].str, 1, fields[i].length, f);
		else if (fields[i].kind == PSTN_F_INT)
			fprintf(f, "%" PRId64, fields[i].num);
		else if (fields[i].kind == PSTN_F_UINT)
			fprintf(f, "%" PRIu64, fields[i].unum);
		else
			fake_die("field %s has no kind", fields[i].key);
	}
	fclose(f);
	return fake_must(text);
}

void fake_log_add(struct pstn_self *self, struct pstn_session *s, int level, const char *event,
		  const struct pstn_field *fields, size_t n)
{
	if (level < PSTN_CRITICAL || level > PSTN_PROTOCOL)
		fake_die("event %s has level %d, which there is not", event, level);
	if (s)
		fake_session_check(s, "log with a session");
	if (level > wanted)
		return;
	struct fake_event *e = fake_must(calloc(1, sizeof(*e)));
	e->level = level;
	e->service = fake_must(strdup(self->name));
	e->session = fake_must(strdup(s ? fake_session_name(s) : ""));
	e->event = fake_must(strdup(event));
	e->fields = render(fields, n);
	fake_lock();
	if (nevents == room) {
		room = room ? room * 2 : 64;
		events = fake_must(realloc(events, room * sizeof(struct fake_event *)));
	}
	events[nevents++] = e;
	fake_unlock();
}

bool fake_log_wanted(struct pstn_self *self, int level)
{
	(void)self;
	return level <= wanted;
}

void fake_log_level(int level)
{
	wanted = level;
}

unsigned fake_log_count(void)
{
	return nevents;
}

const struct fake_event *fake_log_at(unsigned i)
{
	if (i >= nevents)
		fake_die("there is no event %u, only %u", i, nevents);
	return events[i];
}

const struct fake_event *fake_log_find(const char *event)
{
	for (unsigned i = nevents; i > 0; i--)
		if (strcmp(events[i - 1]->event, event) == 0)
			return events[i - 1];
	return NULL;
}

bool fake_log_contains(const char *text)
{
	for (unsigned i = 0; i < nevents; i++)
		if (strstr(events[i]->fields, text) || strstr(events[i]->event, text))
			return true;
	return false;
}

void fake_log_clear(void)
{
	for (unsigned i = 0; i < nevents; i++) {
		free((char *)(uintptr_t)events[i]->service);
		free((char *)(uintptr_t)events[i]->session);
		free((char *)(uintptr_t)events[i]->event);
		free((char *)(uintptr_t)events[i]->fields);
		free(events[i]);
	}
	free(events);
	events = NULL;
	nevents = room = 0;
}
