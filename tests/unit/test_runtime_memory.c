/*
 * test_runtime_memory.c - every allocation of a reactor fails once: sessions may be lost, nothing
 * else.
 *
 * The runtime is compiled with malloc and its like renamed to the functions below (runtime.am).
 */
#undef malloc
#undef calloc
#undef realloc
#include "runtime_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

void *test_malloc(size_t n);
void *test_calloc(size_t n, size_t size);
void *test_realloc(void *p, size_t n);

static atomic_ulong allocations, fail_at; /* on reactors, counted from 1; 0: none fails */

static bool fails(void)
{
	if (!reactor_self())
		return false;
	return atomic_fetch_add(&allocations, 1) + 1 == atomic_load(&fail_at);
}

void *test_malloc(size_t n)
{
	return fails() ? NULL : malloc(n);
}

void *test_calloc(size_t n, size_t size)
{
	return fails() ? NULL : calloc(n, size);
}

void *test_realloc(void *p, size_t n)
{
	return fails() ? NULL : realloc(p, n);
}

/* ---- a conversation that needs memory everywhere --------------------------------------------- */

static char text[100000];
static int text_fd;
static atomic_int lent;

static void lend_back(void *ref)
{
	(void)ref;
	atomic_fetch_sub(&lent, 1);
}

static void greet(struct rig *rig, struct pstn_session *s, void *state)
{
	(void)rig;
	(void)state;
	session_set_account(s, "joe@example.org");
	for (unsigned i = 0; i < 4; i++)
		session_claim(s, "key", 1000);
	session_write(s, "+OK hello\r\n", 11);
}

static void command(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct pstn_content c = {.size = sizeof(c),
				 .fd = line[0] == 'f' ? text_fd : -1,
				 .bytes = line[0] == 'f' ? NULL : text,
				 .length = sizeof(text),
				 .release = lend_back};

	(void)rig;
	(void)state;
	(void)n;
	switch (line[0]) {
	case 'f':
	case 'm':
		atomic_fetch_add(&lent, 1);
		session_send(s, &c, c.length);
		session_write(s, ".\r\n", 3);
		break;
	case 'w':
		session_write(s, text, 20000);
		session_printf(s, "%.*s\r\n", 5000, text);
		break;
	case 'q':
		session_finish(s, "quit");
		break;
	}
}

/* What one client sees; false: it was cut off. */
static bool converse(struct rig *rig)
{
	char *got;
	size_t n;
	int fd = client_connect(rig);
	bool all;

	if (fd < 0)
		return false;
	client_says(fd, "par");
	rig_settle(rig);
	client_says(fd, "tial\r\nf\r\nm\r\nw\r\n");
	rig_settle(rig);
	client_says(fd, "f\r\nq\r\nunread\r\n");
	got = client_read_all(fd, &n);
	all = got && n == 11 + 3 * sizeof(text) + 9 + 25002;
	free(got);
	close(fd);
	return all;
}

static void test_each_fails_once(void)
{
	struct rig rig = {.open = greet, .line = command, .session_size = 100};
	unsigned long n, cut_off = 0;

	rig.limits.count = 2;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	for (n = 1;; n++) {
		atomic_store(&allocations, 0);
		atomic_store(&fail_at, n);
		cut_off += !converse(&rig);
		CU_ASSERT(rig_wait_sessions(&rig, 0));
		if (atomic_load(&allocations) < n)
			break;
	}
	atomic_store(&fail_at, 0);
	CU_ASSERT(n > 5);
	CU_ASSERT(cut_off > 0);
	CU_ASSERT(converse(&rig));
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_EQUAL(rig.opened, rig.closed);
	CU_ASSERT_EQUAL(lent, 0);
	CU_ASSERT_EQUAL(standin_claims, 0);
	rig_stop(&rig);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"each allocation fails once", test_each_fails_once}, {NULL, NULL}};
	char name[] = "/tmp/postern-text-XXXXXX";

	memset(text, 'x', sizeof(text));
	text_fd = mkstemp(name);
	unlink(name);
	if (text_fd < 0 || write(text_fd, text, sizeof(text)) != (ssize_t)sizeof(text))
		return 1;
	return suite_run("runtime_memory", cases, argc > 1 ? argv[1] : NULL);
}
