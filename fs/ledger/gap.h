/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts that could only be counted, since the ledger was full. They are
 * counted in LEDGER-gap, a small file whose space is taken when the ledger is
 * opened, so that it can be written when nothing else can; it is written before
 * the callers are answered. When there is room again the gap becomes an event
 * of the ledger, and the next one begins.
 *
 * What is kept: how many attempts, of which kinds, from when to when, the first
 * and the last path, about how many different paths, and a Bloom filter of all
 * of them, so that a name that somebody suspects can still be asked for.
 *
 * Gaps have numbers, which both the file and the event bear: a gap that is in
 * the ledger already is not counted again, whenever we die.
 *
 * The file: two places for the counts, written in turn, each with a checksum,
 * so that one of them is always whole; then the filter and the registers that
 * estimate the number of paths, of which every bit that was once set is right.
 */
#ifndef FS_LEDGER_GAP_H
#define FS_LEDGER_GAP_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/store.h"

struct gap;

/*
 * Open or make the file beside the ledger. last is the number of the last gap
 * that is in the ledger, 0 for none: the file's is given up when it is not
 * newer. fsync: what is counted survives power loss. -ENOSPC when even this
 * finds no room, -EPERM when somebody else's file lies there, -errno.
 */
int gap_open(const char *ledger, uint64_t last, bool fsync, struct gap **ret,
	struct diag *diag) must_check;
void gap_close(struct gap *g); /* NULL is allowed; the file stays */
DEFINE_CLEANUP(gap_close, struct gap *);

/* Attempts in the gap that is open; 0: none is. */
uint64_t gap_count(const struct gap *g);
uint64_t gap_number(const struct gap *g);

/* The file had been spoilt when it was opened, and what it counted is lost. */
bool gap_was_damaged(const struct gap *g);

/* Count an attempt. It counts for good after gap_write. */
void gap_add(struct gap *g, const struct ledger_attempt *a,
	const struct store_time *at);

/* Write what was added, if anything was: 0, or -errno, and then nothing of it
 * counts. */
int gap_write(struct gap *g) must_check;

/* The gap as one line of JSON, for its event. 0, -E2BIG, -ENOMEM. */
int gap_describe(const struct gap *g, struct buf *ret) must_check;

/* The gap is in the ledger: begin the next. 0, or -errno, and then a next
 * gap_open finds out by the number. */
int gap_next(struct gap *g) must_check;

/*
 * For readers, of the text of an event: the gap's number, 0 for none; and
 * whether the path may be among those counted: 0 no, for sure; 1 perhaps;
 * -EBADMSG when the text is not ours.
 */
uint64_t gap_number_of(const char *text, size_t len);
int gap_may_hold(const char *text, size_t len, const char *path) must_check;

#endif
