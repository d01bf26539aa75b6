/* SPDX-License-Identifier: Apache-2.0 */
/* The writable paths of `stele mount`: read, planned, and mounted. */
#ifndef UTIL_MOUNT_UPPER_H
#define UTIL_MOUNT_UPPER_H

#include "fs/mount/mount.h"
#include "fs/upper/attach.h"
#include "fs/upper/plan.h"
#include "util/mount_words.h"

struct mount_upper {
	struct policy policy;
	struct plan plan;
	struct mount_place *places; /* that the mount must show; owned */
	size_t place_count;
	struct image *img; /* that was planned for */
	char *state;	   /* the folder; or NULL: nothing is kept */
	int lock;	   /* on it, for as long as the mount stands */
};

/*
 * Read what is declared and plan it for an image (absolute path), and take the
 * state folder. Zeroed before, done after, also after a failure. EXIT_OK, or
 * the code to end with after a message.
 */
int mount_upper_plan(struct mount_upper *u, const struct mount_words *w,
	const char *image, const char *mount_point);

/* The mount stands and answers: mount all paths onto it, or none. */
int mount_upper_attach(const struct mount_upper *u, const struct mount_words *w,
	const struct mount_options *opt);

void mount_upper_done(struct mount_upper *u);

#endif
