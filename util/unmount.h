/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a mount away: umount2 for root, fusermount3 for others. */
#ifndef UTIL_UNMOUNT_H
#define UTIL_UNMOUNT_H

#include <stdbool.h>
#include <stddef.h>

#include "fs/base/cleanup.h"

/*
 * Unmount dir; lazy: detach it, though it may be in use. 0; -EBUSY; -EPERM;
 * -ENOENT as a user without fusermount3; -errno. said gets the words of
 * fusermount3, or "".
 */
int unmount_dir(const char *dir, bool lazy, char *said, size_t room) must_check;

#endif
