/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The marks that overlayfs leaves in an upper folder, as Linux 6.18 reads them:
 * what is gone, what hides the folder below, what came from elsewhere.
 */
#ifndef FS_TREE_OVERLAY_H
#define FS_TREE_OVERLAY_H

#include <linux/limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"

enum overlay_form {
	OVERLAY_NONE,	 /* a plain folder: nothing in it is a mark */
	OVERLAY_TRUSTED, /* trusted.overlay.* */
	OVERLAY_USER,	 /* user.overlay.*, mounted with userxattr */
};

/*
 * The name that a mount shows an extended attribute of its layers under, in
 * ret; its length is returned; 0: it is a mark, and not shown. (An attribute
 * that looks like a mark to the user of a mount is kept with one more
 * "overlay." in its name.)
 */
size_t overlay_shown_name(enum overlay_form form, const char *name, size_t len,
	char ret[XATTR_NAME_MAX + 1]);

/* Is it the mark of a file whose bytes are still in a layer below? */
bool overlay_is_metacopy(enum overlay_form form, const char *name, size_t len);

/* Does the entry only say that the name is gone? 1, 0 or -errno. */
int overlay_is_whiteout(enum overlay_form form, int dir_fd, const char *name,
	const struct statx *st) must_check;

struct overlay_folder {
	bool opaque; /* nothing of the layer below shows through */
	/* Where the folder was before, "" when it was always here: a name in
	 * the folder that it is in, or a path from the top of the overlay. */
	char redirect[PATH_MAX];
};

/* 0; -EBADMSG when a mark is one that the kernel would refuse; -errno. */
int overlay_read_folder(enum overlay_form form, int dir_fd, const char *name,
	struct overlay_folder *ret) must_check;

/*
 * The inode that an entry of the index folder stands for, when the layer below
 * is a mount of an image, whose handles hold inode numbers. -EINVAL: none.
 */
int overlay_index_ino(const char *name, uint32_t *ret) must_check;

#endif
