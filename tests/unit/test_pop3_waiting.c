/*
 * test_pop3_waiting.c - the POP3 service when nothing comes at once: answers that are late,
 * connections that break at any point, memory that runs out at any point, clients that read slowly.
 */
#include "pop3_world.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pop3_world w;

static const char ALL[] =
    "USER ann\r\nPASS wrong\r\nUSER two\r\nPASS 2\r\nCAPA\r\nSTAT\r\nLIST\r\n"
    "LIST 1\r\nUIDL\r\nUIDL 2\r\nRETR 1\r\nRETR 4\r\nTOP 4 4000\r\nTOP 1 0\r\n"
    "DELE 1\r\nDELE 5\r\nSTAT\r\nRSET\r\nNOOP\r\nFOO\r\nDELE 2\r\nQUIT\r\n";

static void begin(bool later, bool files)
{
	world_begin(&w);
	pop3_fake_all_later(&w.fake, later);
	w.fake.files = files;
	CU_ASSERT_TRUE_FATAL(world_start(&w));
}

static void end(void)
{
	CU_ASSERT_EQUAL(world_end(&w), 0);
}

/* One step of whatever waits: a job, then its completion. False: nothing waits. */
static bool step(void)
{
	return fake_run_jobs() + fake_run() > 0;
}

static unsigned play_all(struct pstn_session *s, unsigned most)
{
	unsigned steps = 0;

	fake_input(s, ALL, sizeof(ALL) - 1);
	while (steps < most && step())
		steps++;
	return steps;
}

/* ---- a connection that breaks ---- */

static void test_broken_at_every_step(void)
{
	for (int way = 0; way < 4; way++)
		for (unsigned most = 0;; most++) {
			struct pstn_session *s;
			bool whole;

			begin(true, way & 1);
			fake_skip_orphans(way & 2);
			w.fake.messages[5].zombie = true;
			s = world_connect(&w);
			play_all(s, most);
			whole = fake_closed(s);
			if (!whole)
				fake_close(s, "client closed");
			fake_settle();
			/* broken while the removal is under way: it may have been done */
			CU_ASSERT_TRUE(w.fake.expunged == whole || w.fake.calls[FAKE_EXPUNGE]);
			end();
			if (whole)
				break;
			CU_ASSERT_TRUE_FATAL(most < 1000);
		}
}

static void test_broken_at_every_octet(void)
{
	for (size_t n = 0; n < sizeof(ALL) - 1; n++) {
		struct pstn_session *s;

		begin(n % 2, n % 3);
		s = world_connect(&w);
		fake_input(s, ALL, n);
		if (n % 5)
			fake_settle();
		fake_close(s, "client closed");
		fake_settle();
		CU_ASSERT_EQUAL(w.fake.expunged, 0);
		end();
	}
}

/* ---- no memory ---- */

/* Whatever allocation fails: no crash, no leak, an answer or an end for every command, and nothing
 * is removed unless the client was told so. */
static void test_every_allocation_fails(void)
{
	for (int way = 0; way < 4; way++)
		for (unsigned long n = 1;; n++) {
			struct pstn_session *s;
			bool failed, told;

			begin(way & 1, way & 2);
			s = world_connect(&w);
			fake_fail_alloc(n);
			fake_input(s, ALL, sizeof(ALL) - 1);
			fake_settle();
			failed = fake_alloc_failed();
			fake_fail_alloc(0);
			told = strstr(fake_output(s), "+OK bye; ");
			CU_ASSERT_EQUAL(w.fake.expunged > 0, told);
			if (failed && !strstr(fake_output(s), "-ERR [SYS/TEMP]") &&
			    !fake_dropped(s))
				/* the delay of a failed login goes without */
				CU_ASSERT_TRUE(told);
			CU_ASSERT_TRUE(fake_closed(s));
			if (!fake_closed(s))
				fake_close(s, "test");
			end();
			if (!failed)
				break;
			CU_ASSERT_TRUE_FATAL(n < 1000);
		}
}

static void test_start_without_memory(void)
{
	world_begin(&w);
	fake_fail_alloc(1);
	CU_ASSERT_FALSE(world_start(&w));
	CU_ASSERT_STRING_EQUAL(w.err, "out of memory");
	fake_fail_alloc(0);
	end();
}

/* ---- pipelining ---- */

static void test_commands_wait_behind_pass(void)
{
	struct pstn_session *s;

	begin(true, false);
	s = world_connect(&w);
	fake_input(s, ALL, sizeof(ALL) - 1);
	CU_ASSERT_TRUE(fake_held(s));
	CU_ASSERT_STRING_EQUAL(world_heard(s), "+OK send PASS\r\n");
	fake_close(s, "client closed");
	fake_settle();
	CU_ASSERT_STRING_EQUAL(w.fake.names, "pop3/ann/wrong\n");
	end();
}

static void test_ten_thousand_dele(void)
{
	enum { N = 10000 };
	struct pstn_session *s;
	char *lines = malloc(N * 12 + 16), *to = lines;

	begin(false, false);
	w.fake.synthetic = true;
	w.fake.count = N;
	s = world_login(&w);
	for (int i = 1; i <= N; i++)
		to += sprintf(to, "DELE %d\r\n", i);
	to += sprintf(to, "QUIT\r\n");
	fake_input(s, lines, (size_t)(to - lines));
	fake_settle();
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_EQUAL(w.fake.expunged, N);
	CU_ASSERT_EQUAL(fake_metric(w.self, POP3_DELETED), N);
	free(lines);
	end();
}

/* ---- slow readers ---- */

/* RETR, DELE, QUIT in one packet to a client that then goes away: it keeps its message. */
static void test_quit_waits_for_texts(void)
{
	static const char said[] = "RETR 4\r\nDELE 4\r\nQUIT\r\n";

	for (int reads = 0; reads < 2; reads++) {
		struct pstn_session *s;

		begin(false, true);
		s = world_login(&w);
		fake_block(s, true);
		fake_input(s, said, sizeof(said) - 1);
		fake_settle();
		CU_ASSERT_EQUAL(w.fake.calls[FAKE_EXPUNGE], 0);
		CU_ASSERT_TRUE(fake_held(s));
		if (reads) {
			fake_block(s, false);
			fake_advance(0);
			CU_ASSERT_TRUE(fake_closed(s));
		} else {
			fake_close(s, "client closed");
		}
		CU_ASSERT_EQUAL((int)w.fake.expunged, reads);
		CU_ASSERT_EQUAL(fake_metric(w.self, POP3_RETRIEVED), reads);
		end();
	}
}

static size_t check_listing(const char *heard, uint32_t count, bool uidl)
{
	const char *at = strstr(heard, "\r\n") + 2;
	size_t wrong = 0;

	for (uint32_t i = 1; i <= count; i++) {
		char line[100];
		size_t n;

		if (uidl && i == 2)
			n = (size_t)sprintf(
			    line, "2 %.*s\r\n", PSTN_UIDL_MAX,
			    "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~"
			    "~~~~~~~~~~~~");
		else if (uidl)
			n = (size_t)sprintf(line, "%u id%u\r\n", i, i);
		else
			n = (size_t)sprintf(line, "%u %u\r\n", i, 1000 + i);
		wrong += strncmp(at, line, n) != 0;
		at += n;
	}
	return wrong + (strcmp(at, ".\r\n") != 0);
}

/* A million messages: little output waits at any time, and little memory is used. */
static void test_a_million_messages(void)
{
	enum { N = 1000000 };

	for (int way = 0; way < 4; way++) {
		struct pstn_session *s;
		bool uidl = way & 1;
		size_t before;

		begin(false, false);
		w.fake.synthetic = true;
		w.fake.count = N;
		s = world_login(&w);
		pop3_fake_all_later(&w.fake, way & 2);
		before = fake_live_bytes();
		fake_input(s, uidl ? "UIDL\r\n" : "LIST\r\n", 6);
		fake_settle();
		CU_ASSERT_EQUAL(check_listing(fake_output(s), N, uidl), 0);
		CU_ASSERT_TRUE(w.fake.most_queued <= 32768);
		CU_ASSERT_TRUE(w.fake.most_bytes - before <= 65536);
		fake_close(s, "client closed");
		end();
	}
}

/* A client that reads nothing at all gets as much queued as is worth it, and no more. */
static void test_a_listing_waits_for_its_reader(void)
{
	struct pstn_session *s;
	unsigned calls;

	begin(false, false);
	w.fake.synthetic = true;
	w.fake.count = 100000;
	s = world_login(&w);
	fake_block(s, true);
	fake_input(s, "LIST\r\nSTAT\r\n", 12);
	fake_settle();
	calls = w.fake.calls[FAKE_LIST];
	CU_ASSERT_TRUE(fake_held(s));
	CU_ASSERT_TRUE(fake_host()->queued(s) < 65536);
	fake_settle();
	CU_ASSERT_EQUAL(w.fake.calls[FAKE_LIST], calls);
	fake_block(s, false);
	fake_settle();
	CU_ASSERT_EQUAL(check_listing(fake_output(s), 100000, false), 1); /* STAT follows */
	CU_ASSERT_PTR_NOT_NULL(strstr(fake_output(s), ".\r\n+OK 100000 5100050000\r\n"));
	fake_close(s, "client closed");
	end();
}

/* The store fails in the middle: the client must not take a part for the whole. */
static void test_a_listing_that_fails_is_cut_off(void)
{
	for (int later = 0; later < 2; later++) {
		struct pstn_session *s;

		begin(false, false);
		w.fake.synthetic = true;
		w.fake.count = 100000;
		s = world_login(&w);
		pop3_fake_all_later(&w.fake, later);
		fake_block(s, true);
		fake_input(s, "LIST\r\n", 6);
		fake_settle();
		w.fake.fail[FAKE_LIST] = PSTN_E_TEMPORARY;
		fake_block(s, false);
		fake_settle();
		CU_ASSERT_TRUE(fake_closed(s));
		CU_ASSERT_TRUE(fake_dropped(s));
		CU_ASSERT_PTR_NULL(strstr(fake_output(s), "\r\n.\r\n"));
		end();
	}
}

/* ---- TOP by a job ---- */

static void test_top_breaks_while_the_job_runs(void)
{
	for (int skip = 0; skip < 2; skip++) {
		struct pstn_session *s;

		begin(false, true);
		fake_skip_orphans(skip);
		s = world_login(&w);
		fake_input(s, "TOP 4 4500\r\n", 12);
		CU_ASSERT_EQUAL(fake_jobs_waiting(), 1);
		CU_ASSERT_TRUE(fake_held(s));
		fake_close(s, "client closed");
		CU_ASSERT_EQUAL(w.fake.contents, 0);
		fake_settle();
		end();
	}
}

static void test_with_real_threads(void)
{
	struct pstn_session *s;

	begin(true, true);
	fake_use_threads(3);
	s = world_connect(&w);
	fake_input(s, ALL, sizeof(ALL) - 1);
	fake_settle();
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_EQUAL(w.fake.expunged, 1);
	end();
}

static CU_TestInfo tests[] = {
    {"broken at every step", test_broken_at_every_step},
    {"broken at every octet", test_broken_at_every_octet},
    {"every allocation fails", test_every_allocation_fails},
    {"start without memory", test_start_without_memory},
    {"commands wait behind PASS", test_commands_wait_behind_pass},
    {"ten thousand DELE in one packet", test_ten_thousand_dele},
    {"QUIT waits for texts", test_quit_waits_for_texts},
    {"a million messages", test_a_million_messages},
    {"a listing waits for its reader", test_a_listing_waits_for_its_reader},
    {"a listing that fails is cut off", test_a_listing_that_fails_is_cut_off},
    {"TOP breaks while the job runs", test_top_breaks_while_the_job_runs},
    {"with real threads", test_with_real_threads},
    CU_TEST_INFO_NULL,
};

static CU_SuiteInfo suites[] = {{"pop3 waiting", NULL, NULL, NULL, NULL, tests},
				CU_SUITE_INFO_NULL};

int main(void)
{
	unsigned failed = 1;

	if (CU_initialize_registry() == CUE_SUCCESS && CU_register_suites(suites) == CUE_SUCCESS) {
		CU_basic_set_mode(CU_BRM_VERBOSE);
		CU_basic_run_tests();
		failed = CU_get_number_of_failures();
	}
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
