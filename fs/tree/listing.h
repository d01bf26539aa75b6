/* SPDX-License-Identifier: Apache-2.0 */
/* The names in a folder, sorted as an image sorts them. */
#ifndef FS_TREE_LISTING_H
#define FS_TREE_LISTING_H

#include "fs/base/buf.h"

struct listing {
	const char **names; /* owned; they point into bytes */
	size_t count;
	struct buf bytes;
};

/*
 * Read the folder that is open for reading as fd, without "." and "..". 0;
 * -E2BIG when the names are more than 1 GiB; -errno. On failure there is
 * nothing to be freed.
 */
int listing_read(int fd, struct listing *ret) must_check;
void listing_done(struct listing *l);

#endif
