/* SPDX-License-Identifier: Apache-2.0 */
/* The last records of a ledger against the leaves of the tree; for start.c. */
#ifndef FS_LEDGER_START_TAIL_H
#define FS_LEDGER_START_TAIL_H

#include <stdbool.h>

#include "fs/db/db.h"
#include "fs/ledger/digests.h"

/*
 * Hash the records of the last tiles of a tree of this size anew. 0; -EBADMSG
 * with the number of the first that is not the one of its leaf, or is missing;
 * as db.h. Records that retention has removed are not looked for.
 */
int start_tail_check(struct db *db, struct digests *digests, uint64_t size,
	uint64_t *ret_bad) must_check;

/* Is there no record from this number on? 0 or as db.h. */
int start_tail_is_gone(struct db *db, uint64_t seq, bool *ret) must_check;

#endif
