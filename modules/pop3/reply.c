/*
 * reply.c - status lines, and how a command begins to wait and ends.
 */
#include "audit.h"
#include "session.h"

#include <stdarg.h>
#include <stdio.h>

#define REPLY_MAX 512 /* RFC 1939 section 3: octets of a status line with its end */

static PSTN_PRINTF(3, 0) void status_line(struct pop3_session *p, const char *indicator,
					  const char *fmt, va_list ap)
{
	char line[REPLY_MAX + 1];
	size_t n = (size_t)snprintf(line, sizeof(line), "%s", indicator);
	size_t room = REPLY_MAX - 2 - n;
	int text = vsnprintf(line + n, room + 1, fmt, ap);

	if (text > 0)
		n += (size_t)text < room ? (size_t)text : room;
	pop3_audit_reply(p, line, n);
	line[n++] = '\r';
	line[n++] = '\n';
	pop3_host(p)->write(p->stream, line, n);
}

void pop3_status(struct pop3_session *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	status_line(p, "+OK ", fmt, ap);
	va_end(ap);
}

void pop3_ok(struct pop3_session *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	status_line(p, "+OK ", fmt, ap);
	va_end(ap);
	pop3_complete(p);
}

static PSTN_PRINTF(2, 3) void error_line(struct pop3_session *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	status_line(p, "-ERR ", fmt, ap);
	va_end(ap);
}

void pop3_err(struct pop3_session *p, const char *text)
{
	error_line(p, "%s", text);
	pop3_complete(p);
}

void pop3_err_status(struct pop3_session *p, int status)
{
	switch (status) {
	case PSTN_E_NOT_FOUND:
		pop3_err(p, "no such message");
		return;
	case PSTN_E_GONE:
		pop3_err(p, "message is gone: it was removed elsewhere during this session");
		return;
	case PSTN_E_DAMAGED:
		pop3_err(p, "[SYS/PERM] stored data is damaged; please tell the administrator");
		return;
	case PSTN_E_FULL:
		pop3_err(p, "[SYS/TEMP] the mail store is full; try again later");
		return;
	case PSTN_E_INVALID:
	case PSTN_E_DENIED:
		pop3_err(p, "[SYS/PERM] the mail store refuses; please tell the administrator");
		return;
	default:
		pop3_err(p, "[SYS/TEMP] the server cannot do this now; try again later");
	}
}

void pop3_finish(struct pop3_session *p, const char *why)
{
	p->state = POP3_UPDATE;
	pop3_complete(p);
	pop3_host(p)->finish(p->stream, why);
}

void pop3_err_close(struct pop3_session *p, const char *text, const char *why)
{
	error_line(p, "%s", text);
	pop3_finish(p, why);
}

void pop3_hold(struct pop3_session *p)
{
	if (p->held)
		return;
	p->held = true;
	pop3_host(p)->hold(p->stream);
}

void pop3_await(struct pop3_session *p, int status, pstn_done *next)
{
	if (status == PSTN_LATER)
		pop3_hold(p);
	else
		next(p, status);
}

void *pop3_scratch(struct pop3_session *p, size_t n)
{
	p->scratch = pop3_host(p)->alloc(p->pop3->self, n);
	if (!p->scratch)
		pop3_err_status(p, PSTN_E_NO_MEMORY);
	return p->scratch;
}

void pop3_complete(struct pop3_session *p)
{
	const struct pstn_host *host = pop3_host(p);

	host->free(p->pop3->self, p->scratch);
	p->scratch = NULL;
	if (p->held && p->state != POP3_UPDATE) {
		p->held = false;
		host->resume(p->stream);
	}
}
