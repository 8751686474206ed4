/*
 * trouble.h - what the log and `posternctl status` are told when changes cannot be written.
 *
 * Any thread.
 */
#ifndef STORAGE_TROUBLE_H
#define STORAGE_TROUBLE_H

struct store;

#define TROUBLE_NOT_TAKEN_BACK                                                                  \
	"A write failed and could not be taken back. Nothing is accepted until the disk works " \
	"and the server is restarted; reading goes on."

/* A group failed with an errno or MDB_*. Of a full disk once, until trouble_space(). */
void trouble_group_failed(struct store *, int rc);
/* Something that needs space was written. */
void trouble_space(struct store *);
/* Nothing more is written until the store is opened anew. */
void trouble_broken(struct store *, int rc, const char *hint);
/* Likewise: a sync of the index failed. Told once. */
void trouble_unsynced(struct store *, int rc);
/* A group that failed stands in its segment still; nothing is written until it is cut off. */
void trouble_uncut(struct store *, int rc);
/* It has been. */
void trouble_cut(struct store *);

#endif
