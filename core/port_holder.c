/*
 * port_holder.c - from a port to an inode in /proc/net/tcp, from there to a process in /proc.
 */
#include "config.h"

#include "port_holder.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TCP_LISTEN 0x0a
#define INODES_MAX 16
#define TIME_MAX   1000 /* ms for the whole search */

struct inodes {
	uint64_t v[INODES_MAX];
	unsigned n;
	uint64_t until; /* monotonic ms */
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void read_table(const char *path, uint16_t port, struct inodes *found)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f) && found->n < INODES_MAX && now_ms() < found->until) {
		unsigned local, state;
		uint64_t inode;
		if (sscanf(line,
			   " %*u: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*s %*s %*s %*u %*u %" SCNu64,
			   &local, &state, &inode) == 3 &&
		    local == port && state == TCP_LISTEN)
			found->v[found->n++] = inode;
	}
	fclose(f);
}

static bool has_inode(const char *link, const struct inodes *wanted)
{
	uint64_t inode;

	if (sscanf(link, "socket:[%" SCNu64 "]", &inode) != 1)
		return false;
	for (unsigned i = 0; i < wanted->n; i++)
		if (wanted->v[i] == inode)
			return true;
	return false;
}

static bool process_holds(const char *pid, const struct inodes *wanted)
{
	char path[300], link[64];
	struct dirent *e;
	bool found = false;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	d = opendir(path);
	if (!d)
		return false;
	while (!found && now_ms() < wanted->until && (e = readdir(d))) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, link, sizeof(link) - 1);
		if (n > 0) {
			link[n] = '\0';
			found = has_inode(link, wanted);
		}
	}
	closedir(d);
	return found;
}

static void name_process(const char *pid, char *who, size_t size)
{
	char path[300], name[32] = "a program";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (f) {
		if (fgets(name, sizeof(name), f))
			name[strcspn(name, "\n")] = '\0';
		fclose(f);
	}
	snprintf(who, size, "%s (process %.20s)", name, pid);
}

bool port_holder(uint16_t port, char *who, size_t size)
{
	struct inodes wanted = {.until = now_ms() + TIME_MAX};
	struct dirent *e;
	bool found = false;
	DIR *d;

	read_table("/proc/net/tcp", port, &wanted);
	read_table("/proc/net/tcp6", port, &wanted);
	d = wanted.n > 0 ? opendir("/proc") : NULL;
	if (!d)
		return false;
	while (!found && now_ms() < wanted.until && (e = readdir(d))) {
		if (isdigit((unsigned char)e->d_name[0]) && process_holds(e->d_name, &wanted)) {
			name_process(e->d_name, who, size);
			found = true;
		}
	}
	closedir(d);
	return found;
}
