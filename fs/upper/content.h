/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first content of a writable path, in a folder that is given: "content",
 * an empty folder or a file, or "upper" and "work" of an overlay.
 */
#ifndef FS_UPPER_CONTENT_H
#define FS_UPPER_CONTENT_H

#include "fs/upper/plan.h"

/* Where the image's own lies, as O_PATH descriptors; borrowed. */
struct content_seed {
	int root; /* of the mounted image */
	int node; /* the path in it; -1: the image lacks it */
	/* A file is made durable: it is kept. */
	bool sync;
};

/* Make it. 0, or -errno and diag. */
int content_make(int dir, const struct plan_step *s,
	const struct content_seed *seed, struct diag *diag) must_check;

/* Give mode and owner to a folder: all of them, or only what is declared. */
int content_own(int dir, const char *name, const struct plan_step *s,
	bool declared_only, struct diag *diag) must_check;

/* The name in dir that carries the mode and owner of the path. */
const char *content_name(enum plan_form form);

/* Open a path of any length below a folder without following links; path is
 * absolute, from that folder on. -ELOOP for a link, -errno. */
int content_open_below(int dir, const char *path, int flags) must_check;

/*
 * Make the folder, or the file, of a path below a folder, and all folders on
 * the way, where they are missing. 0 or -errno; -ELOOP for a link on the way.
 */
int content_make_point(int dir, const char *path, bool is_file) must_check;

/* Remove a name of a folder, with all that is in it, however deep. A name that
 * is not there is removed already. */
int content_remove(int dir, const char *name) must_check;

#endif
