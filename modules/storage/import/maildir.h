/*
 * maildir.h - what the name of a file in a Maildir tells. Pure.
 */
#ifndef STORAGE_MAILDIR_H
#define STORAGE_MAILDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Octets of the part that never changes: up to ":2," or the end. */
size_t maildir_base(const char *name);
/* enum pstn_message_flag of what follows ":2,". */
uint32_t maildir_flags(const char *name);
/* The letters that maildir_flags() reads, in order: at most 5. */
void maildir_letters(uint32_t flags, char out[8]);
/* What follows ":2,": flags, and small letters for keywords, as Dovecot writes them. */
const char *maildir_info(const char *name);
/* Whether an export wrote it: the time with which it begins is when the message was received. */
bool maildir_is_own(const char *name);
/* Seconds since 1970 with which the name begins; 0: it does not. */
uint64_t maildir_time(const char *name);

#endif
