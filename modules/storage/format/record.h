/*
 * record.h - what stands in a segment: the file's header and the records' heads. Pure functions
 * between bytes and structs; docs/storage-format.md has every offset.
 *
 * A record is head, body, tail, each padded to 8 octets. A message's body is its text in wire form
 * and its tail the positions of its dots. Everything that changes the state of the store is a
 * record, so that the index can be made again from the segments alone.
 */
#ifndef STORAGE_RECORD_H
#define STORAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_FORMAT        2U
#define SEGMENT_HEAD        4096                 /* octets before the first record */
#define SEGMENT_HEAD_COPY   2048                 /* in these, where the header stands again */
#define RECORD_MAGIC        UINT32_C(0x43455250) /* "PREC" */
#define RECORD_HEAD         96                   /* of every record */
#define RECORD_HEAD_MAX     320                  /* of any record of this format */
#define RECORD_CHANGE_HEAD  120                  /* of expunges and flags: with who it was */
#define RECORD_MESSAGE_HEAD 200
#define RECORD_DOT          8 /* octets of a dot's position in the tail */
#define RECORD_BODY_MAX     ((uint64_t)1 << 40)
#define RECORD_SMALL_MAX    ((uint64_t)128 << 10) /* body of a record that is not a message */
#define UIDL_MAX            70
#define SERIAL_MAX          (UINT64_MAX >> 1)
#define SERIAL_AHEAD        ((uint64_t)1 << 40) /* of the last one: others brought along get none */
#define ORIGIN_MAX          23 /* octets of the text that tells who asked for a change */

enum segment_kind { SEGMENT_LOG = 1, SEGMENT_LARGE = 2 };

struct segment_head {
	uint32_t id;
	uint32_t kind;
	uint64_t seed;    /* random; enters every checksum, so that mail cannot forge a record */
	uint64_t created; /* ms since 1970 */
	unsigned char store[16];
};

enum record_type {
	RECORD_MESSAGE = 1,
	RECORD_EXPUNGE,
	RECORD_FLAGS,
	RECORD_FOLDER,
	RECORD_KEYWORD,
	RECORD_ACCOUNT,
	RECORD_ACCOUNT_REMOVED,
	RECORD_STATE /* what the store has given once and for all */
};

enum record_flag {
	RECORD_SKIPPABLE = 1, /* who does not know the type may go on without it */
	RECORD_MOVED = 2,     /* told before, written again by compaction; its state is current */
	RECORD_NAMED = 4,     /* a message's unique id was brought along, not assigned here */
	/* A moved message whose text or dots failed their checksum before, and do so here. */
	RECORD_TEXT_DAMAGED = 8,
	RECORD_DOTS_DAMAGED = 16,
	RECORD_DAMAGED = RECORD_TEXT_DAMAGED | RECORD_DOTS_DAMAGED
};

struct record {
	uint8_t type;
	uint16_t flags;
	uint32_t head_length;
	uint32_t uid; /* message: its uid; folder: the next uid; keyword: the bit */
	uint32_t folder;
	uint32_t count; /* message: dots; expunge: ranges; flags: entries */
	uint64_t body_length;
	uint64_t account;
	uint64_t change;
	uint64_t sequence; /* of the group, store-wide */
	uint64_t time;     /* ms since 1970, when written; of a moved change, when first written */
	uint64_t group;    /* offset in this segment at which the group begins */
	uint64_t body_sum, tail_sum;
	char
	    origin[ORIGIN_MAX + 1]; /* of a message, expunge, flags: the session's id; "" unknown */
	/* of a message */
	uint64_t stored;   /* ms since 1970: when it came to this store; of a moved one, too */
	uint64_t received; /* s since 1970: what the message's date of arrival is taken for */
	uint64_t octets;
	uint64_t header_octets;
	uint64_t keywords;
	uint32_t message_flags;
	uint64_t expunged_change, expunged_at; /* of a moved one that was expunged */
	unsigned char import_key[16];          /* all zero: not imported */
	char uidl[UIDL_MAX + 1];
};

enum record_verdict { RECORD_OK, RECORD_BAD, RECORD_UNKNOWN /* sound, but of a later format */ };

void segment_head_encode(const struct segment_head *, unsigned char out[SEGMENT_HEAD]);
enum record_verdict segment_head_decode(struct segment_head *, const unsigned char *, size_t n);

uint32_t record_head_length(const struct record *);
uint64_t record_length(const struct record *); /* with body, tail and padding */
uint64_t record_tail_length(const struct record *);
/* Both take the seed of the segment and the offset of the record in it. */
void record_encode(struct record *, uint64_t seed, uint64_t offset,
		   unsigned char out[RECORD_HEAD_MAX]);
enum record_verdict record_decode(struct record *, const unsigned char *, size_t n, uint64_t seed,
				  uint64_t offset);
/* The sequence in the first RECORD_HEAD octets of what may be a head that is damaged. */
uint64_t record_claimed_sequence(const unsigned char *);
bool record_magic(const unsigned char *);                   /* a head may begin here */
uint64_t record_sum(const void *, size_t n, uint64_t seed); /* of a body or a tail */

bool uidl_valid(const char *, size_t n);
/* The unique id this store assigns: `tag` tells the store, `serial` the message. */
void uidl_format(char out[UIDL_MAX + 1], uint32_t tag, uint64_t serial);
/* The serial if uidl is one of this store's, else 0. */
uint64_t uidl_serial(const char *uidl, uint32_t tag);
/* Whether a message may bring along an id of ours with this serial, when `last` was given last: serials
 * are counted on behind the highest, and one message must not use them up. */
bool uidl_serial_near(uint64_t serial, uint64_t last);

#endif
