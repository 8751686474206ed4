/*
 * identity.c - the file that says what a store is: format and id. If it is lost, the segments tell.
 */
#include "home_parts.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define UUID_TEXT    32
#define IDENTITY     "postern store\n"
#define IDENTITY_MAX 128

static void uuid_text(const unsigned char uuid[16], char out[UUID_TEXT + 1])
{
	for (int i = 0; i < 16; i++)
		snprintf(out + i * 2, 3, "%02x", uuid[i]);
}

static bool uuid_parse(const char *text, unsigned char uuid[16])
{
	for (int i = 0; i < 16; i++) {
		unsigned v;

		if (sscanf(text + i * 2, "%2x", &v) != 1)
			return false;
		uuid[i] = (unsigned char)v;
	}
	return true;
}

/* The lines that say what this is; a third one carries their checksum. */
static int identity_text(const struct store *st, char *text, size_t n)
{
	char uuid[UUID_TEXT + 1];
	int length;

	uuid_text(st->uuid, uuid);
	length = snprintf(text, n, IDENTITY "format %u\nid %s\n", STORE_FORMAT, uuid);
	return length + snprintf(text + length, n - (size_t)length, "check %016llx\n",
				 (unsigned long long)record_sum(text, (size_t)length, 0));
}

static int write_identity(struct store *st)
{
	char text[IDENTITY_MAX];
	int fd, length, rc = 0;

	length = identity_text(st, text, sizeof(text));
	fd = openat(st->dir, "store.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	if (write(fd, text, (size_t)length) != length || fsync(fd) != 0)
		rc = errno ? errno : ENOSPC;
	close(fd);
	if (rc == 0 && renameat(st->dir, "store.new", st->dir, "store") != 0)
		rc = errno;
	if (rc == 0 && fsync(st->dir) != 0)
		rc = errno;
	return rc;
}

/* Of whatever format: the last line is the check of those before it. */
static bool identity_sound(const char *text)
{
	const char *check = strstr(text, "check ");
	char same[sizeof("check \n") + 16];

	if (!check)
		return false;
	snprintf(same, sizeof(same), "check %016llx\n",
		 (unsigned long long)record_sum(text, (size_t)(check - text), 0));
	return strcmp(check, same) == 0;
}

/* 1: there is none, or it is damaged; the segments say the same. */
static int parse_identity(struct store *st, const char *text, char *err, size_t n)
{
	char uuid[UUID_TEXT + 1];
	unsigned format;

	if (!identity_sound(text) || sscanf(text, IDENTITY "format %u\n", &format) != 1)
		return 1;
	if (format > STORE_FORMAT)
		return home_say(
		    st, err, n, "store",
		    "the store was written by a later version of the server; start that "
		    "version");
	if (format < STORE_FORMAT)
		return home_say(
		    st, err, n, "store",
		    "the store was written by an early version of the server whose format is "
		    "not read any more; export its mail with that version and import it");
	return sscanf(text, IDENTITY "format %*u\nid %32[0-9a-f]", uuid) == 1 &&
		       strlen(uuid) == UUID_TEXT && uuid_parse(uuid, st->uuid)
		   ? 0
		   : 1;
}

static int read_identity(struct store *st, char *err, size_t n)
{
	char text[IDENTITY_MAX] = "";
	ssize_t got;
	int fd = openat(st->dir, "store", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return errno == ENOENT ? 1 : home_say(st, err, n, "store", strerror(errno));
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got < 0)
		return home_say(st, err, n, "store", strerror(errno));
	return parse_identity(st, text, err, n);
}

struct identity_search {
	bool found;
	int error; /* a segment could not be looked at */
};

static bool take_identity(struct store *st, uint32_t id, void *arg)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	char name[SEGMENT_NAME];
	struct identity_search *s = arg;
	ssize_t n;
	int fd;

	segment_name(name, id);
	fd = openat(st->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : pread(fd, bytes, sizeof(bytes), 0);
	if (n < 0)
		s->error = errno;
	if (fd >= 0)
		close(fd);
	s->found = n == (ssize_t)sizeof(bytes) &&
		   segment_head_decode(&head, bytes, sizeof(bytes)) == RECORD_OK;
	if (s->found)
		memcpy(st->uuid, head.store, sizeof(st->uuid));
	return !s->found;
}

int home_identity(struct store *st, bool first, char *err, size_t n)
{
	struct identity_search s = {.found = false};
	int rc = read_identity(st, err, n);

	if (rc <= 0)
		return rc;
	if (!first)
		return home_say(st, err, n, "store", "the file is missing or damaged");
	rc = home_each_segment(st, take_identity, &s);
	/* With another id than the segments have, none of them could be read. */
	if (!s.found && (rc != 0 || s.error != 0))
		return home_say(st, err, n, "segments", strerror(rc ? rc : s.error));
	if (!s.found && getrandom(st->uuid, sizeof(st->uuid), 0) != (ssize_t)sizeof(st->uuid))
		return home_say(st, err, n, "store", strerror(errno));
	rc = write_identity(st);
	return rc == 0 ? 0 : home_say(st, err, n, "store", strerror(rc));
}
