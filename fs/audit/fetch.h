/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of the rows that query_sql_record gives. */
#ifndef FS_AUDIT_FETCH_H
#define FS_AUDIT_FETCH_H

#include "fs/audit/query.h"
#include "fs/audit/query_sql.h"
#include "fs/db/db.h"

/* only: as query_filter.only. */
int fetch_prepare(struct db *db, enum query_table table, const uint64_t only[2],
	struct db_stmt **ret) must_check;

/* What a row is given instead of its own. */
struct fetch_targets {
	struct query_cell path, path2, names;
};

/*
 * The record with this number, or the fold with this id: 1, 0 when there is
 * none, -errno. *ret is one block of memory, for free(3); *bytes grows by its
 * size. instead may be NULL.
 */
int fetch_record(struct db_stmt *s, int64_t seq,
	const struct fetch_targets *instead, struct query_row **ret,
	size_t *bytes) must_check;

/* A column of any statement; bytes are those of the statement. */
void fetch_cell(struct db_stmt *s, int column, enum query_kind kind,
	struct query_cell *ret);

#endif
