/* SPDX-License-Identifier: Apache-2.0 */
/* What the files here share and nobody else sees. */
#ifndef FS_TREE_TREE_INTERNAL_H
#define FS_TREE_TREE_INTERNAL_H

#include <string.h>

#include "fs/tree/arena.h"
#include "fs/tree/table.h"
#include "fs/tree/tree.h"

struct tree {
	struct arena arena; /* nodes, names, targets, xattrs */
	struct tree_node *root;
	struct tree_node *last;	   /* the newest node; root->next leads to it */
	uint64_t created;	   /* nodes ever added */
	struct table_key key;	   /* of the folders' indexes */
	int root_fd, spool_fd;	   /* or -1 */
	const struct image *image; /* of TREE_CONTENT_IMAGE; borrowed */
	struct tree_opener opener; /* open is NULL: below root_fd */

	/* since tree_seal */
	bool sealed;
	struct tree_node **by_ino; /* node_count of them, number 1 first */
	uint32_t node_count, entry_count;
};

/* The order of names everywhere: unsigned bytes, a prefix first. */
static inline int name_cmp(
	const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : (a_len > b_len) - (a_len < b_len);
}

/* As tree_seal leaves them. */
void tree_sort_xattrs(struct tree_node *node);

#endif
