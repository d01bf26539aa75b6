/* SPDX-License-Identifier: Apache-2.0 */
/* What is different between two trees, wherever they come from. */
#ifndef FS_TREE_DIFF_H
#define FS_TREE_DIFF_H

#include "fs/tree/tree.h"

enum diff_kind {
	DIFF_ADDED,   /* only in the second tree */
	DIFF_REMOVED, /* only in the first */
	DIFF_CHANGED,
	/* A folder that is another one of the first tree with what changed in
	 * it; what is 0 when the folder itself did not. Only tree_changes can
	 * know. */
	DIFF_RENAMED,
};

/* What of a changed entry differs. */
enum diff_what {
	DIFF_TYPE = 1 << 0, /* then nothing else is told */
	DIFF_MODE = 1 << 1,
	DIFF_OWNER = 1 << 2,
	DIFF_SIZE = 1 << 3,
	DIFF_CONTENT = 1 << 4,
	DIFF_MTIME = 1 << 5,
	DIFF_XATTRS = 1 << 6,
	DIFF_TARGET = 1 << 7,
	DIFF_DEVICE = 1 << 8,
	/* Its other names are not the same ones. Of a set of hard links that
	 * differs, at least one name is told, or one added or removed. */
	DIFF_LINKS = 1 << 9,
};

enum diff_flags {
	DIFF_IGNORE_MTIME = 1 << 0,
	DIFF_IGNORE_OWNER = 1 << 1,
};

struct diff {
	enum diff_kind kind;
	unsigned what;		   /* of one in both: enum diff_what */
	const char *path;	   /* from the root, begins with '/' */
	size_t path_len;	   /* a NUL follows */
	const char *from;	   /* DIFF_RENAMED: path in the first tree */
	const struct tree_node *a; /* NULL when added */
	const struct tree_node *b; /* NULL when removed */
};

struct diff_hooks {
	/* Called for each difference, in the order of names, a folder before
	 * what is in it. A negative return value ends tree_diff with it. */
	int (*found)(void *arg, const struct diff *d);
	/* Bytes of files read so far; may be NULL. */
	void (*progress)(void *arg, uint64_t bytes);
	void *arg;
};

/*
 * Compare two sealed trees. Contents are compared by digest where both know it;
 * a file that has none is read (tree_open), so one of a scanned folder that
 * changed meanwhile is -ESTALE. The content of a scanned folder is all that is
 * ever read. Everything below a folder that only one tree has is told as well.
 * 0 whether there are differences or not; -EINVAL for unknown flags; -errno.
 */
int tree_diff(const struct tree *a, const struct tree *b, unsigned flags,
	const struct diff_hooks *hooks, struct diag *diag) must_check;

#endif
