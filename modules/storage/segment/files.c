/*
 * files.c - open segments to read from.
 */
#include "files.h"

#include "maildrop/view.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int files_init(struct files *f)
{
	return pthread_mutex_init(&f->mutex, NULL) == 0 ? 0 : -1;
}

static void close_file(struct file *file)
{
	close(file->fd);
	store_free(file->store, file);
}

static void close_left(struct files *f)
{
	struct file *file, *next;

	pthread_mutex_lock(&f->mutex);
	file = f->left;
	f->left = NULL;
	pthread_mutex_unlock(&f->mutex);
	for (; file; file = next) {
		next = file->left;
		close_file(file);
	}
}

void files_clear(struct files *f)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		if (f->slots[i])
			file_release(f->slots[i]);
		f->slots[i] = NULL;
	}
	close_left(f);
	pthread_mutex_destroy(&f->mutex);
}

void file_release(struct file *file)
{
	if (atomic_fetch_sub(&file->refs, 1) == 1)
		close_file(file);
}

void file_leave(struct file *file)
{
	struct files *f = &file->store->files;

	if (atomic_fetch_sub(&file->refs, 1) != 1)
		return;
	pthread_mutex_lock(&f->mutex);
	file->left = f->left;
	f->left = file;
	pthread_mutex_unlock(&f->mutex);
}

static void forget_removed(struct files *f)
{
	for (unsigned i = 0; i < FILES_MAX; i++) {
		struct file *file;
		struct stat info;

		pthread_mutex_lock(&f->mutex);
		file = f->slots[i];
		if (file && fstat(file->fd, &info) == 0 && info.st_nlink == 0)
			f->slots[i] = NULL;
		else
			file = NULL;
		pthread_mutex_unlock(&f->mutex);
		if (file)
			file_release(file);
	}
}

void files_tidy(struct files *f)
{
	forget_removed(f);
	close_left(f);
}

bool file_reaches(struct file *file, uint64_t end)
{
	struct stat now;

	if (end <= atomic_load_explicit(&file->length, memory_order_relaxed))
		return true;
	if (fstat(file->fd, &now) != 0)
		return false;
	atomic_store_explicit(&file->length, (uint64_t)now.st_size, memory_order_relaxed);
	return end <= (uint64_t)now.st_size;
}

static struct file *look_up(struct files *f, uint32_t id)
{
	struct file *file;

	pthread_mutex_lock(&f->mutex);
	file = f->slots[id % FILES_MAX];
	if (file && file->id == id)
		atomic_fetch_add(&file->refs, 1);
	else
		file = NULL;
	pthread_mutex_unlock(&f->mutex);
	return file;
}

/* Keep it for the next reader; whoever had the place before stays open while somebody reads. */
static void keep(struct files *f, struct file *file)
{
	struct file *before;

	atomic_fetch_add(&file->refs, 1);
	pthread_mutex_lock(&f->mutex);
	before = f->slots[file->id % FILES_MAX];
	f->slots[file->id % FILES_MAX] = file;
	pthread_mutex_unlock(&f->mutex);
	if (before)
		file_release(before);
}

static int read_seed(const struct store *st, struct file *file)
{
	unsigned char bytes[SEGMENT_HEAD];
	struct segment_head head;
	ssize_t n = pread(file->fd, bytes, sizeof(bytes), 0);

	if (n < 0)
		return PSTN_E_TEMPORARY;
	if (n != (ssize_t)sizeof(bytes) ||
	    segment_head_decode(&head, bytes, sizeof(bytes)) != RECORD_OK || head.id != file->id ||
	    memcmp(head.store, st->uuid, sizeof(head.store)) != 0)
		return PSTN_E_DAMAGED;
	file->seed = head.seed;
	return PSTN_OK;
}

static struct file *open_file(struct store *st, uint32_t id, int *status)
{
	struct file *file = store_alloc(st, sizeof(*file));
	char name[SEGMENT_NAME];

	if (!file) {
		*status = PSTN_E_NO_MEMORY;
		return NULL;
	}
	segment_name(name, id);
	file->store = st;
	file->id = id;
	atomic_init(&file->refs, 1);
	file->fd = openat(st->segment_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file->fd < 0) {
		*status = errno == ENOENT ? PSTN_E_NOT_FOUND : PSTN_E_TEMPORARY;
		store_free(st, file);
		return NULL;
	}
	*status = read_seed(st, file);
	if (*status == PSTN_OK)
		return file;
	file_release(file);
	return NULL;
}

struct file *files_get(struct store *st, uint32_t id, bool may_block, int *status)
{
	struct file *file = look_up(&st->files, id);

	*status = PSTN_OK;
	if (file)
		return file;
	if (!may_block) {
		*status = VIEW_COLD;
		return NULL;
	}
	file = open_file(st, id, status);
	if (file)
		keep(&st->files, file);
	return file;
}
