/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ties a record that was exported to the ledger it is from: the name of
 * the log and the hash of the record's leaf, computed anew. It says which leaf
 * a record is, not that the ledger is intact: verify.h judges that, and
 * prove.h proves that the leaf is under a signature.
 */
#ifndef FS_AUDIT_ATTEST_H
#define FS_AUDIT_ATTEST_H

#include "fs/base/diag.h"
#include "fs/codec/digest.h"

struct attest;

/* As query_open; the file may be open as a query as well. */
int attest_open(
	const char *path, struct attest **ret, struct diag *diag) must_check;
void attest_close(struct attest *a); /* NULL is allowed */
DEFINE_CLEANUP(attest_close, struct attest *);

/* The name of the log, valid as long as a; "" when the ledger says none. */
const char *attest_origin(const struct attest *a);

/*
 * The leaf of record number seq. -ENOENT when there is none, -EBADMSG when it
 * is none that a writer makes, else as db.h.
 */
int attest_leaf(struct attest *a, int64_t seq, struct digest *ret) must_check;

#endif
