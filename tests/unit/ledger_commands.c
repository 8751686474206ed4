/*
 * ledger_commands.c - what commands need to bring messages of the ledger: accounts that go into
 * backups, files to import.
 */
#include "ledger.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {"ann@example.org", "bob@example.org"};

static int look_up(void *inst, const char *name, struct pstn_account *out)
{
	(void)inst;
	for (size_t i = 0; i < 2; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		rig_account(out, name);
		return PSTN_OK;
	}
	return PSTN_E_NOT_FOUND;
}

static int each_user(void *inst, bool (*each)(void *arg, const struct pstn_account *), void *arg)
{
	struct pstn_account a;

	(void)inst;
	for (size_t i = 0; i < 2; i++) {
		rig_account(&a, names[i]);
		if (!each(arg, &a))
			break;
	}
	return PSTN_OK;
}

static int save(void *inst, int fd)
{
	(void)inst;
	return write(fd, "ann bob", 7) == 7 ? PSTN_OK : PSTN_E_FULL;
}

static int load(void *inst, int fd, const char *name, uint64_t *added, uint64_t *refused)
{
	(void)inst;
	(void)fd;
	(void)name;
	*added = *refused = 0;
	return PSTN_OK;
}

static const struct pstn_directory directory = {
    .size = sizeof(directory), .lookup = look_up, .each = each_user, .save = save, .load = load};

void ledger_accounts(struct rig *r)
{
	fake_need(r->self, 0, &directory, NULL);
}

/* ---- files ---- */

const char *ledger_scratch(const char *name)
{
	static char path[600];

	snprintf(path, sizeof(path), "%s/%s", fake_directory(), name);
	return path;
}

void ledger_write_mbox(const uint32_t *messages, size_t n)
{
	static char mbox[1 << 17];
	size_t used = 0, length;

	for (size_t i = 0; i < n; i++)
		used += (size_t)snprintf(mbox + used, sizeof(mbox) - used,
					 "From a@b Thu Aug 22 12:36:23 2002\n%s\n",
					 ledger_text(messages[i], &length));
	rig_write_file(ledger_scratch("mbox"), mbox, used);
}

const char *ledger_import(struct rig *r)
{
	int source = open(ledger_scratch("mbox"), O_RDONLY | O_CLOEXEC);
	const char *answer =
	    rig_command(r, "mailbox import", names[0], NULL, NULL, "source", source);

	close(source);
	return answer;
}
