/*
 * test_fake_host.c - the fake host keeps the promises of postern/module.h that others test against.
 */
#include "fake_host.h"

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pstn_self *self;
static const struct pstn_host *host;
static int done_status, done_calls, orphan_calls, closes;

static void begin(void)
{
	fake_begin();
	self = fake_self("echo");
	host = fake_host();
	done_status = 99;
	done_calls = orphan_calls = closes = 0;
}

static void on_done(void *arg, int status)
{
	done_calls++;
	done_status = status;
	if (arg)
		host->resume(arg);
}

static void on_orphan(void *arg)
{
	(void)arg;
	orphan_calls++;
}

static int work_full(void *arg)
{
	(void)arg;
	return PSTN_E_FULL;
}

static void echo_open(void *inst, struct pstn_session *s, void *state)
{
	(void)inst;
	(void)state;
	host->idle_limit(s, 1000);
	host->write(s, "hello\r\n", 7);
}

static void echo_line(void *inst, struct pstn_session *s, void *state, char *line, size_t n)
{
	(void)inst;
	(*(int *)state)++;
	if (strcmp(line, "wait") == 0) {
		host->hold(s);
		host->job(self, s, work_full, on_done, on_orphan, s);
	} else if (strcmp(line, "bye") == 0) {
		host->finish(s, "bye");
	} else {
		host->print(s, "%d %s\r\n", (int)n, line);
	}
}

static void echo_overlong(void *inst, struct pstn_session *s, void *state)
{
	(void)inst;
	(void)state;
	host->write(s, "long\r\n", 6);
}

static void echo_close(void *inst, struct pstn_session *s, void *state, const char *why)
{
	(void)inst;
	(void)s;
	(void)state;
	(void)why;
	closes++;
}

static const struct pstn_service echo = {.size = sizeof(echo),
					 .session_size = sizeof(int),
					 .protocol = "echo",
					 .line_limit = 12,
					 .open = echo_open,
					 .line = echo_line,
					 .overlong = echo_overlong,
					 .close = echo_close};

static void lines_hold_and_finish(void)
{
	begin();
	struct pstn_session *s = fake_connect(self, &echo, NULL);
	fake_input(s, "a\r\nwait\r\nb\n", 11);
	fake_line(s, "0123456789012345");
	CU_ASSERT_STRING_EQUAL(fake_output(s), "hello\r\n1 a\r\n");
	CU_ASSERT_TRUE(fake_held(s));
	CU_ASSERT_EQUAL(fake_settle(), 2);
	CU_ASSERT_EQUAL(done_status, PSTN_E_FULL);
	CU_ASSERT_STRING_EQUAL(fake_output(s), "hello\r\n1 a\r\n1 b\r\nlong\r\n");
	fake_line(s, "bye");
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_STRING_EQUAL(fake_ended(s), "bye");
	CU_ASSERT_EQUAL(closes, 1);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void idle_session_is_closed(void)
{
	begin();
	struct pstn_session *s = fake_connect(self, &echo, NULL);
	fake_advance(999);
	CU_ASSERT_FALSE(fake_closed(s));
	fake_advance(1);
	CU_ASSERT_TRUE(fake_closed(s));
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void orphans(void)
{
	begin();
	struct pstn_session *s = fake_session(self);
	struct pstn_op *p = host->pend(self, s, on_done, on_orphan, NULL);
	struct pstn_op *q = host->pend(self, s, on_done, on_orphan, NULL);
	host->job(self, s, work_full, on_done, on_orphan, NULL);
	host->after(self, s, 5, on_done, NULL);
	host->post(q, PSTN_OK);
	fake_close(s, "gone");
	CU_ASSERT_EQUAL(orphan_calls, 0);
	host->post(p, PSTN_OK);
	CU_ASSERT_EQUAL(orphan_calls, 1);
	fake_settle();
	fake_advance(10);
	CU_ASSERT_EQUAL(orphan_calls, 3);
	CU_ASSERT_EQUAL(done_calls, 0);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void timers(void)
{
	begin();
	struct pstn_op *a = host->after(self, NULL, 10, on_done, NULL);
	host->after(self, NULL, 20, on_done, NULL);
	host->cancel(&a);
	CU_ASSERT_PTR_NULL(a);
	host->cancel(&a);
	CU_ASSERT_EQUAL(fake_advance(19), 0);
	CU_ASSERT_EQUAL(fake_advance(1), 1);
	CU_ASSERT_EQUAL(done_status, PSTN_OK);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void threads(void)
{
	begin();
	fake_use_threads(3);
	for (int i = 0; i < 100; i++)
		host->job(self, NULL, work_full, on_done, NULL, NULL);
	fake_settle();
	CU_ASSERT_EQUAL(done_calls, 100);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void contents(void)
{
	static const uint64_t dots[] = {0, 6};
	begin();
	struct pstn_session *s = fake_session(self);
	char path[200];
	snprintf(path, sizeof(path), "%s/text", host->directory(self, PSTN_DIR_STATE));
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	CU_ASSERT_EQUAL(pwrite(fd, "..\r\nab.x\r\n", 10, 0), 10);
	struct pstn_content c = {.size = sizeof(c),
				 .fd = -1,
				 .bytes = ".a\r\nb\n.\r\n",
				 .length = 9,
				 .dots = dots,
				 .ndots = 2,
				 .release = on_orphan};
	fake_block(s, true);
	host->send(s, &c, 9);
	host->send(s, &c, 3);
	CU_ASSERT_EQUAL(host->queued(s), 12);
	CU_ASSERT_EQUAL(orphan_calls, 0);
	fake_block(s, false);
	c = (struct pstn_content){.size = sizeof(c),
				  .fd = fd,
				  .offset = 1,
				  .length = 9,
				  .dots = dots,
				  .ndots = 1,
				  .release = on_orphan};
	host->send(s, &c, 9);
	CU_ASSERT_STRING_EQUAL(fake_output(s), "..a\r\nb\n..\r\n..a\r..\r\nab.x\r\n");
	CU_ASSERT_EQUAL(orphan_calls, 3);
	close(fd);
	fake_close(s, "done");
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void memory_fails_in_turn(void)
{
	begin();
	for (unsigned long n = 1; n <= 4; n++) {
		fake_fail_alloc(n);
		void *a = host->alloc(self, 10);
		struct pstn_op *t = host->after(self, NULL, 1, on_done, NULL);
		void *b = host->alloc(self, 10);
		CU_ASSERT_EQUAL(!a, n == 1);
		CU_ASSERT_EQUAL(!t, n == 2);
		CU_ASSERT_EQUAL(!b, n == 3);
		CU_ASSERT_EQUAL(fake_alloc_failed(), n < 4);
		host->cancel(&t);
		host->free(self, a);
		host->free(self, b);
	}
	fake_fail_alloc(0);
	host->alloc(self, 1);
	host->after(self, NULL, 1, on_done, NULL);
	CU_ASSERT_EQUAL(fake_end(), 2);
}

static void claims(void)
{
	begin();
	struct pstn_session *s = fake_session(self), *t = fake_session(self);
	fake_claim_elsewhere("a", 1);
	CU_ASSERT_FALSE(host->claim(s, "a", 1));
	CU_ASSERT_TRUE(host->claim(s, "a", 2));
	CU_ASSERT_FALSE(host->claim(t, "a", 2));
	fake_close(s, "x");
	CU_ASSERT_TRUE(host->claim(t, "a", 2));
	fake_close(t, "x");
	CU_ASSERT_EQUAL(fake_claims("a"), 1);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void list_run(void *inst, struct pstn_call *c)
{
	const struct pstn_call_ops *call = host->call;
	if (!call->arg(c, "user")) {
		call->fail(c, "name a user, not %s", (const char *)inst);
		return;
	}
	call->open_array(c, NULL);
	call->open_object(c, NULL);
	call->text(c, "name", call->arg(c, "user"));
	call->integer(c, "size", -3);
	call->boolean(c, "on", true);
	call->close(c);
	call->close(c);
}

static void commands(void)
{
	static const struct pstn_command rows[] = {{.name = "list", .run = list_run},
						   {.name = NULL}};
	static const struct pstn_commands table = {.size = sizeof(table),
						   .command_size = sizeof(struct pstn_command),
						   .arg_size = sizeof(struct pstn_arg),
						   .rows = rows};
	char nothing[] = "nothing";
	begin();
	struct pstn_call *c = fake_call();
	fake_call_arg(c, "user", "a\"b");
	fake_call_run(c, &table, "list", nothing);
	CU_ASSERT_STRING_EQUAL(fake_call_answer(c),
			       "[{\"name\":\"a\\\"b\",\"size\":-3,\"on\":true}]");
	fake_call_free(c);
	c = fake_call();
	fake_call_run(c, &table, "list", nothing);
	CU_ASSERT_STRING_EQUAL(fake_call_error(c), "name a user, not nothing");
	fake_call_free(c);
	CU_ASSERT_EQUAL(fake_end(), 0);
}

static void events(void)
{
	begin();
	struct pstn_session *s = fake_session(self);
	host->log(PSTN_EVENT(self, s, PSTN_INFO, "login", PSTN_S("user", "a@b"), PSTN_I("n", -1)));
	CU_ASSERT_EQUAL_FATAL(fake_log_count(), 1);
	CU_ASSERT_STRING_EQUAL(fake_log_find("login")->fields, "user=a@b n=-1");
	CU_ASSERT_STRING_EQUAL(fake_log_find("login")->session, host->id(s));
	CU_ASSERT_FALSE(fake_log_contains("secret"));
	fake_close(s, "x");
	CU_ASSERT_EQUAL(fake_end(), 0);
}

int main(void)
{
	CU_TestInfo tests[] = {{"lines, hold, finish", lines_hold_and_finish},
			       {"idle", idle_session_is_closed},
			       {"orphans", orphans},
			       {"timers", timers},
			       {"threads", threads},
			       {"contents", contents},
			       {"memory fails in turn", memory_fails_in_turn},
			       {"claims", claims},
			       {"commands", commands},
			       {"events", events},
			       CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {{"fake host", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};
	if (CU_initialize_registry() || CU_register_suites(suites))
		return 2;
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
