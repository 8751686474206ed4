/*
 * audit.h - what a session leaves in the log. No password ever gets here.
 */
#ifndef POP3_AUDIT_H
#define POP3_AUDIT_H

#include "command.h"

void pop3_audit_login(struct pop3_session *, uint64_t began);
/* why: a category, for people: "wrong credentials". */
void pop3_audit_login_failed(struct pop3_session *, const char *why);
void pop3_audit_message(struct pop3_session *, const char *event, const struct pstn_message *,
			const char *outcome);
void pop3_audit_update(struct pop3_session *, int status);
void pop3_audit_session(struct pop3_session *, const char *why);

/* Protocol level: the conversation. Secret arguments, and all of a line that is no known command
 * (it may be a password typed too early), are left out. */
void pop3_audit_command(struct pop3_session *, const struct pop3_command *, const char *rest,
			size_t n);
void pop3_audit_unknown(struct pop3_session *, size_t octets);
void pop3_audit_reply(struct pop3_session *, const char *line, size_t n);

#endif
