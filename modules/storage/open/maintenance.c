/*
 * maintenance.c - at most one at a time who removes segments or must not have them removed. A lock
 * on an octet of the lock file for processes, which dies with its holder, and a flag within one.
 */
#include "maintenance.h"

#include "home.h"
#include "store.h"

#include <postern/commands.h>

#include <fcntl.h>
#include <time.h>

#define WAIT_STEP 20000000        /* ns */
#define WANTED    UINT64_C(10000) /* ms */

bool maintenance_try(struct store *st)
{
	if (atomic_exchange(&st->maintaining, true))
		return false;
	if (home_lock_byte(st, F_WRLCK, HOME_MAINTENANCE_BYTE))
		return true;
	atomic_store(&st->maintaining, false);
	return false;
}

void maintenance_want(struct store *st)
{
	atomic_store(&st->shared->wanted_until, store_time() + WANTED);
}

bool maintenance_wanted(struct store *st)
{
	uint64_t until = atomic_load(&st->shared->wanted_until), now = store_time();

	/* The clock may have been set back. */
	return until > now && until - now <= WANTED;
}

bool maintenance_wait(struct store *st, struct pstn_call *call, bool (*give_up)(void *arg),
		      void *arg)
{
	const struct timespec pause = {.tv_nsec = WAIT_STEP};
	bool told = false;

	while (!maintenance_try(st)) {
		if (!told)
			st->host->call->note(
			    call, "Waiting until a compaction, a backup or an exact restore is "
				  "through that is at work in the store. Compaction that runs by "
				  "itself makes way after the segment that it is at.");
		told = true;
		maintenance_want(st);
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
