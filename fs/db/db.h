/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thin wrapper of SQLite, the only place that includes sqlite3.h: one error
 * convention, positional binding without an error check per value, and the
 * settings that make a database file from a stranger safe to read.
 *
 * A db and its statements belong to one thread at a time; handing them on is
 * the caller's business (a mutex makes it safe).
 */
#ifndef FS_DB_DB_H
#define FS_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/diag.h"

struct db;
struct db_stmt;

enum db_flags {
	DB_READ_ONLY = 1 << 0,
	/*
	 * With DB_READ_ONLY: nobody has the file open and its folder can't be
	 * written, so no lock is taken and no -shm file is made; what a -wal
	 * file holds is read all the same.
	 */
	DB_ALONE = 1 << 1,
};

/*
 * Open an existing database; path is absolute and without symbolic links
 * (SQLite refuses to follow any). Little is read from the file yet: one that
 * is no database shows at the first statement.
 *
 * All functions that return int give 0 (or what they say) or: -ENOSPC for a
 * full disk or quota, -ENOMEM, -EBUSY when another connection is in the way,
 * -EBADMSG for a damaged file or one that is no database, -EACCES when it
 * can't be written, -E2BIG, else -EIO or the errno of the system call.
 */
int db_open(const char *path, unsigned flags, struct db **ret,
	struct diag *diag) must_check;

/* All statements must be gone. NULL is allowed. */
void db_close(struct db *db);
DEFINE_CLEANUP(db_close, struct db *);

/* The path it was opened with; borrowed. */
const char *db_path(struct db *db);

/* SQLite's words for the last failure; valid until the next call. */
const char *db_error(struct db *db);

/* Run statements that give no rows. */
int db_exec(struct db *db, const char *sql) must_check;

/* Run one statement whose first row's first column is a number. -ENOENT when
 * there is no row; NULL counts as 0. */
int db_exec_int(struct db *db, const char *sql, int64_t *ret) must_check;

/* Undo the transaction, if one is open. */
void db_rollback(struct db *db);

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret) must_check;
void db_stmt_free(struct db_stmt *s); /* NULL is allowed */
DEFINE_CLEANUP(db_stmt_free, struct db_stmt *);

/*
 * Give the next parameter its value, the first one after db_prepare, db_run
 * and db_rewind. Bytes are borrowed until then; NULL bytes bind a NULL. A
 * failure is kept and returned by db_run or db_next.
 */
void db_bind_int(struct db_stmt *s, int64_t value);
void db_bind_bytes(struct db_stmt *s, const void *bytes, size_t len);
void db_bind_text(struct db_stmt *s, const char *text); /* UTF-8 or NULL */
void db_bind_null(struct db_stmt *s);

/* Run a statement to its end and make it ready for the next values. */
int db_run(struct db_stmt *s) must_check;

/* Step to the next row: 1 when there is one, 0 at the end. */
int db_next(struct db_stmt *s) must_check;
/* Forget rows and values; ends the read transaction that the rows held. */
void db_rewind(struct db_stmt *s);

/* Columns of the row, from 0. Bytes are valid until the next step. */
enum db_type { DB_NULL, DB_INT, DB_REAL, DB_TEXT, DB_BLOB };
enum db_type db_type(struct db_stmt *s, int column);
bool db_is_null(struct db_stmt *s, int column);
int64_t db_int(struct db_stmt *s, int column);
/* NULL only when the column is NULL; else *ret_len bytes, without a NUL. */
const void *db_bytes(struct db_stmt *s, int column, size_t *ret_len);

#endif
