/*
 * capa.c - what this server can do (RFC 2449). The same before and after login, but only what is
 * true on this connection.
 */
#include "command.h"

void pop3_capa(struct pop3_session *p, const struct pop3_args *args)
{
	const struct pstn_host *host = pop3_host(p);
	const char *implementation = p->pop3->conf->implementation;

	(void)args;
	pop3_status(p, "capabilities follow");
	host->print(p->stream,
		    "%sTOP\r\n"
		    "UIDL\r\n"
		    "RESP-CODES\r\n"
		    "AUTH-RESP-CODE\r\n"
		    "PIPELINING\r\n"
		    "EXPIRE NEVER\r\n",
		    p->plaintext ? "USER\r\n" : "");
	if (*implementation)
		host->print(p->stream, "IMPLEMENTATION %s\r\n", implementation);
	host->write(p->stream, ".\r\n", 3);
	pop3_complete(p);
}
