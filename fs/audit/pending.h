/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records that are still being counted: a copy of those that pass a filter, as
 * they were at one moment, each as it would be if it were closed then.
 */
#ifndef FS_AUDIT_PENDING_H
#define FS_AUDIT_PENDING_H

#include "fs/audit/match.h"

/* A mount has a few hundred at most, and bounds their paths as well. */
#define PENDING_MAX 4096
#define PENDING_BYTES_MAX ((size_t)64 << 20)

struct pending {
	struct query_row **rows; /* owned; in the order of their beginnings */
	size_t count, bytes;
	struct tally_mark *marks; /* owned; rows point into them */
};

/*
 * Call it inside a transaction, so that all of it is one moment. 0; -E2BIG;
 * -EBADMSG when a record can't be one of ours (the diag of m says why);
 * -errno. p is for pending_done in all cases.
 */
int pending_read(struct pending *p, struct db *db, struct match *m) must_check;
void pending_done(struct pending *p); /* zeroed is allowed */

#endif
