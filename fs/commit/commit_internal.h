/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of commit_changes share. */
#ifndef FS_COMMIT_COMMIT_INTERNAL_H
#define FS_COMMIT_COMMIT_INTERNAL_H

#include "fs/commit/commit.h"
#include "fs/tree/table.h"

struct commit {
	const struct image *img;
	const struct changes_source *sources;
	size_t count;
	const struct changes_source *source; /* whose changes are told now */
	struct diag *diag;

	struct tree *tree;
	struct tree_node **nodes; /* by the image's inode number - 1; owned */
	uint32_t node_count;

	/* Written files with several names. */
	struct table_key key;
	struct table linked;	  /* index into files */
	struct tree_node **files; /* owned */
	size_t files_count, files_cap;
};

/* commit_apply.c: a hook of tree_changes; arg is the commit. */
int commit_apply(void *arg, const struct diff *d) must_check;

/* commit_regions.c: make the tree what a mount with the sources shows before
 * anything is written. */
int commit_regions(struct commit *c) must_check;

/* Is path what a source is about, or below? The rest of path, without '/' at
 * its start, or NULL. */
const char *commit_below(const struct changes_source *s, const char *path);

#endif
