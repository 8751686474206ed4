/*
 * maildir.c - what the name of a file in a Maildir tells.
 */
#include "maildir.h"

#include <postern/maildrop.h>

#include <string.h>

size_t maildir_base(const char *name)
{
	return strcspn(name, ":");
}

uint32_t maildir_flags(const char *name)
{
	const char *info = strstr(name, ":2,");
	uint32_t flags = 0;

	for (const char *p = info ? info + 3 : ""; *p; p++) {
		switch (*p) {
		case 'S':
			flags |= PSTN_SEEN;
			break;
		case 'R':
			flags |= PSTN_ANSWERED;
			break;
		case 'F':
			flags |= PSTN_FLAGGED;
			break;
		case 'T':
			flags |= PSTN_DELETED;
			break;
		case 'D':
			flags |= PSTN_DRAFT;
			break;
		default:
			break;
		}
	}
	return flags;
}

uint64_t maildir_time(const char *name)
{
	uint64_t seconds = 0;
	int digits = 0;

	while (name[digits] >= '0' && name[digits] <= '9' && digits < 12)
		seconds = seconds * 10 + (uint64_t)(name[digits++] - '0');
	return digits >= 8 && name[digits] == '.' ? seconds : 0;
}
