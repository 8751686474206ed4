/*
 * delivery.h - a message comes in: the table behind storage.delivery, and the same for imports,
 * which commit many at once.
 */
#ifndef STORAGE_DELIVERY_H
#define STORAGE_DELIVERY_H

#include "commit/commit.h"

#include <postern/delivery.h>

extern const struct pstn_deliveries delivery_table;

struct store;

/* For job threads: the calls wait. import_key: 16 octets, or NULL. */
int delivery_begin(struct store *, const struct pstn_delivery_request *,
		   const unsigned char *import_key, struct pstn_delivery **out);
/* Nobody shall send in vain what the quota does not admit: PSTN_E_QUOTA if so many octets would be
 * too many, now or when more than that has come. Not for who may send what is there already. */
int delivery_expect(struct pstn_delivery *, uint64_t octets);
int delivery_write(struct pstn_delivery *, const char *bytes, size_t n);
/* The text is complete: what commit_wait() takes. NULL and *status: it cannot be. */
struct pending *delivery_seal(struct pstn_delivery *, int *status);
/* Once, before commit_wait(): a list (keyword.h) of valid names, copied. */
int delivery_keywords(struct pstn_delivery *, const char *names);
/* After commit_wait(): it is there, and its segment stays. */
void delivery_committed(struct pstn_delivery *);
void delivery_free(struct pstn_delivery *);

/* Makes a folder if it is not there; for job threads. enum pstn_status. */
int delivery_folder(struct store *, const struct pstn_account *, const char *folder);
/* Whether a folder may have this name; if not, why not as the end of a sentence. */
const char *folder_name_fault(const char *name);

#endif
