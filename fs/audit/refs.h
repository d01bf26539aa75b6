/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that records refer to, mounts, processes and nodes, and their
 * digests, recomputed from every column. They come from a file that anybody may
 * have made: what a row should refer to may be missing, and then it has no
 * digest. All reading happens in the transaction of who opened the database.
 */
#ifndef FS_AUDIT_REFS_H
#define FS_AUDIT_REFS_H

#include "fs/base/buf.h"
#include "fs/codec/digest.h"
#include "fs/db/db.h"
#include "fs/ledger/record.h"

struct refs;

/*
 * Reads all mounts and processes once; 40 bytes of memory each. 0 or -errno,
 * and then db_error tells more.
 */
int refs_new(struct db *db, struct refs **ret) must_check;
void refs_free(struct refs *f); /* NULL is allowed */
DEFINE_CLEANUP(refs_free, struct refs *);

/*
 * 1 with the digest of a row; 0 when there is none, or none that the writer
 * could have made (its own parent was entered after it, or is missing); -errno.
 */
int refs_mount(struct refs *f, int64_t id, struct digest *ret) must_check;
int refs_proc(struct refs *f, int64_t id, struct digest *ret) must_check;
int refs_node(struct refs *f, int64_t mount, int64_t ino,
	struct digest *ret) must_check;

/*
 * Complete the bytes of an attempt ('a') or event ('e') that were collected
 * from a row: append what it refers to. 1; 0 when that is missing; -errno.
 */
struct refs_of {
	int64_t mount;
	bool has_proc, has_ino;
	int64_t proc, ino;
};
int refs_complete(struct refs *f, struct record *r, char table,
	const struct refs_of *of) must_check;

/*
 * The canonical bytes of one row, for a proof; a node is named by its mount and
 * ino, others by id alone. *ret_parent is of a process, 0: none. 1; 0 when
 * there is no such row; -errno.
 */
struct refs_name {
	char table; /* 'm', 'p' or 'n' */
	int64_t id; /* or the mount of a node */
	int64_t ino;
};
int refs_bytes(struct refs *f, const struct refs_name *name, struct buf *ret,
	int64_t *ret_parent) must_check;

/* How many rows of mount and proc no record refers to, after all records were
 * completed; no signature covers them. */
uint64_t refs_unused(const struct refs *f);

#endif
