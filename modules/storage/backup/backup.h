/*
 * backup.h - a directory of snapshots, as the backup commands work with it.
 *
 *	backup_place.c     the directory: whose it is, who uses it, its files
 *	backup_snapshots.c which snapshots there are, and their manifests' files
 *	backup_manifest.c  what a snapshot consists of
 *	backup_create.c    a snapshot is made; backup_copy.c copies one segment's new part
 *	backup_list.c      snapshots are shown and removed
 *	backup_verify.c    every checksum of them
 *	backup_restore.c   what is missing comes back; backup_replay.c makes an index of a snapshot,
 *	                   backup_accounts.c tells whose it is, backup_message.c delivers
 *
 * Everything runs on the command's thread. Files are opened by posternctl, for whoever named the
 * directory; docs/backup-format.md has every octet of them.
 */
#ifndef STORAGE_BACKUP_H
#define STORAGE_BACKUP_H

#include "format/record.h"

#include <postern/commands.h>

struct store;

#define BACKUP_DIRECTORY "directory" /* the argument */
#define BACKUP_NAME      17          /* of a snapshot, "20261124T184012Z" */
#define BACKUP_PATH      64          /* of a file in the directory */

enum backup_use {
	BACKUP_READ,
	BACKUP_ADD,  /* one at a time */
	BACKUP_PRUNE /* while nobody else uses it */
};

struct backup {
	struct store *store;
	const struct pstn_call_ops *ops;
	struct pstn_call *call;
	const char *path; /* as it was named */
	int lock;
	unsigned char id[16]; /* of the store whose snapshots they are */
};

/* false: the person has been told. BACKUP_ADD makes an empty directory the store's backup. */
bool backup_begin(struct backup *, struct store *, struct pstn_call *, enum backup_use);
void backup_end(struct backup *);
/* A descriptor, or -1 and errno. */
int backup_open(const struct backup *, const char *name, int mode); /* enum pstn_file_mode */
/* The names in a directory to disk. 0, or -1 and errno. */
int backup_sync(const struct backup *, const char *name);
/* "PATH/name: what", for the person; ends the command. */
void backup_fail(const struct backup *, const char *name, const char *what);
/* The same for errno, with what can be done about it. */
void backup_fail_errno(const struct backup *, const char *name, int error);
/* All octets, or -1 and errno. */
int backup_write(int fd, const void *bytes, size_t n, uint64_t offset);
/* Length and checksum of a whole file. 0, or -1 and errno. */
int backup_sum(struct store *, int fd, uint64_t *length, uint64_t *sum);
/* Calls each() for every name in a directory, in any order, until it returns false. 0, or -1 and
 * errno. */
int backup_each(const struct backup *, const char *name, bool (*each)(void *arg, const char *name),
		void *arg);

/* ---- backup_manifest.c ---- */

struct backup_segment {
	uint32_t id, kind;
	uint64_t seed;
	uint64_t length; /* octets from its beginning that belong to the snapshot */
};

struct backup_damage { /* that the store had when the snapshot was made */
	uint32_t segment;
	uint64_t offset, octets;
};

struct manifest {
	struct store *store; /* whose memory it uses */
	char name[BACKUP_NAME];
	unsigned char id[16];
	uint64_t time; /* ms since 1970 */
	uint64_t sequence, messages, octets;
	uint64_t accounts_length, accounts_sum; /* of the copy of the accounts; 0: none */
	struct backup_segment *segments;        /* by id */
	size_t nsegments, segments_room;
	uint64_t *accounts; /* ids of those that were there, ascending */
	size_t naccounts, accounts_room;
	struct backup_damage *damage;
	size_t ndamage, damage_room;
};

void manifest_begin(struct manifest *, struct store *);
void manifest_clear(struct manifest *);
int manifest_add(struct manifest *, const struct backup_segment *);
int manifest_add_damage(struct manifest *, uint32_t segment, uint64_t offset, uint64_t octets);
int manifest_add_account(struct manifest *, uint64_t id);
void manifest_sort_accounts(struct manifest *);
bool manifest_has_account(const struct manifest *, uint64_t id);
const struct backup_segment *manifest_find(const struct manifest *, uint32_t id);
bool manifest_knows_damage(const struct manifest *, uint32_t segment, uint64_t offset);
/* Memory of the store's, n octets, '\0' behind them; NULL: none left. */
char *manifest_encode(const struct manifest *, size_t *n);
/* PSTN_OK, PSTN_E_DAMAGED, PSTN_E_INVALID (a later format), PSTN_E_NO_MEMORY. */
int manifest_decode(struct manifest *, const char *text, size_t n);

/* "segments/00000007-0123456789abcdef.seg" */
void backup_segment_path(const struct backup_segment *, char out[BACKUP_PATH]);
/* "snapshots/NAME.snapshot", ".accounts" */
void backup_snapshot_path(const char *name, const char *suffix, char out[BACKUP_PATH]);

/* ---- backup_snapshots.c ---- */

/* Reads and checks a snapshot's manifest. As manifest_decode, PSTN_E_NOT_FOUND, or
 * PSTN_E_TEMPORARY and errno. manifest_clear() in any case. */
int backup_read_manifest(const struct backup *, const char *name, struct manifest *);
/* The snapshot is there when this returns 0; else -1 and errno. */
int backup_write_manifest(const struct backup *, const struct manifest *);

struct backup_names {
	struct store *store;
	char (*names)[BACKUP_NAME]; /* oldest first */
	size_t count, room;
	bool failed; /* no memory */
};

/* false: the person has been told. backup_names_clear() in any case. */
bool backup_names_list(const struct backup *, struct backup_names *);
void backup_names_clear(struct backup_names *);
/* Reads the manifest of --snapshot, or of the latest; false: the person has been told. */
bool backup_chosen_manifest(const struct backup *, struct manifest *);

/* ---- backup_copy.c ---- */

struct backup_progress {
	uint64_t copied, reused; /* octets */
	uint64_t total;          /* to be copied */
	uint64_t rate;           /* octets a second; 0: as fast as it goes */
	uint64_t begun;          /* ms */
};

/* Copies what the backup has not of the segment's first `length` octets; sets its kind and seed.
 * known: octets that an earlier snapshot has of it. false: the person has been told. *lost: there
 * is no such segment that could be copied. */
bool backup_copy_segment(const struct backup *, struct backup_segment *,
			 const struct manifest *before, struct manifest *, struct backup_progress *,
			 bool *lost);

/* ---- commands ---- */
void command_backup_create(void *inst, struct pstn_call *);
void command_backup_list(void *inst, struct pstn_call *);
void command_backup_verify(void *inst, struct pstn_call *);
void command_backup_restore(void *inst, struct pstn_call *);
void command_backup_prune(void *inst, struct pstn_call *);

#endif
