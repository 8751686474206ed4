/*
 * test_log.c - events reach sinks in order and whole; what does not fit is counted and told.
 */
#include "log.h"

#include <postern/log_sink.h>

#include "log_ring.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* ---- a sink that keeps what it gets as lines ---- */

struct test_sink {
	char *text;
	size_t length, room;
	unsigned events;
	uint64_t last_time;
	bool out_of_order;
	int level;
	atomic_bool hangs;
	sem_t entered, go; /* of a write() that hangs */
	atomic_int reopened;
	pthread_t thread;
};

static int sink_level(void *inst, const char *service)
{
	struct test_sink *s = inst;
	return strcmp(service, "quiet") == 0 ? PSTN_ERROR : s->level;
}

static void sink_write(void *inst, const struct pstn_log_event *events, size_t n)
{
	struct test_sink *s = inst;
	char line[8192];
	if (atomic_load(&s->hangs)) {
		sem_post(&s->entered);
		sem_wait(&s->go);
	}
	for (size_t i = 0; i < n; i++) {
		size_t length = log_line(&events[i], line, sizeof(line));
		if (s->length + length + 2 > s->room) {
			s->room = 2 * (s->room + sizeof(line));
			s->text = realloc(s->text, s->room);
		}
		memcpy(s->text + s->length, line, length);
		s->length += length;
		s->text[s->length++] = '\n';
		s->text[s->length] = '\0';
		s->out_of_order |= events[i].time < s->last_time;
		s->last_time = events[i].time;
		s->events++;
	}
	s->thread = pthread_self();
}

static void sink_reopen(void *inst)
{
	struct test_sink *s = inst;
	s->thread = pthread_self();
	atomic_fetch_add(&s->reopened, 1);
}

static const struct pstn_log_sink table = {
    .size = sizeof(table), .level = sink_level, .write = sink_write, .reopen = sink_reopen};

static void sink_clear(struct test_sink *s)
{
	free(s->text);
	memset(s, 0, sizeof(*s));
}

#define EVENT(service, session, level, event, ...)          \
	log_event((service), (session), (level), (event),   \
		  (const struct pstn_field[]){__VA_ARGS__}, \
		  sizeof((const struct pstn_field[]){__VA_ARGS__}) / sizeof(struct pstn_field))

/* ---- cases ---- */

static char early_text[4096];

static void early(int level, const char *line)
{
	size_t n = strlen(early_text);
	snprintf(early_text + n, sizeof(early_text) - n, "%s|%s\n", log_level_name(level), line);
}

static void early_then_sink_then_early(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	early_text[0] = '\0';
	CU_ASSERT_EQUAL_FATAL(log_start(7, early), 0);
	CORE_EVENT(PSTN_INFO, "one", PSTN_S("a", "b"));
	EVENT("pop3", "8.1", PSTN_PROTOCOL, "not wanted", PSTN_I("n", 1));
	log_flush();
	CU_ASSERT_STRING_EQUAL(early_text, "info|core: one a=b\n");
	log_add_sink(&table, &sink);
	log_add_sink(&table, &sink);
	EVENT("pop3", "8.1", PSTN_INFO, "two", PSTN_I("n", -1), PSTN_U("u", 18446744073709551615u));
	log_remove_sinks();
	CU_ASSERT_STRING_EQUAL(sink.text, "pop3 8.1: two n=-1 u=18446744073709551615\n");
	CU_ASSERT_EQUAL(sink.events, 1);
	CORE_EVENT(PSTN_WARNING, "three", PSTN_I("n", 3));
	log_stop();
	CU_ASSERT_STRING_EQUAL(early_text, "info|core: one a=b\nwarning|core: three n=3\n");
	sink_clear(&sink);
}

static void levels(void)
{
	struct test_sink sink = {.level = PSTN_PROTOCOL};
	log_start(1, early);
	CU_ASSERT_EQUAL(log_level_of("pop3"), PSTN_INFO);
	log_add_sink(&table, &sink);
	CU_ASSERT_EQUAL(log_level_of("pop3"), PSTN_PROTOCOL);
	CU_ASSERT_EQUAL(log_level_of("quiet"), PSTN_ERROR);
	sink.level = 0;
	log_refresh_level();
	CORE_EVENT(PSTN_INFO, "not wanted", PSTN_I("n", 1));
	CORE_EVENT(PSTN_WARNING, "always", PSTN_I("n", 1));
	log_stop();
	CU_ASSERT_STRING_EQUAL(sink.text, "core: always n=1\n");
	log_remove_sinks();
	CU_ASSERT_EQUAL(log_level_of("quiet"), PSTN_INFO);
	sink_clear(&sink);
}

static void values_are_quoted_and_cut(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	char *text = malloc(5001);
	memset(text, 'x', 5000);
	text[5000] = '\0';
	log_start(1, early);
	log_add_sink(&table, &sink);
	CORE_EVENT(PSTN_INFO, "e", PSTN_S("a", "x\r\ncore: forged"), PSTN_S("b", ""),
		   PSTN_S("c", "q\"\\"), PSTN_S("null", NULL));
	log_flush();
	CU_ASSERT_STRING_EQUAL(
	    sink.text, "core: e a=\"x\\x0d\\x0acore: forged\" b=\"\" c=\"q\\\"\\\\\" null=\"\"\n");
	sink.length = 0;
	CORE_EVENT(PSTN_INFO, "e", PSTN_S("long", text), PSTN_I("after", 1));
	log_stop();
	CU_ASSERT_EQUAL(strspn(sink.text + strlen("core: e long=\""), "x"), 1024 - 16);
	CU_ASSERT_PTR_NOT_NULL(strstr(sink.text, "xxx...(5000 octets)\" after=1\n"));
	log_remove_sinks();
	sink_clear(&sink);
	free(text);
}

static void too_many_fields(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	struct pstn_field fields[LOG_FIELDS_MAX + 5];
	for (unsigned i = 0; i < LOG_FIELDS_MAX + 5; i++)
		fields[i] = PSTN_U("k", i);
	log_start(1, early);
	log_add_sink(&table, &sink);
	log_event("core", "", PSTN_INFO, "e", fields, LOG_FIELDS_MAX + 5);
	log_event("core", "", PSTN_INFO, "none", NULL, 0);
	log_stop();
	CU_ASSERT_PTR_NOT_NULL(strstr(sink.text, " k=31\ncore: none\n"));
	log_remove_sinks();
	sink_clear(&sink);
}

/* The sink hangs; the ring fills; nothing waits, and what is lost is counted and told. */
static void overflow(void)
{
	enum { EVENTS = 20000 };
	struct test_sink sink = {.level = PSTN_INFO, .hangs = true};
	uint64_t before = log_dropped();
	sem_init(&sink.go, 0, 0);
	sem_init(&sink.entered, 0, 0);
	log_start(1, early);
	log_add_sink(&table, &sink);
	CORE_EVENT(PSTN_WARNING, "first", PSTN_I("n", 0));
	sem_wait(&sink.entered);
	for (int i = 0; i < EVENTS; i++)
		EVENT("pop3", "1.1", PSTN_INFO, "e",
		      PSTN_S("value", "0123456789012345678901234567890"));
	uint64_t lost = log_dropped() - before;
	CU_ASSERT_TRUE(lost > 1000 && lost < EVENTS);
	atomic_store(&sink.hangs, false);
	sem_post(&sink.go);
	log_stop();
	char told[64];
	snprintf(told, sizeof(told), "core: log-dropped events=%llu\n", (unsigned long long)lost);
	CU_ASSERT_PTR_NOT_NULL(strstr(sink.text, told));
	CU_ASSERT_EQUAL(sink.events, 1 + EVENTS - lost + 1);
	log_remove_sinks();
	sink_clear(&sink);
}

enum { THREADS = 6, EACH = 3000 };

static void *log_many(void *arg)
{
	unsigned number = *(unsigned *)arg;
	for (unsigned i = 0; i < EACH; i++) {
		EVENT("pop3", "1.1", PSTN_INFO, "e", PSTN_U("thread", number), PSTN_U("i", i),
		      PSTN_S("text", "0123456789abcdef0123456789abcdef"));
		if (i % 500 == 499)
			log_flush();
	}
	return NULL;
}

/* Several threads, ring after ring full: each thread's events stay in order and none is doubled. */
static void many_threads(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	pthread_t threads[THREADS];
	unsigned numbers[THREADS], next[THREADS] = {0}, wrong = 0;
	uint64_t before = log_dropped();
	log_start(1, early);
	log_add_sink(&table, &sink);
	for (unsigned i = 0; i < THREADS; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, log_many, &numbers[i]);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	log_stop();
	log_remove_sinks();
	for (char *line = strtok(sink.text, "\n"); line; line = strtok(NULL, "\n")) {
		unsigned thread, i;
		if (sscanf(line, "pop3 1.1: e thread=%u i=%u text=0123", &thread, &i) != 2)
			wrong++;
		else if (thread >= THREADS || next[thread] != i)
			wrong++;
		else
			next[thread]++;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(sink.events, THREADS * EACH);
	CU_ASSERT_EQUAL(log_dropped(), before);
	sink_clear(&sink);
}

static void *log_one(void *arg)
{
	(void)arg;
	CORE_EVENT(PSTN_INFO, "from a thread", PSTN_I("n", 1));
	return NULL;
}

/* A thread's events outlive it, and its ring goes to the next thread. */
static void threads_come_and_go(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	log_start(1, early);
	log_add_sink(&table, &sink);
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, log_one, NULL);
		pthread_join(thread, NULL);
	}
	log_stop();
	log_remove_sinks();
	CU_ASSERT_EQUAL(sink.events, 50);
	sink_clear(&sink);
}

static void reopen_on_the_log_thread(void)
{
	struct test_sink sink = {.level = PSTN_INFO};
	log_start(1, early);
	log_add_sink(&table, &sink);
	log_reopen();
	log_flush();
	log_flush();
	CU_ASSERT_EQUAL(atomic_load(&sink.reopened), 1);
	CU_ASSERT_FALSE(pthread_equal(sink.thread, pthread_self()));
	log_stop();
	log_remove_sinks();
	sink_clear(&sink);
}

/* A ring alone: places around its end, the reader behind by any distance. */
static void ring_wraps(void)
{
	struct log_ring *r = log_ring_new();
	uint64_t pos = 0, put = 0, got = 0;
	char value[900];
	memset(value, 'v', sizeof(value));
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (unsigned i = 0; i < 20000; i++) {
		struct pstn_field f = {
		    .key = "v", .kind = PSTN_F_STR, .length = i * 7 % 900, .str = value};
		struct pstn_log_event e = {.level = PSTN_INFO,
					   .time = i,
					   .service = "s",
					   .session = "",
					   .event = "e",
					   .nfields = 1,
					   .fields = &f},
				      out;
		put += log_ring_put(r, &e);
		if (i % 3 == 0)
			continue;
		for (int k = 0; k < 2; k++)
			if (log_ring_get(r, &pos, atomic_load(&r->head), &out)) {
				CU_ASSERT_EQUAL_FATAL(out.fields[0].length, out.time * 7 % 900);
				CU_ASSERT_EQUAL_FATAL(out.fields[0].str[out.fields[0].length],
						      '\0');
				got++;
				atomic_store(&r->tail, pos);
			}
	}
	struct pstn_log_event out;
	while (log_ring_get(r, &pos, atomic_load(&r->head), &out))
		got++;
	CU_ASSERT_EQUAL(got, put);
	CU_ASSERT_EQUAL(put, 20000);
	free(r);
}

static const struct suite_case cases[] = {
    {"early, sink, early", early_then_sink_then_early},
    {"levels", levels},
    {"values quoted and cut", values_are_quoted_and_cut},
    {"too many fields", too_many_fields},
    {"overflow", overflow},
    {"many threads", many_threads},
    {"threads come and go", threads_come_and_go},
    {"reopen", reopen_on_the_log_thread},
    {"ring wraps", ring_wraps},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("log", cases, argc > 1 ? argv[1] : NULL);
}
