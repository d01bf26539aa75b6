/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening what lies below a folder, however deep, and nothing else: no
 * symbolic link is followed, no ".." climbs out.
 */
#ifndef FS_TREE_BENEATH_H
#define FS_TREE_BENEATH_H

#include <stdbool.h>

#include "fs/base/cleanup.h"

/*
 * Open path ("a/b", of any length; "" is the folder itself) below dir_fd.
 * flags as for open(2) without O_CREAT; O_NOFOLLOW and O_CLOEXEC are added;
 * O_NOATIME is dropped where only the owner may use it.
 * A descriptor or -errno; -ENOSYS on a kernel before 5.6.
 */
int beneath_open(int dir_fd, const char *path, int flags) must_check;

/* Is it an error that says: the path is no longer what it was? */
bool beneath_is_change(int err);

#endif
