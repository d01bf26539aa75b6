/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Permission as Linux decides it (fs/namei.c, generic_permission;
 * fs/posix_acl.c): owner, access ACL, group, other, then capabilities. The
 * mount is served without default_permissions, so the kernel leaves all of it
 * to us.
 */
#ifndef FS_MOUNT_PERM_H
#define FS_MOUNT_PERM_H

#include "fs/image/image.h"
#include "fs/mount/caller.h"

enum perm_mask {
	PERM_EXEC = 1, /* on a folder: search */
	PERM_WRITE = 2,
	PERM_READ = 4,
};

/* 0, -EACCES, or -EIO when the inode's ACL is malformed. */
int perm_check(const struct image *img, const struct image_node *node,
	struct caller *c, unsigned mask) must_check;

/* May the caller change attributes: the owner, or CAP_FOWNER. */
bool perm_is_owner(const struct image_node *node, struct caller *c);

/*
 * Would the bits allow removing or renaming victim from dir: write and search
 * on dir, and the sticky bit's rule.
 */
bool perm_may_delete(const struct image *img, const struct image_node *dir,
	const struct image_node *victim, struct caller *c);

/* Has the inode an access ACL (beyond what the mode bits say)? */
bool perm_has_acl(const struct image *img, const struct image_node *node);

#endif
