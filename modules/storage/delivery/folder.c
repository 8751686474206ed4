/*
 * folder.c - names of folders, and a folder that is made before any message comes to it.
 */
#include "delivery.h"

#include "store.h"

#include <string.h>

/* Length of the UTF-8 sequence at p, 0 if it is none. */
static size_t utf8_length(const unsigned char *p)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = *p < 0x80 ? 1 : *p >> 5 == 6 ? 2 : *p >> 4 == 14 ? 3 : *p >> 3 == 30 ? 4 : 0;
	uint32_t c = n == 1 ? *p : n == 0 ? 0 : *p & (0x7fU >> n);

	for (size_t i = 1; i < n; i++) {
		if (p[i] >> 6 != 2)
			return 0;
		c = c << 6 | (p[i] & 0x3fU);
	}
	if (n == 0 || c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

const char *folder_name_fault(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > FOLDER_NAME_MAX)
		return "must have 1 to 255 octets";
	if (strchr(name, '/') || strstr(name, "..") || strcmp(name, ".") == 0)
		return "must not contain \"/\" or \"..\"";
	for (size_t i = 0, length; i < n; i += length) {
		length = utf8_length((const unsigned char *)name + i);
		if (length == 0)
			return "is not valid UTF-8";
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
			return "contains a control character";
	}
	return NULL;
}

int delivery_folder(struct store *st, const struct pstn_account *account, const char *folder)
{
	struct pending p = {.kind = PENDING_FOLDER, .account = account->id};

	p.deliver.account_name = account->name;
	p.deliver.folder_name = folder;
	commit_wait(st, &p);
	return p.status;
}
