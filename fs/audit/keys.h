/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that sign a ledger, as the ledger itself names them. */
#ifndef FS_AUDIT_KEYS_H
#define FS_AUDIT_KEYS_H

#include "fs/base/diag.h"
#include "fs/db/db.h"
#include "fs/seal/note.h"

/*
 * The text of key 0, which a verifier must know from elsewhere. -ENOENT when
 * the ledger has none, -EBADMSG when it is too long to be one, -errno.
 */
int keys_first(struct db *db, char ret[NOTE_KEY_MAX]) must_check;

#endif
