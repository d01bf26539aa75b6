/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL that gives whole records: every text is made from one table of
 * columns. */
#ifndef FS_AUDIT_QUERY_SQL_H
#define FS_AUDIT_QUERY_SQL_H

#include "fs/base/buf.h"

#define QUERY_SQL_MAX 16384

enum query_table { QUERY_ATTEMPT, QUERY_EVENT, QUERY_FOLD, QUERY_TABLES };

/*
 * One record: the columns of query_columns in their order, then its packed
 * targets. Parameter 1: seq, or the id of a fold. Ends with a NUL. What is not
 * asked for (query_filter.only) is NULL, and its tables are not looked at, but
 * for what readers themselves need.
 */
int query_sql_record(struct buf *ret, enum query_table table,
	const uint64_t only[2]) must_check;

/* Ancestors of process 1: tgid, comm, exe, exe_digest, cmdline, start_real. */
#define QUERY_SQL_ANCESTORS                                         \
	/* The depth ends a ring of parents in a forged file. */    \
	"WITH RECURSIVE up(id, depth) AS ("                         \
	" SELECT parent_id, 1 FROM proc WHERE id = ?1"              \
	" UNION ALL SELECT p.parent_id, depth + 1"                  \
	" FROM up JOIN proc AS p ON p.id = up.id WHERE depth < 16)" \
	" SELECT p.tgid, p.comm, p.exe, p.exe_digest, p.cmdline,"   \
	" p.start_real FROM up JOIN proc AS p ON p.id = up.id"      \
	" ORDER BY up.depth"

/* A number that changes when another connection commits. */
#define QUERY_SQL_VERSION "PRAGMA data_version"

#define QUERY_SQL_NEWEST                                          \
	"SELECT max(coalesce((SELECT max(seq) FROM attempt), 0)," \
	" coalesce((SELECT max(seq) FROM event), 0))"

#endif
