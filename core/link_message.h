/*
 * link_message.h - what supervisor and worker say to each other.
 *
 * The link is a SOCK_SEQPACKET pair made at fork: a message arrives whole or not at all, and carries
 * descriptors along (SCM_RIGHTS). When one side dies the other reads end-of-file; that is how a
 * worker learns that its supervisor is gone.
 *
 * Supervisor and worker may be of different releases (the binary on disk is replaced, then
 * reloaded). So a message is a type and a row of fields that is only ever extended at its end: a
 * field that the sender does not know reads as 0 or "". A change that cannot be made this way
 * raises LINK_VERSION, and a candidate of another version is refused.
 *
 * Change log
 *   1  first version
 */
#ifndef CORE_LINK_MESSAGE_H
#define CORE_LINK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <postern/control.h>

#define LINK_VERSION   1
#define LINK_DATA_MAX  (CONTROL_REQUEST_MAX + 4096)
#define LINK_FDS_MAX   (CONTROL_FILES_MAX + 1)
#define LINK_WORKER_FD 3 /* where an exec'd worker finds its end */

enum link_type {
	/* worker to supervisor */
	LINK_HELLO = 1, /* version of the program */
	LINK_PLAN,      /* the configuration is good: struct limits, control group, counts */
	LINK_REPORT,    /* is_error, text: something is wrong with the candidate */
	LINK_LOG,       /* level, line: before the worker has a log of its own */
	LINK_LISTEN,    /* address, backlog: answered by LINK_SOCKET */
	LINK_CONFINED,  /* module code follows: nothing is listened on any more */
	LINK_READY,     /* phases (name, microseconds), modules (name, version), sandbox */
	LINK_SERVING,   /* the answer to GO and RESUME: accepts from now on */
	LINK_DRAINED,   /* the answer to DRAIN: accepts no more, has let go of its sockets */
	LINK_TOOK,      /* ticket: a LINK_CONTROL is in hand and will be answered */
	LINK_BEAT,      /* alive (all reactors turned), sessions */
	LINK_FACTS,     /* instance, how many, each with key and value: all it tells now */
	LINK_PROGRESS,  /* instance, what its start is doing, done, total */

	/* supervisor to worker */
	LINK_START = 64, /* generation, slot, dry run, directories; claims descriptor */
	LINK_SOCKET,     /* address, error text; a descriptor if there is no error */
	LINK_GO,         /* accept */
	LINK_DRAIN,      /* accept no more; a RESUME may follow */
	LINK_RESUME,     /* accept again, on the sockets that LINK_SOCKET brought just before */
	LINK_RETIRE,     /* no RESUME will follow: end when the last session has ended */
	LINK_STOP,       /* quick: end now; otherwise between commands, within the stop limit */
	LINK_REOPEN,     /* log files were rotated away */
	LINK_EVENT,      /* level, event, text: for the common log */
	LINK_CONTROL /* uid, request, ticket; the client's descriptor, then those of its files */
};

struct link_message {
	uint16_t type;
	bool bad; /* did not fit, or was cut within a field */
	unsigned nfds;
	int fds[LINK_FDS_MAX]; /* -1 once taken */
	uint32_t size, at;
	unsigned char data[LINK_DATA_MAX];
};

/* Both ends are close-on-exec. 0, or -1 and errno. */
int link_pair(int ends[2]);

void link_begin(struct link_message *, enum link_type);
void link_put_number(struct link_message *, uint64_t);
void link_put_text(struct link_message *, const char *);
void link_put_fd(struct link_message *, int fd); /* stays the caller's */
/* 0, or -1 and errno; EAGAIN if the other side does not read and wait is false. */
int link_send(int link, const struct link_message *, bool wait);
/* A message of type alone. */
int link_tell(int link, enum link_type, bool wait);

/* 1: a message, to be ended by link_clear(); 0: the other side is gone; -1 and errno, EAGAIN if
 * there is none and wait is false, EPROTO if what came is no message (it is skipped). */
int link_receive(int link, struct link_message *, bool wait);
uint64_t link_get_number(struct link_message *);
/* Valid until the next use of the message. */
const char *link_get_text(struct link_message *);
/* The next descriptor, now the caller's; -1 if there is none. */
int link_take_fd(struct link_message *);
/* Closes the descriptors nobody took. */
void link_clear(struct link_message *);
/* The octets may have been a password. */
void link_wipe(struct link_message *);

#endif
