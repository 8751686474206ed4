/*
 * transfer.h - a message text on its way from the storage to the client.
 *
 * Nothing is copied: the text stays the part of a file or of memory that the storage gave. A
 * transfer begins as the scratch of its command and outlives it, until the stream lets go of the
 * text; so the log says truly whether the text was sent.
 */
#ifndef POP3_TRANSFER_H
#define POP3_TRANSFER_H

#include "session.h"

struct pop3_transfer {
	struct pop3_row row;
	struct pop3 *pop3;
	struct pop3_session *session; /* NULL: closed before all was sent */
	struct pop3_transfer *next, **link;
	struct pstn_content content;
	uint32_t lines; /* of TOP */
	bool audited;   /* RETR */
	bool queued;    /* the stream has it */
};

/* Scratch for a command about a text; NULL: it has been answered. */
struct pop3_transfer *pop3_transfer_new(struct pop3_session *);
/* Read text `number` into the transfer that is scratch. */
void pop3_transfer_read(struct pop3_session *, uint32_t number, pstn_done *next);
/* The text was read: it has to be released from now on, and scratch is empty. */
struct pop3_transfer *pop3_transfer_keep(struct pop3_session *);
/* Queue `length` octets and the final dot. The command is over. */
void pop3_transfer_send(struct pop3_session *, struct pop3_transfer *, uint64_t length);
/* It was kept, but is not sent. */
void pop3_transfer_forget(struct pop3_transfer *);
/* Go on with `next` when the stream has all texts behind it: now, or in a later turn. */
void pop3_when_sent(struct pop3_session *, pstn_done *next);
/* The session is closed. */
void pop3_transfers_abort(struct pop3_session *);

#endif
