/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a record passes a filter. What is in plain columns SQLite compares;
 * paths, processes and boots are compared here: targets are packed, and a
 * process is looked up once instead of for each record.
 */
#ifndef FS_AUDIT_MATCH_H
#define FS_AUDIT_MATCH_H

#include "fs/audit/glob.h"
#include "fs/audit/ids.h"
#include "fs/audit/query.h"
#include "fs/audit/query_sql.h"
#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/db/db.h"
#include "fs/ledger/names.h"

struct match {
	struct query_filter filter;
	bool by_path;	   /* filter has path or under */
	bool by_process;   /* exe, comm, container or tree */
	struct ids procs;  /* that pass these */
	struct ids pids;   /* filter.pid */
	struct ids mounts; /* filter.boot */
	struct glob path;  /* filter.path, where it is given */
	size_t under_len;  /* of filter.under without '/' at its end */
	struct names_reader *names;
	struct diag diag; /* which record is malformed */
};

/* The filter's strings stay borrowed. 0 or -errno; done in both cases. */
int match_init(struct match *m, const struct query_filter *filter) must_check;
void match_done(struct match *m); /* zeroed is allowed */

/* Look up processes and mounts, again after there may be new ones. */
int match_look_up(struct match *m, struct db *db) must_check;

/* Which tables can hold anything that passes, as far as was looked up. */
bool match_wants(const struct match *m, enum query_table table);

/*
 * A statement that gives the records of a table between two numbers, not
 * included, which pass what SQLite compares, in the order of their numbers.
 * For QUERY_FOLD these are ids.
 */
int match_prepare(const struct match *m, struct db *db, enum query_table table,
	enum query_order order, struct db_stmt **ret) must_check;
void match_bind(const struct match *m, enum query_table table,
	struct db_stmt *s, int64_t after, int64_t before);

/*
 * The rest, for the row that the statement stands on: 1 or 0; -EBADMSG when
 * its packed targets are malformed (diag says which), -ENOMEM. Of a fold the
 * path is not looked at.
 */
int match_row(
	struct match *m, struct db_stmt *s, enum query_table table) must_check;
int64_t match_seq(struct db_stmt *s);

/* One target passes path and under; path2 may be NULL. */
bool match_target(const struct match *m, const char *path, size_t len,
	const char *path2, size_t len2);

/* A record of many targets. */
struct match_names {
	int64_t seq, t_real, op;
	const char *path; /* folder of all of them */
	size_t len;
	const void *names; /* packed: fs/ledger/names.h */
	size_t names_len;
};

/* As match_row: any of its targets passes. */
int match_names(struct match *m, const struct match_names *n) must_check;

/* Say in the diag that the packed targets of a record are malformed; returns
 * -EBADMSG. */
int match_malformed(struct match *m, int64_t seq) must_check;

/*
 * For indexes of single paths. Of a record that passes, path or path2 passes
 * match_half, begins with the prefix and holds the run: that is the half of the
 * filter, path or under, which says more about the beginning.
 */
struct match_bytes {
	const char *prefix, *run; /* not NUL-terminated */
	size_t prefix_len, run_len;
};

struct match_bytes match_bytes(const struct match *m);
bool match_half(const struct match *m, const char *path, size_t len);

#endif
