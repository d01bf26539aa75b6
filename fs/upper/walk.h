/* SPDX-License-Identifier: Apache-2.0 */
/* Through everything that was written into an upper. */
#ifndef FS_UPPER_WALK_H
#define FS_UPPER_WALK_H

#include <sys/stat.h>

#include "fs/base/cleanup.h"

/* One of them: path from the upper on ("" for itself, "/a/b"), an O_PATH
 * descriptor that does not follow links. 0, or what the walk shall end with. */
typedef int (*walk_fn)(
	void *arg, const char *path, int fd, const struct stat *st);

/*
 * Call fn for the upper and for all in it, a folder before what it holds.
 * Nobody may change anything meanwhile. 0, what fn ended it with, or -errno.
 */
int walk_upper(int upper, walk_fn fn, void *arg) must_check;

/* The name in /proc of a descriptor, for calls that take only paths. */
#define WALK_FD_PATH 32
const char *walk_fd_path(int fd, char ret[WALK_FD_PATH]);

#endif
