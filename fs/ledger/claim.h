/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands around the file of a ledger before SQLite may open it: one
 * writer at a time, and no file that somebody else owns or planted, also in a
 * folder such as /tmp that others can write to.
 */
#ifndef FS_LEDGER_CLAIM_H
#define FS_LEDGER_CLAIM_H

#include <stdbool.h>

#include "fs/base/diag.h"

struct claim {
	char *path;   /* absolute, its folder without symbolic links; owned */
	int lock;     /* descriptor that holds the lock of PATH-lock */
	bool created; /* there was no ledger before */
};

/*
 * Become the one writer, and create the file (mode 0600, empty) when there is
 * none. -EBUSY when another process writes (diag names it), -EPERM when one of
 * the files belongs to another user or is no regular file, -errno.
 *
 * The lock is flock(2) on a file of its own: a lock on the ledger itself would
 * end with the first close of any descriptor of it in this process, and
 * SQLite's own locks with it. It ends with the process at the latest.
 */
int claim_init(struct claim *c, const char *path, struct diag *diag) must_check;

/*
 * After SQLite has made its -wal and -shm files, and before any attempt is
 * written: they are ours too, and not somebody's who was quicker. -EPERM.
 */
int claim_check(const struct claim *c, struct diag *diag) must_check;

/* Let the next writer in. A zeroed or done claim is allowed. */
void claim_done(struct claim *c);

/* The same after a failure, when SQLite has let go of the files: a ledger that
 * was created for nothing is removed. */
void claim_undo(struct claim *c);

/*
 * Open or make (mode 0600) a file of our own beside a ledger: LEDGER and
 * suffix. 0; -EPERM when it is somebody else's, has other names or is no
 * regular file; -errno; diag says it.
 */
int claim_beside(const char *ledger, const char *suffix, int *ret_fd,
	struct diag *diag) must_check;

#endif
