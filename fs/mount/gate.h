/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gate: the one place where a write is answered. Every mutating request
 * comes here, and the answer leaves only after the attempt is stored.
 */
#ifndef FS_MOUNT_GATE_H
#define FS_MOUNT_GATE_H

#include "fs/ledger/ledger.h"

/*
 * Store the attempt and return the errno (positive) to answer: EROFS, or EIO
 * when it could not be stored. Who reads EROFS can rely on the record; a write
 * that is refused with EIO was refused all the same. Sets a->error.
 * Thread-safe; may wait for other attempts' commits.
 */
int gate_write(struct ledger *l, struct ledger_attempt *a) must_check;

#endif
