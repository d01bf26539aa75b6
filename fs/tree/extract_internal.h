/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of extract share.
 *
 * Two walks over the folders: the first makes everything, with folders of mode
 * 0700, the second gives the folders their attributes, the deepest first. So a
 * folder of mode 0500 can be filled, a hard link can be made from a folder that
 * will be closed, and no folder's time is moved by what is made in it.
 */
#ifndef FS_TREE_EXTRACT_INTERNAL_H
#define FS_TREE_EXTRACT_INTERNAL_H

#include <sys/stat.h>

#include "fs/tree/extract.h"
#include "fs/tree/table.h"
#include "fs/tree/tree.h"
#include "fs/view/view.h"

/* A folder on the way from the root to where the walk is. */
struct extract_level {
	const struct tree_node *node;
	uint32_t next; /* entry to look at when the walk is back here */
	bool whole;    /* all below is selected */
	dev_t dev;     /* the folder on disk, to find the way back */
	ino_t ino;
};

struct extract {
	const struct image *img;
	const struct extract_options *opt;
	struct extract_result *result;
	struct diag *diag;
	struct tree *tree;
	struct view *view;
	const char *dir; /* as given, for messages */
	int dir_fd;
	bool root; /* may do everything */
	uint64_t total;
	uint8_t *chunk; /* EXTRACT_CHUNK; owned */
#define EXTRACT_CHUNK ((size_t)256 << 10)

	struct extract_level *levels; /* depth of them; owned */
	size_t depth, cap;

	/* The entries that opt->paths select, by address: pass through, or
	 * take all. */
	struct table selected;

	/* By inode number - 1, the folder and the name under which a node with
	 * several names was made first; NULL: not yet. Owned. */
	struct extract_place {
		const struct tree_node *dir;
		const struct tree_entry *entry;
	} * places;
};

/* Say which entry: its name in the folder at hand (NULL: the folder). */
int extract_fail(const struct extract *x, int err, const char *what,
	const struct tree_node *dir, const struct tree_entry *entry);

/* extract_attr.c: all attributes of what is open as fd, with O_PATH or not. */
int extract_attributes(struct extract *x, int fd, const struct tree_node *node,
	const char **ret_what) must_check;
/* Take away what the file system or an earlier folder gave: inherited ACLs, and
 * attributes that the node does not have. */
int extract_strip(int fd, const struct tree_node *node) must_check;

/* extract_node.c: make one entry in the folder dir_fd, not a folder. */
int extract_entry(struct extract *x, int dir_fd, const struct tree_node *dir,
	const struct tree_entry *entry) must_check;

#endif
