/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mount point: is it fit, and the mount(2) on it.
 */
#ifndef FS_MOUNT_POINT_H
#define FS_MOUNT_POINT_H

#include "fs/mount/mount.h"

/* As mount_new's errors for the mount point; 0 when it is fit. */
int point_check(const struct mount_options *opt, struct diag *diag) must_check;

/*
 * Mount as root (also of a user namespace) and return the /dev/fuse descriptor,
 * or -errno. The source shown in /proc/mounts is the image's path.
 */
int point_mount(const struct mount_options *opt, struct diag *diag) must_check;

/* Device number of the file system mounted there, without asking it. */
int point_device(const char *mount_point, uint32_t *ret_major,
	uint32_t *ret_minor) must_check;

#endif
