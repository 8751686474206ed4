/*
 * pass.c - see pass.h; docs/storage-format.md has the file's octets.
 */
#include "pass.h"

#include "format/bytes.h"
#include "format/record.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PASS_MAGIC   "PSTNPAS1"
#define PASS_SIZE    384
#define PASS_NUMBERS 24
#define PASS_FIRST   256

static void encode(const struct pass *p, unsigned char out[PASS_SIZE])
{
	const uint64_t numbers[] = {p->account, p->offset,   p->begun,   p->ended,  p->accounts,
				    p->folders, p->messages, p->records, p->octets, p->faults,
				    p->mended,  p->folder,   p->uid};

	memset(out, 0, PASS_SIZE);
	memcpy(out, PASS_MAGIC, 8);
	put32(out + 16, p->phase);
	put32(out + 20, p->options);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		put64(out + PASS_NUMBERS + i * 8, numbers[i]);
	put32(out + PASS_NUMBERS + sizeof(numbers), p->segment);
	put32(out + PASS_NUMBERS + sizeof(numbers) + 4, p->step);
	memcpy(out + PASS_FIRST, p->first, sizeof(p->first));
	put64(out + 8, record_sum(out + 16, PASS_SIZE - 16, 0));
}

static bool decode(struct pass *p, const unsigned char in[PASS_SIZE])
{
	uint64_t *const numbers[] = {&p->account,  &p->offset,  &p->begun,    &p->ended,
				     &p->accounts, &p->folders, &p->messages, &p->records,
				     &p->octets,   &p->faults,  &p->mended,   &p->folder,
				     &p->uid};
	const size_t n = sizeof(numbers) / sizeof(*numbers);

	if (memcmp(in, PASS_MAGIC, 8) != 0 ||
	    get64(in + 8) != record_sum(in + 16, PASS_SIZE - 16, 0))
		return false;
	*p = (struct pass){.phase = get32(in + 16), .options = get32(in + 20)};
	for (size_t i = 0; i < n; i++)
		*numbers[i] = get64(in + PASS_NUMBERS + i * 8);
	p->segment = get32(in + PASS_NUMBERS + n * 8);
	p->step = get32(in + PASS_NUMBERS + n * 8 + 4);
	memcpy(p->first, in + PASS_FIRST, sizeof(p->first));
	p->first[PASS_FIRST_MAX] = '\0';
	return p->phase <= PASS_DONE && p->step <= STEP_TOMBSTONES;
}

bool pass_load(struct store *st, const char *name, struct pass *p)
{
	unsigned char bytes[PASS_SIZE];
	int fd = openat(st->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	*p = (struct pass){0};
	if (fd < 0)
		return false;
	n = pread(fd, bytes, sizeof(bytes), 0);
	close(fd);
	return n == (ssize_t)sizeof(bytes) && decode(p, bytes);
}

int pass_save(struct store *st, const char *name, const struct pass *p)
{
	unsigned char bytes[PASS_SIZE];
	char fresh[32];
	int fd, rc = 0;

	encode(p, bytes);
	snprintf(fresh, sizeof(fresh), "%s.new", name);
	fd = openat(st->dir, fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno;
	/* Not synced: a walk that goes on from an older place is right as well. */
	if (write(fd, bytes, sizeof(bytes)) != (ssize_t)sizeof(bytes))
		rc = errno ? errno : ENOSPC;
	close(fd);
	if (rc == 0 && renameat(st->dir, fresh, st->dir, name) != 0)
		rc = errno;
	return rc;
}
