/*
 * fuzz_pop3.c - whole POP3 conversations against the fakes. The first octets choose how the store
 * behaves and where the connection breaks; the rest is what the client sends.
 *
 * Beside crashes and leaks: every reply begins with +OK or -ERR or belongs to a listing, no password
 * is in the log, and nothing is removed unless the client was told so.
 */
#include "pop3_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n);

enum {
	LATER = 1,
	FILES = 2,
	BLOCKED = 4,
	LOGGED_IN = 8,
	ZOMBIES = 16,
	NO_MEMORY = 32,
	BREAKS = 64
};

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_pop3: %s\n", what);
	abort();
}

static void prepare(struct pop3_world *w, uint8_t way, uint8_t fails)
{
	world_begin(w);
	w->fake.files = way & FILES;
	if (way & ZOMBIES)
		w->fake.messages[1].zombie = true;
	if (fails < FAKE_CALLS)
		w->fake.fail[fails] = PSTN_E_TEMPORARY;
	must(world_start(w), "start is refused");
}

static void check_output(struct pstn_session *s)
{
	const char *output = fake_output(s);
	size_t n = fake_output_length(s);

	must(n < 2 || fake_dropped(s) || memcmp(output + n - 2, "\r\n", 2) == 0,
	     "the output ends within a line");
	must(n == 0 || strncmp(output, "+OK", 3) == 0 || strncmp(output, "-ERR", 4) == 0,
	     "the output does not begin with a status");
}

static void check_log(void)
{
	for (unsigned i = 0; i < fake_log_count(); i++) {
		const char *fields = fake_log_at(i)->fields;

		must(strncmp(fields, "line=PASS ", 10) != 0 || strcmp(fields, "line=PASS ***") == 0,
		     "a password is in the log");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t n)
{
	struct pop3_world w;
	struct pstn_session *s;
	uint8_t way;

	if (n < 4 || n > 4096)
		return 0;
	way = octets[0];
	prepare(&w, way, octets[1]);
	s = way & LOGGED_IN ? world_login(&w) : world_connect(&w);
	if (!fake_closed(s)) {
		pop3_fake_all_later(&w.fake, way & LATER);
		fake_block(s, way & BLOCKED);
		if (way & NO_MEMORY)
			fake_fail_alloc(octets[2]);
		fake_input(s, octets + 4, n - 4);
		for (unsigned i = 0; i < ((way & BREAKS) ? octets[3] : 100000u); i++)
			if (fake_run_jobs() + fake_run() == 0)
				break;
		if (!(way & BREAKS))
			fake_block(s, false);
		if (!(way & BREAKS))
			fake_settle();
		fake_fail_alloc(0);
		check_output(s);
	}
	check_log();
	must(w.fake.expunged == 0 || w.fake.calls[FAKE_EXPUNGE] == 1, "removed without QUIT");
	if (!fake_closed(s))
		fake_close(s, "client closed");
	else
		fake_block(s, false); /* what it left goes out before its module stops */
	fake_settle();
	must(world_end(&w) == 0, "something is left over");
	return 0;
}
