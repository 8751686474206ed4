/*
 * import.h - an import under way; what its files share.
 *
 *	import.c          the command: what the source is, the answer
 *	import_message.c  one message: key, text, unique id, bundle
 *	import_uidls.c    which unique id a message had
 *	import_keywords.c which keywords
 *	import_files.c    messages that are files, and the folder they are in
 *	import_tree.c     the folders of a Maildir++, a directory of mbox files
 *	import_mbox.c     an mbox
 */
#ifndef STORAGE_IMPORT_H
#define STORAGE_IMPORT_H

#include "commit/bundle.h"
#include "delivery/uidl_set.h"
#include "format/checksum.h"
#include "maildir_keywords.h"
#include "store.h"
#include "uidl_list.h"

#include <postern/commands.h>

#define IMPORT_PIECE ((size_t)64 << 10)
#define IMPORT_TOLD  5 /* how many of a kind are named */

struct import_text;

struct import {
	struct store *store;
	struct pstn_call *call;
	struct pstn_account account;
	const char *wanted; /* option "folder"; NULL: INBOX, and the folders of the source */
	char folder[FOLDER_NAME_MAX + 1]; /* that messages go to now */
	char *piece;                      /* IMPORT_PIECE octets to read into */
	/* unique ids */
	struct uidl_list *given; /* option "uidls", for the source itself and not its folders */
	struct uidl_list *found; /* the one that lies in the folder being imported */
	struct uidl_set held;    /* of the folder messages go to */
	bool no_uidls;
	/* keywords */
	struct maildir_keywords labels; /* of the Maildir being imported */
	struct import_text *keyword_texts;
	struct keyword_list read;                /* of the message being read, as they are told, */
	struct keyword_list names;               /* and those that it can have */
	char told[IMPORT_TOLD][KEYWORD_MAX + 1]; /* that were left out, and named */
	unsigned ntold;
	/* the message being read */
	struct pstn_delivery *current;
	uint64_t serial; /* the last one given before the folder's ids were gathered in `held` */
	const char *refused_uidl; /* it should have had; NULL: it got it, or had none */
	XXH3_state_t *hash;
	void *hash_memory;
	struct bundle bundle;        /* complete ones, to be committed together */
	char origin[ORIGIN_MAX + 1]; /* who brings them */
	/* the result */
	uint64_t imported, skipped, refused, octets, folders;
	uint64_t with_uidl, new_uidl;
	uint64_t with_keywords, keywords_left_out;
	uint64_t keywords_lost; /* of them, those of which no name is known or that are too many */
	uint64_t unreadable;
	char first_unreadable[512]; /* file or directory, and why */
	uint64_t done, total;       /* for progress */
	const char *unit;
	int status;      /* not PSTN_OK: stop */
	char fault[512]; /* a whole sentence instead of the status's reason; "" if there is none */
};

/* What a message has besides its text. */
struct import_message {
	uint64_t received;
	uint32_t flags;
	const char *uidl; /* NULL: it gets a new one */
};

/* Each: false, or im->status set, is the end of the import. */

/* From now on messages go to this folder. */
bool import_folder(struct import *, const char *name);
bool import_begin(struct import *, const struct import_message *);
bool import_text(struct import *, const char *bytes, size_t n);
/* Keyed like this before? Then it is left out. Otherwise it goes with the next bundle. */
bool import_end(struct import *, const unsigned char key[16], uint32_t flags,
		const struct keyword_list *);
/* Gives up the message that was begun, if one was. */
void import_drop(struct import *);
void import_settled(void *arg, const struct pending *, uint64_t tag); /* the bundle's */
/* Commits the bundle. */
void import_flush(struct import *);
/* Stops the import with a sentence. */
void import_fail(struct import *, const char *fmt, ...) PSTN_PRINTF(2, 3);

/* What was hashed so far, with more of what tells where the message comes from. */
void import_key(struct import *, const void *identity, size_t n, unsigned char out[16]);
bool import_is_there(struct import *, const unsigned char import_key[16]);

/* content: the text is a part of the key; else the identity alone, which saves reading it. */
void import_file(struct import *, int fd, const char *identity, size_t n, bool content,
		 const struct import_message *);
void import_mbox(struct import *, int fd, uint64_t size);
/* Whether it begins as an mbox does, with a date. */
bool import_is_mbox(struct import *, int fd);

/* The directory of the argument "source", or one below it; -1 and errno. */
int import_open(struct import *, const char *path);
/* It could not be read: counted, and the first one named. What is gone by now is no fault. */
void import_unreadable(struct import *, const char *path);
/* Messages of a Maildir, of Cyrus, or one in each file, in the directory `path`. */
void import_maildir(struct import *, const char *path);
void import_plain(struct import *, const char *path);
void import_directory(struct import *);

/* ---- import_keywords.c ---- */

/* What lies in a Maildir; there may be nothing. */
void import_keywords_found(struct import *, const char *path);
void import_keywords_free(struct import *);
/* Gives the message its keywords, as far as it can have them. enum pstn_status. */
int import_keywords_take(struct import *, const struct keyword_list *);
/* It is there: what has become of them. */
void import_keywords_settled(struct import *, const struct pending *);

/* ---- import_uidls.c ---- */

/* The option "uidls"; false: failed. */
bool import_uidls_given(struct import *);
/* What lies in a Maildir; there may be nothing. */
void import_uidls_found(struct import *, const char *path);
void import_uidls_free(struct import *, struct uidl_list **);
/* What both lists know, before messages of a folder are looked up: by their files, or by their
 * order, which takes as many of them as there are messages. False: failed. */
enum import_uidls { IMPORT_UIDLS_NONE, IMPORT_UIDLS_NAMES, IMPORT_UIDLS_ORDER };
bool import_uidls_prepare(struct import *, bool cyrus, uint64_t messages, enum import_uidls *how);
/* The entry of a file (its name without flags) in the list that was given; NULL: none. */
const struct uidl_entry *import_uidls_name(const struct import *, const char *name, size_t n);
/* The id of the n-th message, from 0. */
const char *import_uidls_nth(const struct import *, uint64_t n);

#endif
