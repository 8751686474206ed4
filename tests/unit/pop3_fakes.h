/*
 * pop3_fakes.h - a scripted directory and a scripted store for tests of the POP3 service.
 *
 * Every call can answer at once or later, in the way a provider may: with a job, a promise, outputs
 * filled only when the callback comes. Each can be told to fail.
 */
#ifndef TESTS_POP3_FAKES_H
#define TESTS_POP3_FAKES_H

#include "fake_host.h"

#include <postern/directory.h>
#include <postern/maildrop.h>

enum pop3_fake_call {
	FAKE_VERIFY,
	FAKE_OPEN,
	FAKE_TOTALS,
	FAKE_LIST,
	FAKE_READ,
	FAKE_EXPUNGE,
	FAKE_CALLS
};

struct pop3_fake_message {
	const char *text;
	size_t length; /* 0: strlen(text) */
	uint32_t flags;
	bool zombie, damaged;
	bool expunged; /* by this session's QUIT */
};

struct pop3_fake {
	struct pstn_self *self;
	struct pop3_fake_message *messages;
	uint32_t count;
	bool later[FAKE_CALLS];
	int fail[FAKE_CALLS]; /* the status of all such calls; 0: none */
	unsigned calls[FAKE_CALLS];
	bool files;     /* contents are files */
	bool no_header; /* says 0 of a text without an empty line */
	bool synthetic; /* count messages of no text, for listings of any length */
	uint32_t expunged;
	uint64_t most_queued;    /* output that waited when list was called, at most */
	size_t most_bytes;       /* fake_live_bytes() then, at most */
	int maildrops, contents; /* open, handed out */
	char names[2048];        /* what verify was asked: "service/name/password\n" */
};

extern const struct pstn_directory pop3_fake_directory;
extern const struct pstn_maildrops pop3_fake_maildrops;

/* The messages that most tests use; a fresh copy each time. */
void pop3_fake_begin(struct pop3_fake *);
void pop3_fake_end(struct pop3_fake *);
void pop3_fake_all_later(struct pop3_fake *, bool later);

#endif
