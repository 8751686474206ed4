/*
 * name.h - account and domain names: what is one, and the one form in which it is kept.
 *
 * A canonical name is local-part@domain with ASCII letters in lower case. The local part is an
 * RFC 5321 Dot-string without '/', octets above 127 are allowed as valid, visible UTF-8 (RFC 6532).
 * A canonical name is therefore safe as a part of a path, a log line and an LMDB key.
 */
#ifndef ACCOUNTS_NAME_H
#define ACCOUNTS_NAME_H

#include <postern/directory.h>

#define NAME_SIZE        (PSTN_ACCOUNT_NAME_MAX + 1)
#define NAME_SERVICE_MAX 32

/* Each returns NULL, or what is wrong with the name as the end of a sentence ("has no domain"). */

/* A name without '@' gets default_domain, if that is not "". out holds NAME_SIZE octets. */
const char *name_account(const char *text, const char *default_domain, char *out);
const char *name_domain(const char *text, char *out);
const char *name_service(const char *text);

#endif
