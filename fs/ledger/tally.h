/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of open folds that are ahead of the database, in LEDGER-tally. A loop
 * that is refused the same thing again and again changes nothing but a count;
 * one write(2) of 176 bytes keeps it as safe from our death as a commit does,
 * at a tenth of its price. The database follows every TALLY_LAG_NS, and
 * whenever it is written to for another reason.
 *
 * The file has TALLY_SLOTS places of TALLY_SLOT bytes: XXH3-64 of the rest,
 * then fold, count and t_last (all 8 bytes, little-endian), then times. A place
 * whose sum is wrong, or whose fold is not in the table fold, says nothing;
 * counts never go down. So whoever opens a ledger after a death takes the
 * greater one.
 *
 * Not for durability=fsync, where each attempt is synced anyway. Belongs to the
 * writer, but for tally_read.
 */
#ifndef FS_LEDGER_TALLY_H
#define FS_LEDGER_TALLY_H

#include "fs/base/diag.h"
#include "fs/ledger/times.h"

#define TALLY_SLOTS 256
#define TALLY_SLOT 256
#define TALLY_LAG_NS INT64_C(100000000)

struct tally_mark {
	int64_t fold; /* id in table fold; 0: none */
	int64_t count, t_last;
	uint8_t times[TIMES_LEN];
};

struct tally;

/*
 * Open or make the file of a ledger (mode 0600) with its space reserved, and
 * give what a dead writer left in it. 0; -EPERM when it is not ours (diag says
 * what to do); -errno.
 */
int tally_open(const char *ledger, struct tally **ret,
	struct tally_mark left[TALLY_SLOTS], struct diag *diag) must_check;
/* What is in the file is in the database now, or of no use any more. */
int tally_clear(struct tally *t) must_check;
void tally_close(struct tally *t); /* NULL is allowed */
DEFINE_CLEANUP(tally_close, struct tally *);

/* Write a mark into a place. 0 or -errno. */
int tally_put(struct tally *t, unsigned slot,
	const struct tally_mark *mark) must_check;

/* For readers, also while a mount writes: the marks there are; a ledger without
 * the file has none. 0 or -errno. */
int tally_read(
	const char *ledger, struct tally_mark ret[TALLY_SLOTS]) must_check;

#endif
