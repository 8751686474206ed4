/*
 * log_ring.h - a ring of log events with one writer and one reader.
 *
 * A record is laid out so that the reader hands its fields to sinks as they lie in the ring; the
 * room is given back when the sinks are done with it.
 */
#ifndef CORE_LOG_RING_H
#define CORE_LOG_RING_H

#include <postern/log_sink.h>
#include <postern/module.h>

#include <stdatomic.h>

enum {
	LOG_RING_BYTES = 256 * 1024, /* a power of two */
	LOG_VALUE_MAX = 1024,        /* octets of a value; what is longer is cut and says so */
	LOG_NAME_MAX = 128,          /* of service, session and event */
	LOG_FIELDS_MAX = 32
};

struct log_ring {
	struct log_ring *next;
	atomic_bool owned; /* a thread writes into it */
	atomic_uint_least64_t dropped;
	/* positions only grow; each is written by one side, on a cache line of its own */
	_Alignas(64) atomic_uint_least64_t head;
	uint64_t seen_tail; /* the writer's last look at tail */
	_Alignas(64) atomic_uint_least64_t tail;
	_Alignas(64) char bytes[LOG_RING_BYTES];
};

struct log_ring *log_ring_new(void);
/* The writer: false if there was no room; that is counted. */
bool log_ring_put(struct log_ring *, const struct pstn_log_event *);
/* The writer: more than half of the ring waits for the reader. */
bool log_ring_filling(struct log_ring *);

/* The reader: the event at *pos, if any before end, and moves *pos behind it. */
bool log_ring_get(const struct log_ring *, uint64_t *pos, uint64_t end, struct pstn_log_event *out);

#endif
