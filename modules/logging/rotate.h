/*
 * rotate.h - moving a full log file out of the way while other processes write to it too.
 */
#ifndef LOGGING_ROTATE_H
#define LOGGING_ROTATE_H

#include <stdbool.h>
#include <stdint.h>

/* Whether path is (still) the file that fd has open. */
bool rotate_is_same(int fd, const char *path);
/*
 * path becomes path.1, path.1 becomes path.2 and so on; what would be path.(keep + 1) goes. Does
 * nothing if another process is at it or has done it. 0, or an errno value.
 */
int rotate(int fd, const char *path, int64_t keep);

#endif
