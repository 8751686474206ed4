/*
 * plan.h - a configuration that has been read and found good, before anything is started.
 *
 * plan_make() reads the YAML, finds and judges each module's file, checks all values against option
 * rows, fills conf structs, binds needs to offers and puts the modules into starting order. It runs
 * no module code and changes nothing, so `posternd --check` and `reload --dry-run` stop here.
 * A plan is read-only afterwards, may be read by any thread, and lives as long as its worker.
 */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "dirs.h"
#include "manifest.h"
#include "reports.h"

/* The `server:` part of the file; rows in server_options.c. Durations in milliseconds. */
struct server_conf {
	const char *user;             /* whom to become when started as root */
	const char *module_directory; /* "{modules}" */
	struct {
		int64_t min, max; /* 0 = one per core */
	} reactors;
	struct {
		int64_t min, max;
		int64_t queue; /* jobs that may wait */
	} job_threads;
	int64_t max_sessions;    /* of this worker, all services; 0: as descriptors allow */
	uint64_t ready_deadline; /* a candidate that is not ready by then is refused */
	uint64_t probation;      /* a crash within it brings the old generation back */
	uint64_t drain_limit;    /* 0 = sessions end as they end */
	uint64_t stop_limit;     /* of a graceful stop */
	uint64_t watchdog;       /* without heartbeat for so long: killed; 0 = off */
	uint64_t output_limit;   /* octets queued for a slow reader before its producer waits */
	struct {
		const char *group; /* may use the control socket beside root; "" = nobody */
	} control;
};

struct plan_listener {
	const char *address; /* as PSTN_ADDRESS */
	int64_t backlog;
	int fd; /* filled by the worker, -1 before */
};

struct plan_need {
	int module; /* index into plan->modules, -1: unmet and optional */
	unsigned offer;
};

struct plan_module {
	const char *name;                   /* the instance: its key in the YAML */
	const char *path;                   /* of its file */
	const struct pstn_module *manifest; /* data only; see manifest.h */
	void *conf;                         /* manifest->conf_size bytes, filled */
	struct plan_need *needs;            /* one per need row */
	struct plan_listener *listeners;    /* of a service */
	unsigned nlisteners;
	struct place place; /* of its key, for reports */
};

struct plan {
	struct dirs dirs;
	struct server_conf server;
	struct plan_module *modules; /* providers before those who need them */
	unsigned nmodules;
};

/* NULL if there was any error; all of them are in reports. Warnings alone do not refuse. */
struct plan *plan_make(const struct dirs *, struct reports *);
void plan_free(struct plan **);

/* Differences as "path: old -> new", secrets as ***; how many. For reload's output. */
unsigned plan_diff(const struct plan *old, const struct plan *new,
		   void (*each)(void *arg, const char *line), void *arg);
/* The effective configuration as YAML, defaults included, secrets as ***; malloc'd. */
char *plan_show(const struct plan *);
/* What `config explain KEY` says ("pop3.idle_timeout", "server.user"); NULL if there is no such
 * key, then *nearest (may be NULL) is a malloc'd suggestion. malloc'd. */
char *plan_explain(const struct plan *, const char *key, char **nearest);

#endif
