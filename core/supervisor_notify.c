/*
 * supervisor_notify.c - the service manager hears what is going on (sd_notify(3)).
 */
#include "config.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

#include "supervisor.h"

#ifdef HAVE_SYSTEMD

void notify_ready(struct supervisor *sv)
{
	uint64_t usec = 0;

	if (sv->watchdog_every == 0 && sd_watchdog_enabled(0, &usec) > 0) {
		sv->watchdog_every = usec / 2000;
		sv->watchdog_next = supervisor_now();
	}
	sd_notify(0, "READY=1");
	notify_status(sv);
}

void notify_reloading(struct supervisor *sv)
{
	struct timespec now;

	if (!sv->serving_once)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		   (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void notify_stopping(struct supervisor *sv)
{
	(void)sv;
	sd_notify(0, "STOPPING=1");
}

void notify_status(struct supervisor *sv)
{
	/* One line: each further one would be a message of its own, in a worker's words. */
	if (sv->trouble)
		sd_notifyf(0, "STATUS=%.*s", (int)strcspn(sv->trouble, "\n"), sv->trouble);
	else if (sv->current)
		sd_notifyf(0, "STATUS=generation %u serves", sv->current->generation);
}

void notify_starting(struct supervisor *sv, const char *progress, uint64_t ms)
{
	sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, ms * 1000);
	if (!sv->trouble)
		sd_notifyf(0, "STATUS=starting: %s", progress);
}

void notify_watchdog(struct supervisor *sv)
{
	uint64_t now = supervisor_now();

	if (sv->watchdog_every == 0 || now < sv->watchdog_next)
		return;
	sd_notify(0, "WATCHDOG=1");
	sv->watchdog_next = now + sv->watchdog_every;
}

#else /* no libsystemd */

void notify_ready(struct supervisor *sv)
{
	(void)sv;
}

void notify_reloading(struct supervisor *sv)
{
	(void)sv;
}

void notify_stopping(struct supervisor *sv)
{
	(void)sv;
}

void notify_status(struct supervisor *sv)
{
	(void)sv;
}

void notify_starting(struct supervisor *sv, const char *progress, uint64_t ms)
{
	(void)sv;
	(void)progress;
	(void)ms;
}

void notify_watchdog(struct supervisor *sv)
{
	(void)sv;
}

#endif
