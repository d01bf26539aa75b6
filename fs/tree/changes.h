/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was written below one path of a mount, against what the image has there.
 * Only what was written is walked, and of that only files that have the size of
 * the image's are read.
 *
 * It takes memory for the names in the folders on the way to where it is, for
 * each written file with several names, and for each folder that was renamed;
 * nothing for how much was written, or how much the image holds. Whoever wrote
 * there may be hostile: no symbolic link is followed, nothing but regular files
 * is opened, and a folder may be as deep as it likes.
 */
#ifndef FS_TREE_CHANGES_H
#define FS_TREE_CHANGES_H

#include "fs/image/image.h"
#include "fs/tree/diff.h"
#include "fs/tree/overlay.h"

/* Where it was written, and what was there before. Everything is borrowed. */
struct changes_source {
	/* The upper folder of an overlay, or a plain folder, or one file; "."
	 * is the folder dir_fd itself. */
	int dir_fd;
	const char *name;
	enum overlay_form form;

	/* The folder "index" in the work folder of an overlay that was mounted
	 * with index=on, opened for reading; -1: there is none. A name of the
	 * image whose file was written under another name is told only so. */
	int index_fd;

	const struct image *img;
	uint32_t ino;	  /* of the image; 0: it has nothing there */
	const char *path; /* of it in the image: absolute */
};

/*
 * Tell what is different, as tree_diff does with the image for a and what is
 * seen now for b, in the order of names, a folder before what is in it. In
 * addition:
 * - A folder of the image that is elsewhere now is DIFF_RENAMED, and below it
 *   only what differs from what was below it in the image is told. Neither is
 *   it told at its old name. A file that is elsewhere now is removed there and
 *   added here.
 * - Where a renamed folder took the place of something else, this is told as
 *   removed, with what was in it, just before.
 * - b->nlink counts the names below the path; a folder's nlink is 0.
 * - Extended attributes are those that a mount of the overlay shows.
 *
 * A mount may be in use meanwhile: what is told then was so at some moment of
 * the walk. 0; -ESTALE when a folder was moved while it was walked: try again;
 * -EBADMSG for marks of an overlay that are broken, or not of a mount as we
 * make it; -EINVAL for unknown flags; -errno. What found returns ends it.
 */
int tree_changes(const struct changes_source *src, unsigned flags,
	const struct diff_hooks *hooks, struct diag *diag) must_check;

#endif
