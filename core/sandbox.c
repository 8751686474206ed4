/*
 * sandbox.c - see sandbox.h.
 */
#include "config.h"

#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_LINUX_LANDLOCK_H
#include <linux/landlock.h>
#endif

#include "plan_paths.h"
#include "sanitized.h"

static const struct place nowhere;

/* ---- seccomp ----------------------------------------------------------------------------------- */

static const int forbidden[] = {
    /* other programs, other processes */
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    /* the system as a whole */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(syslog),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    /* the kernel's less trodden paths */
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(vmsplice),
    SCMP_SYS(personality),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(mbind),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(move_pages),
};

/* The standard descriptors may be an administrator's terminal: nothing is typed there for them. */
static const unsigned typing[] = {TIOCSTI, TIOCLINUX};

static int add_rules(scmp_filter_ctx ctx)
{
	int status = 0;

	for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
		if (status == 0)
			status = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	/* The kernel looks at 32 bits of the request. */
	for (size_t i = 0; i < sizeof(typing) / sizeof(typing[0]); i++)
		if (status == 0)
			status =
			    seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(ioctl), 1,
					     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, typing[i]));
	/* Threads yes, processes no. clone3 hides its flags in memory: libc falls back to clone. */
	if (status == 0)
		status = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
					  SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	if (status == 0)
		status = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return status;
}

static bool enter_seccomp(struct reports *r)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
	int status = ctx ? add_rules(ctx) : -ENOMEM;

	if (status == 0)
		status = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	if (status < 0 && status != -EINVAL && status != -ENOSYS)
		report_warning(r, nowhere, "the seccomp layer of the sandbox is off: %s",
			       strerror(-status));
	return status == 0;
}

/* ---- landlock ---------------------------------------------------------------------------------- */

#if defined HAVE_LINUX_LANDLOCK_H && defined __NR_landlock_create_ruleset

#define WRITES                                                           \
	(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
	 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |  \
	 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
	 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM)
#define NEVER \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK)
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif

struct ruleset {
	int fd;
	uint64_t writes;
};

static void allow(const struct ruleset *set, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	(void)syscall(__NR_landlock_add_rule, set->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

/* A configured path: the directory itself, or the one that a file lies or will lie in. */
static void allow_configured(void *arg, const char *path)
{
	const struct ruleset *set = arg;
	char directory[4096];
	struct stat st;
	char *slash;

	if (path[0] != '/' ||
	    (size_t)snprintf(directory, sizeof(directory), "%s", path) >= sizeof(directory))
		return;
	while (stat(directory, &st) < 0 || !S_ISDIR(st.st_mode)) {
		slash = strrchr(directory, '/');
		if (slash == directory)
			return;
		*slash = '\0';
	}
	/* A name directly below the root allows no more than itself. */
	if (directory[1] != '\0')
		allow(set, directory, set->writes);
}

static bool enter_landlock(const struct plan *plan, char *layer, size_t size, struct reports *r)
{
	long version =
	    syscall(__NR_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	struct landlock_ruleset_attr attr = {.handled_access_fs = WRITES | NEVER};
	struct ruleset set = {.writes = WRITES};
	bool ok;

	if (version < 1)
		return false;
	if (version >= 2)
		set.writes |= LANDLOCK_ACCESS_FS_REFER;
	if (version >= 3)
		set.writes |= LANDLOCK_ACCESS_FS_TRUNCATE;
	attr.handled_access_fs |= set.writes;
	set.fd =
	    (int)syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (set.fd < 0)
		return false;
	allow(&set, plan->dirs.state, set.writes);
	allow(&set, plan->dirs.run, set.writes);
	allow(&set, plan->dirs.log, set.writes);
	allow(&set, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE);
	plan_paths(plan, allow_configured, &set);
	ok = syscall(__NR_landlock_restrict_self, set.fd, 0) == 0;
	if (!ok)
		report_warning(r, nowhere, "the landlock layer of the sandbox is off: %s",
			       strerror(errno));
	close(set.fd);
	snprintf(layer, size, "landlock %ld", version);
	return ok;
}

#else

static bool enter_landlock(const struct plan *plan, char *layer, size_t size, struct reports *r)
{
	(void)plan;
	(void)layer;
	(void)size;
	(void)r;
	return false;
}

#endif

void sandbox_enter(const struct plan *plan, char *layers, size_t size, struct reports *r)
{
	char landlock[32] = "";
	bool locked, filtered;

	snprintf(layers, size, "none");
	if (SANITIZED)
		return;
	/* Landlock first: its calls are of no use to anybody afterwards. */
	locked = enter_landlock(plan, landlock, sizeof(landlock), r);
	filtered = enter_seccomp(r);
	if (locked || filtered)
		snprintf(layers, size, "%s%s%s", filtered ? "seccomp" : "",
			 filtered && locked ? ", " : "", landlock);
}
