/*
 * postern/commands.h - interface "control.commands" 1.2: what posternctl can ask of a module.
 *
 * A command is a row: its words, its arguments, its help, its function. posternctl learns the rows
 * from the server, so that a module's commands appear by themselves. A function runs on a job
 * thread, may block, and answers through host->call.
 *
 * An answer is one JSON value, built from the calls below: an object is shown as "key: value"
 * lines, an array of objects as a table whose columns are the first object's keys.
 *
 * Change log
 *   1.2  start_again(): a command whose work is done in a start of the modules. fail_as().
 *   1.1  PSTN_ARG_DIRECTORY and the calls on files below it; options that are files; note()
 *   1.0  first version
 */
#ifndef POSTERN_COMMANDS_H
#define POSTERN_COMMANDS_H

#include <postern/module.h>

#define PSTN_CONTROL_COMMANDS "control.commands"

struct pstn_call;

enum pstn_arg_kind {
	PSTN_ARG_TEXT = 1, /* positional: posternctl mailbox show USER */
	PSTN_ARG_NUMBER,   /* positional, decimal */
	PSTN_ARG_FILE,     /* positional path or "-": arrives as an open descriptor */
	PSTN_ARG_OPTION,   /* --name VALUE */
	PSTN_ARG_SWITCH,   /* --name */
	PSTN_ARG_SECRET, /* asked for on the terminal without echo, or one line of standard input */
	PSTN_ARG_INPUT,  /* standard input, as an open descriptor; takes no word */
	PSTN_ARG_DIRECTORY /* positional path of a directory; see pstn_call_ops.file */
};

enum {
	PSTN_ARG_OPTIONAL = 1,
	PSTN_ARG_CONFIRM = 2, /* a secret: asked twice on a terminal */
	PSTN_ARG_WRITES = 4, /* a directory in which the command makes and changes files; it is made
				 if missing. Without it files are only read. */
	PSTN_ARG_IS_FILE = 8, /* an option whose value is a path: arrives as an open descriptor */
	PSTN_ARG_OR_DIRECTORY = 16 /* a file argument that may be a directory: if it is, fd() is -1
					and all is as with PSTN_ARG_DIRECTORY */
};

/* How pstn_call_ops.file opens a path. */
enum pstn_file_mode {
	PSTN_FILE_READ = 1, /* a regular file or a directory, for reading */
	PSTN_FILE_CREATE,   /* a new file, for reading and writing; EEXIST if the name is taken */
	PSTN_FILE_WRITE,    /* a file that is there, for reading and writing */
	PSTN_FILE_DIRECTORY /* a directory, made if missing, for reading */
};

struct pstn_arg {
	const char *name; /* NULL ends the array; "user", shown as USER */
	uint32_t kind, flags;
	const char *help;
};

enum {
	PSTN_EACH_GENERATION = 1, /* ask every live worker and join the arrays */
	PSTN_CHANGES = 2          /* alters something: needs the right to */
};

struct pstn_command {
	const char *name; /* NULL ends the array; words with single spaces: "mailbox deliver" */
	const char *help; /* one line */
	const struct pstn_arg *args;
	uint32_t flags;
	uint32_t reserved;
	void (*run)(void *inst, struct pstn_call *);
};

struct pstn_commands {
	uint32_t size;
	uint32_t command_size, arg_size; /* strides */
	const struct pstn_command *rows;
};

/* host->call: on the thread that runs the command. */
struct pstn_call_ops {
	uint32_t size;
	/* The value of a text, number, option or secret; NULL if not given. A switch: "" or NULL. */
	const char *(*arg)(struct pstn_call *, const char *name);
	/* The descriptor of a file or input argument, -1 if not given; closed by the core. */
	int (*fd)(struct pstn_call *, const char *name);

	/* Build the answer. key is NULL inside arrays and for the outermost value. */
	void (*open_object)(struct pstn_call *, const char *key);
	void (*open_array)(struct pstn_call *, const char *key);
	void (*close)(struct pstn_call *);
	void (*text)(struct pstn_call *, const char *key, const char *value);
	void (*integer)(struct pstn_call *, const char *key, int64_t value);
	void (*boolean)(struct pstn_call *, const char *key, bool value);
	/* Raw octets as the whole answer (a message): goes to posternctl's standard output. Several
	 * calls add up; not together with the ones above. */
	void (*bytes)(struct pstn_call *, const void *bytes, size_t n);

	/* Tell how far a long command is; total 0 = unknown. Shown on a terminal, cheap to call. */
	void (*progress)(struct pstn_call *, uint64_t done, uint64_t total, const char *unit);
	/* The command failed: what happened and what to do, as a sentence. Ends the answer. */
	void (*fail)(struct pstn_call *, const char *fmt, ...) PSTN_PRINTF(2, 3);
	/* posternctl went away or the worker has to stop: end soon, in order. */
	bool (*cancelled)(struct pstn_call *);
	/* Who asked: uid of the peer, and a name for the log. */
	uint32_t (*uid)(struct pstn_call *);

	/*
	 * Since 1.1. Files in a directory argument are opened, renamed and removed by posternctl, with
	 * the rights of whoever runs it; the server is sandboxed and another user. path is relative,
	 * "" the directory itself; it leads nowhere else: "..", links and mounts are refused. All
	 * block for the answer. file: a descriptor, now the caller's, or -1 and errno. rename
	 * replaces; remove also takes an empty directory; both 0, or -1 and errno. Durability is the
	 * caller's: fsync the file, then the directory, which PSTN_FILE_READ opens.
	 */
	int (*file)(struct pstn_call *, const char *name, const char *path, int mode);
	int (*rename)(struct pstn_call *, const char *name, const char *from, const char *to);
	int (*remove)(struct pstn_call *, const char *name, const char *path);
	/* A sentence for whoever asked, at once; the command goes on. */
	void (*note)(struct pstn_call *, const char *fmt, ...) PSTN_PRINTF(2, 3);

	/*
	 * Since 1.2. For a command whose work is done in start(). While the server is stopped
	 * (posternctl --offline) it is true: when the command is over and has not failed, all
	 * instances are stopped and started again, and whoever asked gets the answer after that, or
	 * hears why they do not start. With a running server it is false: nothing happens, and when
	 * that starts again is not the command's to say.
	 */
	bool (*start_again)(struct pstn_call *);
	/*
	 * Since 1.2. fail(), and of what kind it is (enum pstn_status): posternctl's exit status
	 * tells mail servers and scripts whether to try again. PSTN_E_NOT_FOUND is for an account
	 * that does not exist.
	 */
	void (*fail_as)(struct pstn_call *, int status, const char *fmt, ...) PSTN_PRINTF(3, 4);
};

#endif
