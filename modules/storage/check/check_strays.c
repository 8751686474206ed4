/*
 * check_strays.c - files among the segments that no row of the index tells of: put there by hand, or
 * with a header that could not be read when the index was made.
 */
#include "checker.h"

#include "open/home.h"
#include "segment/segment.h"
#include "store.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool has_row(struct checker *k, uint32_t id)
{
	struct index *ix = &k->store->index;
	struct segment_row row;
	MDB_txn *txn;
	int rc = k->error = index_read(ix, &txn);

	if (rc != 0)
		return true;
	rc = index_segment(ix, txn, id, &row);
	index_read_end(ix, txn);
	return rc != MDB_NOTFOUND;
}

/* Whoever writes a segment has it locked, and its first group may not be committed yet. */
static bool is_being_written(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

static bool holds_something(int fd, uint64_t *size)
{
	static const unsigned char none[RECORD_HEAD];
	unsigned char head[RECORD_HEAD] = {0};
	struct stat info;

	if (fstat(fd, &info) != 0 || info.st_size <= SEGMENT_HEAD)
		return false;
	*size = (uint64_t)info.st_size;
	return pread(fd, head, sizeof(head), SEGMENT_HEAD) > 0 &&
	       memcmp(head, none, sizeof(head)) != 0;
}

static bool look_at(struct store *st, uint32_t id, void *arg)
{
	struct checker *k = arg;
	struct fault f = {.kind = FAULT_SEGMENT_UNKNOWN, .segment = id};
	char name[SEGMENT_NAME];
	int fd;

	if (has_row(k, id))
		return k->error == 0;
	segment_name(name, id);
	fd = openat(st->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return true;
	/* In this order: one that was being written has its row by the time it is let go. */
	if (!is_being_written(fd) && holds_something(fd, &f.octets) && !has_row(k, id))
		checker_add(k, &f);
	close(fd);
	return k->error == 0;
}

void check_strays(struct checker *k)
{
	int rc = home_each_segment(k->store, look_at, k);

	if (k->error == 0)
		k->error = rc;
}
