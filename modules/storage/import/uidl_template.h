/*
 * uidl_template.h - Dovecot's pop3_uidl_format: how a server makes unique ids of what it knows of
 * a message. Pure.
 *
 * The variables u (uid), v (uidvalidity), f (file name without flags) and g (GUID), as %u, with
 * width and X for hexadecimal as in %08Xu, or by name as in %{uid}, %{uid | hex(8)}.
 */
#ifndef STORAGE_UIDL_TEMPLATE_H
#define STORAGE_UIDL_TEMPLATE_H

#include "format/record.h"

#define UIDL_TEMPLATE         127 /* octets at most */
#define UIDL_TEMPLATE_DOVECOT "%08Xu%08Xv"
#define UIDL_TEMPLATE_CYRUS   "%v.%u"

struct uidl_values {
	uint32_t uid, uidvalidity;
	const char *name, *guid; /* NULL: not known */
};

/* NULL, or why it cannot be used, as the end of a sentence. */
const char *uidl_template_fault(const char *format);
/* False: something in it is not known of the message, or it is no unique id. */
bool uidl_template_expand(const char *format, const struct uidl_values *, char out[UIDL_MAX + 1]);

#endif
