/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing the oldest records, a whole segment at a time: RETAIN_SEGMENT
 * records, sixteen tiles. Of the tree the roots of the tiles stay, so every
 * later record and checkpoint can still be verified; of the records a prune
 * event says which they were and how many attempts they stood for. Only what
 * lies below a checkpoint that was anchored may go: somebody else knows then
 * that it was there.
 *
 * With them go mounts that nothing refers to any more, with all that belongs to
 * them; and of the mount that writes, processes (sweep.h).
 */
#ifndef FS_LEDGER_RETAIN_H
#define FS_LEDGER_RETAIN_H

#include "fs/base/diag.h"
#include "fs/ledger/store.h"

#define RETAIN_SEGMENT 4096

/* What a prune event tells. */
struct retain_done {
	int64_t first, last; /* records; all up to last are gone by now */
	int64_t attempts;    /* that they stood for, gaps included */
	int64_t events;	     /* of the records, so many were events */
	int64_t lost;	     /* attempts that these told to be lost */
};

/*
 * Remove the oldest segment if it may go and all of it happened before a moment
 * of the wall clock (INT64_MAX: whenever). In a transaction: 1 and *ret; 0 when
 * there is none to remove; -errno.
 */
int retain_segment(
	struct store *s, int64_t before, struct retain_done *ret) must_check;

/*
 * Remove all segments that are older, each in a transaction of its own, so that
 * attempts come in between, and make the file a little smaller. How many;
 * -errno when none could be removed. Thread-safe; for the clerk, once a minute.
 */
int retain_run(struct ledger *l, int64_t before) must_check;

/*
 * The same for a ledger that no mount writes to, whose file then is as small as
 * it can be. *ret sums up; last is 0 when
 * nothing was removed. Errors as ledger_open.
 */
int retain_prune(const char *path, int64_t before, struct retain_done *ret,
	struct diag *diag) must_check;

/* What the text of a prune event says: 0, or -EBADMSG. For readers. */
int retain_parse(
	const char *text, size_t len, struct retain_done *ret) must_check;

#endif
