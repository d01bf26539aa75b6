/* SPDX-License-Identifier: Apache-2.0 */
/* How readers get at the file of a ledger, also while a mount writes to it. */
#ifndef FS_AUDIT_READER_H
#define FS_AUDIT_READER_H

#include "fs/base/diag.h"
#include "fs/db/db.h"

/*
 * Open a ledger for reading; its tables are ours. -EBADMSG when the file is no
 * ledger or is damaged, -EOPNOTSUPP when a newer version wrote it, -errno; diag
 * says it. Works on a read-only filesystem and without the -shm file, too.
 */
int reader_open(
	const char *path, struct db **ret, struct diag *diag) must_check;

#endif
