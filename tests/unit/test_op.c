/*
 * test_op.c - operations on real reactors and job threads: where they complete, and that a session
 * which ends first gets no completion, while nothing is lost or used too long.
 */
#include "op.h"

#include "alloc_fails.h"
#include "instance.h"
#include "jobs.h"
#include "runtime_rig.h"

#include <poll.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

/* ---- instances as far as operations and reactors need them ---- */

static atomic_int pending;

void instance_pending_add(struct pstn_self *self, int by)
{
	(void)self;
	atomic_fetch_add(&pending, by);
}

void *instance_handle(const struct pstn_self *self)
{
	return (void *)(uintptr_t)self;
}

const char *instance_name(const struct pstn_self *self)
{
	(void)self;
	return "rig";
}

/* The cases have stopped the job threads before the rig stops. */
void standin_jobs_wait(void)
{
}

/* ---- one service for all cases: the line says what to do ---- */

static struct pstn_self *const self = (struct pstn_self *)(uintptr_t)&pending;
static sem_t begun, go;
static atomic_int dones, orphans, works, wrong_thread;
static struct pstn_op *promise, *timer;
static struct rig rig;

static int work(void *arg)
{
	(void)arg;
	if (reactor_self())
		atomic_fetch_add(&wrong_thread, 1);
	atomic_fetch_add(&works, 1);
	return PSTN_E_GONE;
}

static int gated_work(void *arg)
{
	sem_post(&begun);
	sem_wait(&go);
	return work(arg);
}

static void orphan(void *arg)
{
	(void)arg;
	atomic_fetch_add(&orphans, 1);
}

static void done(void *arg, int status)
{
	struct pstn_session *s = arg;
	if (reactor_self() != session_reactor(s))
		atomic_fetch_add(&wrong_thread, 1);
	atomic_fetch_add(&dones, 1);
	session_printf(s, "done %d\r\n", status);
	session_resume(s);
}

static void fired(void *arg, int status)
{
	timer = NULL;
	done(arg, status);
}

static void on_line(struct rig *r, struct pstn_session *s, void *state, char *line, size_t n)
{
	(void)r;
	(void)state;
	(void)n;
	if (strcmp(line, "job") == 0) {
		session_hold(s);
		op_job(self, s, work, done, orphan, s);
	} else if (strcmp(line, "gate") == 0) {
		op_job(self, s, gated_work, done, orphan, s);
		session_write(s, "ok\r\n", 4);
	} else if (strcmp(line, "pend") == 0) {
		promise = op_pend(self, s, done, orphan, s);
		session_write(s, "ok\r\n", 4);
	} else if (strcmp(line, "post and drop") == 0) {
		op_post(op_pend(self, s, done, orphan, s), PSTN_OK);
		session_drop(s, "test");
	} else if (strcmp(line, "after") == 0) {
		timer = op_after(self, s, 1000, fired, s);
		session_write(s, "ok\r\n", 4);
	} else if (strcmp(line, "cancel") == 0) {
		op_cancel(&timer);
		op_cancel(&timer);
		session_write(s, "ok\r\n", 4);
	} else if (strcmp(line, "many") == 0) {
		for (int i = 0; i < 8; i++)
			op_job(self, s, work, done, orphan, s);
	}
}

static void begin_with(unsigned reactors, unsigned threads)
{
	char err[200];
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	dones = orphans = works = wrong_thread = pending = 0;
	rig = (struct rig){.line = on_line, .limits.count = reactors};
	CU_ASSERT_EQUAL_FATAL(jobs_start(threads, threads, 100000, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL_FATAL(rig_start(&rig), 0);
}

static void end(void)
{
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 0));
	jobs_stop();
	rig_settle(&rig);
	CU_ASSERT_EQUAL(pending, 0);
	CU_ASSERT_EQUAL(wrong_thread, 0);
	rig_stop(&rig);
}

static void completes_on_its_reactor(void)
{
	begin_with(2, 1);
	int fd = client_connect(&rig);
	client_says(fd, "job\r\njob\r\n");
	CU_ASSERT_TRUE(client_expects(fd, "done -2\r\ndone -2\r\n"));
	close(fd);
	end();
	CU_ASSERT_EQUAL(dones, 2);
	CU_ASSERT_EQUAL(orphans, 0);
}

static void session_ends_under_a_job(void)
{
	begin_with(1, 1);
	int fd = client_connect(&rig);
	client_says(fd, "gate\r\n");
	CU_ASSERT_TRUE(client_expects(fd, "ok\r\n"));
	sem_wait(&begun);
	close(fd);
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 0));
	CU_ASSERT_EQUAL(pending, 1);
	CU_ASSERT_EQUAL(orphans, 0);
	sem_post(&go);
	end();
	CU_ASSERT_EQUAL(works, 1);
	CU_ASSERT_EQUAL(orphans, 1);
	CU_ASSERT_EQUAL(dones, 0);
}

static void unbegun_job_is_skipped(void)
{
	begin_with(1, 1);
	int busy = client_connect(&rig), fd = client_connect(&rig);
	client_says(busy, "gate\r\n");
	client_expects(busy, "ok\r\n");
	sem_wait(&begun);
	client_says(fd, "gate\r\n");
	client_expects(fd, "ok\r\n");
	close(fd);
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 1));
	sem_post(&go);
	CU_ASSERT_TRUE(client_expects(busy, "done -2\r\n"));
	close(busy);
	end();
	CU_ASSERT_EQUAL(works, 1);
	CU_ASSERT_EQUAL(orphans, 1);
	CU_ASSERT_EQUAL(dones, 1);
}

static void promise_is_kept_from_elsewhere(void)
{
	begin_with(1, 1);
	int fd = client_connect(&rig);
	client_says(fd, "pend\r\n");
	client_expects(fd, "ok\r\n");
	op_post(promise, 7);
	CU_ASSERT_TRUE(client_expects(fd, "done 7\r\n"));
	client_says(fd, "pend\r\n");
	client_expects(fd, "ok\r\n");
	close(fd);
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 0));
	CU_ASSERT_EQUAL(pending, 1);
	op_post(promise, 7);
	CU_ASSERT_EQUAL(orphans, 1);
	end();
	CU_ASSERT_EQUAL(dones, 1);
}

static void posted_but_closed_before(void)
{
	begin_with(1, 1);
	int fd = client_connect(&rig);
	client_says(fd, "post and drop\r\n");
	CU_ASSERT_TRUE(client_eof(fd));
	close(fd);
	end();
	CU_ASSERT_EQUAL(orphans, 1);
	CU_ASSERT_EQUAL(dones, 0);
}

static void timers_of_sessions(void)
{
	begin_with(1, 1);
	int fd = client_connect(&rig);
	client_says(fd, "after\r\n");
	client_expects(fd, "ok\r\n");
	rig_pass(&rig, 999);
	CU_ASSERT_EQUAL(dones, 0);
	rig_pass(&rig, 2);
	CU_ASSERT_TRUE(client_expects(fd, "done 0\r\n"));
	client_says(fd, "after\r\ncancel\r\nafter\r\n");
	client_expects(fd, "ok\r\nok\r\nok\r\n");
	close(fd);
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 0));
	rig_pass(&rig, 5000);
	CU_ASSERT_EQUAL(dones, 1);
	end();
}

/* Sessions end at any moment of their operations' lives. */
static void sessions_end_at_any_moment(void)
{
	enum { ROUNDS = 200 };
	begin_with(1, 2);
	for (int i = 0; i < ROUNDS; i++) {
		int fd = client_connect(&rig);
		client_says(fd, "many\r\n");
		if (i % 3 == 0)
			client_expects(fd, "done -2\r\n");
		close(fd);
	}
	CU_ASSERT_TRUE(rig_wait_sessions(&rig, 0));
	jobs_stop();
	rig_settle(&rig);
	CU_ASSERT_EQUAL(dones + orphans, 8 * ROUNDS);
	end();
}

/* ---- operations of instances ---- */

static void note(void *arg, int status)
{
	char *text = arg;
	size_t n = strlen(text);
	text[n] = (char)('a' + status);
	text[n + 1] = '\0';
}

static int work_ok(void *arg)
{
	(void)arg;
	return PSTN_OK;
}

static void run_control_until(const char *text, const char *wanted)
{
	struct pollfd queue = {.fd = control_queue_init(), .events = POLLIN};
	while (strcmp(text, wanted) != 0) {
		poll(&queue, 1, 100);
		control_queue_run();
		if (strlen(text) > strlen(wanted))
			break;
	}
	CU_ASSERT_STRING_EQUAL(text, wanted);
}

static void instance_operations(void)
{
	char text[16] = "", err[200];
	control_queue_init();
	jobs_start(1, 1, 1, err, sizeof(err));
	op_job(self, NULL, work_ok, note, NULL, text);
	run_control_until(text, "a");
	struct pstn_op *p = op_pend(self, NULL, note, NULL, text);
	CU_ASSERT_EQUAL(pending, 1);
	op_post(p, 2);
	CU_ASSERT_STRING_EQUAL(text, "a");
	run_control_until(text, "ac");
	CU_ASSERT_EQUAL(pending, 0);
	jobs_stop();
}

static void instance_timers(void)
{
	char text[16] = "";
	CU_ASSERT_EQUAL(control_queue_next_timer(), UINT64_MAX);
	struct pstn_op *late = op_after(self, NULL, 3600000, note, text);
	CU_ASSERT_TRUE(control_queue_next_timer() > 3000000);
	op_after(self, NULL, 0, note, text);
	op_after(self, NULL, 0, note, text);
	CU_ASSERT_EQUAL(control_queue_next_timer(), 0);
	run_control_until(text, "aa");
	op_cancel(&late);
	CU_ASSERT_PTR_NULL(late);
	CU_ASSERT_EQUAL(control_queue_next_timer(), UINT64_MAX);
	op_after(self, NULL, 3600000, note, text);
	op_after(self, NULL, 3600000, note, text);
	control_queue_forget(self);
	CU_ASSERT_EQUAL(control_queue_next_timer(), UINT64_MAX);
	CU_ASSERT_EQUAL(pending, 0);
}

static void no_memory(void)
{
	char text[16] = "";
	alloc_fail_begin(1);
	CU_ASSERT_PTR_NULL(op_after(self, NULL, 1, note, text));
	alloc_fail_begin(1);
	CU_ASSERT_PTR_NULL(op_pend(self, NULL, note, NULL, text));
	alloc_fail_begin(1);
	CU_ASSERT_PTR_NULL(op_job(self, NULL, work_ok, note, NULL, text));
	CU_ASSERT_TRUE(alloc_fail_end());
	/* without job threads nothing is taken */
	CU_ASSERT_PTR_NULL(op_job(self, NULL, work_ok, note, NULL, text));
	CU_ASSERT_EQUAL(pending, 0);
}

static const struct suite_case cases[] = {
    {"completes on its reactor", completes_on_its_reactor},
    {"session ends under a job", session_ends_under_a_job},
    {"unbegun job is skipped", unbegun_job_is_skipped},
    {"promise kept from elsewhere", promise_is_kept_from_elsewhere},
    {"posted but closed before", posted_but_closed_before},
    {"timers of sessions", timers_of_sessions},
    {"sessions end at any moment", sessions_end_at_any_moment},
    {"instance operations", instance_operations},
    {"instance timers", instance_timers},
    {"no memory", no_memory},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
	return suite_run("operations", cases, argc > 1 ? argv[1] : NULL);
}
