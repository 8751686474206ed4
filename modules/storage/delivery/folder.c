/*
 * folder.c - names of folders, and a folder that is made before any message comes to it.
 */
#include "delivery.h"

#include "format/utf8.h"
#include "store.h"

#include <string.h>

const char *folder_name_fault(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > FOLDER_NAME_MAX)
		return "must have 1 to 255 octets";
	if (strchr(name, '/') || strstr(name, "..") || strcmp(name, ".") == 0)
		return "must not contain \"/\" or \"..\"";
	for (size_t i = 0, length; i < n; i += length) {
		uint32_t code;

		length = utf8_take((const unsigned char *)name + i, &code);
		if (length == 0)
			return "is not valid UTF-8";
		if (code < 0x20 || code == 0x7f)
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
