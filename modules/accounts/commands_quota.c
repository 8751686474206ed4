/*
 * commands_quota.c - limits as they are written in commands, and as they are shown.
 */
#include "commands.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As in the configuration. */
static const struct unit {
	const char *name;
	uint64_t factor;
} units[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1000},
    {"MB", 1000000},
    {"GB", 1000000000},
    {"TB", UINT64_C(1000000000000)},
    {"K", 1 << 10},
    {"M", 1 << 20},
    {"G", 1 << 30},
    {"T", UINT64_C(1) << 40},
    {"KiB", 1 << 10},
    {"MiB", 1 << 20},
    {"GiB", 1 << 30},
    {"TiB", UINT64_C(1) << 40},
};

/* Digits and one of the units. */
static bool parse_limit(const char *text, bool with_unit, uint64_t *limit)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return false;
	for (size_t i = 0; i < (with_unit ? sizeof(units) / sizeof(*units) : 1); i++) {
		if (strcasecmp(end, units[i].name) != 0)
			continue;
		return !__builtin_mul_overflow(n, units[i].factor, limit) && *limit <= INT64_MAX;
	}
	return false;
}

static bool limit_option(struct request *r, const char *option, bool octets, uint64_t *limit)
{
	const char *text = r->ops->arg(r->call, option);
	uint64_t parsed;

	if (!text)
		return true;
	if (strcmp(text, "default") == 0) {
		*limit = LIMIT_DEFAULT;
		return true;
	}
	if (strcmp(text, "none") == 0)
		parsed = 0;
	else if (!parse_limit(text, octets, &parsed)) {
		r->ops->fail(r->call, "--%s %s: expected %s, \"none\", or \"default\".", option,
			     text, octets ? "a size as 500MiB or 10GiB" : "a number");
		return false;
	}
	*limit = parsed ? parsed : LIMIT_NONE;
	return true;
}

bool request_messages(struct request *r, const char *option, uint64_t *limit)
{
	return limit_option(r, option, false, limit);
}

bool request_octets(struct request *r, const char *option, uint64_t *limit)
{
	return limit_option(r, option, true, limit);
}

void request_quota(struct request *r, const char *messages, const char *octets,
		   struct pstn_quota quota)
{
	r->ops->integer(r->call, messages, (int64_t)quota.messages);
	r->ops->integer(r->call, octets, (int64_t)quota.octets);
}
