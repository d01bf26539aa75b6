/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading what of /proc can block, /proc/PID/cmdline and attr/current, without
 * ever waiting long for it.
 *
 * For cmdline the kernel takes the target's mmap lock. A thread of the target
 * may hold it while it waits for a page that our own mount has to deliver, so a
 * request thread that read it directly could wait for itself. To open
 * attr/current it takes the target's exec_update_lock (proc_pid_attr_open calls
 * mm_access), which an execve holds while it closes descriptors, and closing
 * can wait for any FUSE server. One helper thread opens and reads, and callers
 * wait for it up to a bound; while the helper is stuck nobody waits again.
 * Thread-safe.
 */
#ifndef FS_WHO_CMDLINE_H
#define FS_WHO_CMDLINE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/cleanup.h"

#define CMDLINE_MAX 4096

struct cmdline;

/* Reads from the descriptor as io_read does; tests give one that blocks. */
typedef ssize_t (*cmdline_read_fn)(void *arg, int fd, void *buf, size_t len);

/* Start the helper. read NULL: the plain io_read. 0 or -errno. */
int cmdline_new(cmdline_read_fn read, void *arg, uint64_t bound_ns,
	struct cmdline **ret) must_check;

/*
 * Let go of the helper, which ends by itself, at once or when its read comes
 * back. No call of cmdline_get may be under way. NULL is allowed.
 */
void cmdline_free(struct cmdline *c);
DEFINE_CLEANUP(cmdline_free, struct cmdline *);

/*
 * Read up to len bytes, at most CMDLINE_MAX + 1, of the file name (which must
 * outlive the helper: a literal) below the folder dir. Bytes; -ETIMEDOUT when
 * the bound has passed or the helper is stuck; -errno.
 */
ssize_t cmdline_get(struct cmdline *c, int dir, const char *name, void *buf,
	size_t len) must_check;

#endif
