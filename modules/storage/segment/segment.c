/*
 * segment.c - segment files to be written.
 */
#include "segment.h"

#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRIME_CHUNK ((size_t)128 << 10)

static int io_status(int error)
{
	return error == ENOSPC || error == EDQUOT || error == EFBIG ? PSTN_E_FULL
								    : PSTN_E_TEMPORARY;
}

void segment_name(char out[SEGMENT_NAME], uint32_t id)
{
	snprintf(out, SEGMENT_NAME, "%08u.seg", id);
}

/* Only as segment_name() writes it: by any other name it would be looked for where it is not. */
uint32_t segment_number(const char *name)
{
	char same[SEGMENT_NAME];
	unsigned long id = strtoul(name, NULL, 10);

	if (id == 0 || id >= UINT32_MAX)
		return 0;
	segment_name(same, (uint32_t)id);
	return strcmp(name, same) == 0 ? (uint32_t)id : 0;
}

int segment_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : PSTN_E_BUSY;
}

/* ---- making ---- */

static int write_head(struct store *st, struct segment *s)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head = {
	    .id = s->id, .kind = s->kind, .seed = s->seed, .created = store_time()};
	ssize_t n;

	memcpy(head.store, st->uuid, sizeof(head.store));
	segment_head_encode(&head, bytes);
	n = pwrite(s->fd, bytes, sizeof(bytes), 0);
	if (n == (ssize_t)sizeof(bytes) && fsync(s->fd) == 0)
		return PSTN_OK;
	return n < 0 || n == (ssize_t)sizeof(bytes) ? io_status(errno) : PSTN_E_FULL;
}

/* Its final name, unless another file has it. */
static int give_name(struct store *st, struct segment *s, const char *temporary)
{
	char name[SEGMENT_NAME];

	segment_name(name, s->id);
	if (linkat(st->segment_dir, temporary, st->segment_dir, name, 0) != 0)
		return errno == EEXIST ? PSTN_E_EXISTS : io_status(errno);
	return fsync(st->segment_dir) == 0 ? PSTN_OK : io_status(errno);
}

static int fill_new(struct store *st, struct segment *s, const char *temporary)
{
	/* Locked and whole before it has its name: nobody ever sees it without its owner. */
	int status = segment_lock(s->fd);

	if (status == PSTN_OK)
		status = write_head(st, s);
	if (status == PSTN_OK && s->kind == SEGMENT_LOG)
		status = segment_room(s, 1, false);
	if (status == PSTN_OK)
		status = give_name(st, s, temporary);
	return status;
}

/* A number is given once: another process may have given higher ones whose files are gone by now. */
static int take_number(struct store *st, uint32_t *id)
{
	uint32_t next = atomic_load(&st->next_segment);
	struct state_row state;
	int rc = index_state_now(&st->index, &state);

	if (rc != 0)
		return index_status(rc);
	while (next <= state.segment &&
	       !atomic_compare_exchange_weak(&st->next_segment, &next, state.segment + 1))
		;
	*id = atomic_fetch_add(&st->next_segment, 1);
	return PSTN_OK;
}

static int try_create(struct store *st, struct segment *s)
{
	char temporary[64];
	int status = take_number(st, &s->id);

	if (status != PSTN_OK)
		return status;
	snprintf(temporary, sizeof(temporary), SEGMENT_TEMPORARY "%u-%d", s->id, (int)getpid());
	s->fd = openat(st->segment_dir, temporary, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (s->fd < 0)
		return io_status(errno);
	status = fill_new(st, s, temporary);
	unlinkat(st->segment_dir, temporary, 0);
	if (status != PSTN_OK) {
		close(s->fd);
		s->fd = -1;
		s->allocated = 0;
	}
	return status;
}

int segment_create(struct store *st, enum segment_kind kind, struct segment *s)
{
	int status;

	*s = (struct segment){.fd = -1, .kind = kind, .end = SEGMENT_HEAD, .busy = SEGMENT_HEAD};
	if (getrandom(&s->seed, sizeof(s->seed), 0) != sizeof(s->seed))
		return PSTN_E_TEMPORARY;
	do {
		status = try_create(st, s);
	} while (status == PSTN_E_EXISTS);
	return status;
}

/* Whoever had the lock before may have committed more since `end` was read: only under the lock
 * is it known to be the last word. */
static bool ends_at(struct store *st, uint32_t id, uint64_t end)
{
	struct segment_row row = {.end = SEGMENT_HEAD};
	MDB_txn *txn;
	int rc = index_read(&st->index, &txn);

	if (rc != 0)
		return false;
	rc = index_segment(&st->index, txn, id, &row);
	index_read_end(&st->index, txn);
	return (rc == 0 || rc == MDB_NOTFOUND) && row.end == end && !(row.flags & SEGMENT_SEALED);
}

int segment_resume(struct store *st, uint32_t id, uint64_t end, struct segment *s)
{
	unsigned char bytes[SEGMENT_HEAD];
	char name[SEGMENT_NAME];
	struct segment_head head;
	struct stat info;
	int status = PSTN_E_DAMAGED;

	segment_name(name, id);
	*s = (struct segment){.id = id, .end = end};
	s->fd = openat(st->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (s->fd < 0)
		return errno == ENOENT ? PSTN_E_NOT_FOUND : PSTN_E_TEMPORARY;
	if (segment_lock(s->fd) != 0)
		status = PSTN_E_BUSY;
	else if (!ends_at(st, id, end))
		status = PSTN_E_TEMPORARY;
	else if (pread(s->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
		 segment_head_decode(&head, bytes, sizeof(bytes)) == RECORD_OK && head.id == id &&
		 memcmp(head.store, st->uuid, sizeof(head.store)) == 0 &&
		 fstat(s->fd, &info) == 0 && (uint64_t)info.st_size >= end)
		status = PSTN_OK;
	/* What is behind the end may be a group that nobody was told of: it must not come back. */
	if (status == PSTN_OK && ftruncate(s->fd, (off_t)end) != 0)
		status = PSTN_E_TEMPORARY;
	if (status != PSTN_OK) {
		close(s->fd);
		s->fd = -1;
		return status;
	}
	s->kind = head.kind;
	s->seed = head.seed;
	s->allocated = s->zeroed = s->busy = end;
	return segment_room(s, 1, false) == PSTN_E_TEMPORARY ? PSTN_E_TEMPORARY : PSTN_OK;
}

/* ---- space ---- */

static int take_space(struct segment *s, uint64_t end)
{
	int rc;

	do {
		rc = posix_fallocate(s->fd, (off_t)s->allocated, (off_t)(end - s->allocated));
	} while (rc == EINTR);
	if (rc == 0)
		s->allocated = end;
	return rc;
}

int segment_room(struct segment *s, uint64_t need, bool reserve)
{
	uint64_t least = s->end + need + (reserve ? 0 : SEGMENT_RESERVE);
	uint64_t wanted = (least + SEGMENT_STEP) / SEGMENT_STEP * SEGMENT_STEP;
	int rc;

	if (least <= s->allocated)
		return PSTN_OK;
	rc = take_space(s, wanted);
	if (rc != 0)
		rc = take_space(s, least);
	return rc == 0 ? PSTN_OK : io_status(rc);
}

void segment_prime(struct store *st, struct segment *s, pthread_mutex_t *mutex, uint64_t limit)
{
	unsigned char *zeros = store_alloc(st, PRIME_CHUNK);
	bool more = zeros != NULL;

	while (more) {
		uint64_t from;

		pthread_mutex_lock(mutex);
		from = s->zeroed > s->busy ? s->zeroed : s->busy;
		more = s->fd >= 0 && from + PRIME_CHUNK <= s->allocated && from < limit &&
		       pwrite(s->fd, zeros, PRIME_CHUNK, (off_t)from) == (ssize_t)PRIME_CHUNK;
		if (more)
			s->zeroed = from + PRIME_CHUNK;
		pthread_mutex_unlock(mutex);
	}
	store_free(st, zeros);
}

/* ---- appending ---- */

static void advance(struct iovec **v, size_t *n, size_t done)
{
	while (*n > 0 && done >= (*v)->iov_len) {
		done -= (*v)->iov_len;
		(*v)++;
		(*n)--;
	}
	if (*n > 0) {
		(*v)->iov_base = (char *)(*v)->iov_base + done;
		(*v)->iov_len -= done;
	}
}

int segment_write(struct segment *s, struct iovec *v, size_t n, uint64_t offset)
{
	while (n > 0) {
		ssize_t done = pwritev(s->fd, v, n > IOV_MAX ? IOV_MAX : (int)n, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done == 0 ? EIO : errno;
		offset += (uint64_t)done;
		advance(&v, &n, (size_t)done);
	}
	return 0;
}

int segment_sync(struct segment *s)
{
	return fdatasync(s->fd) == 0 ? 0 : errno;
}

int segment_cut(struct segment *s, uint64_t end, bool *unsure)
{
	*unsure = false;
	if (ftruncate(s->fd, (off_t)end) != 0)
		return errno;
	*unsure = fsync(s->fd) != 0;
	if (*unsure)
		return errno;
	s->end = s->allocated = s->zeroed = s->busy = end;
	return 0;
}

/* ---- letting go ---- */

void segment_close(struct segment *s, bool keep_reserve)
{
	uint64_t size = s->end + (keep_reserve ? SEGMENT_RESERVE : 0);

	if (s->fd < 0)
		return;
	/* Space that cannot be given back now is given back when the segment is opened again. */
	if (s->kind == SEGMENT_LOG && s->allocated > size && ftruncate(s->fd, (off_t)size) == 0)
		s->allocated = size;
	close(s->fd);
	s->fd = -1;
}

void segment_discard(struct store *st, struct segment *s)
{
	char name[SEGMENT_NAME];

	if (s->fd < 0)
		return;
	segment_name(name, s->id);
	unlinkat(st->segment_dir, name, 0);
	close(s->fd);
	s->fd = -1;
}

/* Nothing was ever committed in it: the first record's head is not there. */
static bool is_virgin(int fd)
{
	static const unsigned char none[RECORD_HEAD];
	unsigned char bytes[SEGMENT_HEAD + RECORD_HEAD] = {0};
	struct segment_head head;

	return pread(fd, bytes, sizeof(bytes), 0) >= SEGMENT_HEAD &&
	       segment_head_decode(&head, bytes, SEGMENT_HEAD) == RECORD_OK &&
	       memcmp(bytes + SEGMENT_HEAD, none, sizeof(none)) == 0;
}

void segment_sweep(struct store *st, const char *name)
{
	bool temporary = strncmp(name, SEGMENT_TEMPORARY, strlen(SEGMENT_TEMPORARY)) == 0;
	int fd = openat(st->segment_dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (segment_lock(fd) == 0 && (temporary || is_virgin(fd)))
		unlinkat(st->segment_dir, name, 0);
	close(fd);
}
