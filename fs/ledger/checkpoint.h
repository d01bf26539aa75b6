/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A checkpoint: what is signed of a tree, and its row. For the clerk, which
 * works behind attempts, and for retention at rest; the order of syncs is
 * theirs (clerk.h).
 */
#ifndef FS_LEDGER_CHECKPOINT_H
#define FS_LEDGER_CHECKPOINT_H

#include "fs/base/buf.h"
#include "fs/ledger/store.h"
#include "fs/seal/keyfile.h"

/* The note of a tree, signed, with a NUL behind it; ret has room for NOTE_MAX
 * and that. *ret_root is the root that it names. 0 or -errno. */
int checkpoint_sign(const struct merkle *tree, const struct keyfile *key,
	struct buf *ret, struct digest *ret_root) must_check;

/* In a transaction: its row, unless there is one of this size. real: the wall
 * clock, ns. */
int checkpoint_add(struct store *s, uint64_t size, int64_t real,
	const char *note) must_check;

#endif
