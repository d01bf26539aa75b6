/* SPDX-License-Identifier: Apache-2.0 */
/* The SQL of query.c: every text is made from one table of columns. */
#ifndef FS_AUDIT_QUERY_SQL_H
#define FS_AUDIT_QUERY_SQL_H

#include "fs/base/buf.h"

#define QUERY_SQL_MAX 16384

/*
 * Records and filters, in order of seq; parameters:
 * 1 after seq, 2 before seq, 3 since, 4 until, 5 path GLOB, 6 under, 7 the
 * same with '/', 8 bits of ops, 9 bits of events, 10 pid, 11 uid, 12 comm,
 * 13 limit. NULL for 5, 6, 10, 11 and 12: any.
 */
int query_sql_forward(struct buf *ret) must_check;
int query_sql_backward(struct buf *ret) must_check;

/* seq of the first of the last LIMIT records that match; same parameters. */
int query_sql_nth(struct buf *ret) must_check;

/* Ancestors of process 1: tgid, comm, exe, exe_digest, cmdline, start_real. */
int query_sql_ancestors(struct buf *ret) must_check;

/* A number that changes when another connection commits. */
int query_sql_version(struct buf *ret) must_check;

#define QUERY_SQL_NEWEST                                          \
	"SELECT max(coalesce((SELECT max(seq) FROM attempt), 0)," \
	" coalesce((SELECT max(seq) FROM event), 0))"

#endif
