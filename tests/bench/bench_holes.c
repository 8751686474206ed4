/*
 * bench_holes.c - segments whose messages' texts are holes.
 */
#include "bench_holes.h"

#include "modules/storage/format/bytes.h"
#include "modules/storage/format/record.h"
#include "modules/storage/index/apply.h"
#include "modules/storage/segment/segment.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FULL ((uint64_t)64 << 20)

static const unsigned char uuid[16] = "bench, of holes";

struct writer {
	int dir, fd;
	struct segment_head head;
	uint64_t at, group, sequence, serial, text_sum, octets;
	unsigned char *zeros; /* a text */
	uint64_t time;
};

static bool begin_segment(struct writer *w)
{
	unsigned char bytes[SEGMENT_HEAD];
	char name[SEGMENT_NAME];

	w->head.id++;
	w->head.seed = w->head.id * UINT64_C(0x9e3779b97f4a7c15);
	w->text_sum = record_sum(w->zeros, w->octets, w->head.seed);
	segment_name(name, w->head.id);
	segment_head_encode(&w->head, bytes);
	w->fd = openat(w->dir, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	w->at = SEGMENT_HEAD;
	return w->fd >= 0 && pwrite(w->fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes);
}

static bool end_segment(struct writer *w)
{
	return ftruncate(w->fd, (off_t)w->at) == 0 && close(w->fd) == 0;
}

static bool add(struct writer *w, struct record *r, const void *body)
{
	unsigned char head[RECORD_HEAD_MAX];
	uint64_t from = w->at;

	r->sequence = w->sequence;
	r->time = w->time;
	r->group = w->group;
	r->body_sum = body ? record_sum(body, r->body_length, w->head.seed) : w->text_sum;
	record_encode(r, w->head.seed, from, head);
	w->at += record_length(r);
	if (pwrite(w->fd, head, r->head_length, (off_t)from) != (ssize_t)r->head_length)
		return false;
	from += r->head_length;
	return !body || pwrite(w->fd, body, r->body_length, (off_t)from) == (ssize_t)r->body_length;
}

static bool add_account(struct writer *w, uint64_t account)
{
	struct record r = {.type = RECORD_ACCOUNT, .account = account};
	struct folder_row folder = {.uidvalidity = 1, .uidnext = 1, .name = "INBOX"};
	unsigned char body[BODY_FOLDER_MAX];
	char name[64];

	snprintf(name, sizeof(name), "user%llu@example.org", (unsigned long long)account);
	r.body_length = strlen(name);
	if (!add(w, &r, name))
		return false;
	r = (struct record){.type = RECORD_FOLDER,
			    .account = account,
			    .folder = FOLDER_INBOX,
			    .uid = 1,
			    .change = 1,
			    .body_length = body_put_folder(&folder, body)};
	return add(w, &r, body);
}

static bool add_message(struct writer *w, uint64_t account, uint32_t uid)
{
	struct record r = {.type = RECORD_MESSAGE,
			   .account = account,
			   .folder = FOLDER_INBOX,
			   .uid = uid,
			   .change = uid + UINT64_C(1),
			   .received = w->time / 1000,
			   .stored = w->time,
			   .octets = w->octets,
			   .body_length = w->octets,
			   .header_octets = w->octets};

	uidl_format(r.uidl, get32(uuid), ++w->serial);
	return add(w, &r, NULL);
}

/* A group for each account; whatever is in one group stands in one segment. */
static bool fill_account(struct writer *w, uint64_t account, uint64_t each)
{
	bool ok = true;

	if (w->at + each * w->octets > FULL)
		ok = end_segment(w) && begin_segment(w);
	w->group = w->at;
	w->sequence++;
	w->time++;
	ok = ok && add_account(w, account);
	for (uint32_t uid = 1; ok && uid <= each; uid++)
		ok = add_message(w, account, uid);
	return ok;
}

static int make_directory(const char *directory)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/storage", directory);
	mkdir(path, 0700);
	strncat(path, "/segments", sizeof(path) - strlen(path) - 1);
	mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

uint64_t make_holes(const char *directory, uint64_t total, uint64_t octets, uint64_t each)
{
	struct writer w = {.dir = make_directory(directory),
			   .head = {.kind = SEGMENT_LOG, .created = UINT64_C(1700000000000)},
			   .octets = octets,
			   .zeros = calloc(1, octets),
			   .time = UINT64_C(1700000000000)};
	uint64_t accounts = total / octets / each;
	bool ok = w.dir >= 0 && w.zeros;

	memcpy(w.head.store, uuid, sizeof(uuid));
	ok = ok && begin_segment(&w);
	for (uint64_t i = 0; ok && i < accounts; i++)
		ok = fill_account(&w, HOLES_FIRST + i, each);
	ok = ok && end_segment(&w);
	free(w.zeros);
	close(w.dir);
	return ok ? w.serial : 0;
}
