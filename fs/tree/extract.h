/* SPDX-License-Identifier: Apache-2.0 */
/* Writing what is in an image into a folder. */
#ifndef FS_TREE_EXTRACT_H
#define FS_TREE_EXTRACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/diag.h"

struct image;

struct extract_options {
	/* Into a folder that is not empty: folders are merged, other things
	 * of the same name are replaced (never written through). */
	bool overwrite;

	/* Only these, with all below them and the folders on the way; each a
	 * path from the root, symbolic links not followed. None: everything. */
	const char *const *paths;
	size_t path_count;

	/* Bytes written, of all; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

/* What an ordinary user could not do and so was left out: all 0 for root. */
struct extract_result {
	uint64_t entries; /* names made */
	uint64_t bytes;	  /* of regular files, holes included */
	uint64_t owners;  /* nodes that kept the caller as owner; they have no
			   * set-user-id and set-group-id bits either */
	uint64_t xattrs;  /* of trusted. and security. */
	uint64_t devices;
};

/*
 * dir is made when it is missing; it gets the attributes of the image's root.
 * Every byte is verified on the way. Nothing outside dir is touched, whatever
 * names and links the image has and whoever else writes there. Files are
 * sparse as in the image; hard links, devices, owners, extended attributes,
 * modes and times are those of the image. New folders can be entered by nobody
 * else until all is there.
 * -ENOTEMPTY (nothing was made); -ESRCH for a path that the image does not
 * have; -EBADMSG for a damaged image; -errno. What was made before an error
 * stays.
 */
int extract(const struct image *img, const char *dir,
	const struct extract_options *opt, struct extract_result *ret,
	struct diag *diag) must_check;

#endif
