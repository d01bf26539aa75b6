/* SPDX-License-Identifier: Apache-2.0 */
/* What comparing two trees and comparing what was written share. */
#ifndef FS_TREE_DIFF_INTERNAL_H
#define FS_TREE_DIFF_INTERNAL_H

#include "fs/tree/diff.h"

/*
 * What differs between two nodes of one type, as enum diff_what, but for
 * DIFF_CONTENT and DIFF_LINKS; their extended attributes are sorted.
 */
unsigned diff_attributes(
	unsigned flags, const struct tree_node *a, const struct tree_node *b);

#endif
