/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Digests of rows that are in a ledger, computed from the rows (record.h). For
 * leaves that refer to them, and to find the tree again. What was computed is
 * remembered within bounds, which is right since no row is ever changed.
 *
 * -ENOENT when there is no such row; -EBADMSG when it is not one that a writer
 * makes (a value of another kind, a reference to nothing, parents in a ring);
 * else as db.h. Belongs to one thread at a time, with its database.
 */
#ifndef FS_LEDGER_DIGESTS_H
#define FS_LEDGER_DIGESTS_H

#include "fs/codec/digest.h"
#include "fs/db/db.h"

struct digests;

/* The database must outlive it. 0, -ENOMEM or as db_prepare. */
int digests_new(struct db *db, struct digests **ret) must_check;
void digests_free(struct digests *d); /* NULL is allowed */
DEFINE_CLEANUP(digests_free, struct digests *);

int digests_mount(struct digests *d, int64_t id, struct digest *ret) must_check;
int digests_proc(struct digests *d, int64_t id, struct digest *ret) must_check;
int digests_node(struct digests *d, int64_t mount, int64_t ino,
	struct digest *ret) must_check;

/* The hash of a leaf: attempt or event number seq. */
int digests_leaf(struct digests *d, int64_t seq, struct digest *ret) must_check;

/* A row that the caller is adding, so that it needs not be read. */
void digests_know_proc(struct digests *d, int64_t id, const struct digest *is);
void digests_know_node(
	struct digests *d, int64_t mount, int64_t ino, const struct digest *is);

/* Rows that were added are gone: a transaction failed. */
void digests_forget(struct digests *d);

#endif
