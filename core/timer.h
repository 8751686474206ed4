/*
 * timer.h - the wheel on which a reactor's timers hang.
 *
 * The wheel knows no clock: whoever owns it says what time it is. Times are in milliseconds.
 */
#ifndef CORE_TIMER_H
#define CORE_TIMER_H

#include "reactor.h"

#define WHEEL_BITS   6
#define WHEEL_SLOTS  64
#define WHEEL_LEVELS 6

struct wheel {
	uint64_t now;                    /* every timer due up to here has fired */
	uint64_t occupied[WHEEL_LEVELS]; /* a bit per slot that may hold timers */
	struct timer *slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *, uint64_t now);
/* A timer that is set already is moved. One that is due fires at the next tick. */
void wheel_set(struct wheel *, struct timer *, uint64_t due);
/* How long after now wheel_run() has to be called again; UINT64_MAX: there is no timer. */
uint64_t wheel_wait(const struct wheel *, uint64_t now);
/* Fires what is due up to now, in the order of due times. fire() may set and clear any timer. */
void wheel_run(struct wheel *, uint64_t now);

#endif
