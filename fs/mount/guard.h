/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guarded entries: those whose use must be asked for each time.
 *
 * Without default_permissions the kernel walks over cached names without asking
 * anybody. So the entries of a folder that not everybody may search, and FIFOs
 * and sockets wherever they are (the kernel opens them without us), are given
 * to the kernel with a lifetime of zero: each walk over one is a LOOKUP, and
 * the LOOKUP is refused to callers without permission.
 *
 * The trap (measured on Linux 6.18, fs/fuse/dir.c fuse_dentry_revalidate): any
 * error but ENOMEM and EINTR that answers such a repeated LOOKUP makes the
 * kernel drop the name and detach whatever is mounted on it, in every mount
 * namespace. An unprivileged stat could so unmount root's file systems. A mount
 * can only lie on an inode that the kernel holds, so the guard counts how often
 * the kernel was given each guarded child, and what it gave back: while one
 * child of the folder is held the refusal is ENOMEM, for every name in the
 * folder alike (so that the errno does not tell which names exist), else
 * EACCES.
 */
#ifndef FS_MOUNT_GUARD_H
#define FS_MOUNT_GUARD_H

#include "fs/mount/scene.h"

struct guard;

/* Compute what is guarded. O(n log n). */
int guard_new(const struct image *img, const struct scene *scene,
	struct guard **ret) must_check;
void guard_free(struct guard *g); /* NULL is allowed */
DEFINE_CLEANUP(guard_free, struct guard *);

/* Is a folder one that not everybody may search? */
bool guard_is_guarded(const struct guard *g, uint32_t folder);

/* Must the entry have a lifetime of zero? */
bool guard_has_entry(const struct guard *g, const struct image_entry *entry);

/* The kernel is about to be given ino once more. Thread-safe, as is below. */
void guard_hold(struct guard *g, uint32_t ino);

/* The kernel gave ino back count times. */
void guard_release(struct guard *g, uint32_t ino, uint64_t count);

/*
 * The errno (positive) that refuses a LOOKUP in a guarded folder, or of a
 * guarded entry elsewhere.
 */
int guard_refusal(
	struct guard *g, const struct image_entry *entry, uint32_t folder);

#endif
