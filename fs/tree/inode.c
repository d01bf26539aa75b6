/* SPDX-License-Identifier: Apache-2.0 */
/* One file becomes a node; see inode.h. */
#include "fs/tree/inode.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "fs/base/cleanup.h"

/*
 * There is no listxattrat(2) before Linux 6.13; a name below /proc/self/fd/N
 * does the same for every type of file without opening it.
 */
#define PROC_PATH (sizeof("/proc/self/fd//") + 11 + NAME_MAX)

static void proc_path(int dir_fd, const char *name, char ret[PROC_PATH])
{
	(void)snprintf(ret, PROC_PATH, "/proc/self/fd/%d/%s", dir_fd, name);
}

int inode_stat(int dir_fd, const char *name, struct statx *ret)
{
	unsigned mask = STATX_BASIC_STATS;
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

	return statx(dir_fd, name, flags, mask, ret) < 0 ? -errno : 0;
}

void inode_attributes(const struct statx *st, struct tree_node *node)
{
	node->uid = st->stx_uid;
	node->gid = st->stx_gid;
	node->mtime = st->stx_mtime.tv_sec;
	node->mtime_nsec = st->stx_mtime.tv_nsec;
	node->dev = makedev(st->stx_dev_major, st->stx_dev_minor);
	node->dev_ino = st->stx_ino;
	node->ctime = st->stx_ctime.tv_sec;
	node->ctime_nsec = st->stx_ctime.tv_nsec;
	if (S_ISREG(node->mode)) {
		node->size = st->stx_size;
		node->content =
			st->stx_size ? TREE_CONTENT_PATH : TREE_CONTENT_NONE;
	} else if (S_ISCHR(node->mode) || S_ISBLK(node->mode)) {
		node->major = st->stx_rdev_major;
		node->minor = st->stx_rdev_minor;
	}
}

bool inode_is_unchanged(const struct tree_node *node, const struct statx *st)
{
	return node->dev == makedev(st->stx_dev_major, st->stx_dev_minor) &&
	       node->dev_ino == st->stx_ino &&
	       node->ctime == st->stx_ctime.tv_sec &&
	       node->ctime_nsec == st->stx_ctime.tv_nsec;
}

int inode_target(
	int dir_fd, const char *name, struct tree *t, struct tree_node *node)
{
	char target[PATH_MAX];
	ssize_t len = readlinkat(dir_fd, name, target, sizeof(target));

	if (len < 0)
		return errno == ENOENT || errno == EINVAL ? -ESTALE : -errno;
	return tree_set_target(t, node, target, (size_t)len);
}

static int read_xattr(struct inode_reader *r, const char *proc,
	const char *name, struct tree *t, struct tree_node *node)
{
	char kept[XATTR_NAME_MAX + 1];
	size_t kept_len = r->keep.name(r->keep.arg, name, strlen(name), kept);

	if (kept_len == 0)
		return 0;

	ssize_t len = lgetxattr(proc, name, r->value, sizeof(r->value));

	if (len < 0)
		return errno == ENODATA || errno == ENOENT ? -ESTALE : -errno;
	return tree_set_xattr(t, node, kept, kept_len, r->value, (size_t)len);
}

int inode_xattrs(struct inode_reader *r, int dir_fd, const char *name,
	struct tree *t, struct tree_node *node)
{
	char proc[PROC_PATH];

	proc_path(dir_fd, name, proc);

	ssize_t len = llistxattr(proc, r->list, sizeof(r->list));

	if (len < 0 && errno == ENOTSUP)
		return 0;
	if (len < 0)
		return errno == ENOENT ? -ESTALE : -errno;

	const char *end = r->list + len;
	int err = 0;

	for (const char *n = r->list; n < end && err == 0; n += strlen(n) + 1)
		err = read_xattr(r, proc, n, t, node);
	return err;
}

ssize_t inode_xattr(
	int dir_fd, const char *name, const char *attr, void *buf, size_t size)
{
	char proc[PROC_PATH];

	proc_path(dir_fd, name, proc);

	ssize_t len = lgetxattr(proc, attr, buf, size);

	if (len < 0 && errno == ERANGE)
		len = lgetxattr(proc, attr, NULL, 0);
	if (len < 0)
		return errno == ENOTSUP ? -ENODATA : -errno;
	return len;
}
