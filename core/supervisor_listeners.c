/*
 * supervisor_listeners.c - bound addresses, kept over generations.
 *
 * A socket is bound when the first candidate asks for its address and closed when no generation
 * that may serve uses it any more. In between it is never closed: connections that arrive while
 * nobody accepts wait in its queue.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bind.h"
#include "supervisor.h"

static struct listener *find(const struct supervisor *sv, const char *address)
{
	for (struct listener *l = sv->listeners; l; l = l->next)
		if (strcmp(l->address, address) == 0)
			return l;
	return NULL;
}

static void forget(struct listener **at)
{
	struct listener *l = *at;

	*at = l->next;
	bind_remove_file(l->address);
	close(l->fd);
	free(l->address);
	free(l);
}

/* Workers of a supervisor that was just killed need a moment to notice; see worker_loop.c. */
static unsigned patience(const struct supervisor *sv)
{
	uint64_t passed = supervisor_now() - sv->started;

	return sv->serving_once || passed > ORPHANS_LIMIT ? 0 : (unsigned)(ORPHANS_LIMIT - passed);
}

int listeners_get(struct supervisor *sv, const char *address, int backlog, char *err, size_t errlen)
{
	struct listener *l = find(sv, address);

	if (l) {
		/* A changed backlog takes effect on the living socket. */
		(void)listen(l->fd, backlog);
		return l->fd;
	}
	l = calloc(1, sizeof(*l));
	if (l)
		l->address = strdup(address);
	if (!l || !l->address) {
		free(l);
		snprintf(err, errlen, "%s: no memory", address);
		return -1;
	}
	l->fd = bind_address(address, backlog, patience(sv), err, errlen);
	if (l->fd < 0) {
		free(l->address);
		free(l);
		return -1;
	}
	l->next = sv->listeners;
	sv->listeners = l;
	return l->fd;
}

static bool used(const struct supervisor *sv, const char *address)
{
	for (const struct child *c = sv->children; c; c = c->next)
		if ((c->state == CHILD_CANDIDATE || c->state == CHILD_CURRENT) &&
		    lines_has(&c->addresses, address))
			return true;
	return false;
}

void listeners_sweep(struct supervisor *sv)
{
	struct listener **at = &sv->listeners;

	/* Without a worker all wait for the one that is started next. */
	if (!sv->current && !sv->stopping)
		return;
	while (*at) {
		if (used(sv, (*at)->address))
			at = &(*at)->next;
		else
			forget(at);
	}
}

void listeners_close(struct supervisor *sv)
{
	while (sv->listeners)
		forget(&sv->listeners);
}
