/*
 * fake_session.h - a session of the fake host, as its two files see it.
 */
#ifndef TESTS_FAKE_SESSION_H
#define TESTS_FAKE_SESSION_H

#include "fake_parts.h"

struct chunk;

struct pstn_session {
	struct pstn_session *next;
	struct pstn_self *self;
	const struct pstn_service *service;
	void *inst, *state;
	char id[24];
	char account[512];
	char label[64];
	char why[128];
	struct pstn_peer peer;
	bool closed, held, raw, finished, dropped, blocked, want_drained, skipping, delivering;
	size_t line_limit;
	uint64_t idle_limit, last_input, queued_more;
	struct chunk *chunks, **last_chunk;
	char *output, *input;
	size_t output_length, output_room, input_length;
};

/* fake_output.c: what is queued goes out, or is only released; how much is queued. */
void fake_flush(struct pstn_session *, bool send);
uint64_t fake_queued(const struct pstn_session *);
bool fake_mute(const struct pstn_session *);
void fake_write(struct pstn_session *, const void *bytes, size_t n);
void fake_printf(struct pstn_session *, const char *fmt, ...) PSTN_PRINTF(2, 3);
void fake_send(struct pstn_session *, const struct pstn_content *, uint64_t length);
uint64_t fake_host_queued(struct pstn_session *);
void fake_want_drained(struct pstn_session *);
/* fake_session.c: input is given, output goes out, closing is seen to. */
void fake_turn(struct pstn_session *);

#endif
