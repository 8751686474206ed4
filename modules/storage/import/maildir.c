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

/* In the order in which names have them. */
static const struct {
	char letter;
	uint32_t flag;
} letters[] = {{'D', PSTN_DRAFT},
	       {'F', PSTN_FLAGGED},
	       {'R', PSTN_ANSWERED},
	       {'S', PSTN_SEEN},
	       {'T', PSTN_DELETED}};

#define LETTERS (sizeof(letters) / sizeof(*letters))

const char *maildir_info(const char *name)
{
	const char *info = strstr(name, ":2,");

	return info ? info + 3 : "";
}

uint32_t maildir_flags(const char *name)
{
	const char *info = maildir_info(name);
	uint32_t flags = 0;

	for (size_t i = 0; i < LETTERS; i++) {
		if (strchr(info, letters[i].letter))
			flags |= letters[i].flag;
	}
	return flags;
}

void maildir_letters(uint32_t flags, char out[8])
{
	size_t n = 0;

	for (size_t i = 0; i < LETTERS; i++) {
		if (flags & letters[i].flag)
			out[n++] = letters[i].letter;
	}
	out[n] = '\0';
}

/* "TIME.UuidVuidvalidity.postern" and what follows a comma. */
bool maildir_is_own(const char *name)
{
	const char *host = strchr(name, '.');

	host = host && host[1] == 'U' ? strchr(host + 1, '.') : NULL;
	return host && strncmp(host, ".postern", 8) == 0 &&
	       (host[8] == ',' || host[8] == ':' || host[8] == '\0');
}

uint64_t maildir_time(const char *name)
{
	uint64_t seconds = 0;
	int digits = 0;

	while (name[digits] >= '0' && name[digits] <= '9' && digits < 12)
		seconds = seconds * 10 + (uint64_t)(name[digits++] - '0');
	return digits >= 8 && name[digits] == '.' ? seconds : 0;
}
