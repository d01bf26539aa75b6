/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conflicts between what was written over one image and another image: files
 * that were written, replaced or removed, and that the images do not have
 * alike.
 */
#ifndef FS_UPPER_CONFLICT_H
#define FS_UPPER_CONFLICT_H

#include "fs/base/buf.h"
#include "fs/image/image.h"
#include "fs/upper/state.h"

/* A storage and the folder of the image that it lies over. */
struct conflict_place {
	struct state *state;
	const char *name; /* of the storage */
	const struct image *img;
	uint32_t ino; /* of the folder, or the file */
};

/* Remember what the image has there, in the open transaction. */
int conflict_remember(
	const struct conflict_place *p, struct diag *diag) must_check;

/*
 * Compare what is remembered with what this image has, for all that lies in an
 * upper: paths from the place on go to ret, each ended by a NUL. 0 or -errno.
 */
int conflict_find(const struct conflict_place *p, int upper, struct buf *ret,
	struct diag *diag) must_check;

#endif
