/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file tree in memory, on its way into an image or into a comparison: made by
 * tree_scan (a folder), tree_read_tar (an archive) or tree_from_image, then
 * closed once by tree_seal, then only read. Building is single-threaded; a
 * sealed tree may be read by several threads at once.
 *
 * A node is an inode; an entry is a name that leads to it. Hard links are
 * several entries with one node. All memory belongs to the tree.
 */
#ifndef FS_TREE_TREE_H
#define FS_TREE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/diag.h"
#include "fs/codec/digest.h"

struct tree;
struct tree_node;
struct table;
struct image;

struct tree_entry {
	const char *name; /* name_len bytes and a NUL */
	uint32_t name_len;
	struct tree_node *node;
};

struct tree_xattr {
	const char *name; /* name_len bytes and a NUL, with its namespace */
	uint32_t name_len;
	uint32_t value_len;
	const uint8_t *value;
};

/* Where the bytes of a regular file come from. */
enum tree_content {
	TREE_CONTENT_NONE,  /* not a regular file, or an empty one */
	TREE_CONTENT_PATH,  /* a file below the scanned folder */
	TREE_CONTENT_SPOOL, /* at spool_off in the tree's spool file */
	TREE_CONTENT_IMAGE, /* object of the image that the tree came from */
};

/*
 * Which part of a union is there follows from content and from the type in
 * mode; the others hold nothing that may be read. (A tree of a million files is
 * kept small so.)
 */
struct tree_node {
	uint32_t mode; /* type and permission */
	uint32_t uid, gid;
	uint32_t mtime_nsec;
	int64_t mtime;
	uint64_t size; /* regular file: bytes; link: target bytes; else 0 */

	uint32_t nlink; /* set by tree_seal; a folder's: 2 + subfolders */
	uint32_t ino;	/* set by tree_seal: breadth first, root 1 */

	/* The entry that names the node first in the order of inode numbers,
	 * and its folder; set by tree_seal. The root's parent is itself, its
	 * home is NULL. */
	struct tree_node *parent;
	const struct tree_entry *home;

	struct tree_node *next; /* all nodes, in the order of creation */

	struct tree_xattr *xattrs; /* sorted by name bytes by tree_seal */
	uint32_t xattr_count;

	uint8_t content; /* enum tree_content */
	bool has_digest; /* regular file: digest is that of the content */
	union {
		uint64_t spool_off; /* TREE_CONTENT_SPOOL */
		uint32_t object;    /* TREE_CONTENT_IMAGE */
		struct {	    /* any node of a scanned folder, as it */
			uint64_t dev, dev_ino; /* was then, so that a change */
			int64_t ctime;	       /* before or while it is read */
			uint32_t ctime_nsec;   /* shows */
		};
	};
	union {
		struct { /* folder */
			/* sorted by name bytes by tree_seal */
			struct tree_entry *entries;
			uint32_t entry_count, entry_cap;
			struct table *index; /* private to tree.c */
		};
		struct {		    /* symbolic link */
			const char *target; /* size bytes and a NUL */
		};
		struct { /* device */
			uint32_t major, minor;
		};
		struct { /* regular file */
			struct digest digest;
		};
	};
};

_Static_assert(sizeof(struct tree_node) <= 144, "a million files: 144 MB");

/* A tree with an empty root folder, mode 0755, owner 0:0, mtime 0. */
int tree_new(struct tree **ret) must_check;
void tree_free(struct tree *t); /* NULL is allowed; closes root and spool */
DEFINE_CLEANUP(tree_free, struct tree *);

struct tree_node *tree_root(struct tree *t);

/* A new node that nothing names yet. NULL: out of memory. */
struct tree_node *tree_add_node(struct tree *t, uint32_t mode) must_check;

/*
 * Name a node in a folder; the name is copied. Duplicates are the caller's to
 * avoid (tree_find) and make tree_seal fail. 0; -EINVAL for a name that is
 * empty, ".", "..", longer than 255 bytes or holds '/' or NUL; -ENOMEM.
 */
int tree_add_entry(struct tree *t, struct tree_node *dir, const char *name,
	size_t len, struct tree_node *node) must_check;

/*
 * Find a name in a folder of a tree that is not sealed, or is; NULL if absent.
 * Before the seal the cost is a hash look-up, so that archives with folders of
 * 100,000 names stay linear, and the entry is good until the folder is changed
 * (its node may be replaced in place). With too little memory for the index
 * the search is linear.
 */
struct tree_entry *tree_find(
	struct tree *t, struct tree_node *dir, const char *name, size_t len);

/* Take a name out of a folder (an archive named it twice). -ENOENT. */
int tree_remove_entry(struct tree *t, struct tree_node *dir, const char *name,
	size_t len) must_check;

/*
 * Copies name and value. Setting a name again replaces the value. -EINVAL for a
 * name that is empty, longer than 255 bytes or holds NUL; -E2BIG for a value
 * over 65,536 bytes or names that together are more than listxattr(2) can give;
 * -ENOMEM.
 */
int tree_set_xattr(struct tree *t, struct tree_node *node, const char *name,
	size_t name_len, const void *value, size_t value_len) must_check;

/* Take all extended attributes away. */
void tree_clear_xattrs(struct tree_node *node);

/* Copies the target (1 to 4095 bytes, no NUL; else -EINVAL) and sets size. */
int tree_set_target(struct tree *t, struct tree_node *node, const char *target,
	size_t len) must_check;

/*
 * Sort entries and xattrs, number the nodes breadth first, count links; nodes
 * that nothing names are left out (ino 0). -EEXIST (diag names it) for a
 * duplicate name, -EMLINK for a folder with two names, -E2BIG for more than
 * 2^32-2 nodes or entries.
 */
int tree_seal(struct tree *t, struct diag *diag) must_check;

uint32_t tree_node_count(const struct tree *t); /* sealed: reachable ones */
uint32_t tree_entry_count(const struct tree *t);
struct tree_node *tree_node(const struct tree *t, uint32_t ino); /* sealed */

/* First path of a sealed node, "/" for the root; to be freed. NULL: memory. */
char *tree_path(const struct tree_node *node) must_check;

/*
 * Open a regular file's bytes for reading. TREE_CONTENT_PATH: the file itself,
 * reached from the scanned folder without following any symbolic link, and
 * still the one that was scanned (device, inode, size, ctime, which every
 * change of content or mtime moves), else -ESTALE and diag names it. The caller
 * closes *ret_fd; the content is the node's size bytes from *ret_off.
 * TREE_CONTENT_SPOOL: a duplicate of the spool's descriptor. -EINVAL for other
 * contents. Thread-safe once sealed.
 */
int tree_open(const struct tree *t, const struct tree_node *node, int *ret_fd,
	uint64_t *ret_off, struct diag *diag) must_check;

/*
 * After the last read of a TREE_CONTENT_PATH file: -ESTALE and a line with its
 * name when it changed since it was scanned. 0 for other contents.
 */
int tree_recheck(const struct tree *t, const struct tree_node *node, int fd,
	struct diag *diag) must_check;

/*
 * Another way to open TREE_CONTENT_PATH files than below the root folder: when
 * they lie in several. path is the node's in the tree. A descriptor for
 * reading, which the caller closes, or -errno.
 */
struct tree_opener {
	int (*open)(void *arg, const struct tree_node *node, const char *path);
	void *arg;
};

void tree_set_opener(struct tree *t, const struct tree_opener *opener);

/* The image that TREE_CONTENT_IMAGE is about; NULL: none. tree_from_image has
 * set it. */
const struct image *tree_image(const struct tree *t);

/* Give a tree its root folder or its spool; the tree takes over fd. */
void tree_set_root_fd(struct tree *t, int fd);
void tree_set_spool_fd(struct tree *t, int fd);
int tree_root_fd(const struct tree *t);

#endif
