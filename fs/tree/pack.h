/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a sealed tree into an image file: reads each file once, hashes,
 * finds duplicates, compresses in parallel and writes in one fixed order, so
 * that the bytes do not depend on the number of threads.
 */
#ifndef FS_TREE_PACK_H
#define FS_TREE_PACK_H

#include "fs/tree/tree.h"

#define PACK_LEVEL_DEFAULT 4

struct pack_options {
	int level;     /* zstd, 1 to 22; 0 stores everything raw */
	unsigned jobs; /* threads that compress, at least 1 */
	uint32_t frame_size;

	/* Called from time to time from the calling thread; may be NULL. */
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct pack_result {
	struct digest image_id;
	struct digest tree_id;
	uint64_t file_bytes;   /* sum of the regular files' sizes */
	uint64_t object_bytes; /* the same, each content once */
	uint64_t image_bytes;  /* size of the image file */
	uint32_t objects;
};

/*
 * 0; -ESTALE when a file changed while it was read (diag names it); -errno.
 * On failure nothing is left at path.
 */
int pack(struct tree *t, const char *path, const struct pack_options *opt,
	struct pack_result *ret, struct diag *diag) must_check;

#endif
