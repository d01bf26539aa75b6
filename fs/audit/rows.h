/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attempts and events of a ledger in the order of their numbers, each with its
 * canonical bytes and the hash of its leaf, recomputed from every column of the
 * row and of the rows that it refers to.
 */
#ifndef FS_AUDIT_ROWS_H
#define FS_AUDIT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "fs/base/buf.h"
#include "fs/codec/digest.h"
#include "fs/db/db.h"
#include "fs/ledger/digests.h"

struct rows;

/* Which rows a record refers to; 0: none. */
struct row_refers {
	int64_t mount, proc, ino;
};

struct row {
	int64_t seq;
	char table;    /* 'a' or 'e' */
	bool possible; /* false: the writer can't have made it: it refers to
			* what is missing, or has a value of a wrong kind; then
			* there is no leaf */
	struct digest leaf;
	int64_t t_real, t_boot;
	int64_t count; /* attempts that it stands for; of an event: its
			* column */
	struct row_refers refers;
	const char *kind; /* of an event, else NULL; may be any bytes */
	size_t kind_len;
	const char *text; /* of an event */
	size_t text_len;
};

/* digests is borrowed, as is the database. 0 or -errno. */
int rows_new(
	struct db *db, struct digests *digests, struct rows **ret) must_check;
void rows_free(struct rows *r); /* NULL is allowed */
DEFINE_CLEANUP(rows_free, struct rows *);

/* Begin with the first row whose number is at least seq. 0 or -errno. */
int rows_start(struct rows *r, int64_t seq) must_check;

/* The next row; its bytes are valid until the next call. 1; 0 at the end;
 * -errno. A number that attempts and events share comes twice. */
int rows_next(struct rows *r, struct row *ret) must_check;

/* Canonical bytes of the row that rows_next gave. */
const struct buf *rows_bytes(const struct rows *r);

#endif
