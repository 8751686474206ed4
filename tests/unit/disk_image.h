/*
 * disk_image.h - what may be on a disk after a power cut.
 *
 * The model. What a file holds is on disk for sure after a later sync of that file; a name, after a
 * later sync of its directory; anything, after a sync of the file system. All else that happened
 * before the cut may have reached the disk or not, each write, name and size by itself, in any
 * order; and of a write any of its sectors. Nothing is on disk that was never written: there is no
 * garbage, and sectors are not torn in themselves.
 */
#ifndef TESTS_DISK_IMAGE_H
#define TESTS_DISK_IMAGE_H

#include "disk.h"

struct image;

struct image *image_new(const struct disk_history *);
void image_free(struct image *);
void image_copy(struct image *to, const struct image *from);
/* What op does. Of a write: sectors of that size, those that chosen() wants; NULL: all. */
void image_apply(struct image *, const struct disk_op *, size_t sector, bool (*chosen)(void *arg),
		 void *arg);
/* Replaces what is in the directory. */
void image_write(const struct image *, const char *directory);
/* Whether the directory holds the same, octet by octet; if not, what differs. `except`: names of
 * files whose contents do not count, the last one NULL. */
bool image_same(const struct image *, const char *directory, const char *const *except,
		char *difference, size_t n);

/* What happened, a line each, on stderr. */
void disk_print(const struct disk_history *, uint32_t ops);

/* ---- power cuts ---- */

/*
 * A point of the history at which the power may go: before each sync, and at the end; what can be on
 * disk at any other moment can be there at one of these. `before` is how many ops have happened.
 */
struct cut {
	uint32_t before, last; /* this cut and the one before */
	uint32_t pending;      /* ops that may be on disk or not: */
	uint32_t *which;
	uint32_t variants; /* ways to choose among them without chance */
};

struct cuts;
struct cuts *cuts_new(const struct disk_history *);
void cuts_free(struct cuts *);
/* The next one; false: there is none. The image for sure on disk is in cuts_base(). */
bool cuts_next(struct cuts *, struct cut *);
const struct image *cuts_base(const struct cuts *);
/*
 * What is on disk with variant number v of the cut: none of the pending ones, all, every prefix (also
 * with its last write torn), each alone, each missing; v beyond `variants`: chance decides, the same
 * for the same v and seed. A sentence about it in `what`.
 */
void cuts_choose(const struct cuts *, const struct cut *, uint32_t v, uint64_t seed, struct image *,
		 char *what, size_t n);

#endif
