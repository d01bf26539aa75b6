/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths inside an image as the kernel would resolve them with the image as its
 * root: symbolic links lead to other places of the image, never out of it.
 */
#ifndef FS_IMAGE_RESOLVE_H
#define FS_IMAGE_RESOLVE_H

#include <stdbool.h>

#include "fs/image/image.h"

struct resolved {
	struct image_node node;
	uint32_t parent; /* folder in which it was found; of the root: itself */
	char name[LAYOUT_NAME_MAX + 1]; /* there; of the root: "" */
};

/*
 * Resolve path from the root of the image. Links on the way are followed, the
 * last one when follow is set or a '/' comes after it. 0; -ENOENT, -ENOTDIR,
 * -ELOOP after 40 links, -ENAMETOOLONG, -EBADMSG, -ENOMEM.
 */
int resolve_path(const struct image *img, const char *path, bool follow,
	struct resolved *ret) must_check;

/* Its path without links, to be freed. NULL: out of memory. */
char *resolve_name(
	const struct image *img, const struct resolved *r) must_check;

#endif
