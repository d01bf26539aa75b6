/* SPDX-License-Identifier: Apache-2.0 */
/* The keys that sign a ledger, as the ledger itself names them. */
#ifndef FS_AUDIT_KEYS_H
#define FS_AUDIT_KEYS_H

#include "fs/base/diag.h"
#include "fs/db/db.h"
#include "fs/seal/note.h"

/* Number of the key that signs now. */
#define KEYS_LAST (-1)

/*
 * A key by its number; verifiers must know key 0 from elsewhere. -ENOENT when
 * the ledger has none of that number, -EBADMSG when it is malformed, -errno.
 */
int keys_read(struct db *db, int64_t number, struct note_key *ret) must_check;

#endif
