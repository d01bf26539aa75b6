/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A storage with a size: an ext4 file system in a sparse file, NAME.ext4, on a
 * loop device that vanishes with the mount.
 */
#ifndef FS_UPPER_VOLUME_H
#define FS_UPPER_VOLUME_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/diag.h"

struct volume_limits {
	uint64_t size;	 /* of the file; the file system needs a part of it */
	uint64_t inodes; /* 0: as many as ext4 finds fit */
};

/* Is there one of that name? */
bool volume_exists(int dir, const char *name);

/*
 * Make one, empty, where none is, with mkfs.ext4. An unfinished one is made
 * anew. -ENOPKG without that program, -EINVAL when it refuses the size, -errno.
 */
int volume_make(int dir, const char *name, const struct volume_limits *limits,
	struct diag *diag) must_check;

void volume_remove(int dir, const char *name);

/*
 * Mount one, detached: the descriptor of the mount. It is grown to size when it
 * has less. -ERANGE when it has more: it would have to shrink; -EBUSY when it
 * is mounted already; -ENODEV without a loop device; -errno.
 */
int volume_mount(int dir, const char *name, uint64_t size, unsigned attrs,
	struct diag *diag) must_check;

#endif
