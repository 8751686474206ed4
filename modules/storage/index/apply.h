/*
 * apply.h - what a record does to the index. Commit and recovery go through the same functions,
 * so that an index made again from the segments is the one that was.
 *
 * All take place in one write transaction; the rows touched again and again (the store's state,
 * one folder, some segments) are kept here and put back by apply_end().
 */
#ifndef STORAGE_APPLY_H
#define STORAGE_APPLY_H

#include "index.h"

#define APPLY_SEGMENTS 8

struct apply_segment {
	uint32_t id; /* 0: free */
	struct segment_row row;
};

struct apply {
	struct index *index;
	MDB_txn *txn;
	bool
	    replay; /* records are being read again, and messages may come after what befell them */
	struct state_row state;
	struct apply_segment segments[APPLY_SEGMENTS];
	unsigned evict;
	uint64_t account; /* of `folder`; 0: none */
	uint32_t folder_id;
	struct folder_row folder;
	uint64_t owner_id; /* of `owner`; 0: none */
	struct account_row owner;
	char domain_name[DOMAIN_MAX + 1]; /* of `domain`; "": none */
	struct domain_row domain;
};

/* Ranges of uids, as they stand in the body of an expunge record and in memory. */
struct uid_range {
	uint32_t first, count;
};

struct flag_entry {
	uint32_t uid, flags;
	uint32_t before; /* flags before the change */
	uint64_t keywords, keywords_before;
};

int apply_begin(struct apply *, struct index *); /* takes the write lock */
int apply_end(struct apply *);                   /* commits; the transaction is gone either way */
void apply_abort(struct apply *);

/* The folder's row, to be read and changed until another folder is asked for. */
int apply_folder(struct apply *, uint64_t account, uint32_t folder, struct folder_row **);
/* The account's row, likewise; a new one has no name yet. */
int apply_owner(struct apply *, uint64_t account, struct account_row **);
/* The row of the domain of an account's name, likewise. NULL: the name has none. */
int apply_domain(struct apply *, const char *account_name, struct domain_row **);
/* The segment's row, likewise; a new one has kind 0. */
int apply_segment(struct apply *, uint32_t id, struct segment_row **);
/* The segment has no row any more. */
int apply_drop_segment(struct apply *, uint32_t id);

/* Each does what its record says; offset and segment tell where the record is. What is known
 * already, or about a message that is not there any more, is no error. */
int apply_message(struct apply *, const struct record *, uint32_t segment, uint64_t offset);
int apply_expunge(struct apply *, const struct record *, const struct uid_range *, uint32_t n);
int apply_flags(struct apply *, const struct record *, const struct flag_entry *, uint32_t n);
int apply_account(struct apply *, uint64_t account, const char *name);
int apply_account_removed(struct apply *, uint64_t account);
/* The state of a folder: made, renamed or deleted. row: what the record's body says. */
int apply_folder_state(struct apply *, const struct record *, const struct folder_row *);
/* Bit r->uid of `keywords` in the folder has this name. */
int apply_keyword(struct apply *, const struct record *, const char *name);
/* Any record with its body, as recovery meets it. EINVAL: it makes no sense; EEXIST: another message has
 * the uid of this one. */
int apply_record(struct apply *, const struct record *, const unsigned char *body, uint32_t segment,
		 uint64_t offset);

/* Bodies of records that are not messages. */
#define BODY_RANGE      8
#define BODY_FLAG       32
#define BODY_FOLDER     32 /* before the name */
#define BODY_FOLDER_MAX (BODY_FOLDER + FOLDER_NAME_MAX)
#define BODY_STATE      16
size_t body_put_ranges(const struct uid_range *, uint32_t n, unsigned char *out);
/* False: one of them makes no sense. */
bool body_get_ranges(const unsigned char *, uint32_t n, struct uid_range *out);
void body_get_flags(const unsigned char *, uint32_t n, struct flag_entry *out);
size_t body_put_flags(const struct flag_entry *, uint32_t n, unsigned char *out);
size_t body_put_folder(const struct folder_row *, unsigned char *out);
bool body_get_folder(struct folder_row *, const unsigned char *, size_t n);
size_t body_put_state(const struct state_row *, unsigned char out[BODY_STATE]);

#endif
