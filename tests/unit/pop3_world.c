/*
 * pop3_world.c - setting the service up against the fakes.
 */
#include "pop3_world.h"

#include <stdlib.h>
#include <string.h>

void world_begin(struct pop3_world *w)
{
	fake_begin();
	*w = (struct pop3_world){
	    .conf = {.greeting = "Postern ready",
		     .implementation = "Postern",
		     .idle_timeout = 600000,
		     .login_timeout = 60000,
		     .line_limit = 1024,
		     .bad_command_limit = 10,
		     .login_failure_limit = 3,
		     .plaintext_login = POP3_PLAINTEXT_LOOPBACK},
	    .self = fake_self("pop3"),
	    .service = pstn_module.offers[0].table,
	};
	pop3_fake_begin(&w->fake);
	fake_need(w->self, 0, &pop3_fake_directory, &w->fake);
	fake_need(w->self, 1, &pop3_fake_maildrops, &w->fake);
}

bool world_start(struct pop3_world *w)
{
	w->pop3 = pstn_module.start(w->self, fake_host(), &w->conf, w->err, sizeof(w->err));
	return w->pop3;
}

unsigned world_end(struct pop3_world *w)
{
	unsigned left;

	fake_clients_gone();
	if (w->pop3)
		pstn_module.stop(w->pop3);
	left = fake_end();
	pop3_fake_end(&w->fake);
	return left;
}

struct pstn_session *world_connect(struct pop3_world *w)
{
	struct pstn_session *s = fake_connect_from(w->self, w->service, w->pop3, "127.0.0.1");

	fake_clear_output(s);
	return s;
}

struct pstn_session *world_login(struct pop3_world *w)
{
	struct pstn_session *s = world_connect(w);

	world_say(s, "USER ann\nPASS secret\n");
	fake_clear_output(s);
	return s;
}

void world_say(struct pstn_session *s, const char *lines)
{
	for (const char *end; (end = strchr(lines, '\n')); lines = end + 1) {
		fake_input(s, lines, (size_t)(end - lines));
		fake_input(s, "\r\n", 2);
		fake_settle();
	}
}

const char *world_heard(struct pstn_session *s)
{
	static char *heard;

	free(heard);
	heard = strdup(fake_output(s));
	fake_clear_output(s);
	return heard;
}
