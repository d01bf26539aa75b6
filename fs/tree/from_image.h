/* SPDX-License-Identifier: Apache-2.0 */
/* One inode of an image as a node of a tree. */
#ifndef FS_TREE_FROM_IMAGE_H
#define FS_TREE_FROM_IMAGE_H

#include "fs/image/image.h"
#include "fs/tree/inode.h"

/*
 * Set all that the inode itself has: attributes, content, target, device, and
 * the extended attributes that keep keeps (NULL: all). 0, -EBADMSG, -ENOMEM.
 */
int from_image_node(const struct image *img, const struct image_node *in,
	const struct xattr_keep *keep, struct tree *t,
	struct tree_node *node) must_check;

#endif
