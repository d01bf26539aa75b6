/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of one file, as a node of a tree has it. A file is
 * named by its folder's descriptor and its name there ("." is the folder); it
 * is never opened, and no symbolic link is followed.
 */
#ifndef FS_TREE_INODE_H
#define FS_TREE_INODE_H

#include <linux/limits.h>
#include <sys/stat.h>

#include "fs/tree/tree.h"

/* Which extended attributes are kept, and under which names. */
struct xattr_keep {
	/* The name that it is kept under goes to ret, its length is returned;
	 * 0: it is left out. name may lack the NUL behind it. */
	size_t (*name)(void *arg, const char *name, size_t len,
		char ret[XATTR_NAME_MAX + 1]);
	void *arg;
};

/* What reading extended attributes needs; too large for a stack. */
struct inode_reader {
	struct xattr_keep keep;
	char list[XATTR_LIST_MAX];
	char value[XATTR_SIZE_MAX];
};

/* 0 or -errno. An empty name is the file that dir_fd is itself. */
int inode_stat(int dir_fd, const char *name, struct statx *ret) must_check;

/* All but type, extended attributes and the target of a link. */
void inode_attributes(const struct statx *st, struct tree_node *node);

/* Is it the file that the node was made from, untouched since then? */
bool inode_is_unchanged(const struct tree_node *node, const struct statx *st);

/* 0; -ESTALE when the file changed meanwhile; -errno. */
int inode_target(int dir_fd, const char *name, struct tree *t,
	struct tree_node *node) must_check;
int inode_xattrs(struct inode_reader *r, int dir_fd, const char *name,
	struct tree *t, struct tree_node *node) must_check;

/*
 * One extended attribute: its length, which may be greater than size (then
 * nothing was read); -ENODATA when there is none; -errno.
 */
ssize_t inode_xattr(int dir_fd, const char *name, const char *attr, void *buf,
	size_t size) must_check;

#endif
