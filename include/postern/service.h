/*
 * postern/service.h - interface "service.stream" 1.0: a protocol that the core feeds.
 *
 * A module that offers it gets `listeners` in its configuration. The core accepts, reads, cuts
 * lines, keeps time and writes; the service answers. All calls about a session come on its reactor.
 *
 * Change log
 *   1.0  first version
 */
#ifndef POSTERN_SERVICE_H
#define POSTERN_SERVICE_H

#include <postern/module.h>

#define PSTN_SERVICE_STREAM "service.stream"

struct pstn_service {
	uint32_t size;
	uint32_t session_size;        /* zeroed bytes allotted to each session, passed as `state` */
	const char *protocol;         /* "pop3" */
	const char *default_listener; /* used when the configuration names none: "127.0.0.1:110" */
	uint32_t line_limit; /* octets with line end; host->line_limit changes it per session */
	uint32_t reserved;

	/* A client is connected. */
	void (*open)(void *inst, struct pstn_session *, void *state);
	/* One line without its end (LF or CRLF); line[n] is '\0', there may be others inside. The
	 * service may change the bytes; they are gone when the call returns. */
	void (*line)(void *inst, struct pstn_session *, void *state, char *line, size_t n);
	/* A line was longer than the limit; it has been skipped up to its end. */
	void (*overlong)(void *inst, struct pstn_session *, void *state);
	/* In raw mode: returns how many of the n octets were consumed. May be NULL. */
	size_t (*data)(void *inst, struct pstn_session *, void *state, const char *bytes, size_t n);
	/* The answer to want_drained. May be NULL. */
	void (*drained)(void *inst, struct pstn_session *, void *state);
	/* The idle limit passed. NULL: the core closes silently (RFC 1939 section 3). */
	void (*timeout)(void *inst, struct pstn_session *, void *state);
	/* The connection is gone. No call about this session follows; its operations are cancelled.
	 * why: "client closed", "idle", what finish() or drop() said, ... */
	void (*close)(void *inst, struct pstn_session *, void *state, const char *why);
	/* The one line, with CRLF, for a client turned away before it has a session. */
	const char *refusal;
};

#endif
