/*
 * test_stream.c - output: contents in wire form at every boundary, order, release, slow readers.
 */
#include "runtime_rig.h"
#include "stream_content.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "suite.h"

/* ---- texts with dots ------------------------------------------------------------------------- */

enum { TEXTS = 64, DOTS_MAX = 100000 };

struct text {
	char *bytes;
	size_t n;
	uint64_t *dots;
	uint32_t ndots;
	int fd;          /* the same text, at offset */
	uint64_t offset; /* in the file */
	atomic_int lent; /* contents made of it and not released */
};

static void lend_back(void *ref)
{
	struct text *t = ref;

	atomic_fetch_sub(&t->lent, 1);
}

/* One dot in about `rare` octets, anywhere: the stream does not ask whether a line begins there. */
static void text_make(struct text *t, size_t n, unsigned rare, unsigned *seed)
{
	char name[] = "/tmp/postern-text-XXXXXX";

	*t = (struct text){.bytes = malloc(n + 1), .n = n, .offset = (unsigned)rand_r(seed) % 5000};
	t->dots = malloc(DOTS_MAX * sizeof(*t->dots));
	t->fd = mkstemp(name);
	if (!t->bytes || !t->dots || t->fd < 0)
		abort();
	unlink(name);
	for (size_t i = 0; i < n; i++) {
		t->bytes[i] = (char)('a' + rand_r(seed) % 26);
		if (rare && t->ndots < DOTS_MAX && (unsigned)rand_r(seed) % rare == 0) {
			t->bytes[i] = '.';
			t->dots[t->ndots++] = i;
		}
	}
	if (pwrite(t->fd, t->bytes, n, (off_t)t->offset) != (ssize_t)n)
		abort();
}

static void text_free(struct text *t)
{
	free(t->bytes);
	free(t->dots);
	close(t->fd);
}

static struct pstn_content text_content(struct text *t, bool in_file)
{
	atomic_fetch_add(&t->lent, 1);
	return (struct pstn_content){.size = sizeof(struct pstn_content),
				     .fd = in_file ? t->fd : -1,
				     .bytes = in_file ? NULL : t->bytes,
				     .offset = in_file ? t->offset : 0,
				     .length = t->n,
				     .dots = t->dots,
				     .ndots = t->ndots,
				     .release = lend_back,
				     .ref = t};
}

/* The wire form by definition; returns its length. */
static size_t text_stuff(const struct text *t, size_t length, char *to)
{
	uint32_t dot = 0;
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		if (dot < t->ndots && t->dots[dot] == i) {
			to[n++] = '.';
			dot++;
		}
		to[n++] = t->bytes[i];
	}
	return n;
}

/* ---- layouts, without sockets ---------------------------------------------------------------- */

static char stage[STAGE_SIZE];

/* Lays out, "sends" some of it, and so on; the result has to be the wire form. */
static void check_layouts(struct text *t, bool in_file, size_t length, unsigned *seed)
{
	struct pstn_content c = text_content(t, in_file);
	struct outgoing o = {.segment.is_content = true, .content = c, .end = length};
	char *expected = malloc(2 * t->n + 1), *got = malloc(2 * t->n + 1);
	size_t nexpected = text_stuff(t, length, expected), n = 0;

	o.no_sendfile = true;
	CU_ASSERT_EQUAL(content_wire_length(&c, length), nexpected);
	while (o.at.pos < o.end) {
		struct layout l = {.stage = stage};
		enum laid laid = content_lay(&o, &l);
		size_t part = 1 + (unsigned)rand_r(seed) % (l.octets ? l.octets : 1), left;

		if (!l.octets || (laid != LAID_ALL && laid != LAID_FULL)) {
			CU_FAIL("nothing laid out");
			break;
		}
		CU_ASSERT(laid != LAID_ALL || n + l.octets == nexpected);
		if ((unsigned)rand_r(seed) % 2)
			part = l.octets;
		left = part;
		for (unsigned i = 0; i < l.n && left; i++) {
			size_t k = l.iov[i].iov_len < left ? l.iov[i].iov_len : left;

			memcpy(got + n, l.iov[i].iov_base, k);
			n += k;
			left -= k;
		}
		CU_ASSERT_EQUAL(content_sent(&o, part), part);
	}
	CU_ASSERT_EQUAL(n, nexpected);
	CU_ASSERT(n == nexpected && memcmp(got, expected, n) == 0);
	lend_back(t);
	free(expected);
	free(got);
}

static void test_layouts(void)
{
	static const size_t sizes[] = {1, 2, 255, 256, 257, 511, 4096, 65535, 65536, 65537, 150000};
	static const unsigned rare[] = {0, 1, 2, 3, 70, 300, 5000};
	unsigned seed = 99;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t j = 0; j < sizeof(rare) / sizeof(rare[0]); j++) {
			struct text t;

			text_make(&t, sizes[i], rare[j], &seed);
			for (unsigned k = 0; k < 4; k++) {
				check_layouts(&t, false, t.n, &seed);
				check_layouts(&t, true, t.n, &seed);
				check_layouts(&t, k % 2, 1 + (unsigned)rand_r(&seed) % t.n, &seed);
			}
			CU_ASSERT_EQUAL(t.lent, 0);
			text_free(&t);
		}
	}
}

/* Dots in every place of a short text, every length of it, every size of a partial write. */
static void test_every_boundary(void)
{
	char bytes[] = "abcdef", expected[16];
	uint64_t dots[6];

	for (unsigned mask = 0; mask < 64; mask++) {
		struct text t = {.bytes = bytes, .n = 6, .dots = dots};

		for (uint32_t i = 0; i < 6; i++)
			if (mask >> i & 1)
				dots[t.ndots++] = i;
		for (size_t length = 1; length <= 6; length++) {
			size_t n = text_stuff(&t, length, expected);

			for (size_t part = 1; part <= n; part++) {
				struct pstn_content c = text_content(&t, false);
				struct outgoing o = {.content = c, .end = length};
				size_t done = 0;

				while (done < n) {
					struct layout l = {.stage = stage};
					size_t k = part < n - done ? part : n - done;

					CU_ASSERT_EQUAL(content_lay(&o, &l), LAID_ALL);
					CU_ASSERT_EQUAL_FATAL(l.octets, n - done);
					CU_ASSERT_EQUAL(l.n, 1);
					CU_ASSERT(memcmp(l.iov[0].iov_base, expected + done, k) ==
						  0);
					CU_ASSERT_EQUAL(content_sent(&o, k), k);
					done += k;
				}
				CU_ASSERT_EQUAL(o.at.pos, length);
			}
		}
	}
}

/* ---- through a session ----------------------------------------------------------------------- */

static struct text texts[TEXTS];
static char *wire;
static size_t nwire;

static void texts_make(unsigned seed)
{
	static const size_t sizes[] = {1, 100, 600, 3000, 40000, 70000, 300000};
	static const unsigned rare[] = {0, 0, 1, 50, 1000, 30000};

	for (unsigned i = 0; i < TEXTS; i++)
		text_make(&texts[i],
			  sizes[(unsigned)rand_r(&seed) % 7] + (unsigned)rand_r(&seed) % 90,
			  rare[(unsigned)rand_r(&seed) % 6], &seed);
}

static void texts_free(void)
{
	for (unsigned i = 0; i < TEXTS; i++) {
		CU_ASSERT_EQUAL(texts[i].lent, 0);
		text_free(&texts[i]);
	}
}

/* Line "N": text N/2 from memory or file, between a status line and the final dot. */
static void send_text(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	unsigned i = (unsigned)atoi(line);
	struct text *t = &texts[i / 2 % TEXTS];
	struct pstn_content c = text_content(t, i % 2);

	(void)rig;
	(void)state;
	(void)n;
	if (line[0] == 'q') {
		lend_back(t);
		session_finish(s, "quit");
		return;
	}
	session_printf(s, "+OK %zu octets\r\n", t->n);
	session_send(s, &c, t->n - i % 3 % t->n);
	session_write(s, ".\r\n", 3);
}

static void expect_text(unsigned i)
{
	struct text *t = &texts[i / 2 % TEXTS];

	nwire += (size_t)sprintf(wire + nwire, "+OK %zu octets\r\n", t->n);
	nwire += text_stuff(t, t->n - i % 3 % t->n, wire + nwire);
	nwire += (size_t)sprintf(wire + nwire, ".\r\n");
}

static void check_stream(bool unix_socket, int receive_buffer, uint64_t output_limit)
{
	struct rig rig = {
	    .line = send_text, .unix_socket = unix_socket, .limits.output_limit = output_limit};
	char ask[32], *got;
	size_t n;
	int fd;

	nwire = 0;
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect_small(&rig, receive_buffer);
	for (unsigned i = 0; i < 2 * TEXTS; i++) {
		snprintf(ask, sizeof(ask), "%u\r\n", i);
		CU_ASSERT(client_says(fd, ask));
		expect_text(i);
	}
	CU_ASSERT(client_says(fd, "q\r\n"));
	got = client_read_all(fd, &n);
	CU_ASSERT_EQUAL(n, nwire);
	CU_ASSERT(n == nwire && memcmp(got, wire, n) == 0);
	free(got);
	close(fd);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_STRING_EQUAL(rig.why, "quit");
	CU_ASSERT_EQUAL(rig_buffers(&rig), 0);
	rig_stop(&rig);
}

static void test_streams(void)
{
	wire = malloc(64 * 1024 * 1024);
	CU_ASSERT_PTR_NOT_NULL_FATAL(wire);
	for (unsigned seed = 1; seed <= 2; seed++) {
		texts_make(seed);
		check_stream(false, 0, 1024 * 1024);
		check_stream(false, 2048, 1000);
		check_stream(true, 0, 64 * 1024);
		texts_free();
	}
	free(wire);
}

/* ---- cold data ------------------------------------------------------------------------------- */

static struct text cold;

static void send_cold(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct pstn_content c = text_content(&cold, true);

	(void)rig;
	(void)state;
	(void)line;
	(void)n;
	fdatasync(cold.fd);
	posix_fadvise(cold.fd, 0, 0, POSIX_FADV_DONTNEED);
	session_send(s, &c, cold.n);
	session_finish(s, "quit");
}

static void check_cold(size_t size, unsigned rare, bool refuse_jobs)
{
	struct rig rig = {.line = send_cold};
	unsigned seed = 5;
	char *got, *expected = malloc(2 * size);
	size_t n, nexpected;
	int fd;

	text_make(&cold, size, rare, &seed);
	nexpected = text_stuff(&cold, size, expected);
	atomic_store(&standin_jobs, 0);
	atomic_store(&standin_refuse_jobs, refuse_jobs);
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect(&rig);
	CU_ASSERT(client_says(fd, "go\r\n"));
	rig_settle(&rig);
	CU_ASSERT(!refuse_jobs || standin_jobs == 0);
	if (refuse_jobs) { /* for a while */
		rig_pass(&rig, 20);
		atomic_store(&standin_refuse_jobs, false);
		rig_pass(&rig, 20);
	}
	got = client_read_all(fd, &n);
	CU_ASSERT_EQUAL(n, nexpected);
	CU_ASSERT(n == nexpected && memcmp(got, expected, n) == 0);
	free(got);
	free(expected);
	close(fd);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_EQUAL(cold.lent, 0);
	rig_stop(&rig);
	text_free(&cold);
}

static void test_cold(void)
{
	check_cold(3000, 100, false);
	check_cold(3000000, 0, false);
	check_cold(3000000, 200, false);
	check_cold(1000000, 50000, true);
}

/* The client is gone while a job reads ahead: the content is released all the same, once. */
static void test_cold_and_gone(void)
{
	for (unsigned i = 0; i < 20; i++) {
		struct rig rig = {.line = send_cold};
		unsigned seed = 5;
		int fd;

		text_make(&cold, 2000000, 0, &seed);
		CU_ASSERT_FATAL(rig_start(&rig) == 0);
		fd = client_connect_small(&rig, 4096);
		CU_ASSERT(client_says(fd, "go\r\n"));
		CU_ASSERT(rig_wait_sessions(&rig, 1));
		if (i % 2)
			rig_settle(&rig);
		reactors_end_sessions(rig.all, true);
		close(fd);
		CU_ASSERT(rig_wait_sessions(&rig, 0));
		rig_stop(&rig);
		CU_ASSERT_EQUAL(cold.lent, 0);
		text_free(&cold);
	}
}

/* ---- trouble --------------------------------------------------------------------------------- */

static void send_short(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	struct pstn_content c = text_content(&cold, true);

	(void)rig;
	(void)state;
	(void)line;
	(void)n;
	c.length = cold.n + 100000;
	session_write(s, "+OK\r\n", 5);
	session_send(s, &c, c.length);
	session_write(s, ".\r\n", 3);
}

/* A file shorter than its content says: the client must not take what came for all. */
static void test_file_too_short(void)
{
	static const size_t sizes[] = {10, 3000, 200000};

	for (unsigned i = 0; i < 3; i++) {
		struct rig rig = {.line = send_short};
		unsigned seed = 3;
		char *got;
		size_t n;
		int fd;

		text_make(&cold, sizes[i], 0, &seed);
		CU_ASSERT_FATAL(rig_start(&rig) == 0);
		fd = client_connect(&rig);
		CU_ASSERT(client_says(fd, "go\r\n"));
		got = client_read_all(fd, &n);
		CU_ASSERT(n < 3 || memcmp(got + n - 3, ".\r\n", 3) != 0);
		free(got);
		close(fd);
		CU_ASSERT(rig_wait_sessions(&rig, 0));
		CU_ASSERT_STRING_EQUAL(rig.why, "content unreadable");
		CU_ASSERT_EQUAL(cold.lent, 0);
		rig_stop(&rig);
		text_free(&cold);
	}
}

/* ---- slow readers ---------------------------------------------------------------------------- */

static atomic_ulong lines_seen, most_queued;

static void send_big(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	(void)rig;
	(void)state;
	(void)line;
	(void)n;
	for (unsigned i = 0; i < 100; i++)
		session_printf(s, "%099u\n", i);
	atomic_fetch_add(&lines_seen, 1);
	if (session_queued(s) > atomic_load(&most_queued))
		atomic_store(&most_queued, session_queued(s));
}

/* A client asks for 100 MB and does not read: the server stops to listen, and loses nothing. */
static void test_slow_reader(void)
{
	struct rig rig = {.line = send_big, .limits.output_limit = 64 * 1024};
	static char ask[30000];
	char *got;
	size_t n, want = (sizeof(ask) / 3) * 100 * 100;
	int fd;

	lines_seen = most_queued = 0;
	for (size_t i = 0; i < sizeof(ask); i += 3)
		memcpy(ask + i, "x\r\n", 3);
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect_small(&rig, 4096);
	CU_ASSERT(client_send(fd, ask, sizeof(ask)));
	shutdown(fd, SHUT_WR);
	for (unsigned i = 0; i < 50; i++)
		rig_settle(&rig);
	CU_ASSERT(lines_seen < sizeof(ask) / 3);
	CU_ASSERT(most_queued <= 64 * 1024 + 10000);
	CU_ASSERT(rig_buffers(&rig) <= 40);
	got = client_read_all(fd, &n);
	CU_ASSERT_EQUAL(n, want);
	CU_ASSERT_EQUAL(lines_seen, sizeof(ask) / 3);
	CU_ASSERT(most_queued <= 64 * 1024 + 10000);
	free(got);
	close(fd);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_STRING_EQUAL(rig.why, "client closed");
	rig_stop(&rig);
}

/* A service that writes piece by piece, when told that there is room. */
static void more_pieces(struct rig *rig, struct pstn_session *s, void *state)
{
	unsigned *next = state;

	(void)rig;
	while (*next < 200000 && session_queued(s) < 30000)
		session_printf(s, "%06u\r\n", (*next)++);
	if (*next < 200000)
		session_want_drained(s);
	else
		session_finish(s, "listed");
}

static void first_pieces(struct rig *rig, struct pstn_session *s, void *state, char *line, size_t n)
{
	(void)line;
	(void)n;
	session_hold(s);
	more_pieces(rig, s, state);
}

static void first_pieces_unheld(struct rig *rig, struct pstn_session *s, void *state, char *line,
				size_t n)
{
	(void)line;
	(void)n;
	more_pieces(rig, s, state);
}

/* Held or not, client half-closed or not: it gets all of it. */
static void check_drained(bool held, bool half_close)
{
	struct rig rig = {.line = held ? first_pieces : first_pieces_unheld,
			  .drained = more_pieces,
			  .session_size = sizeof(unsigned)};
	char *got, line[16];
	size_t n;
	int fd;

	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect_small(&rig, 4096);
	CU_ASSERT(client_says(fd, "LIST\r\n"));
	if (half_close)
		shutdown(fd, SHUT_WR);
	got = client_read_all(fd, &n);
	CU_ASSERT_EQUAL_FATAL(n, 8 * 200000);
	for (unsigned i = 0; i < 200000; i += 7919) {
		snprintf(line, sizeof(line), "%06u\r\n", i);
		CU_ASSERT(memcmp(got + 8 * (size_t)i, line, 8) == 0);
	}
	free(got);
	close(fd);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	CU_ASSERT_STRING_EQUAL(rig.why, "listed");
	rig_stop(&rig);
}

static void test_drained(void)
{
	for (unsigned i = 0; i < 4; i++)
		check_drained(i & 1, i & 2);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void small_message(struct rig *rig, struct pstn_session *s, void *state, char *line,
			  size_t n)
{
	struct pstn_content c = text_content(&cold, line[0] == 'f');

	(void)rig;
	(void)state;
	(void)n;
	session_write(s, "+OK\r\n", 5);
	session_send(s, &c, cold.n);
	session_write(s, ".\r\n", 3);
}

/* Status line, text and final dot arrive at once: one recv() on a UNIX socket takes one write. */
static void test_small_reply_is_one_write(void)
{
	struct rig rig = {.line = small_message, .unix_socket = true};
	char got[65536], *expected = malloc(65536);
	unsigned seed = 8;
	size_t n;
	int fd;

	text_make(&cold, 20000, 100, &seed);
	n = text_stuff(&cold, cold.n, expected);
	CU_ASSERT_FATAL(rig_start(&rig) == 0);
	fd = client_connect(&rig);
	for (unsigned i = 0; i < 4; i++) {
		ssize_t all;

		CU_ASSERT(client_says(fd, i % 2 ? "f\r\n" : "m\r\n"));
		all = recv(fd, got, sizeof(got), 0);
		CU_ASSERT_EQUAL((size_t)all, n + 8);
		CU_ASSERT(memcmp(got + 5, expected, n) == 0);
	}
	close(fd);
	free(expected);
	CU_ASSERT(rig_wait_sessions(&rig, 0));
	rig_stop(&rig);
	text_free(&cold);
}

int main(int argc, char **argv)
{
	static const struct suite_case cases[] = {
	    {"layouts", test_layouts},
	    {"every boundary", test_every_boundary},
	    {"streams", test_streams},
	    {"cold data", test_cold},
	    {"cold data and gone", test_cold_and_gone},
	    {"file too short", test_file_too_short},
	    {"slow reader", test_slow_reader},
	    {"drained", test_drained},
	    {"small reply is one write", test_small_reply_is_one_write},
	    {NULL, NULL}};

	return suite_run("stream", cases, argc > 1 ? argv[1] : NULL);
}
