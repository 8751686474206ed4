/*
 * session.h - a connection from accept to close: what host.c and op.c need of it.
 *
 * The session half of pstn_host (write, printf, send, ... claim) is implemented in session*.c and
 * stream*.c under these names; host.c puts them into the table.
 */
#ifndef CORE_SESSION_H
#define CORE_SESSION_H

#include <postern/module.h>
#include <postern/service.h>

struct op;
struct reactor;

struct reactor *session_reactor(const struct pstn_session *);
struct pstn_self *session_instance(const struct pstn_session *);
/* Head of the list of pending operations; op.c threads them, session close calls ops_orphan(). */
struct op **session_ops(struct pstn_session *);
/* Runs fn(arg) and afterwards what a turn ends with (output is written, closing is seen to).
 * op.c uses it to run completions. On the session's reactor. */
void session_enter(struct pstn_session *, void (*fn)(void *arg, int status), void *arg, int status);

void session_write(struct pstn_session *, const void *bytes, size_t n);
void session_printf(struct pstn_session *, const char *fmt, ...) PSTN_PRINTF(2, 3);
void session_send(struct pstn_session *, const struct pstn_content *, uint64_t length);
uint64_t session_queued(struct pstn_session *);
void session_want_drained(struct pstn_session *);
void session_hold(struct pstn_session *);
void session_resume(struct pstn_session *);
void session_raw(struct pstn_session *, bool on);
void session_line_limit(struct pstn_session *, size_t octets);
void session_idle_limit(struct pstn_session *, uint64_t ms);
void session_finish(struct pstn_session *, const char *why);
void session_drop(struct pstn_session *, const char *why);
const char *session_id(struct pstn_session *);
void session_peer(struct pstn_session *, struct pstn_peer *out);
void session_set_account(struct pstn_session *, const char *account);
void session_set_state(struct pstn_session *, const char *state);
bool session_claim(struct pstn_session *, const char *key, uint32_t limit);

#endif
