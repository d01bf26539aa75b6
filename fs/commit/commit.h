/* SPDX-License-Identifier: Apache-2.0 */
/* A new image of an image and of what was written on it; see README.md. */
#ifndef FS_COMMIT_COMMIT_H
#define FS_COMMIT_COMMIT_H

#include "fs/tree/changes.h"
#include "fs/tree/pack.h"

/*
 * Write the image at path. The sources are those of one mount, an outer path
 * before one within it; frame_size is the image's. Errors as those of
 * tree_changes and pack; on failure nothing is left at path.
 */
int commit_changes(const struct image *img,
	const struct changes_source *sources, size_t count, const char *path,
	const struct pack_options *opt, struct pack_result *ret,
	struct diag *diag) must_check;

#endif
