/*
 * uidl_list.h - the unique ids (UIDL) that another server gave to its messages, from the listing in
 * which that server keeps them or tells them. Pure; fuzzed. What it is told by is recognised.
 *
 *	dovecot-uidlist     versions 1 and 3, and Courier's courierimapuiddb, which is version 1;
 *	                    Dovecot 2.3.19, src/lib-storage/index/maildir/maildir-uidlist.c
 *	doveadm fetch       'uid pop3.uidl ...' in the formats flow, tab, table, pager and json, with
 *	                    `doveadm mailbox status uidvalidity` before it in the same file;
 *	                    Dovecot 2.3.19, src/doveadm/doveadm-mail-fetch.c
 *	courierpop3dsizelist versions 2 and 3; Courier-IMAP 5, imap/pop3dserver.c
 *	mbexamine           of Cyrus; Cyrus IMAP 3.6, imap/mbexamine.c and imap/pop3d.c (uidl_msg)
 *	UIDL and LIST       as a POP3 server answers, with or without the rest of the session
 */
#ifndef STORAGE_UIDL_LIST_H
#define STORAGE_UIDL_LIST_H

#include "uidl_template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UIDL_LINE        4096    /* a longer line is nothing that is known */
#define UIDL_ENTRIES_MAX 4000000 /* of a listing that is believed */
#define UIDL_COLUMNS     16
#define UIDL_NO_SIZE     UINT64_MAX

enum uidl_kind {
	UIDL_KIND_NONE, /* not recognised (yet) */
	UIDL_KIND_UIDLIST,
	UIDL_KIND_COURIER,
	UIDL_KIND_FLOW,
	UIDL_KIND_TAB,
	UIDL_KIND_TABLE,
	UIDL_KIND_PAGER,
	UIDL_KIND_JSON,
	UIDL_KIND_CYRUS,
	UIDL_KIND_POP3
};

struct uidl_entry {       /* a message */
	const char *name; /* of its file, without flags; NULL: not told */
	const char *uidl; /* NULL: not told, or the listing has it before */
	const char *guid; /* NULL: not told */
	uint64_t size;    /* octets in wire form; UIDL_NO_SIZE: not told */
	uint64_t order;   /* in which the other server's POP3 shows it */
	uint32_t uid;     /* 0: not told */
	uint32_t section; /* while it is read: which of several answers of a POP3 server */
	bool used;        /* for whoever looks entries up */
};

struct uidl_section {
	size_t count;
	bool numbers, sizes; /* all values are numbers; the server said that they are sizes */
};

struct uidl_json {                          /* where in a JSON text */
	bool object, string, escape, value; /* inside; behind the colon */
	unsigned digits;                    /* of a \u that are still to come */
	uint32_t code;
	size_t title_length, used; /* used: of `line`, the string or number being read */
	char title[32];            /* of the member */
};

struct uidl_chunk;

struct uidl_list {
	/* the caller's: memory, zeroed */
	void *(*alloc)(void *arg, size_t n);
	void (*free)(void *arg, void *p);
	void *arg;
	const char *template; /* how ids are made that are not told; NULL: as the server does it */
	/* the result */
	enum uidl_kind kind;
	struct uidl_entry *entries;
	size_t count;
	uint32_t uidvalidity;                   /* 0: not told */
	uint64_t lines, strange, first_strange; /* lines that are nothing that is known */
	uint64_t duplicates, invalid;           /* ids that cannot be used */
	uint64_t nameless;                      /* messages of which no id can be told */
	const char *fault; /* why it is of no use, as the end of a sentence; NULL */
	/* the parser's own */
	size_t room, length;
	struct uidl_chunk *chunks;
	struct uidl_entry current; /* a record of several lines */
	struct uidl_section sections[8];
	uint32_t nsections, columns;
	unsigned char column[UIDL_COLUMNS]; /* enum of uidl_doveadm.c */
	uint16_t column_at[UIDL_COLUMNS];   /* where its title begins */
	char own_template[UIDL_TEMPLATE + 1];
	struct uidl_json json;
	bool too_long;
	char line[UIDL_LINE + 1];
};

/* The file in pieces of any size, then its end. False: it is of no use, see fault. */
bool uidl_list_feed(struct uidl_list *, const char *bytes, size_t n);
bool uidl_list_end(struct uidl_list *);
void uidl_list_free(struct uidl_list *);
/* What it is, for people. */
const char *uidl_list_kind(const struct uidl_list *);

/* Each sorts the entries anew, and they are looked up by that until the next one. */
void uidl_list_by_name(struct uidl_list *);
void uidl_list_by_uid(struct uidl_list *);
void uidl_list_by_uidl(struct uidl_list *);
void uidl_list_by_order(struct uidl_list *);
struct uidl_entry *uidl_list_name(const struct uidl_list *, const char *name, size_t n);
struct uidl_entry *uidl_list_uid(const struct uidl_list *, uint32_t uid);
struct uidl_entry *uidl_list_uidl(const struct uidl_list *, const char *uidl);

/* For the formats (uidl_lines.h): takes a line without its end; adds an entry, strings copied. */
void uidl_line(struct uidl_list *, char *line, size_t n);
void uidl_line_end(struct uidl_list *); /* of the file */
bool uidl_add(struct uidl_list *, const struct uidl_entry *);
const char *uidl_copy(struct uidl_list *, const char *text, size_t n);

#endif
