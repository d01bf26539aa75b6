/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a scanned or spooled file; see tree.h. */
#include <assert.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "fs/tree/beneath.h"
#include "fs/tree/tree_internal.h"

static int changed(const char *path, struct diag *diag)
{
	return diag_set(diag, -ESTALE,
		"%s changed since the folder was read: stop what writes there "
		"(or build from a snapshot) and try again",
		path);
}

static bool is_same(const struct tree_node *node, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_dev == node->dev &&
	       st->st_ino == node->dev_ino &&
	       (uint64_t)st->st_size == node->size &&
	       st->st_ctim.tv_sec == node->ctime &&
	       (uint32_t)st->st_ctim.tv_nsec == node->ctime_nsec;
}

int tree_recheck(const struct tree *t, const struct tree_node *node, int fd,
	struct diag *diag)
{
	struct stat st;

	if (node->content != TREE_CONTENT_PATH)
		return 0;
	if (fstat(fd, &st) == 0 && is_same(node, &st))
		return 0;

	_cleanup_free_ char *path = tree_path(node);

	return changed(path ? path : "a file", diag);
}

static int open_scanned(const struct tree *t, const struct tree_node *node,
	int *ret_fd, struct diag *diag)
{
	_cleanup_free_ char *path = tree_path(node);

	if (!path)
		return diag_errno(diag, -ENOMEM, "opening a file");

	/* A FIFO or a device that took the file's place in the meantime must
	 * not make us wait. */
	_cleanup_close_ int fd =
		t->opener.open
			? t->opener.open(t->opener.arg, node, path)
			: beneath_open(t->root_fd, path + 1,
				  O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME);

	if (beneath_is_change(fd))
		return changed(path, diag);
	if (fd < 0)
		return diag_errno(diag, fd, "opening %s", path);

	int r = tree_recheck(t, node, fd, diag);

	if (r == 0)
		*ret_fd = take_fd(fd);
	return r;
}

int tree_open(const struct tree *t, const struct tree_node *node, int *ret_fd,
	uint64_t *ret_off, struct diag *diag)
{
	int fd;

	assert(t->sealed);
	switch (node->content) {
	case TREE_CONTENT_PATH:
		*ret_off = 0;
		return open_scanned(t, node, ret_fd, diag);
	case TREE_CONTENT_SPOOL:
		fd = fcntl(t->spool_fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return diag_errno(diag, -errno, "opening the spool");
		*ret_off = node->spool_off;
		*ret_fd = fd;
		return 0;
	default: return diag_set(diag, -EINVAL, "a file without bytes to open");
	}
}

void tree_set_opener(struct tree *t, const struct tree_opener *opener)
{
	t->opener = *opener;
}

const struct image *tree_image(const struct tree *t)
{
	return t->image;
}
