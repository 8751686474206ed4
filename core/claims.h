/*
 * claims.h - places under a key, counted over all generations (pstn_host.claim).
 *
 * The counts live in one memory file that the supervisor makes and every worker maps; each worker
 * has a slot of its own, so that a dead worker's places vanish with its slot.
 */
#ifndef CORE_CLAIMS_H
#define CORE_CLAIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLAIMS_SLOTS 32 /* generations alive at one time */

int claims_create(void);                       /* supervisor: a memfd, -1 on error */
void claims_clear_slot(int fd, unsigned slot); /* supervisor: that worker is dead */
/* Worker; fd -1: private counts. 0, or -1 if it cannot be mapped or the slot does not exist. */
int claims_attach(int fd, unsigned slot);
/* Any thread. False if all places are taken, or nothing is attached. */
bool claims_take(const char *key, uint32_t limit, uint32_t *ticket);
void claims_give(uint32_t ticket);
void claims_detach(void); /* gives back all places of this worker */

#endif
