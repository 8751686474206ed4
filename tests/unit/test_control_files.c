/*
 * test_control_files.c - files below a directory argument: what the server accepts from a client
 * that may send anything, and what a client opens for a server that may ask for anything.
 */
#include "config.h"

#include "control_call.h"
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/posternctl_beneath.h"
#include "suite.h"

static char scratch[64];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(text, f);
	fclose(f);
}

static void scratch_begin(void)
{
	strcpy(scratch, "/tmp/postern-files-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(scratch));
	CU_ASSERT_EQUAL_FATAL(chdir(scratch), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir("d", 0755) | mkdir("d/a", 0755) | mkdir("d/a/b", 0755), 0);
	write_file("secret", "outside");
	write_file("d/a/b/file", "inside");
	CU_ASSERT_EQUAL_FATAL(symlink("..", "d/up") | symlink("../secret", "d/link") |
				  symlink("a/b/file", "d/near") | symlink("/", "d/root") |
				  symlink("new", "d/dangling") | mkfifo("d/fifo", 0600),
			      0);
}

static void scratch_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -r %s", scratch);
	CU_ASSERT_EQUAL(chdir("/"), 0);
	CU_ASSERT_EQUAL(system(command), 0);
}

static unsigned open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* ---- the client: strictly beneath --------------------------------------------------------------- */

static const struct {
	const char *path;
	int flags, error, walk_error;
} openings[] = {
    {"", O_RDONLY, 0, 0},
    {"a/b/file", O_RDONLY, 0, 0},
    {"a/b/file", O_RDWR, 0, 0},
    {"a", O_RDONLY, 0, 0},
    {"a", O_RDWR, EISDIR, EISDIR},
    {"a/b/fresh", O_RDWR | O_CREAT | O_EXCL, 0, 0},
    {"a/b/fresh", O_RDWR | O_CREAT | O_EXCL, EEXIST, EEXIST},
    {"none", O_RDONLY, ENOENT, ENOENT},
    {"none/file", O_RDONLY, ENOENT, ENOENT},
    {"a/b/file/x", O_RDONLY, ENOTDIR, ENOTDIR},
    {"..", O_RDONLY, EXDEV, EXDEV},
    {"../secret", O_RDONLY, EXDEV, EXDEV},
    {"a/../../secret", O_RDONLY, EXDEV, EXDEV},
    {"a/../a/b/file", O_RDONLY, EXDEV, EXDEV},
    {"/etc/passwd", O_RDONLY, EXDEV, EXDEV},
    {"./a", O_RDONLY, EXDEV, EXDEV},
    {"a/", O_RDONLY, EXDEV, EXDEV},
    {"a//b", O_RDONLY, EXDEV, EXDEV},
    {"up/secret", O_RDONLY, ELOOP, ENOTDIR},
    {"root/etc/passwd", O_RDONLY, ELOOP, ENOTDIR},
    {"link", O_RDONLY, ELOOP, ELOOP},
    {"link", O_RDWR, ELOOP, ELOOP},
    {"near", O_RDONLY, ELOOP, ELOOP},
    {"dangling", O_RDWR | O_CREAT | O_EXCL, EEXIST, EEXIST},
    {"fifo", O_RDONLY, ENOTSUP, ENOTSUP},
    {"fifo", O_RDWR, ENOTSUP, ENOTSUP},
    {"fifo/x", O_RDONLY, ENOTDIR, ENOTDIR},
};

static void open_all(int open_it(int, const char *, int), bool walk)
{
	int dir = open("d", O_PATH | O_DIRECTORY);

	for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
		int expected = walk ? openings[i].walk_error : openings[i].error;
		int fd = open_it(dir, openings[i].path, openings[i].flags);
		int error = fd < 0 ? errno : 0;

		CU_ASSERT_EQUAL(error, expected);
		if (error != expected)
			printf("%s: %s\n", openings[i].path, strerrorname_np(error));
		if (fd >= 0) {
			CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
			CU_ASSERT_FALSE(fcntl(fd, F_GETFL) & O_NONBLOCK);
			close(fd);
		}
	}
	close(dir);
}

static void check_mounts(int open_it(int, const char *, int))
{
	int root = open("/", O_PATH | O_DIRECTORY), fd = open_it(root, "proc/version", O_RDONLY);

	CU_ASSERT_EQUAL(fd, -1);
	CU_ASSERT_EQUAL(errno, EXDEV);
	close(root);
}

static void names_that_are_long(int open_it(int, const char *, int))
{
	char name[5000];
	int dir = open("d", O_PATH | O_DIRECTORY);

	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CU_ASSERT_EQUAL(open_it(dir, name, O_RDONLY), -1);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	strcpy(name + 300, "/x");
	CU_ASSERT_EQUAL(open_it(dir, name, O_RDONLY), -1);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	close(dir);
}

static void opens_beneath(void)
{
	unsigned before = open_files();
	struct stat st;
	mode_t mask = umask(0);

	scratch_begin();
	open_all(beneath_open, false);
	CU_ASSERT_EQUAL(stat("d/a/b/fresh", &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	check_mounts(beneath_open);
	names_that_are_long(beneath_open);
	scratch_end();
	umask(mask);
	CU_ASSERT_EQUAL(open_files(), before);
}

static void walks_beneath(void)
{
	unsigned before = open_files();
	struct stat st;
	mode_t mask = umask(0);

	scratch_begin();
	open_all(beneath_walk, true);
	CU_ASSERT_EQUAL(stat("d/a/b/fresh", &st), 0);
	CU_ASSERT_EQUAL(st.st_mode, S_IFREG | 0600);
	check_mounts(beneath_walk);
	names_that_are_long(beneath_walk);
	scratch_end();
	umask(mask);
	CU_ASSERT_EQUAL(open_files(), before);
}

#define FAILS_WITH(call, error)                \
	do {                                   \
		CU_ASSERT_EQUAL(call, -1);     \
		CU_ASSERT_EQUAL(errno, error); \
	} while (0)

static void changes_beneath(void)
{
	unsigned before = open_files();
	struct stat st;
	int dir;

	scratch_begin();
	dir = open("d", O_PATH | O_DIRECTORY);
	CU_ASSERT_EQUAL(beneath_mkdir(dir, "made"), 0);
	CU_ASSERT_EQUAL(beneath_mkdir(dir, "made"), 0);
	CU_ASSERT_EQUAL(beneath_mkdir(dir, ""), 0);
	CU_ASSERT_EQUAL(stat("d/made", &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0700);
	FAILS_WITH(beneath_mkdir(dir, "../made"), EXDEV);
	FAILS_WITH(beneath_mkdir(dir, "up/made"), ELOOP);
	CU_ASSERT_EQUAL(beneath_rename(dir, "a/b/file", "made/file"), 0);
	CU_ASSERT_EQUAL(access("d/made/file", F_OK), 0);
	FAILS_WITH(beneath_rename(dir, "made/file", "../file"), EXDEV);
	FAILS_WITH(beneath_rename(dir, "made/file", "up/file"), ELOOP);
	FAILS_WITH(beneath_rename(dir, "up/secret", "file"), ELOOP);
	FAILS_WITH(beneath_rename(dir, "made/file", ""), EBUSY);
	FAILS_WITH(beneath_remove(dir, ""), EBUSY);
	FAILS_WITH(beneath_remove(dir, ".."), EXDEV);
	FAILS_WITH(beneath_remove(dir, "up/secret"), ELOOP);
	FAILS_WITH(beneath_remove(dir, "made"), ENOTEMPTY);
	CU_ASSERT_EQUAL(beneath_remove(dir, "link"), 0);
	CU_ASSERT_EQUAL(access("secret", F_OK), 0);
	CU_ASSERT_EQUAL(beneath_remove(dir, "made/file"), 0);
	CU_ASSERT_EQUAL(beneath_remove(dir, "made"), 0);
	close(dir);
	scratch_end();
	CU_ASSERT_EQUAL(open_files(), before);
}

/* ---- the server: a client that sends anything ---------------------------------------------------- */

static struct pstn_call *new_call(int *peer)
{
	static const char request[] =
	    "{\"version\":1,\"command\":\"x\",\"args\":{\"target\":\"/some/where\"}}";
	struct pstn_call *c = calloc(1, sizeof(*c));
	char err[128];
	int ends[2];

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL_FATAL(
	    control_request_parse(&c->request, request, strlen(request), err, sizeof(err)), 0);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	c->client = ends[0];
	*peer = ends[1];
	return c;
}

/* Answers before it was asked: the server reads it when it has asked. */
static void answer(int peer, const char *line, const int *fds, unsigned nfds)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * 8)];
	} control = {.space = {0}};
	struct iovec piece = {.iov_base = (void *)(size_t)line, .iov_len = strlen(line)};
	struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};

	if (nfds > 0) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(&control.header), fds, sizeof(int) * nfds);
	}
	CU_ASSERT_EQUAL(sendmsg(peer, &message, 0), (ssize_t)strlen(line));
}

static void expect_question(int peer, const char *expected)
{
	char text[512];
	ssize_t n = recv(peer, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n > 0 ? n : 0] = '\0';
	CU_ASSERT_STRING_EQUAL(text, expected);
}

#define OK "{\"file\":{\"id\":1,\"ok\":true}}\n"

static void questions(void)
{
	int peer, fd;
	struct pstn_call *c = new_call(&peer);

	scratch_begin();
	fd = open("secret", O_RDONLY);
	answer(peer, OK, &fd, 1);
	close(fd);
	fd = call_ops.file(c, "target", "a b/100%\xff\n", PSTN_FILE_READ);
	CU_ASSERT(fd >= 0);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	expect_question(peer, "{\"file\":{\"id\":1,\"argument\":\"target\",\"how\":\"read\","
			      "\"path\":\"a%20b/100%25%FF%0A\"}}\n");
	answer(peer, "{\"file\":{\"id\":2,\"ok\":true}}\n", NULL, 0);
	CU_ASSERT_EQUAL(call_ops.rename(c, "target", "a", "b"), 0);
	expect_question(peer, "{\"file\":{\"id\":2,\"argument\":\"target\",\"how\":\"rename\","
			      "\"path\":\"a\",\"to\":\"b\"}}\n");
	answer(peer, "{\"file\":{\"id\":3,\"errno\":2}}\n", NULL, 0);
	FAILS_WITH(call_ops.remove(c, "target", "x"), ENOENT);
	expect_question(peer, "{\"file\":{\"id\":3,\"argument\":\"target\",\"how\":\"remove\","
			      "\"path\":\"x\"}}\n");
	FAILS_WITH(call_ops.file(c, "other", "x", PSTN_FILE_READ), ENOENT);
	FAILS_WITH(call_ops.file(c, "target", "x", 0), EINVAL);
	FAILS_WITH(call_ops.file(c, "target", "x", 5), EINVAL);
	call_ops.note(c, "%d %s", 7, "times");
	expect_question(peer, "{\"note\":\"7 times\"}\n");
	close(peer);
	call_clear(c);
	scratch_end();
}

static void files_of_the_wrong_kind(void)
{
	static const struct {
		const char *path; /* that is sent; NULL: none is */
		int flags, mode, error;
	} cases[] = {
	    {"d/a/b/file", O_RDONLY, PSTN_FILE_READ, 0},
	    {"d", O_RDONLY, PSTN_FILE_READ, 0},
	    {"d", O_RDONLY, PSTN_FILE_DIRECTORY, 0},
	    {"d/a/b/file", O_RDWR, PSTN_FILE_CREATE, 0},
	    {"d/a/b/file", O_RDWR, PSTN_FILE_WRITE, 0},
	    {"d/a/b/file", O_RDONLY, PSTN_FILE_WRITE, EPROTO},
	    {"d/a/b/file", O_WRONLY, PSTN_FILE_WRITE, EPROTO},
	    {"d/a/b/file", O_WRONLY, PSTN_FILE_READ, EPROTO},
	    {"d/a/b/file", O_RDWR, PSTN_FILE_READ, EPROTO},
	    {"d/a/b/file", O_PATH, PSTN_FILE_READ, EPROTO},
	    {"d/a/b/file", O_RDONLY, PSTN_FILE_DIRECTORY, EPROTO},
	    {"d/fifo", O_RDONLY | O_NONBLOCK, PSTN_FILE_READ, EPROTO},
	    {"d/fifo", O_RDWR, PSTN_FILE_CREATE, EPROTO},
	    {"/dev/null", O_RDWR, PSTN_FILE_CREATE, EPROTO},
	    {NULL, 0, PSTN_FILE_READ, EPROTO},
	};
	unsigned before = open_files();

	scratch_begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int peer, fd = cases[i].path ? open(cases[i].path, cases[i].flags) : -1, got;
		struct pstn_call *c = new_call(&peer);

		answer(peer, OK, &fd, fd >= 0 ? 1 : 0);
		got = call_ops.file(c, "target", "x", cases[i].mode);
		CU_ASSERT_EQUAL(got < 0 ? errno : 0, cases[i].error);
		if (got >= 0)
			close(got);
		if (fd >= 0)
			close(fd);
		call_clear(c);
		close(peer);
	}
	scratch_end();
	CU_ASSERT_EQUAL(open_files(), before);
}

/* After one of these no more is asked: the answers might be those to earlier questions. */
static void bad_answers(void)
{
	static char overlong[400];
	static const char *const cases[] = {
	    "\n",
	    "nonsense\n",
	    "{}\n",
	    "[]\n",
	    "{\"file\":[]}\n",
	    "{\"file\":{\"id\":1}}\n",
	    "{\"file\":{\"id\":2,\"ok\":true}}\n",
	    "{\"file\":{\"id\":\"1\",\"ok\":true}}\n",
	    "{\"file\":{\"id\":1,\"ok\":1}}\n",
	    "{\"file\":{\"id\":1,\"errno\":0}}\n",
	    "{\"file\":{\"id\":1,\"errno\":-2}}\n",
	    "{\"file\":{\"id\":1,\"errno\":123456789012}}\n",
	    OK "{\"file\":{\"id\":2,\"ok\":true}}\n",
	    overlong,
	};
	unsigned before = open_files();

	memset(overlong, ' ', sizeof(overlong) - 1);
	scratch_begin();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int peer, fds[3], again;
		struct pstn_call *c = new_call(&peer);

		for (int j = 0; j < 3; j++)
			fds[j] = open("secret", O_RDONLY);
		answer(peer, cases[i], fds, 3);
		FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), EPROTO);
		answer(peer, "{\"file\":{\"id\":2,\"ok\":true}}\n", fds, 1);
		again = call_ops.file(c, "target", "x", PSTN_FILE_READ);
		CU_ASSERT_EQUAL(again, -1);
		for (int j = 0; j < 3; j++)
			close(fds[j]);
		CU_ASSERT_FALSE(call_ops.cancelled(c));
		call_clear(c);
		close(peer);
	}
	scratch_end();
	CU_ASSERT_EQUAL(open_files(), before);
}

/* Pieces of an answer; more descriptors than were asked for; none where none may be. */
static void odd_answers(void)
{
	int peer, fds[5];
	struct pstn_call *c = new_call(&peer);
	unsigned before;

	scratch_begin();
	for (int i = 0; i < 5; i++)
		fds[i] = open("secret", O_RDONLY);
	before = open_files();
	answer(peer, "{\"file\":", fds, 1);
	answer(peer, "{\"id\":1,\"ok\":true}}\n", fds, 4);
	int fd = call_ops.file(c, "target", "x", PSTN_FILE_READ);
	CU_ASSERT(fd >= 0);
	CU_ASSERT_EQUAL(open_files(), before + 1);
	close(fd);
	answer(peer, "{\"file\":{\"id\":2,\"ok\":true}}\n", fds, 1);
	FAILS_WITH(call_ops.remove(c, "target", "x"), EPROTO);
	answer(peer, "{\"file\":{\"id\":3,\"errno\":13}}\n", fds, 1);
	FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), EACCES);
	CU_ASSERT_EQUAL(open_files(), before);
	for (int i = 0; i < 5; i++)
		close(fds[i]);
	call_clear(c);
	close(peer);
	scratch_end();
}

static void client_vanishes(void)
{
	int peer;
	struct pstn_call *c = new_call(&peer);

	answer(peer, "{\"file\":", NULL, 0);
	shutdown(peer, SHUT_WR); /* our question still goes out */
	FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), ECONNRESET);
	CU_ASSERT_TRUE(call_ops.cancelled(c));
	close(peer);
	FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), ECONNRESET);
	call_clear(c);
	c = new_call(&peer);
	close(peer);
	FAILS_WITH(call_ops.remove(c, "target", "x"), ECONNRESET);
	call_clear(c);
}

/* A client that is there but says nothing must not keep a worker that has to end. */
static void worker_ends(void)
{
	int peer;
	struct pstn_call *c = new_call(&peer);

	calls_cancel();
	answer(peer, "{\"file\":{\"id\":1,\"errno\":2}}\n", NULL, 0);
	FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), ENOENT);
	FAILS_WITH(call_ops.file(c, "target", "x", PSTN_FILE_READ), ECANCELED);
	call_clear(c);
	close(peer);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"opens strictly beneath", opens_beneath},
	    {"walks strictly beneath", walks_beneath},
	    {"changes strictly beneath", changes_beneath},
	    {"questions", questions},
	    {"files of the wrong kind", files_of_the_wrong_kind},
	    {"bad answers", bad_answers},
	    {"odd answers", odd_answers},
	    {"client vanishes", client_vanishes},
	    {"worker ends", worker_ends}, /* for good: the last */
	    {NULL, NULL},
	};

	return suite_run("control files", cases, argc > 1 ? argv[1] : NULL);
}
