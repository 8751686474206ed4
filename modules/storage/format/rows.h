/*
 * rows.h - keys and values of the index, between bytes and structs. Pure; docs/storage-format.md
 * has every offset. A row that fails its check is damage, never an answer.
 */
#ifndef STORAGE_ROWS_H
#define STORAGE_ROWS_H

#include "record.h"

#define ROW_NAME_MAX    319 /* an account's; a folder's is at most FOLDER_NAME_MAX */
#define FOLDER_NAME_MAX 255
#define FOLDER_INBOX    1

#define KEY_ACCOUNT  8
#define KEY_FOLDER   12
#define KEY_MESSAGE  16
#define KEY_CHANGE   24
#define KEY_IMPORT   24
#define KEY_NAME_MAX (KEY_ACCOUNT + FOLDER_NAME_MAX)
#define KEY_UIDL_MAX (KEY_FOLDER + UIDL_MAX)
#define DOMAIN_MAX   255 /* octets of a domain, which is the key of its row */

#define ROW_STATE       64
#define ROW_SEGMENT     64
#define ROW_ACCOUNT_MAX (32 + ROW_NAME_MAX)
#define ROW_DOMAIN      24
#define ROW_FOLDER_MAX  (88 + FOLDER_NAME_MAX)
#define ROW_MESSAGE     96
#define ROW_TOMBSTONE   112
#define ROW_MESSAGE_MAX (ROW_TOMBSTONE + UIDL_MAX)
#define ROW_CHANGE      64

struct state_row { /* of the store */
	uint32_t format;
	uint32_t tag; /* first octets of every unique id made here */
	unsigned char store[16];
	uint64_t sequence; /* of the last group committed */
	uint64_t serial;   /* the last one given to a message */
	uint32_t segment;  /* the highest number that a segment ever had */
	bool building;     /* being made from the segments: not complete yet */
	uint64_t lost;     /* octets that recovery could not read and has not allowed for yet */
};

enum segment_state {
	SEGMENT_SEALED = 1, /* nothing is appended any more */
	SEGMENT_STALE = 2,  /* some of its messages stand elsewhere now: it has to go first */
	SEGMENT_GONE = 4    /* nothing of it is needed; its file goes after the next checkpoint */
};

struct segment_row {
	uint32_t kind, flags;
	uint64_t end;   /* everything before is in the index */
	uint64_t live;  /* octets of records of messages that are there */
	uint64_t dead;  /* octets of records of expunged messages, and of moved ones */
	uint64_t other; /* octets of all other records */
	uint64_t last;  /* ms since 1970 of its last record */
	uint64_t died;  /* ms since 1970 when a message in it was last expunged */
};

struct account_row {
	uint32_t next_folder;
	uint32_t last_uidvalidity;
	uint64_t messages, octets; /* over all folders, without the expunged */
	char name[ROW_NAME_MAX + 1];
};

struct domain_row {
	uint64_t messages, octets; /* of all accounts whose names end in it */
};

enum folder_flag { FOLDER_DELETED = 1 };

struct folder_row {
	uint32_t flags, uidvalidity, uidnext;
	uint64_t change;         /* the last one of the folder */
	uint64_t expunge_change; /* the last one that was an expunge */
	uint64_t messages, octets, unseen;
	uint64_t tombstones, tombstone_octets;
	uint64_t forgotten; /* what changed up to this change may not be known any more */
	char name[FOLDER_NAME_MAX + 1];
};

enum message_state { MESSAGE_NAMED = 1 /* the unique id has a row in uidls */ };

struct message_row {
	uint32_t flags, state, segment, dots;
	uint64_t keywords, offset, octets, header_octets;
	uint64_t received; /* s since 1970 */
	uint64_t stored;   /* ms since 1970 */
	uint64_t change;
	uint64_t serial;                       /* 0: uidl is another's, and stored */
	uint64_t expunged_change, expunged_at; /* of tombstones, else 0 */
	char uidl[UIDL_MAX + 1];               /* filled in either case */
};

enum change_kind { CHANGE_FLAGS = 1, CHANGE_EXPUNGE = 2 };

struct change_row {
	uint32_t kind;
	uint32_t count;         /* uids from the key's on */
	uint64_t time;          /* ms since 1970 */
	uint32_t before, after; /* flags */
	uint64_t keywords_before;
	char origin[ORIGIN_MAX + 1]; /* who asked for it: a session's id */
};

void key_account(unsigned char k[KEY_ACCOUNT], uint64_t account);
void key_folder(unsigned char k[KEY_FOLDER], uint64_t account, uint32_t folder);
void key_message(unsigned char k[KEY_MESSAGE], uint64_t account, uint32_t folder, uint32_t uid);
void key_change(unsigned char k[KEY_CHANGE], uint64_t account, uint32_t folder, uint64_t change,
		uint32_t uid);
void key_import(unsigned char k[KEY_IMPORT], uint64_t account, const unsigned char import_key[16]);
size_t key_name(unsigned char k[KEY_NAME_MAX], uint64_t account, const char *folder);
size_t key_uidl(unsigned char k[KEY_UIDL_MAX], uint64_t account, uint32_t folder, const char *uidl);

/* The key enters the check, so that a row under a wrong key is damage too. */
void state_row_put(const struct state_row *, unsigned char out[ROW_STATE]);
bool state_row_get(struct state_row *, const void *, size_t n);
void segment_row_put(const struct segment_row *, uint32_t id, unsigned char out[ROW_SEGMENT]);
bool segment_row_get(struct segment_row *, uint32_t id, const void *, size_t n);
size_t account_row_put(const struct account_row *, const unsigned char key[KEY_ACCOUNT],
		       unsigned char out[ROW_ACCOUNT_MAX]);
bool account_row_get(struct account_row *, const unsigned char key[KEY_ACCOUNT], const void *,
		     size_t n);
void domain_row_put(const struct domain_row *, const char *domain, unsigned char out[ROW_DOMAIN]);
bool domain_row_get(struct domain_row *, const char *domain, const void *, size_t n);
size_t folder_row_put(const struct folder_row *, const unsigned char key[KEY_FOLDER],
		      unsigned char out[ROW_FOLDER_MAX]);
bool folder_row_get(struct folder_row *, const unsigned char key[KEY_FOLDER], const void *,
		    size_t n);
size_t message_row_put(const struct message_row *, const unsigned char key[KEY_MESSAGE],
		       unsigned char out[ROW_MESSAGE_MAX]);
bool message_row_get(struct message_row *, const unsigned char key[KEY_MESSAGE], uint32_t tag,
		     const void *, size_t n);
/* Whether the record is the one that the row tells of. */
bool message_row_is_of(const struct message_row *, const unsigned char key[KEY_MESSAGE],
		       const struct record *);
/* Makes a row right of which one octet is wrong, from its check: every other value of each octet is
 * tried. false: more is wrong. What comes out has to be compared with the record it leads to. */
bool message_row_correct(const unsigned char key[KEY_MESSAGE], unsigned char *row, size_t n);
void change_row_put(const struct change_row *, const unsigned char key[KEY_CHANGE],
		    unsigned char out[ROW_CHANGE]);
bool change_row_get(struct change_row *, const unsigned char key[KEY_CHANGE], const void *,
		    size_t n);

#endif
