/*
 * pop3_world.h - the POP3 service set up against the fakes, for its unit tests and fuzzers.
 */
#ifndef TESTS_POP3_WORLD_H
#define TESTS_POP3_WORLD_H

#include "modules/pop3/session.h"
#include "pop3_fakes.h"

struct pop3_world {
	struct pop3_conf conf; /* to be changed before world_start() */
	struct pop3_fake fake;
	struct pstn_self *self;
	const struct pstn_service *service;
	void *pop3;
	char err[256];
};

extern const struct pstn_module pstn_module;

void world_begin(struct pop3_world *); /* defaults; the delay of failed logins is 0 */
bool world_start(struct pop3_world *); /* false: refused, see err */
/* All sessions have to be closed. How much was left over. */
unsigned world_end(struct pop3_world *);

/* A client from a loopback address; its greeting is taken. */
struct pstn_session *world_connect(struct pop3_world *);
/* The same, logged in as ann. */
struct pstn_session *world_login(struct pop3_world *);
/* Send "a\nb\n" as lines with CRLF; settle after each. */
void world_say(struct pstn_session *, const char *lines);
/* What came since the last call; valid until the next one. */
const char *world_heard(struct pstn_session *);

#endif
