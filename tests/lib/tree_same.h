/* SPDX-License-Identifier: Apache-2.0 */
/* Trees in tests: read them, and show how they differ. */
#ifndef TESTS_LIB_TREE_SAME_H
#define TESTS_LIB_TREE_SAME_H

#include "fs/image/image.h"
#include "fs/tree/build.h"
#include "fs/tree/diff.h"
#include "tests/lib/workdir.h"

/* These stop the test when they fail. opt may be NULL. */
struct tree *tree_of_folder(const char *path, const struct tree_options *opt);
struct tree *tree_of_tar(const char *path, const struct tree_options *opt);

/* Numbers as owners, the spool in /tmp. */
extern const struct tree_options tar_plain;
/* Read an archive from memory and seal the tree. 0 or -errno. */
int tar_read_bytes(const void *data, size_t len, const struct tree_options *opt,
	struct tree **ret, struct diag *diag);

/* The node under a path without '/' at its start; NULL: none. */
struct tree_node *tree_at(struct tree *t, const char *path);

/* Stop the test, naming the first difference. */
void trees_are_same(const struct tree *a, const struct tree *b, unsigned flags);

/* Write the tree at path and open it. Seals nothing: the tree is sealed. */
struct image *image_of_tree(struct tree *t, const char *path);

#endif
