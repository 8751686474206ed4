/*
 * posternctl_files.c - files below a directory argument, opened for the server with the rights of
 * the person who asks.
 *
 * The server is not trusted with more than that directory, and with changes only where its row
 * says so: the questions may come from one that was broken into.
 */
#include "posternctl.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posternctl_beneath.h"

/* ---- the argument ---- */

/* A name that is gone after a power cut would take with it what is stored durably below. */
static void sync_parent(const char *path)
{
	char copy[PATH_MAX];
	int parent;

	snprintf(copy, sizeof(copy), "%s", path);
	parent = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return;
	(void)fsync(parent);
	close(parent);
}

int ctl_open_directory(const char *path, bool writes)
{
	int fd;

	if (writes && mkdir(path, 0700) == 0)
		sync_parent(path);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		ctl_error("%s: %s", path, strerror(errno));
	return fd;
}

/* ---- what the server asks for ---- */

/* As path_json() of the server writes it. */
static bool decode_path(const char *text, char *out, size_t size)
{
	unsigned octet;
	size_t n = 0;

	for (; *text && n + 1 < size; out[n++] = (char)octet) {
		if (*text != '%') {
			octet = (unsigned char)*text++;
			continue;
		}
		if (sscanf(text, "%%%2x", &octet) != 1 || octet == 0)
			return false;
		text += 3;
	}
	out[n] = '\0';
	return *text == '\0';
}

static const struct ctl_directory *find_directory(const struct ctl_request *r, const char *name)
{
	for (int i = 0; i < r->ndirectories; i++)
		if (strcmp(r->directories[i].name, name) == 0)
			return &r->directories[i];
	return NULL;
}

/* A descriptor, -1 for a change that was made, or -1 and *error. */
static int carry_out(const struct ctl_directory *d, const char *how, const char *path,
		     const char *to, int *error)
{
	int fd = -1, status = -1;

	errno = EACCES;
	if (strcmp(how, CONTROL_HOW_READ) == 0)
		status = fd = beneath_open(d->fd, path, O_RDONLY);
	else if (!d->writes)
		status = -1;
	else if (strcmp(how, CONTROL_HOW_CREATE) == 0)
		status = fd = beneath_open(d->fd, path, O_RDWR | O_CREAT | O_EXCL);
	else if (strcmp(how, CONTROL_HOW_WRITE) == 0)
		status = fd = beneath_open(d->fd, path, O_RDWR);
	else if (strcmp(how, CONTROL_HOW_DIRECTORY) == 0)
		status = fd = beneath_mkdir(d->fd, path) < 0
				  ? -1
				  : beneath_open(d->fd, path, O_RDONLY | O_DIRECTORY);
	else if (strcmp(how, CONTROL_HOW_RENAME) == 0)
		status = beneath_rename(d->fd, path, to);
	else if (strcmp(how, CONTROL_HOW_REMOVE) == 0)
		status = beneath_remove(d->fd, path);
	else
		errno = EINVAL;
	*error = status < 0 ? errno : 0;
	return fd;
}

void ctl_answer_file(int socket, const struct ctl_request *r, const json_t *file)
{
	const struct ctl_directory *d = find_directory(r, ctl_string(file, "argument"));
	json_int_t id = json_integer_value(json_object_get(file, "id"));
	char path[PATH_MAX], to[PATH_MAX], line[128];
	int fd = -1, error = EINVAL;

	if (d && decode_path(ctl_string(file, "path"), path, sizeof(path)) &&
	    decode_path(ctl_string(file, "to"), to, sizeof(to)))
		fd = carry_out(d, ctl_string(file, "how"), path, to, &error);
	if (error == 0)
		snprintf(line, sizeof(line), "{\"file\":{\"id\":%lld,\"ok\":true}}\n",
			 (long long)id);
	else
		snprintf(line, sizeof(line), "{\"file\":{\"id\":%lld,\"errno\":%d}}\n",
			 (long long)id, error);
	/* A server that is gone is noticed where its answer is read. */
	(void)ctl_send(socket, line, strlen(line), &fd, fd >= 0 ? 1 : 0);
	if (fd >= 0)
		close(fd);
}
