/* SPDX-License-Identifier: Apache-2.0 */
/* The last records of a ledger against the leaves of the tree; for start.c. */
#ifndef FS_LEDGER_START_TAIL_H
#define FS_LEDGER_START_TAIL_H

#include <stdbool.h>

#include "fs/db/db.h"
#include "fs/ledger/digests.h"

/*
 * The number of the last record that tells of a recovery; 0: none lately. What
 * was wrong before it has been told. (Who puts one in changes the tree.) 0 or
 * as db.h.
 */
int start_tail_recovered(struct db *db, int64_t *ret) must_check;

/*
 * Hash the records of the last tiles of a tree of this size anew, from number
 * first on. 0; -EBADMSG with the number of the first that is not the one of its
 * leaf, or is missing; as db.h. Records that retention has removed are not
 * looked for.
 */
struct start_tail {
	uint64_t size, first;
};
int start_tail_check(struct db *db, struct digests *digests,
	const struct start_tail *tail, uint64_t *ret_bad) must_check;

/* Is there no record from this number on? 0 or as db.h. */
int start_tail_is_gone(struct db *db, uint64_t seq, bool *ret) must_check;

#endif
