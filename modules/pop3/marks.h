/*
 * marks.h - which messages DELE has marked: a bit each, allotted at the first DELE.
 */
#ifndef POP3_MARKS_H
#define POP3_MARKS_H

#include "session.h"

bool pop3_marked(const struct pop3_session *, uint32_t number);
/* false: no memory. */
bool pop3_mark(struct pop3_session *, uint32_t number, uint64_t octets);
void pop3_unmark_all(struct pop3_session *);
/* The first marked number from `from` on; 0 if there is none. */
uint32_t pop3_next_marked(const struct pop3_session *, uint32_t from);

#endif
