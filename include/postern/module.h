/*
 * postern/module.h - all that a module and the core have to agree on.
 *
 * A module exports one constant, `const struct pstn_module pstn_module`. It is data before it is
 * code: the core reads it from the file, judges it, checks the configuration against its option
 * rows and its needs against other modules' offers, and only then opens the file with libltdl and
 * calls start(). A module links against nothing of the core; all that it calls is in pstn_host.
 *
 * Rules that hold for every struct which crosses the boundary:
 *   - it tells the size that its author compiled, itself or as its array's stride;
 *   - it grows at its end only; a reader asks PSTN_HAS before it believes a field;
 *   - it is read-only for whoever did not make it.
 *
 * Threads: start, self_test, drain and stop run on the worker's control thread. Everything about
 * one session runs on that session's reactor, one call at a time. Functions of pstn_host that may
 * be called from elsewhere say so. A module starts no thread of its own and keeps no mutable static.
 *
 * ABI change log (newest first; MAJOR: modules are rebuilt, MINOR: older modules still load)
 *   2.0  struct pstn_content: positions of dots and the header's length have 64 bits, since a
 *        message may be larger than 4 GiB. PSTN_E_QUOTA. pstn_host.tell and .progress: what
 *        `status` shows of an instance, and how far a long start is.
 *   1.0  first version
 */
#ifndef POSTERN_MODULE_H
#define POSTERN_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PSTN_MAGIC     UINT64_C(0x5053544e4d4f4431) /* "PSTNMOD1" */
#define PSTN_ABI_MAJOR 2
#define PSTN_ABI_MINOR 0

#define PSTN_HAS(T, p, field) ((p)->size >= offsetof(T, field) + sizeof(((T *)0)->field))

#define PSTN_EXPORT       __attribute__((visibility("default")))
#define PSTN_PRINTF(f, a) __attribute__((format(printf, f, a)))

struct pstn_self;    /* one instance: a module image with one configuration */
struct pstn_session; /* one client connection, on one reactor for life */
struct pstn_op;      /* a pending timer, job or promise */

/*
 * How a call ended. A call that takes a pstn_done returns PSTN_LATER if the callback will bring the
 * result, anything else if the result is there already; then the callback is not called. After
 * PSTN_LATER, output pointers are filled before the callback runs and have to live until then.
 */
enum pstn_status {
	PSTN_OK = 0,
	PSTN_LATER = 1,
	PSTN_E_NOT_FOUND = -1, /* no such account, folder, message */
	PSTN_E_GONE = -2,      /* was there when the snapshot was taken, is not any more */
	PSTN_E_DENIED = -3,    /* credentials wrong, account disabled, service not allowed */
	PSTN_E_BUSY = -4,      /* a limit of simultaneous use is reached; try later */
	PSTN_E_FULL = -5,      /* the disk is full */
	PSTN_E_TEMPORARY = -6, /* an I/O or resource failure that may pass */
	PSTN_E_DAMAGED = -7,   /* data failed its checksum; an operator has to look */
	PSTN_E_INVALID = -8,   /* the caller's argument cannot be used */
	PSTN_E_NO_MEMORY = -9,
	PSTN_E_TOO_LARGE = -10,
	PSTN_E_EXISTS = -11,
	PSTN_E_CANCELLED = -12,
	PSTN_E_QUOTA = -13 /* the account or its domain holds as much as it may */
};

/* Runs at most once, on the session's reactor, never after the session's close(). */
typedef void pstn_done(void *arg, int status);

/* ---- options: the rows from which come check, defaults, manual, sample file and diff ---------- */

enum pstn_type {
	PSTN_BOOL = 1, /* bool */
	PSTN_INT,      /* int64_t */
	PSTN_BYTES,    /* uint64_t: "64KiB", "1 MiB", "10MB", "512" */
	PSTN_DURATION, /* uint64_t milliseconds: "250ms", "10s", "10m", "1h", "7d"; plain 0 */
	PSTN_STRING,   /* const char * */
	PSTN_PATH,     /* const char *, absolute after the check; see below */
	PSTN_ADDRESS, /* const char *, "127.0.0.1:110", "[::1]:110", "unix:/path" as checked text */
	PSTN_ENUM,    /* int32_t, index into choices */
	PSTN_MAP,     /* the child rows' struct, in place at offset; child offsets count from it */
	PSTN_LIST     /* struct pstn_list; child[0] describes an item, its name is "" */
};

/*
 * A PSTN_PATH may begin with {config}, {state}, {run}, {log} or {modules}: the instance's
 * directories. Without one, a relative path is relative to the file that names it.
 */

enum {
	PSTN_REQUIRED = 1, /* no default: leaving it out is an error */
	PSTN_SECRET = 2,   /* never printed or logged; may be written as {file: PATH} */
	PSTN_AT_BOOT = 4   /* a change takes a restart; a reload that changes it is refused */
};

/*
 * Bounds of a PSTN_STRING are octets, of a PSTN_LIST items. A list's default is its items with
 * commas between them: "one, two". An item that is a map may be written as the value of its first
 * row alone. The defaults and bounds themselves are judged before the module is opened.
 */

struct pstn_list {
	uint32_t count;
	void *items; /* count items of child[0].item_size bytes */
};

struct pstn_option {
	const char *name; /* the YAML key; NULL ends the array */
	uint32_t type;    /* enum pstn_type */
	uint32_t flags;
	uint32_t offset;    /* into the conf struct (a map's child: into the map's struct) */
	uint32_t item_size; /* in the row of a list's item: bytes per item */
	const char *def, *min, *max; /* as a user writes them; def NULL: zero, "", empty */
	const char *const *choices;  /* PSTN_ENUM; NULL ends */
	const struct pstn_option *child;
	const char *help; /* what an administrator has to know; sentences */
};

/* The row's field must have the row's C type; a mismatch does not compile. */
#define PSTN_FIELD(T, f, ctype) ((uint32_t) _Generic(((T *)0)->f, ctype : offsetof(T, f)))
#define PSTN_OPT(T, f, kind, ctype, ...)                                                 \
	{                                                                                \
		.name = #f, .type = kind, .offset = PSTN_FIELD(T, f, ctype), __VA_ARGS__ \
	}
#define PSTN_OPT_BOOL(T, f, ...)     PSTN_OPT(T, f, PSTN_BOOL, bool, __VA_ARGS__)
#define PSTN_OPT_INT(T, f, ...)      PSTN_OPT(T, f, PSTN_INT, int64_t, __VA_ARGS__)
#define PSTN_OPT_BYTES(T, f, ...)    PSTN_OPT(T, f, PSTN_BYTES, uint64_t, __VA_ARGS__)
#define PSTN_OPT_DURATION(T, f, ...) PSTN_OPT(T, f, PSTN_DURATION, uint64_t, __VA_ARGS__)
#define PSTN_OPT_STRING(T, f, ...)   PSTN_OPT(T, f, PSTN_STRING, const char *, __VA_ARGS__)
#define PSTN_OPT_PATH(T, f, ...)     PSTN_OPT(T, f, PSTN_PATH, const char *, __VA_ARGS__)
#define PSTN_OPT_ADDRESS(T, f, ...)  PSTN_OPT(T, f, PSTN_ADDRESS, const char *, __VA_ARGS__)
#define PSTN_OPT_ENUM(T, f, ...)     PSTN_OPT(T, f, PSTN_ENUM, int32_t, __VA_ARGS__)
#define PSTN_OPT_LIST(T, f, item, ...) \
	PSTN_OPT(T, f, PSTN_LIST, struct pstn_list, .child = item, __VA_ARGS__)
#define PSTN_OPT_MAP(T, f, rows, ...)                                                            \
	{                                                                                        \
		.name = #f, .type = PSTN_MAP, .offset = (uint32_t)offsetof(T, f), .child = rows, \
		__VA_ARGS__                                                                      \
	}

/* ---- metrics: the core owns the counters, by module and metric name, across generations ------- */

enum { PSTN_COUNTER = 0, PSTN_GAUGE = 1, PSTN_MICROSECONDS = 2 };

struct pstn_metric {
	const char *name; /* NULL ends the array; "logins_total" */
	uint32_t kind;
	const char *help;
};

/* ---- interfaces: "storage.maildrop" 1.2 meets a need of 1.0, not one of 2.0 ------------------- */

struct pstn_offer {
	const char *name; /* NULL ends the array */
	uint16_t major, minor;
	const void *table; /* a size-first struct of functions */
};

enum { PSTN_OPTIONAL = 1 };

struct pstn_need {
	const char *name; /* NULL ends the array */
	uint16_t major, minor;
	uint32_t flags; /* PSTN_OPTIONAL: the module starts without it too */
};

/* ---- log events -------------------------------------------------------------------------------- */

enum pstn_level {
	PSTN_CRITICAL = 1, /* the service cannot go on as configured */
	PSTN_ERROR,        /* something asked for was not done */
	PSTN_WARNING,      /* done, but somebody should look */
	PSTN_INFO,         /* what administrators want to see of every session */
	PSTN_PROTOCOL      /* the conversation, without secrets */
};

enum pstn_field_kind { PSTN_F_STR = 1, PSTN_F_INT, PSTN_F_UINT };

struct pstn_field {
	const char *key; /* a literal; lower_case_with_underscores */
	uint32_t kind;
	uint32_t length; /* of str, in bytes */
	union {
		const char *str;
		int64_t num;
		uint64_t unum;
	};
};

#define PSTN_S(k, v) pstn_field_str((k), (v))
#define PSTN_I(k, v) ((struct pstn_field){.key = (k), .kind = PSTN_F_INT, .num = (int64_t)(v)})
#define PSTN_U(k, v) ((struct pstn_field){.key = (k), .kind = PSTN_F_UINT, .unum = (uint64_t)(v)})

static inline struct pstn_field pstn_field_str(const char *key, const char *value)
{
	if (!value)
		value = "";
	return (struct pstn_field){.key = key,
				   .kind = PSTN_F_STR,
				   .length = (uint32_t)__builtin_strlen(value),
				   .str = value};
}

/* host->log(PSTN_EVENT(self, session, PSTN_INFO, "login", PSTN_S("user", u), PSTN_U("n", n))) */
#define PSTN_EVENT(self, s, level, event, ...)                                   \
	(self), (s), (level), (event), (const struct pstn_field[]){__VA_ARGS__}, \
	    sizeof((const struct pstn_field[]){__VA_ARGS__}) / sizeof(struct pstn_field)

/* ---- what a session can send besides bytes ----------------------------------------------------- */

/*
 * A stored text in wire form (CRLF lines): either in memory or a part of a file. `dots` are the
 * ascending offsets, from the start of the text, of lines that begin with a dot and get one more on
 * the wire (RFC 1939 section 3, RFC 5321 section 4.5.2). Whoever made the content keeps everything
 * valid until release(ref) is called: once, on the session's reactor, when the bytes are sent or
 * the session ended.
 */
struct pstn_content {
	uint32_t size;
	int fd;            /* used if bytes is NULL */
	const char *bytes; /* in memory: length bytes */
	uint64_t offset;   /* in the file */
	uint64_t length;   /* octets, stuffed dots not counted */
	const uint64_t *dots;
	uint64_t header_length; /* octets up to and with the empty line that ends the header */
	uint32_t ndots;
	void (*release)(void *ref);
	void *ref;
};

struct pstn_peer {
	uint32_t size;
	uint16_t port;     /* 0 for UNIX sockets */
	char address[108]; /* "192.0.2.1", "2001:db8::1", "unix" */
	const char
	    *listener; /* the listener's address as configured; lives as long as the session */
};

enum pstn_directory_kind { PSTN_DIR_CONFIG, PSTN_DIR_STATE, PSTN_DIR_RUN, PSTN_DIR_LOG };

struct pstn_call; /* one administrative command being run; postern/commands.h */

/* ---- what the core gives: one append-only table ------------------------------------------------ */

struct pstn_host {
	uint32_t size;
	uint16_t abi_major, abi_minor;

	/* Memory, zeroed; NULL when there is none. Any thread. Charged to the instance. */
	void *(*alloc)(struct pstn_self *, size_t n);
	void (*free)(struct pstn_self *, void *p);

	/* Queue an event for the sinks; never blocks. s may be NULL. Any thread. Values are copied. */
	void (*log)(struct pstn_self *, struct pstn_session *s, int level, const char *event,
		    const struct pstn_field *fields, size_t n);
	/* Whether any sink wants this level of this instance: ask before costly protocol traces. */
	bool (*logs)(struct pstn_self *, int level);
	/* Add to a metric (index into the module's rows). Any thread; costs one relaxed add. */
	void (*count)(struct pstn_self *, uint32_t metric, int64_t by);

	/* The instance's name in the configuration, and its directories (exist, writable). */
	const char *(*name)(struct pstn_self *);
	const char *(*directory)(struct pstn_self *, int kind);
	/* The table behind needs[i] and the instance to pass to it; NULL for an unmet optional need.
	 * Valid from start() to stop(): providers start before and stop after those who need them. */
	const void *(*need)(struct pstn_self *, uint32_t i, void **inst);

	/* Monotonic milliseconds; on a reactor the time at which its current turn began. */
	uint64_t (*now)(void);

	/*
	 * Pending operations. With a session they end with it; with s NULL they belong to the
	 * instance and their callback runs on the control thread. NULL: no memory.
	 * after:  done(arg, PSTN_OK) in ms milliseconds.
	 * job:    work(arg) on a job thread, where it may block; done(arg, its result) afterwards.
	 *         If the session ends first, work still runs to its end (or is skipped if it has not
	 *         begun), done is not called, and orphan(arg), if given, is called instead, on an
	 *         unspecified thread, when arg is no longer used.
	 * pend:   a promise: somebody will post() it. done and orphan as with job.
	 * post:   keeps the promise, exactly once, from any thread; op is gone then.
	 * cancel: for after only; sets *op to NULL; harmless if *op is NULL.
	 */
	struct pstn_op *(*after)(struct pstn_self *, struct pstn_session *s, uint64_t ms,
				 pstn_done *done, void *arg);
	struct pstn_op *(*job)(struct pstn_self *, struct pstn_session *s, int (*work)(void *arg),
			       pstn_done *done, void (*orphan)(void *arg), void *arg);
	struct pstn_op *(*pend)(struct pstn_self *, struct pstn_session *s, pstn_done *done,
				void (*orphan)(void *arg), void *arg);
	void (*post)(struct pstn_op *op, int status);
	void (*cancel)(struct pstn_op **op);

	/*
	 * Sessions; on the session's reactor only. Output is gathered and written once per turn of
	 * the loop. A failed write is not reported here: the session is closed soon.
	 */
	void (*write)(struct pstn_session *, const void *bytes, size_t n);
	void (*print)(struct pstn_session *, const char *fmt, ...) PSTN_PRINTF(2, 3);
	/* Queue [from, from+length) of a content, dots stuffed. Takes over c->release in any case. */
	void (*send)(struct pstn_session *, const struct pstn_content *c, uint64_t length);
	/* Octets queued and not yet taken by the kernel. */
	uint64_t (*queued)(struct pstn_session *);
	/* Ask for one drained() call when little output is queued any more. */
	void (*want_drained)(struct pstn_session *);
	/* No further line() or data() until resume(): a command is being worked on. */
	void (*hold)(struct pstn_session *);
	void (*resume)(struct pstn_session *);
	/* From now on data() instead of line(), or back; takes effect with the next octet. */
	void (*raw)(struct pstn_session *, bool on);
	void (*line_limit)(struct pstn_session *, size_t octets);
	/* Inactivity: timeout() after ms without a complete line (or data); 0 = never. */
	void (*idle_limit)(struct pstn_session *, uint64_t ms);
	/* Send what is queued, then close. Nothing is read any more. why: a short literal for log. */
	void (*finish)(struct pstn_session *, const char *why);
	/* Close now. */
	void (*drop)(struct pstn_session *, const char *why);
	/* The id that all log lines of the session carry. */
	const char *(*id)(struct pstn_session *);
	void (*peer)(struct pstn_session *, struct pstn_peer *out);
	/* For `posternctl sessions`: who (copied) and in what state (a literal). */
	void (*set_account)(struct pstn_session *, const char *account);
	void (*set_state)(struct pstn_session *, const char *state);
	/*
	 * Take one of `limit` places under a key, counted over all generations; false if all are
	 * taken. Given back when the session ends, however it ends. limit 1 is an exclusive lock.
	 */
	bool (*claim)(struct pstn_session *, const char *key, uint32_t limit);

	/* For commands; on the job thread that runs them. See postern/commands.h. */
	const struct pstn_call_ops *call;

	/*
	 * A fact that `posternctl status` shows of the instance as "name.key: value", until it is
	 * told anew; value NULL or "": not any more. For what an administrator has to know at a
	 * glance: a lowered guarantee, the last result of a check. At most 16 keys of 31 octets,
	 * values of 127; copied. Any thread; never blocks.
	 */
	void (*tell)(struct pstn_self *, const char *key, const char *value);
	/*
	 * In start() alone, when it takes long: what is being done ("recovering"), how far it is,
	 * total 0 if that is not known. A generation that tells so is not given up at its
	 * ready_deadline, and `status` shows it. Cheap to call often.
	 */
	void (*progress)(struct pstn_self *, const char *what, uint64_t done, uint64_t total);
};

/* ---- the one symbol exported ------------------------------------------------------------------- */

struct pstn_module {
	uint64_t magic;                /* these four are judged before */
	uint16_t abi_major, abi_minor; /* anything after is believed */
	uint32_t size;
	uint32_t option_size, metric_size, offer_size, need_size; /* strides */
	const char *name, *version, *summary;
	uint32_t conf_size; /* bytes the core allots and fills from the options */
	uint32_t reserved;
	const struct pstn_option *options; /* NULL: none; so with all four */
	const struct pstn_metric *metrics;
	const struct pstn_offer *offers;
	const struct pstn_need *needs;
	/* Make an instance; NULL and a sentence in err refuse the configuration. May block. */
	void *(*start)(struct pstn_self *, const struct pstn_host *, const void *conf, char *err,
		       size_t errlen);
	/* Prove that the instance works, before any client meets it: 0, or -1 and a sentence. */
	int (*self_test)(void *inst, char *err, size_t errlen);
	/* This generation is being replaced; finish early what can be. Optional. */
	void (*drain)(void *inst);
	/* No session, operation or caller is left. May block. */
	void (*stop)(void *inst);
};

#define PSTN_MODULE_HEAD                                                                    \
	.magic = PSTN_MAGIC, .abi_major = PSTN_ABI_MAJOR, .abi_minor = PSTN_ABI_MINOR,      \
	.size = sizeof(struct pstn_module), .option_size = sizeof(struct pstn_option),      \
	.metric_size = sizeof(struct pstn_metric), .offer_size = sizeof(struct pstn_offer), \
	.need_size = sizeof(struct pstn_need)

#endif
