/*
 * test_link.c - messages between supervisor and worker: whole, extended, broken, with descriptors.
 */
#include "config.h"

#include "link_message.h"

#include <CUnit/Basic.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct link_message out, in;
static int ends[2];

static void open_link(void)
{
	CU_ASSERT_EQUAL_FATAL(link_pair(ends), 0);
}

static void close_link(void)
{
	close(ends[0]);
	close(ends[1]);
}

static void fields(void)
{
	open_link();
	link_begin(&out, LINK_REPORT);
	link_put_number(&out, 1);
	link_put_text(&out, "what happened and what to do");
	link_put_text(&out, NULL);
	link_put_number(&out, UINT64_MAX);
	CU_ASSERT_EQUAL(link_send(ends[0], &out, false), 0);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(in.type, LINK_REPORT);
	CU_ASSERT_EQUAL(link_get_number(&in), 1);
	CU_ASSERT_STRING_EQUAL(link_get_text(&in), "what happened and what to do");
	CU_ASSERT_STRING_EQUAL(link_get_text(&in), "");
	CU_ASSERT_EQUAL(link_get_number(&in), UINT64_MAX);
	CU_ASSERT_FALSE(in.bad);
	link_clear(&in);
	close_link();
}

/* An older sender's message ends early: what it does not know reads as nothing. */
static void missing_fields(void)
{
	open_link();
	CU_ASSERT_EQUAL(link_tell(ends[0], LINK_GO, true), 0);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, true), 1);
	CU_ASSERT_EQUAL(in.type, LINK_GO);
	CU_ASSERT_EQUAL(link_get_number(&in), 0);
	CU_ASSERT_STRING_EQUAL(link_get_text(&in), "");
	CU_ASSERT_EQUAL(link_take_fd(&in), -1);
	CU_ASSERT_FALSE(in.bad);
	close_link();
}

static void cut_fields(void)
{
	open_link();
	link_begin(&out, LINK_BEAT);
	link_put_text(&out, "abc");
	out.size = 3; /* the text has lost its end */
	CU_ASSERT_EQUAL(link_send(ends[0], &out, false), 0);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(link_get_number(&in), 0);
	CU_ASSERT_TRUE(in.bad);
	CU_ASSERT_STRING_EQUAL(link_get_text(&in), "");
	close_link();
}

static void largest(void)
{
	static char text[LINK_DATA_MAX + 1];

	open_link();
	memset(text, 'x', sizeof(text) - 1);
	link_begin(&out, LINK_CONTROL);
	link_put_text(&out, text);
	CU_ASSERT_TRUE(out.bad);
	CU_ASSERT_EQUAL(link_send(ends[0], &out, false), -1);
	CU_ASSERT_EQUAL(errno, EMSGSIZE);
	text[LINK_DATA_MAX - 1] = '\0';
	link_begin(&out, LINK_CONTROL);
	link_put_text(&out, text);
	CU_ASSERT_FALSE(out.bad);
	CU_ASSERT_EQUAL(link_send(ends[0], &out, false), 0);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(strlen(link_get_text(&in)), LINK_DATA_MAX - 1);
	close_link();
}

/* A receiver that does not read never blocks the sender. */
static void full(void)
{
	int status = 0;

	open_link();
	link_begin(&out, LINK_LOG);
	out.size = LINK_DATA_MAX;
	for (int i = 0; i < 100 && status == 0; i++)
		status = link_send(ends[0], &out, false);
	CU_ASSERT_EQUAL(status, -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
	close_link();
}

static void garbage(void)
{
	static const struct {
		const void *bytes;
		size_t n;
	} cases[] = {
	    {"x", 1},
	    {"hello, is this the supervisor?", 30},
	    {"PLNK\1\0\1\0\5\0\0\0abc", 15}, /* says 5, has 3 */
	    {"PLNK\1\0\1\0\1\0\0\0abc", 15}, /* says 1, has 3 */
	    {"PLNK\2\0\1\0\0\0\0\0", 12},    /* another version */
	    {"PLNK\1\0\1\0\377\377\377\377", 12},
	};

	open_link();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(send(ends[0], cases[i].bytes, cases[i].n, 0), (ssize_t)cases[i].n);
		CU_ASSERT_EQUAL(link_receive(ends[1], &in, false), -1);
		CU_ASSERT_EQUAL(errno, EPROTO);
	}
	CU_ASSERT_EQUAL(link_tell(ends[0], LINK_GO, false), 0);
	CU_ASSERT_EQUAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(link_receive(ends[1], &in, false), -1);
	CU_ASSERT_EQUAL(errno, EAGAIN);
	close_link();
}

static bool same_file(int a, int b)
{
	return fcntl(a, F_GETFD) >= 0 && lseek(a, 7, SEEK_SET) == 7 && lseek(b, 0, SEEK_CUR) == 7;
}

static void descriptors(void)
{
	int null = open("/dev/zero", O_RDONLY | O_CLOEXEC), file = memfd_create("link", 0);
	int fd;

	open_link();
	CU_ASSERT_FATAL(null >= 0 && file >= 0);
	link_begin(&out, LINK_SOCKET);
	for (int i = 0; i < LINK_FDS_MAX; i++)
		link_put_fd(&out, i == 0 ? file : null);
	CU_ASSERT_FALSE(out.bad);
	CU_ASSERT_EQUAL(link_send(ends[0], &out, false), 0);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(in.nfds, LINK_FDS_MAX);
	fd = link_take_fd(&in);
	CU_ASSERT_TRUE(fd >= 0 && fd != file && same_file(fd, file));
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	int other = in.fds[1];
	link_clear(&in);
	CU_ASSERT_EQUAL(fcntl(other, F_GETFD), -1);
	CU_ASSERT_TRUE(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	link_put_fd(&out, null);
	CU_ASSERT_TRUE(out.bad);
	close(file);
	close(null);
	close_link();
}

/* The last words of a side that died without reading are heard, then its end. */
static void last_words(void)
{
	open_link();
	CU_ASSERT_EQUAL(link_tell(ends[1], LINK_GO, false), 0);
	CU_ASSERT_EQUAL(link_tell(ends[0], LINK_READY, false), 0);
	close(ends[0]);
	CU_ASSERT_EQUAL_FATAL(link_receive(ends[1], &in, false), 1);
	CU_ASSERT_EQUAL(in.type, LINK_READY);
	CU_ASSERT_EQUAL(link_receive(ends[1], &in, false), 0);
	CU_ASSERT_EQUAL(link_tell(ends[1], LINK_GO, false), -1);
	CU_ASSERT_EQUAL(errno, EPIPE);
	close(ends[1]);
}

int main(void)
{
	CU_TestInfo tests[] = {{"fields", fields},
			       {"missing fields", missing_fields},
			       {"cut fields", cut_fields},
			       {"largest", largest},
			       {"full", full},
			       {"garbage", garbage},
			       {"descriptors", descriptors},
			       {"last words", last_words},
			       CU_TEST_INFO_NULL};
	CU_SuiteInfo suites[] = {{"link", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

	if (CU_initialize_registry() || CU_register_suites(suites))
		return 2;
	CU_basic_run_tests();
	unsigned failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}
