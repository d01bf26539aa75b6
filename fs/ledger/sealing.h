/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree over a ledger's records (record.h), as its writer keeps it:
 * the right edge and the leaves of the last tile, which is not full, in memory;
 * each full tile as a row of table tile, in the transaction that filled it. So
 * a tree is found again from the roots of tiles and at most 255 records.
 *
 * Belongs to the writer. What is asked of the tree (sealing_tree,
 * sealing_root_at) is what is committed.
 */
#ifndef FS_LEDGER_SEALING_H
#define FS_LEDGER_SEALING_H

#include "fs/base/diag.h"
#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/seal/merkle.h"

struct sealing;

int sealing_new(struct db *db, struct sealing **ret) must_check;
void sealing_free(struct sealing *s); /* NULL is allowed */
DEFINE_CLEANUP(sealing_free, struct sealing *);

/*
 * Find the tree of what is in the database, in an open transaction: tiles that
 * are missing at the end are made again from their records. -EBADMSG
 * when a record is missing or is none (diag says which). Up to number mend
 * (SEALING_MEND_ALL: all), what is missing stands in the tree as a leaf of no
 * bytes, which no record can have.
 */
#define SEALING_MEND_ALL INT64_MAX
int sealing_load(struct sealing *s, struct digests *digests, int64_t mend,
	struct diag *diag) must_check;

/* The number that the next record gets. */
int64_t sealing_next(const struct sealing *s);

/* A transaction: what was added since the last end of one counts, or not. */
int sealing_add(struct sealing *s, const struct digest *leaf) must_check;
void sealing_commit(struct sealing *s);
void sealing_abort(struct sealing *s);

const struct merkle *sealing_tree(const struct sealing *s);

/*
 * The root of the tree when it had so many leaves. 0; -ENOENT when it never
 * had; -ENODATA when the leaves that it takes were removed; -errno.
 */
int sealing_root_at(
	struct sealing *s, uint64_t size, struct digest *ret) must_check;

#endif
