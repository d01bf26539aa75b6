/* SPDX-License-Identifier: Apache-2.0 */
/* Owner, extended attributes and ACLs of a member become those of a node. */
#ifndef FS_TREE_TAR_ATTR_H
#define FS_TREE_TAR_ATTR_H

#include "fs/tree/filter.h"
#include "fs/tree/owners.h"
#include "fs/tree/tar_reader.h"

struct tar_attr {
	struct tree *tree;
	const struct filter *filter;
	const struct tar_reader *reader;
	struct owners *owners;
	struct diag *diag;
};

/* Set all attributes of the node but type and size; replaces what it had. */
int tar_attr_set(const struct tar_attr *a, const struct tar_member *m,
	struct tree_node *node) must_check;

#endif
