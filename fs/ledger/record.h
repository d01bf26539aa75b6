/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The canonical bytes of a record: what the Merkle tree is made of. Built from
 * a row column by column, both when it is written and when it is checked, so
 * that no column can be changed without notice, and none forgotten.
 *
 * A row is one byte for its table ('m' mount, 'p' proc, 'n' node, 'a' attempt,
 * 'e' event), then each column in the order of schema.c:
 *
 *	'N'			NULL
 *	'I' 8 bytes		a number, big-endian, two's complement
 *	'T' 4 bytes, bytes	text: its length, big-endian, and the bytes
 *	'B' 4 bytes, bytes	a blob
 *
 * then the digests of the rows it refers to, as blobs of 32 bytes or NULL:
 *
 *	mount	none
 *	proc	of its mount, of its parent (a proc)
 *	node	of its mount
 *	attempt	of its mount, of its process (a proc), of its node
 *	event	of its mount
 *
 * An attempt refers to the node of its mount with its ino; without ino to none.
 *
 * The digest of a row is the SHA-256 of these bytes. Attempts and events are
 * the leaves of the tree: number seq is leaf seq - 1, hashed over these bytes
 * as merkle_leaf does. No row is changed after it was written.
 */
#ifndef FS_LEDGER_RECORD_H
#define FS_LEDGER_RECORD_H

#include "fs/base/buf.h"
#include "fs/codec/digest.h"
#include "fs/db/db.h"

/* The longest a record may be: names are bounded by the kernel, packed names
 * and /proc texts by us. */
#define RECORD_MAX (4u << 20)

/*
 * Gives a statement its values and collects the canonical bytes of the same,
 * one after another. A failure to collect is kept and given by record_end.
 */
struct record {
	struct db_stmt *stmt; /* borrowed; NULL: only collect */
	struct buf bytes;
	int error;
};

void record_init(struct record *r);
void record_done(struct record *r);
void record_begin(struct record *r, struct db_stmt *stmt, char table);
void record_int(struct record *r, int64_t value);
void record_bytes(struct record *r, const void *bytes, size_t len);
void record_text(struct record *r, const char *text); /* or NULL */
void record_null(struct record *r);

/* A digest of a row that this one refers to, or NULL; binds nothing. */
void record_refer(struct record *r, const struct digest *d);

/* The bytes are complete: 0, or the failure that was kept. */
int record_end(struct record *r) must_check;

/*
 * The same bytes from a row that was read: count columns from first on, of the
 * row that stmt stands on. Then record_refer and record_end as above, which
 * gives -EBADMSG for a value of a kind that no record has.
 */
void record_read(struct record *r, char table, struct db_stmt *stmt, int first,
	int count);

/* The names of a table's columns in their order, and how many; NULL for a
 * letter that is no table. */
const char *const *record_columns(char table, int *ret_count);

/*
 * Walk the canonical bytes, for who was given only them: the next column of a
 * record, or digest behind the columns. *at is 0 at first; bytes->data[0] is
 * the table. type is 'N', 'I', 'T' or 'B'. 1; 0 at the end; -EBADMSG.
 */
struct record_value {
	char type;
	int64_t number;
	const char *bytes;
	size_t len;
};
int record_next(const struct buf *bytes, size_t *at,
	struct record_value *ret) must_check;

#endif
