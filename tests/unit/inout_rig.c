/*
 * inout_rig.c - what tests of import and export share.
 */
#include "inout_rig.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

const char *inout_path(const char *name)
{
	static char path[4][1024];
	static unsigned turn;

	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", fake_directory(), name);
	return path[turn];
}

void inout_put(const char *name, const char *text, time_t when)
{
	struct utimbuf times = {when, when};

	rig_write_file(inout_path(name), text, strlen(text));
	utime(inout_path(name), &times);
}

void inout_maildir(const char *name)
{
	static const char *const parts[] = {"", "/cur", "/new", "/tmp"};
	char path[512];

	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", name, parts[i]);
		mkdir(inout_path(path), 0700);
	}
}

const char *inout_import(struct rig *r, const char *user, const char *source, const char *folder,
			 const char *uidls)
{
	int fd = open(inout_path(source), O_RDONLY | O_CLOEXEC);
	int list = uidls ? open(inout_path(uidls), O_RDONLY | O_CLOEXEC) : -1;
	struct rig_argument args[] = {{"user", user, -1},
				      {"source", NULL, fd},
				      {"folder", folder, -1},
				      {"uidls", NULL, list}};
	struct stat info;
	const char *answer;

	if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
		args[1] = (struct rig_argument){"source", inout_path(source), -1};
	answer = rig_call(r, "mailbox import", args, 4);
	close(fd);
	if (list >= 0)
		close(list);
	return answer;
}

const char *inout_export(struct rig *r, const char *user, const char *directory, const char *format)
{
	const struct rig_argument args[] = {
	    {"user", user, -1}, {"directory", inout_path(directory), -1}, {"format", format, -1}};

	mkdir(inout_path(directory), 0700);
	return rig_call(r, "mailbox export", args, 3);
}

uint32_t inout_deliver(struct rig *r, const char *user, const char *folder, const char *text,
		       size_t n, const char *uidl, uint32_t flags, uint64_t received)
{
	struct pstn_account account;
	struct pstn_delivery_request q = {.size = sizeof(q),
					  .account = &account,
					  .folder = folder,
					  .uidl = uidl,
					  .flags = flags,
					  .received = received};
	struct pstn_delivered delivered = {0};
	struct pstn_delivery *d;

	rig_account(&account, user);
	CU_ASSERT_EQUAL_FATAL(delivery_table.begin(r->store, NULL, &q, &d, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.write(d, text, n, NULL, NULL), PSTN_OK);
	CU_ASSERT_EQUAL(delivery_table.commit(d, &delivered, NULL, NULL), PSTN_OK);
	return delivered.uid;
}
