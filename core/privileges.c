/*
 * privileges.c - see privileges.h.
 */
#include "config.h"

#include "privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "instance_lock.h"
#include "sanitized.h"

static const struct place nowhere;

int privileges_find(const char *user, struct identity *id, struct reports *r)
{
	const struct passwd *pw;

	*id = (struct identity){.uid = geteuid(), .gid = getegid()};
	if (geteuid() != 0)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw) {
		report_error(r, nowhere,
			     "server.user: there is no user \"%s\"%s%s; make one with: adduser "
			     "--system --group --no-create-home %s",
			     user, errno ? ": " : "", errno ? strerror(errno) : "", user);
		return -1;
	}
	if (pw->pw_uid == 0) {
		report_error(r, nowhere, "server.user: %s is root; name a user without rights",
			     user);
		return -1;
	}
	id->drop = true;
	id->uid = pw->pw_uid;
	id->gid = pw->pw_gid;
	snprintf(id->user, sizeof(id->user), "%s", user);
	return 0;
}

int privileges_group(const char *name, gid_t *gid, struct reports *r)
{
	const struct group *gr;

	if (!name || !*name)
		return 0;
	gr = getgrnam(name);
	if (!gr) {
		report_error(
		    r, nowhere,
		    "server.control.group: there is no group \"%s\"; make it with: addgroup "
		    "--system %s",
		    name, name);
		return -1;
	}
	*gid = gr->gr_gid;
	return 1;
}

/* The top directory only: what lies inside is somebody's decision. */
/*
 * Gives a directory to the user. Who owns the directory above could put a link to another one in
 * its place, so a link is followed only to what is the user's already.
 */
static int give(const char *path, const struct identity *id, struct reports *r)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool link = fd < 0 && (errno == ELOOP || errno == ENOTDIR);
	struct stat st;
	int status = -1;

	if (link)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) != 0)
		report_error(r, nowhere, "%s: cannot be given to %s: %s", path, id->user,
			     strerror(errno));
	else if (st.st_uid == id->uid)
		status = 0;
	else if (link)
		report_error(r, nowhere,
			     "%s is a symbolic link to a directory of another user: run chown "
			     "%s on what it leads to",
			     path, id->user);
	else if (fchown(fd, id->uid, id->gid) == 0)
		status = 0;
	else
		report_error(r, nowhere, "%s: cannot be given to %s: %s", path, id->user,
			     strerror(errno));
	if (fd >= 0)
		close(fd);
	return status;
}

static int check(const char *path, struct reports *r)
{
	if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
		return 0;
	report_error(r, nowhere,
		     "%s: not usable for uid %u: %s; let it own the directory (chown %u %s)", path,
		     (unsigned)geteuid(), strerror(errno), (unsigned)geteuid(), path);
	return -1;
}

int privileges_dirs(const struct dirs *d, const struct identity *id, struct reports *r)
{
	const char *const all[] = {d->state, d->run, d->log};
	char err[512];
	int status = 0;

	if (instance_make_dirs(d, err, sizeof(err)) < 0) {
		report_error(r, nowhere, "%s", err);
		return -1;
	}
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if ((id->drop ? give(all[i], id, r) : check(all[i], r)) < 0)
			status = -1;
	return status;
}

int privileges_reach(const struct dirs *d, const struct identity *id, struct reports *r)
{
	const char *const all[] = {d->state, d->run, d->log};
	int status = 0;

	for (size_t i = 0; id->drop && i < sizeof(all) / sizeof(all[0]); i++) {
		if (faccessat(AT_FDCWD, all[i], R_OK | W_OK | X_OK, AT_EACCESS) == 0)
			continue;
		report_error(r, nowhere,
			     "%s: user %s cannot get there: %s; let everybody pass the directories "
			     "above it (chmod o+x), or choose another --directory",
			     all[i], id->user, strerror(errno));
		status = -1;
	}
	return status;
}

static int become(const struct identity *id)
{
	/* The bounding set: not even a program with capabilities on disk brings one back. */
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (prctl(PR_CAPBSET_DROP, cap) < 0)
			return -1;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -1;
	if (initgroups(id->user, id->gid) < 0 || setresgid(id->gid, id->gid, id->gid) < 0)
		return -1;
	/* Leaving uid 0 empties the effective and permitted capabilities too (capabilities(7)). */
	return setresuid(id->uid, id->uid, id->uid);
}

int privileges_drop(const struct identity *id, struct reports *r)
{
	if (id->drop && become(id) < 0) {
		report_error(r, nowhere, "cannot become user %s: %s", id->user, strerror(errno));
		return -1;
	}
	if (id->drop && (setresuid((uid_t)-1, 0, (uid_t)-1) == 0 || geteuid() == 0)) {
		report_error(r, nowhere, "root's rights could be taken back after becoming %s",
			     id->user);
		return -1;
	}
	/* Other processes of the user cannot read mail and passwords out of this one. */
	if (id->drop)
		(void)prctl(PR_SET_DUMPABLE, SANITIZED);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		report_error(r, nowhere, "cannot forbid gaining rights: %s", strerror(errno));
		return -1;
	}
	return 0;
}
