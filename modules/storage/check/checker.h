/*
 * checker.h - a walk through the whole store that finds what is wrong with it and changes nothing.
 * `storage check`, `storage repair` and the scrub are three uses of it.
 *
 * It goes on while the store is used: each read transaction is short (the longest counts the rows
 * of one folder), and a row that does not fit its record is looked up again before it is called a
 * fault, because it may have been moved or expunged meanwhile. Blocks; for job threads.
 */
#ifndef STORAGE_CHECKER_H
#define STORAGE_CHECKER_H

#include "fault.h"
#include "format/rows.h"
#include "pass.h"
#include "segment/scan.h"

#include <lmdb.h>

struct index;
struct store;

#define FAULTS_AT_ONCE 512 /* found in one step; more are found the next time */

struct checker_segment { /* the one being read */
	uint32_t id;
	bool whole;             /* read from its begin by this checker */
	struct segment_row row; /* as it was at the begin */
	uint64_t live, dead;
	uint64_t unsure; /* octets of damaged copies: left behind, or never applied */
};

struct checker {
	struct store *store;
	struct pass pass;
	uint64_t only;       /* this account's index alone; 0: everything */
	bool texts;          /* read the segments through; with `only`: the texts of its messages */
	bool leave_no_pages; /* the page cache is left as it was found */
	/* Told of each fault, outside of any transaction. */
	void (*found)(struct checker *, const struct fault *);
	/* Asked after each step, with the octets that it read; false: stop here, to go on later. */
	bool (*go_on)(struct checker *, uint64_t octets);
	/* Within a step, told of what was just read; false: break off, the record is read again. */
	bool (*reading)(struct checker *, size_t octets);
	void *arg;
	/* its own */
	unsigned char *window;
	void *rows;
	struct fault *faults;
	unsigned nfaults;
	uint64_t octets; /* read since go_on() was asked */
	struct checker_segment segment;
	int error; /* errno or MDB_*: it could not go on */
};

/* 0, or -1: no memory. */
int checker_open(struct checker *, struct store *);
void checker_close(struct checker *);
/* Goes on from k->pass until it is done, go_on() says no, or k->error. true: done. */
bool checker_run(struct checker *);

/* ---- for its parts ---- */
bool checker_ask(struct checker *); /* tells faults, asks go_on() */
void checker_add(struct checker *, const struct fault *);
void checker_tell(struct checker *);              /* outside of a transaction */
bool checker_reads(void *checker, size_t octets); /* for struct scan */
/* A step of the index's phase and of the segments' phase; false: no more. */
bool check_next_rows(struct checker *);
void check_domains(struct checker *);
bool check_next_segment(struct checker *);
void check_strays(struct checker *); /* segments' files that no row tells of */
/* Some messages of the pass's folder against their records; false: no more. */
bool check_messages(struct checker *, bool expunged);

/* The change that expunged the message after it had come, as the history tells. 0, MDB_NOTFOUND or
 * another MDB_*. */
int check_expunge_of(struct index *, MDB_txn *, const struct record *, uint64_t *change,
		     struct change_row *);

/* The domain of an account's name; NULL: none. */
const char *check_domain_of(const char *account);

/* ---- judging one message, also for repair ---- */
/* FAULT_KINDS: it is sound; record: what stands there. */
enum fault_kind judge_message(struct checker *, const unsigned char key[KEY_MESSAGE],
			      const struct message_row *, bool text, struct record *);

#endif
