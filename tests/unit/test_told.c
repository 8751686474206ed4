/*
 * test_told.c - what instances tell: facts and progress, in the worker and as the supervisor takes
 * them, also from a worker that sends what it should not.
 */
#include "config.h"

#include "supervisor.h"
#include "told.h"

#include <CUnit/Basic.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- facts in the worker ---- */

static struct told told;
static struct fact facts[FACTS_MAX];

static void are_set_changed_forgotten(void)
{
	unsigned before, after;

	memset(&told, 0, sizeof(told));
	told_init(&told);
	told_fact(&told, "durability", "relaxed");
	told_fact(&told, "retention", "7d");
	CU_ASSERT_EQUAL(told_facts(&told, facts, &before), 2);
	told_fact(&told, "durability", "relaxed");
	CU_ASSERT_EQUAL(told_facts(&told, facts, &after), 2);
	CU_ASSERT_EQUAL(before, after);
	told_fact(&told, "durability", "none");
	CU_ASSERT_EQUAL(told_facts(&told, facts, &after), 2);
	CU_ASSERT_NOT_EQUAL(before, after);
	CU_ASSERT_STRING_EQUAL(facts[0].value, "none");
	told_fact(&told, "durability", "");
	told_fact(&told, "nobody", NULL);
	CU_ASSERT_EQUAL_FATAL(told_facts(&told, facts, &after), 1);
	CU_ASSERT_STRING_EQUAL(facts[0].key, "retention");
	told_fact(&told, "retention", NULL);
	told_fact(&told, "", "x");
	told_fact(&told, NULL, "x");
	CU_ASSERT_EQUAL(told_facts(&told, facts, &after), 0);
	told_clear(&told);
}

static void are_bounded(void)
{
	char key[64], value[400];
	unsigned changes;

	memset(&told, 0, sizeof(told));
	told_init(&told);
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "%02d-key-that-is-longer-than-any-may-be", i);
		told_fact(&told, key, value);
		told_fact(&told, key, value); /* found again although it was cut */
	}
	CU_ASSERT_EQUAL_FATAL(told_facts(&told, facts, &changes), FACTS_MAX);
	CU_ASSERT_EQUAL(changes, FACTS_MAX);
	CU_ASSERT_EQUAL(strlen(facts[15].key), FACT_KEY - 1);
	CU_ASSERT_EQUAL(strlen(facts[15].value), FACT_VALUE - 1);
	told_fact(&told, facts[3].key, "two\nlines\x1b");
	CU_ASSERT_EQUAL(told_facts(&told, facts, &changes), FACTS_MAX);
	CU_ASSERT_STRING_EQUAL(facts[3].value, "two lines ");
	told_clear(&told);
}

/* ---- progress in the worker ---- */

static unsigned heard;
static char last[256];

static void hear(const char *instance, const char *what, uint64_t done, uint64_t total)
{
	heard++;
	told_progress_text(last, sizeof(last), instance, what, done, total);
}

static void is_told_at_a_bounded_rate(void)
{
	told_progress("storage", "recovering", 0, 10); /* to nobody */
	told_progress_to(hear);
	for (uint64_t i = 0; i < 1000; i++)
		told_progress("storage", "recovering", i, 1000);
	CU_ASSERT_TRUE(heard >= 1 && heard < 500);
	told_progress_to(NULL);
	unsigned before = heard;
	told_progress("storage", "recovering", 1, 2);
	CU_ASSERT_EQUAL(heard, before);
	told_progress_to(hear);
	told_progress("storage", "a\nb", 1, 4);
	CU_ASSERT_STRING_EQUAL(last, "storage: a b, 1 of 4 (25 %)");
	told_progress_to(hear);
	told_progress("storage", NULL, 7, 0);
	CU_ASSERT_STRING_EQUAL(last, "storage: , 7 so far");
	told_progress_to(NULL);
}

/* ---- the supervisor ---- */

static struct supervisor sv;
static struct options no_options;
static struct child child;
static int worker; /* its end of the link */

static void begin(void)
{
	int ends[2];

	memset(&sv, 0, sizeof(sv));
	memset(&child, 0, sizeof(child));
	sv.options = &no_options;
	sv.boot = sv.control = sv.log = -1;
	for (int i = 0; i < CLIENTS_MAX; i++)
		sv.clients[i].fd = -1;
	CU_ASSERT_EQUAL_FATAL(link_pair(ends), 0);
	child.link = ends[0];
	worker = ends[1];
	child.generation = 7;
	child.planned = true;
	child.limits.ready_deadline = 20000;
	child.started = supervisor_now();
	child.deadline = child.started + 1000;
	sv.children = sv.candidate = &child;
}

static void end(void)
{
	close(worker);
	close(child.link);
	json_decref(child.facts);
}

static void tell_fact(const char *instance, unsigned n, const char *key, const char *value)
{
	link_begin(&sv.message, LINK_FACTS);
	link_put_text(&sv.message, instance);
	link_put_number(&sv.message, n);
	for (unsigned i = 0; i < n; i++) {
		link_put_text(&sv.message, key);
		link_put_text(&sv.message, value);
	}
	CU_ASSERT_EQUAL(link_send(worker, &sv.message, false), 0);
	child_readable(&sv, &child);
}

static const char *fact(const json_t *status, const char *name)
{
	const char *value =
	    json_string_value(json_object_get(json_object_get(status, "facts"), name));

	return value ? value : "";
}

static void shows_facts_of_the_current_one(void)
{
	json_t *status;

	begin();
	tell_fact("storage", 1, "durability", "relaxed");
	tell_fact("other", 1, "moon", "full");
	tell_fact("other", 1, "moon", "new");
	status = supervisor_status(&sv);
	CU_ASSERT_PTR_NULL(json_object_get(status, "facts"));
	json_decref(status);
	sv.current = &child;
	status = supervisor_status(&sv);
	CU_ASSERT_STRING_EQUAL(fact(status, "storage.durability"), "relaxed");
	CU_ASSERT_STRING_EQUAL(fact(status, "other.moon"), "new");
	json_decref(status);
	tell_fact("storage", 0, "", "");
	tell_fact("other", 0, "", "");
	status = supervisor_status(&sv);
	CU_ASSERT_STRING_EQUAL(fact(status, "other.moon"), "");
	json_decref(status);
	end();
}

/* From a worker that was taken over. */
static void bears_strange_facts(void)
{
	char name[32];

	begin();
	sv.current = &child;
	for (int i = 0; i < 400; i++) {
		snprintf(name, sizeof(name), "instance%d", i);
		tell_fact(name, 1, "\xff\xfe", "\x80 not UTF-8");
	}
	CU_ASSERT_TRUE(json_object_size(child.facts) <= 256);
	link_begin(&sv.message, LINK_FACTS);
	link_put_text(&sv.message, "liar");
	link_put_number(&sv.message, UINT64_MAX);
	CU_ASSERT_EQUAL(link_send(worker, &sv.message, false), 0);
	child_readable(&sv, &child);
	CU_ASSERT_EQUAL(link_tell(worker, LINK_FACTS, false), 0);
	CU_ASSERT_EQUAL(link_tell(worker, LINK_PROGRESS, false), 0);
	child_readable(&sv, &child);
	json_t *status = supervisor_status(&sv);
	CU_ASSERT_PTR_NOT_NULL(status);
	json_decref(status);
	end();
}

static void tell_progress(uint64_t done)
{
	link_begin(&sv.message, LINK_PROGRESS);
	link_put_text(&sv.message, "storage");
	link_put_text(&sv.message, "recovering");
	link_put_number(&sv.message, done);
	link_put_number(&sv.message, 10);
	CU_ASSERT_EQUAL(link_send(worker, &sv.message, false), 0);
	child_readable(&sv, &child);
}

static void gives_time_to_who_gets_ahead(void)
{
	json_t *status;

	begin();
	tell_progress(3);
	CU_ASSERT_TRUE(child.deadline >= child.started + 20000);
	status = supervisor_status(&sv);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(status, "starting")),
			       "storage: recovering, 3 of 10 (30 %)");
	json_decref(status);
	child.deadline = 5;
	tell_progress(3); /* no further than before */
	CU_ASSERT_EQUAL(child.deadline, 5);
	tell_progress(4);
	CU_ASSERT_TRUE(child.deadline >= child.started + 20000);
	child.deadline = 0; /* it is being killed */
	tell_progress(5);
	CU_ASSERT_EQUAL(child.deadline, 0);
	child.deadline = 5;
	child.going = true; /* the hand-over has its own limit */
	tell_progress(6);
	CU_ASSERT_EQUAL(child.deadline, 5);
	child.going = false;
	child.state = CHILD_CURRENT;
	tell_progress(7);
	CU_ASSERT_EQUAL(child.deadline, 5);
	end();
}

int main(void)
{
	CU_pSuite suite;

	CU_initialize_registry();
	suite = CU_add_suite("told", NULL, NULL);
	CU_add_test(suite, "facts are set, changed and forgotten", are_set_changed_forgotten);
	CU_add_test(suite, "facts are bounded", are_bounded);
	CU_add_test(suite, "progress is told at a bounded rate", is_told_at_a_bounded_rate);
	CU_add_test(suite, "status shows facts of the current one", shows_facts_of_the_current_one);
	CU_add_test(suite, "strange facts are borne", bears_strange_facts);
	CU_add_test(suite, "who gets ahead is given time", gives_time_to_who_gets_ahead);
	CU_basic_run_tests();
	unsigned failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}
