/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the plan share. */
#ifndef FS_UPPER_PLAN_INTERNAL_H
#define FS_UPPER_PLAN_INTERNAL_H

#include "fs/upper/plan.h"

/* What the image has at a path. */
enum found {
	FOUND_NODE,
	FOUND_NOTHING,	 /* the last names are missing */
	FOUND_LINK,	 /* a folder on the way is a symbolic link */
	FOUND_NO_FOLDER, /* something else is, that is no folder */
};

struct finding {
	enum found found;
	struct image_node node; /* FOUND_NODE */
	/* Of the path, up to the end of what is in the way. */
	size_t len;
};

/* 0 or an error of reading the image. */
int finding_make(const struct image *img, const char *path,
	struct finding *ret) must_check;

/*
 * Where path leads when the link that ends at len is followed, to be freed:
 * "/run/app" for "/var/run/app". NULL: nowhere, or no memory.
 */
char *finding_real(
	const struct image *img, const char *path, size_t len) must_check;

#endif
