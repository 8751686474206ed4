/*
 * export.h - an export under way; what its files share.
 *
 *	export.c          the command: which folders, the answer
 *	export_message.c  a message's text, and files that are written
 *	export_maildir.c  a folder as a Maildir
 *	export_mbox.c     a folder as an mbox
 *	export_keywords.c keywords of messages, and the files that name them in a Maildir
 */
#ifndef STORAGE_EXPORT_H
#define STORAGE_EXPORT_H

#include "index/keywords.h"
#include "maildrop/view.h"
#include "store.h"

#include <postern/commands.h>

#define EXPORT_PIECE       ((size_t)64 << 10)
#define EXPORT_NAME        256              /* of a message's file without flags */
#define EXPORT_FOLDER_FILE "postern-folder" /* a name that is too long for a directory's */

struct export_file { /* one that is being written */
	char path[PATH_MAX];
	int fd; /* -1: none */
	size_t used;
};

struct export
{
	struct store *store;
	struct pstn_call *call;
	struct pstn_account account;
	struct export_file file;
	struct view view; /* of the folder under way */
	uint32_t uidvalidity;
	struct keywords keywords;  /* of the folder */
	struct keyword_list names; /* of a message, for an mbox */
	char *piece;               /* EXPORT_PIECE octets of a text, */
	char *text;                /* what becomes of them, one more, */
	char *buffer;              /* and EXPORT_PIECE octets not written to the file yet */
	/* the result */
	uint64_t folders, exported, skipped, octets, damaged, undated;
	uint64_t unreadable;        /* left out: reading them failed */
	unsigned unreadable_in_row; /* the last so many */
	uint64_t with_keywords;     /* messages, */
	uint64_t beyond_letters; /* of them, those with a keyword that has no letter in a Maildir */
	uint64_t done, total;
	int status;      /* not PSTN_OK: stop */
	char fault[512]; /* a whole sentence instead of the status's reason; "" if there is none */
};

/* Stops the export with a sentence. */
void export_fail(struct export *, const char *fmt, ...) PSTN_PRINTF(2, 3);

/* ---- export_message.c ---- */

/* Opens a file of the directory argument (enum pstn_file_mode); false: stopped. */
bool export_create(struct export *, const char *path);
bool export_write(struct export *, const char *bytes, size_t n);
/* Written, synced, with this time if that is not 0, and closed. */
bool export_close(struct export *, uint64_t time);
/* Closed, and gone. */
void export_abandon(struct export *);
bool export_rename(struct export *, const char *from, const char *to);
bool export_directory(struct export *, const char *path);
bool export_sync_directory(struct export *, const char *path);
/* The text with lines that end with LF, as unwire.h says. False: stopped, or the message cannot be
 * read: *why is not PSTN_OK. */
bool export_text(struct export *, const struct pstn_message *, int *why,
		 bool (*take)(void *arg, const char *bytes, size_t n), void *arg);
/* It could not be read, and why: counted and named, and the export goes on, unless so many cannot be
 * read that the disk is gone. */
void export_left_out(struct export *, const char *folder, const struct pstn_message *, int why);
/* Calls each for all messages of the folder until it returns false. */
bool export_each(struct export *,
		 bool (*each)(struct export *, void *arg, const struct pstn_message *), void *arg);

/* ---- export_keywords.c ---- */

/* Those of the folder that the view is of. enum pstn_status. */
int export_keywords_read(struct export *);
/* A message's, as bits that have names; false: stopped. */
bool export_keywords_of(struct export *, const struct pstn_message *, uint64_t *bits);
/* Their letters in the name of a file, in order: at most 26. */
void export_keyword_letters(uint64_t bits, char out[32]);
/* dovecot-keywords and courierimapkeywords in the folder's directory, if it has keywords. base
 * tells the name of a message's file without flags. False: stopped. */
bool export_keyword_files(struct export *, const char *path,
			  void (*base)(const struct export *, const struct pstn_message *,
				       char out[EXPORT_NAME]));

void export_maildir(struct export *, const char *folder);
void export_mbox(struct export *, const char *folder);

#endif
