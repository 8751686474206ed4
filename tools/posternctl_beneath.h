/*
 * posternctl_beneath.h - paths that must not lead out of a directory, whoever made up the path and
 * whatever lies in the directory: no "..", no link, no mount.
 *
 * dir is a descriptor of the directory, O_PATH is enough; path is relative, "" the directory itself.
 * All return -1 and errno if they fail.
 */
#ifndef POSTERNCTL_BENEATH_H
#define POSTERNCTL_BENEATH_H

/* flags as of open(2); a new file has mode 0600. A regular file or a directory; other kinds, which
 * might block or do things, are ENOTSUP. */
int beneath_open(int dir, const char *path, int flags);
/* The same, for kernels that have no openat2(2): component by component. */
int beneath_walk(int dir, const char *path, int flags);
/* Mode 0700; all right if the directory is there. */
int beneath_mkdir(int dir, const char *path);
int beneath_rename(int dir, const char *from, const char *to);
/* A file, link or empty directory. */
int beneath_remove(int dir, const char *path);

#endif
