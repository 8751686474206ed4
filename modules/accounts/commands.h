/*
 * commands.h - what the commands on accounts and on domains share.
 */
#ifndef ACCOUNTS_COMMANDS_H
#define ACCOUNTS_COMMANDS_H

#include "accounts.h"

/* One command being run. */
struct request {
	struct accounts *a;
	struct pstn_call *call;
	const struct pstn_call_ops *ops;
	char name[NAME_SIZE]; /* of the account or domain it is about */
};

struct request request_of(void *inst, struct pstn_call *);
/* The argument `name` as a canonical name. false: it was refused and the caller is done. */
bool request_account(struct request *);
bool request_domain(struct request *);
/* The command failed for a reason that the database gave. what: "the account was not added". */
void request_fail(struct request *, int status, const char *what);
/* The option as a limit: a number (octets: with KiB to TiB), "none" or "default". Leaves *limit
 * alone if it was not given. false: it was refused. */
bool request_messages(struct request *, const char *option, uint64_t *limit);
bool request_octets(struct request *, const char *option, uint64_t *limit);
/* Two fields, 0 = no limit. */
void request_quota(struct request *, const char *messages, const char *octets, struct pstn_quota);
void request_time(struct request *, const char *key, uint64_t seconds);

void domain_add(void *inst, struct pstn_call *);
void domain_set(void *inst, struct pstn_call *);
void domain_remove(void *inst, struct pstn_call *);
void domain_list(void *inst, struct pstn_call *);

void account_add(void *inst, struct pstn_call *);
void account_passwd(void *inst, struct pstn_call *);
void account_set(void *inst, struct pstn_call *);
void account_remove(void *inst, struct pstn_call *);
void account_show(void *inst, struct pstn_call *);
void account_list(void *inst, struct pstn_call *);
void account_check(void *inst, struct pstn_call *);

#endif
