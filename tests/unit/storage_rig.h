/*
 * storage_rig.h - a store in a scratch directory, for tests of the storage module.
 */
#ifndef TESTS_STORAGE_RIG_H
#define TESTS_STORAGE_RIG_H

#include "fake_host.h"

#include "modules/storage/delivery/delivery.h"
#include "modules/storage/maildrop/maildrop.h"
#include "modules/storage/store.h"

#include <CUnit/CUnit.h>

struct rig {
	struct store_options options;
	struct pstn_self *self;
	struct store *store;
	char error[512]; /* of the last rig_open() that failed */
	char path[512];  /* of the store */
};

extern const struct pstn_module pstn_module;

struct rig_listing {
	uint32_t count;
	struct pstn_message rows[512];
};

/* fake_begin(), a directory of accounts; no store yet. */
void rig_begin(struct rig *);
/* Closes what is open; everything has to be given back. */
void rig_end(struct rig *);
bool rig_open(struct rig *);
void rig_close(struct rig *);
/* As if the process had died: locks and descriptors go, nothing is written. */
void rig_crash(struct rig *);
bool rig_reopen(struct rig *);

void rig_account(struct pstn_account *, const char *name);
/* From now on every account has these. */
void rig_quota(struct pstn_quota account, struct pstn_quota domain);
/* Delivers and waits; the uid, 0 if it failed with *status. */
uint32_t rig_deliver(struct rig *, const char *user, const char *text, int *status);
uint32_t rig_deliver_bytes(struct rig *, const char *user, const char *folder, const char *text,
			   size_t n, const char *uidl, int *status);
/* Opens without a session: calls wait. NULL and *status. */
struct pstn_maildrop *rig_drop(struct rig *, const char *user, int *status);
struct pstn_maildrop *rig_folder(struct rig *, const char *user, const char *folder, int *status);
void rig_list(struct pstn_maildrop *, struct rig_listing *);
/* The text of a message; a static buffer, NULL and *status if it cannot be read. */
const char *rig_text(struct pstn_maildrop *, uint32_t number, size_t *n, int *status);
/* The subjects of INBOX's messages with spaces between, "damaged" for one that cannot be read; a static
 * buffer. */
const char *rig_subjects(struct rig *, const char *user);
int rig_expunge(struct pstn_maildrop *, const uint32_t *numbers, uint32_t n);
/* Runs a command; the answer or the error, until the next call. */
const char *rig_command(struct rig *, const char *name, const char *user, const char *extra_name,
			const char *extra, const char *fd_name, int fd);
/* The same with any arguments; one whose value is NULL is a descriptor, or not given at -1. */
struct rig_argument {
	const char *name, *value;
	int fd;
};
const char *rig_call(struct rig *, const char *name, const struct rig_argument *, size_t n);
bool rig_command_failed(void);
/* What the last command noted, a line each. */
const char *rig_notes(void);
/* Whether what was said holds the text; shows both if not. */
bool rig_says(const char *said, const char *text);
/* Now, by the store's clock, which has moved on when it returns: what was before is before it. */
uint64_t rig_moment(void);
/* A file of the store: its whole path; whole contents (free); replaced. */
const char *rig_path(struct rig *, const char *name);
char *rig_read_file(const char *path, size_t *n);
void rig_write_file(const char *path, const void *bytes, size_t n);
void rig_copy_store(const char *from, const char *to);
void rig_remove_store(const char *path);

#endif
