/*
 * import.h - an import under way; what its files share.
 */
#ifndef STORAGE_IMPORT_H
#define STORAGE_IMPORT_H

#include "bundle.h"
#include "checksum.h"
#include "store.h"

#define IMPORT_PIECE ((size_t)64 << 10)

struct import {
	struct store *store;
	struct pstn_call *call;
	struct pstn_account account;
	const char *folder;
	char *piece; /* IMPORT_PIECE octets to read into */
	/* the message being read */
	struct pstn_delivery *current;
	XXH3_state_t *hash;
	void *hash_memory;
	struct bundle bundle;        /* complete ones, to be committed together */
	char origin[ORIGIN_MAX + 1]; /* who brings them */
	/* the result */
	uint64_t imported, skipped, refused, octets;
	uint64_t unreadable;
	char first_unreadable[512]; /* file or directory, and why */
	uint64_t done, total;       /* for progress */
	const char *unit;
	int status; /* not PSTN_OK: stop */
};

/* Each: false, or im->status set, is the end of the import. */

bool import_begin(struct import *, uint64_t received, uint32_t flags);
bool import_text(struct import *, const char *bytes, size_t n);
/* Keyed like this before? Then it is left out. Otherwise it goes with the next bundle. */
bool import_end(struct import *, const unsigned char key[16], uint32_t flags);
/* Gives up the message that was begun, if one was. */
void import_drop(struct import *);
void import_settled(void *arg, const struct pending *, uint64_t tag); /* the bundle's */
/* Commits the bundle. */
void import_flush(struct import *);

/* What was hashed so far, with more of what tells where the message comes from. */
void import_key(struct import *, const void *identity, size_t n, unsigned char out[16]);
bool import_is_there(struct import *, const unsigned char import_key[16]);

/* content: the text is a part of the key; else the identity alone, which saves reading it. */
void import_file(struct import *, int fd, const char *identity, size_t n, bool content,
		 uint64_t received, uint32_t flags);
void import_directory(struct import *, int fd);

#endif
