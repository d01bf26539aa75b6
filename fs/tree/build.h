/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways into a tree, and what people ask for on the way: leaving paths out,
 * other owners, a clamped time.
 */
#ifndef FS_TREE_BUILD_H
#define FS_TREE_BUILD_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/tree/tree.h"

/* How a tree is changed while it is read. Zeroed: as found. */
struct tree_options {
	/*
	 * Shell patterns (fnmatch(3) with FNM_PATHNAME: '*', '?' and '[]' match
	 * any byte but '/', a leading '.' too; '\\' quotes). One that begins
	 * with '/' is matched against the whole path from the root; another
	 * against every tail of the path that begins at a component. Slashes at
	 * the end mean nothing. What matches is left out with all below it.
	 */
	const char *const *exclude;
	size_t exclude_count;

	bool set_uid, set_gid; /* every node's owner */
	uint32_t uid, gid;

	/* Names in an archive are looked up on this machine unless numeric;
	 * names that it does not know fall back to the number. (Names in an
	 * access control list that come without a number always.) */
	bool numeric;

	bool clamp_mtime; /* no mtime later than this */
	int64_t mtime;

	/* Stay on the folder's own file system: a folder of another one
	 * becomes an empty folder, a file that is mounted over is left out. */
	bool one_file_system;

	/* Where an archive's file contents are kept until they are packed: a
	 * folder on a disk with room; the spool there has no name. */
	const char *spool_dir;

	/* An archive that holds more than this, as a stream without its
	 * compression or as the sum of its files' sizes, is refused with
	 * -EFBIG; 0: no limit. */
	uint64_t max_bytes;

	/* Called now and then with the number of entries seen; may be NULL. */
	void (*progress)(void *arg, uint64_t entries, uint64_t bytes);
	/* A remark about one path (left out socket name too long, unknown
	 * archive field, ...); may be NULL. */
	void (*remark)(void *arg, const char *text);
	void *arg;
};

/*
 * Read a folder: every entry with its attributes and all xattrs, hard links
 * found by device and inode. File contents are not read. Never follows a
 * symbolic link, never leaves the folder (path itself may be a link); two
 * descriptors are open at most. Unreadable entries are errors that name the
 * path: an image that silently lacks a file would be worse than none. What
 * changes while it is read is -ESTALE. -ENOTDIR when path is no folder.
 * Extended attributes are those of user., trusted. (when privileged),
 * security. and the POSIX ACLs; others are remarked on and left out.
 */
int tree_scan(const char *path, const struct tree_options *opt,
	struct tree **ret, struct diag *diag) must_check;

/*
 * Read a tar stream (plain or compressed with gzip, bzip2, xz, zstd, lz4) from
 * fd, contents into the spool. Names are relative to the root however they are
 * written; "..", a member below a non-folder, a hard link to nothing, a
 * truncated stream and a size that lies are errors that name the member.
 * A later member replaces an earlier one of the same name, as tar does, but a
 * folder that comes again keeps its entries.
 * Digests of contents are computed while spooling (has_digest).
 */
int tree_read_tar(int fd, const struct tree_options *opt, struct tree **ret,
	struct diag *diag) must_check;

/* The tree of an image, contents by object; img must outlive the tree. */
int tree_from_image(const struct image *img, struct tree **ret,
	struct diag *diag) must_check;

#endif
