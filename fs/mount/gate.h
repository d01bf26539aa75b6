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
 * that is refused with EIO was refused all the same. The answer may go out
 * after *ret_delay_ns. 0: nothing was stored and nothing may be answered yet,
 * since the ledger is full and was told to wait for room; to be tried again.
 * Sets a->error and a->rule. Thread-safe; may wait for other attempts' commits.
 */
int gate_write(struct ledger *l, struct ledger_attempt *a,
	uint64_t *ret_delay_ns) must_check;

#endif
