/*
 * maintenance.c - at most one at a time who removes segments or must not have them removed. A lock
 * on an octet of the lock file for processes, which dies with its holder, and a flag within one.
 */
#include "maintenance.h"

#include "home.h"
#include "store.h"

#include <fcntl.h>
#include <time.h>

#define WAIT_STEP 20000000 /* ns */

bool maintenance_try(struct store *st)
{
	if (atomic_exchange(&st->maintaining, true))
		return false;
	if (home_lock_byte(st, F_WRLCK, HOME_MAINTENANCE_BYTE))
		return true;
	atomic_store(&st->maintaining, false);
	return false;
}

bool maintenance_wait(struct store *st, bool (*give_up)(void *arg), void *arg)
{
	const struct timespec pause = {.tv_nsec = WAIT_STEP};

	while (!maintenance_try(st)) {
		if (atomic_load(&st->stopping) || give_up(arg))
			return false;
		nanosleep(&pause, NULL);
	}
	return true;
}

void maintenance_end(struct store *st)
{
	home_lock_byte(st, F_UNLCK, HOME_MAINTENANCE_BYTE);
	atomic_store(&st->maintaining, false);
}
