/*
 * postern/delivery.h - interface "storage.delivery" 1.0: a message comes in.
 *
 * begin, any number of write, then commit or abort. Text may come in pieces of any size and with
 * any line ends: it is stored in wire form (a bare LF becomes CRLF, a missing last line end is
 * added, bare CR and NUL are kept). Asynchronous as storage.maildrop; one call at a time per
 * delivery. With s NULL the caller is on a job thread and the calls block instead of PSTN_LATER.
 *
 * Change log
 *   1.0  first version
 */
#ifndef POSTERN_DELIVERY_H
#define POSTERN_DELIVERY_H

#include <postern/module.h>

#define PSTN_STORAGE_DELIVERY "storage.delivery"

struct pstn_account;
struct pstn_delivery; /* the provider's */

struct pstn_delivery_request {
	uint32_t size;
	uint32_t flags;    /* enum pstn_message_flag of postern/maildrop.h */
	uint64_t received; /* seconds since 1970; 0 = now */
	uint64_t expected; /* octets the sender announced, 0 = unknown: refused early if too many */
	const struct pstn_account *account;
	const char *folder; /* "INBOX" */
	const char *uidl;   /* NULL: assigned; else 1-70 of 0x21-0x7e, PSTN_E_EXISTS if taken */
};

struct pstn_delivered {
	uint32_t uid;
	uint32_t reserved;
	uint64_t octets; /* in wire form */
};

struct pstn_deliveries {
	uint32_t size;
	int (*begin)(void *inst, struct pstn_session *, const struct pstn_delivery_request *,
		     struct pstn_delivery **out, pstn_done *done, void *arg);
	/* bytes must stay valid until the call has ended. */
	int (*write)(struct pstn_delivery *, const char *bytes, size_t n, pstn_done *done,
		     void *arg);
	/* PSTN_OK: the message is durable and visible. The delivery is gone in any case. */
	int (*commit)(struct pstn_delivery *, struct pstn_delivered *out, pstn_done *done,
		      void *arg);
	void (*abort)(struct pstn_delivery *);
};

#endif
