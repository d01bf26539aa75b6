/* SPDX-License-Identifier: Apache-2.0 */
/* Which file system is mounted where, from /proc/PID/mountinfo. */
#ifndef FS_BASE_MOUNTINFO_H
#define FS_BASE_MOUNTINFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

#define MOUNTINFO_FSTYPE "fuse.stele"

struct mountinfo {
	uint32_t id, parent;   /* of the mount, and of what it lies on */
	char *root;	       /* what of the file system it shows; owned */
	char *dir;	       /* as the kernel names it, unescaped; owned */
	char *options;	       /* of the mount: "rw,nosuid"; owned */
	char *fstype;	       /* owned */
	char *source;	       /* unescaped, may be empty; owned */
	char *super;	       /* options of the file system; owned */
	uint32_t major, minor; /* device number of the file system */
};

void mountinfo_done(struct mountinfo *m);

/* 0 or -ENOMEM. */
int mountinfo_copy(const struct mountinfo *m, struct mountinfo *ret) must_check;

/*
 * What is mounted on dir, which may be relative or a link; of several the one
 * on top, and not one that another mount hides. The mounted file system is not
 * asked anything where that can be avoided: its server may be dead or stuck. 1
 * and *ret; 0 when nothing is mounted there; -ENOENT and the like when there is
 * no such folder.
 */
int mountinfo_find(const char *dir, struct mountinfo *ret) must_check;

/* The same for an absolute path without links; nothing is asked at all. */
int mountinfo_find_absolute(const char *path, struct mountinfo *ret) must_check;

/* Parse one line of mountinfo. 0; -EINVAL when it is none; -ENOMEM. */
int mountinfo_parse(const char *line, struct mountinfo *ret) must_check;

/* Is word one of the options, which are joined by commas? */
bool mountinfo_has(const char *options, const char *word) must_check;

/* All mounts of one namespace. */
struct mountinfo_list {
	struct mountinfo *all; /* owned; count of them */
	size_t count, cap;
};

/* Read a file of the form of /proc/PID/mountinfo; what is no line of it is left
 * out. Zeroed before, done after, also after a failure. 0 or -errno. */
int mountinfo_read(const char *file, struct mountinfo_list *ret) must_check;
void mountinfo_list_done(struct mountinfo_list *list);

/*
 * Where a path leads: the last mount on the way to it, which no other hides;
 * NULL when there is none at all. Borrowed.
 */
const struct mountinfo *mountinfo_walk(
	const struct mountinfo_list *list, const char *path);

/* The mount that m covers, on the same folder; NULL when m lies on another
 * folder's. Borrowed. */
const struct mountinfo *mountinfo_covered(
	const struct mountinfo_list *list, const struct mountinfo *m);

/*
 * All that is mounted on m or below, each before what it lies on: the order to
 * unmount in. *ret is the caller's to free, what it points to is borrowed. How
 * many, or -ENOMEM.
 */
ssize_t mountinfo_upon(const struct mountinfo_list *list,
	const struct mountinfo *m, const struct mountinfo ***ret) must_check;

#endif
