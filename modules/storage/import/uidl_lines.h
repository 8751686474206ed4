/*
 * uidl_lines.h - the formats of listings, each in a file of its own, and what they share. Pure.
 *
 *	uidl_lines.c    which of them it is
 *	uidl_dovecot.c  dovecot-uidlist
 *	uidl_doveadm.c  doveadm fetch, in its formats with lines
 *	uidl_json.c     doveadm fetch -f json
 *	uidl_courier.c  courierpop3dsizelist
 *	uidl_cyrus.c    mbexamine
 *	uidl_pop3.c     the answers to UIDL and LIST
 */
#ifndef STORAGE_UIDL_LINES_H
#define STORAGE_UIDL_LINES_H

#include "uidl_list.h"

/* ---- words and numbers ---- */

/* All digits, and it fits. */
bool uidl_number(const char *text, size_t n, uint64_t *out);
bool uidl_number32(const char *text, size_t n, uint32_t *out);
/* The next word of a line; *n 0: none is left. */
const char *uidl_word(const char **at, size_t *n);

/* ---- entries ---- */

/* One of which nothing is known yet. */
struct uidl_entry uidl_blank(void);
/* The size in wire form that Dovecot may have in the name of a file, ",W=1234"; UIDL_NO_SIZE. */
uint64_t uidl_size_of_name(const char *name);
/* Adds a message; what its name and its uid tell is filled in. */
void uidl_message(struct uidl_list *, struct uidl_entry *);
/* The line is nothing that is known. */
void uidl_strange(struct uidl_list *);

/* ---- formats; bool: the line is one of theirs ---- */

bool uidl_dovecot_header(struct uidl_list *, const char *line);
void uidl_dovecot_line(struct uidl_list *, const char *line);
bool uidl_courier_header(struct uidl_list *, const char *line);
bool uidl_courier_line(struct uidl_list *, char *line);
/* Sets the kind, unless the line only stands before a format. */
bool uidl_doveadm_begin(struct uidl_list *, const char *line, size_t n);
bool uidl_doveadm_line(struct uidl_list *, const char *line, size_t n);
void uidl_doveadm_end(struct uidl_list *);
/* A field of a message by its title; one that is not known is no fault. False: its value is. */
bool uidl_doveadm_field(struct uidl_list *, struct uidl_entry *, const char *title, size_t n,
			const char *value, size_t length);
/* A message with its fields, if it has any. */
void uidl_doveadm_message(struct uidl_list *, struct uidl_entry *);
/* The kind is JSON from the first octet on. */
void uidl_json_octet(struct uidl_list *, char);
bool uidl_cyrus_line(struct uidl_list *, const char *line);
bool uidl_pop3_line(struct uidl_list *, const char *line);
void uidl_pop3_end(struct uidl_list *);

#endif
