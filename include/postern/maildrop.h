/*
 * postern/maildrop.h - interface "storage.maildrop" 1.0: one session's view of one folder.
 *
 * A maildrop is a snapshot: it shows the messages that were there when it was opened, numbered from
 * 1 in the order of their uids, and nothing that comes later. A message that somebody else removes
 * meanwhile keeps its number and its unique id, has zero octets and cannot be read any more (it is
 * a "zombie"). Opening costs the same for 10 and for 1,000,000 messages.
 *
 * Every call is asynchronous (see enum pstn_status): hot data is answered at once, the rest comes
 * from a job. At most one call per maildrop is under way at a time, flag() aside. All on the
 * session's reactor. The interface says nothing of files, so that a store on other machines fits.
 *
 * Change log
 *   1.0  first version
 */
#ifndef POSTERN_MAILDROP_H
#define POSTERN_MAILDROP_H

#include <postern/module.h>

#define PSTN_STORAGE_MAILDROP "storage.maildrop"

#define PSTN_UIDL_MAX 70 /* RFC 1939 section 7 */

struct pstn_account;  /* postern/directory.h */
struct pstn_maildrop; /* the provider's */

enum pstn_message_flag { /* RFC 9051 section 2.3.2 */
			 PSTN_SEEN = 1,
			 PSTN_ANSWERED = 2,
			 PSTN_FLAGGED = 4,
			 PSTN_DELETED = 8,
			 PSTN_DRAFT = 16
};

struct pstn_maildrop_totals {
	uint32_t messages; /* numbers run from 1 to this */
	uint32_t zombies;
	uint64_t octets; /* of the messages that are still there */
};

struct pstn_message {
	uint32_t number;
	uint32_t uid;
	uint64_t octets;   /* as RETR sends them, stuffed dots not counted; 0 for a zombie */
	uint64_t received; /* seconds since 1970 */
	uint32_t flags;    /* enum pstn_message_flag */
	bool zombie;
	char uidl[PSTN_UIDL_MAX + 1];
};

struct pstn_maildrops {
	uint32_t size;
	/* folder: "INBOX", or another folder's name in UTF-8. A folder INBOX exists always. */
	int (*open)(void *inst, struct pstn_session *, const struct pstn_account *,
		    const char *folder, struct pstn_maildrop **out, pstn_done *done, void *arg);
	/* Counts as they are now: what others removed since the open is counted as zombies. */
	int (*totals)(struct pstn_maildrop *, struct pstn_maildrop_totals *out, pstn_done *done,
		      void *arg);
	/* Up to max rows from message number `first` on; *count is 0 beyond the end. */
	int (*list)(struct pstn_maildrop *, uint32_t first, struct pstn_message *rows, uint32_t max,
		    uint32_t *count, pstn_done *done, void *arg);
	/*
	 * A message's text. PSTN_E_NOT_FOUND: no such number; PSTN_E_GONE: a zombie;
	 * PSTN_E_DAMAGED: its checksum is wrong. A content that was handed out stays readable even
	 * if the message is expunged meanwhile.
	 */
	int (*read)(struct pstn_maildrop *, uint32_t number, struct pstn_content *out,
		    pstn_done *done, void *arg);
	/* Change flags soon; nobody waits for it. Not an error if the message is gone. */
	void (*flag)(struct pstn_maildrop *, uint32_t number, uint32_t add, uint32_t remove);
	/*
	 * Remove the messages with these numbers (ascending; copied). PSTN_OK when that is durable;
	 * zombies among them are no error. Anything else: not all were removed, perhaps none. It goes
	 * on when the session ends meanwhile.
	 */
	int (*expunge)(struct pstn_maildrop *, const uint32_t *numbers, uint32_t n, pstn_done *done,
		       void *arg);
	/* Forget the snapshot. Contents handed out stay valid. Call it in the service's close(). */
	void (*close)(struct pstn_maildrop *);
};

#endif
