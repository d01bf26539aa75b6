/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carry out a plan: make all file systems detached, and only when every one of
 * them stands, mount them onto the image. If anything fails nothing stays
 * mounted, and what was kept is as before.
 */
#ifndef FS_UPPER_ATTACH_H
#define FS_UPPER_ATTACH_H

#include "fs/base/buf.h"
#include "fs/upper/plan.h"

/* What to do with what was written over another image. */
enum attach_change {
	ATTACH_KEEP,   /* it stays on top of the new one */
	ATTACH_RESET,  /* it is removed: start as the new image has it */
	ATTACH_REFUSE, /* mount nothing */
};

struct attach {
	const struct plan *plan;
	const struct image *img; /* that the plan is for */
	const char *file;	 /* of the policy, for messages; or NULL */
	int root;	/* O_PATH: where the image is mounted, nothing on it */
	unsigned attrs; /* MOUNT_ATTR_*: of every one, besides its own */

	/* Whose lock the caller holds; NULL when the plan keeps nothing. */
	const char *state;
	enum attach_change on_change;

	/* For the record. */
	const char *mount_point, *image;
	struct digest image_id, tree_id;

	/* What the user should know although it worked; lines. */
	struct buf *notes;
};

/* Does the plan keep anything, so that it needs a state folder? */
bool attach_needs_state(const struct plan *plan);

/*
 * 0, or -errno, and diag names the path. -ESTALE: the image was changed and
 * on_change says to refuse; -EEXIST: a storage of that name is of another kind.
 * The mounts are visible in the caller's mount namespace and wherever that
 * propagates to.
 */
int attach_all(const struct attach *a, struct diag *diag) must_check;

#endif
