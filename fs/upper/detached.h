/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems that are mounted nowhere yet: made by the mount API of
 * Linux 5.2, gone with the descriptor that holds them unless they are attached.
 * Paths are given as descriptors, so that a name may have any byte.
 */
#ifndef FS_UPPER_DETACHED_H
#define FS_UPPER_DETACHED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/diag.h"

/*
 * All of these return the descriptor of the mount, or -errno; diag says what
 * the kernel said. attrs are MOUNT_ATTR_*.
 */

/* A tmpfs; size and inodes may be 0: no limit but the kernel's. The root has
 * the mode and is ours. */
int detached_tmpfs(uint64_t size, uint64_t inodes, mode_t mode, unsigned attrs,
	struct diag *diag) must_check;

/* What is on a block device. */
int detached_device(const char *type, const char *device, unsigned attrs,
	struct diag *diag) must_check;

/* Another view of what an O_PATH descriptor leads to; deep: with all that is
 * mounted below it. Later changes of mounts do not cross over. */
int detached_clone(
	int fd, bool deep, unsigned attrs, struct diag *diag) must_check;

enum detached_option {
	DETACHED_INDEX = 1 << 0,    /* hard links stay one file */
	DETACHED_REDIRECT = 1 << 1, /* folders of the lower can be renamed */
	DETACHED_XINO = 1 << 2,	    /* inode numbers are stable */
	DETACHED_USERXATTR = 1 << 3,
};

struct detached_layers {
	int lower, upper, work; /* borrowed */
};

/*
 * An overlay. Of *options those that the kernel refuses are taken out, one
 * after another. -ESTALE: the upper belongs to another lower; -EBUSY: it is in
 * use elsewhere.
 */
int detached_overlay(const struct detached_layers *l, unsigned *options,
	unsigned attrs, struct diag *diag) must_check;

/* "index=on"; NULL for no option. */
const char *detached_option_word(enum detached_option option);

/* Mount it onto what an O_PATH descriptor leads to. 0 or -errno. */
int detached_attach(int mount, int target) must_check;

/* Take away what was attached. */
void detached_undo(int mount);

#endif
