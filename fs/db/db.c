/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite behind our error convention; see db.h. */
#include "fs/db/db.h"

#include <assert.h>
#include <limits.h>
#include <sqlite3.h>
#include <string.h>

#include "fs/base/buf.h"

enum {
	BUSY_MS = 2000,		 /* readers only ever hold a lock for ms */
	MAX_VALUE = 1 << 24,	 /* bytes of one value or row */
	MAX_SQL = 1 << 16,	 /* bytes of one statement */
	MAX_PATH_URI = 3 * 4096, /* each byte may become %HH */
};

struct db {
	sqlite3 *handle;
};

struct db_stmt {
	sqlite3_stmt *handle;
	int bound; /* parameters that have a value */
	int error; /* first failure of a bind, an SQLite code */
};

static int errno_of(sqlite3 *handle, int code)
{
	int sys = sqlite3_system_errno(handle);

	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_PROTOCOL: return -EBUSY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_ERROR: /* no such table or column */ return -EBADMSG;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_TOOBIG: return -E2BIG;
	default:
		if (sys == EDQUOT || sys == ENOSPC)
			return -ENOSPC;
		return sys > 0 ? -sys : -EIO;
	}
}

/*
 * A file that was made to harm gets no functions with side effects, no virtual
 * tables, no writes to the schema, and no values of unbounded size.
 */
static int harden(sqlite3 *handle)
{
	(void)sqlite3_extended_result_codes(handle, 1); /* cannot fail */
	(void)sqlite3_busy_timeout(handle, BUSY_MS);	/* cannot fail */
	sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, MAX_VALUE);
	sqlite3_limit(handle, SQLITE_LIMIT_SQL_LENGTH, MAX_SQL);
	sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 0);

	int r = sqlite3_db_config(
		handle, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);

	if (r == SQLITE_OK)
		r = sqlite3_db_config(
			handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
	if (r == SQLITE_OK)
		r = sqlite3_db_config(
			handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(handle,
			"PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0",
			NULL, NULL, NULL);
	return r;
}

static bool has_wal(const char *path)
{
	char name[PATH_MAX];

	return snprintf(name, sizeof(name), "%s-wal", path) <
		       (int)sizeof(name) &&
	       access(name, F_OK) == 0;
}

/* "file:/a%20b?immutable=1": what means something in a URI is escaped. */
static int make_uri(const char *path, struct buf *ret)
{
	static const char end[] = "?immutable=1"; /* goes in with its NUL */
	int r = buf_add(ret, "file:", 5);

	for (const char *p = path; r == 0 && *p; p++) {
		unsigned char c = (unsigned char)*p;

		if (c > 0x7f || strchr("%?#", c) || c < 0x21)
			r = buf_printf(ret, "%%%02X", c);
		else
			r = buf_add(ret, p, 1);
	}
	return r < 0 ? r : buf_add(ret, end, sizeof(end));
}

/*
 * SQLite has two ways to read without locks. One never looks for a -wal file;
 * the other, whose locks do nothing, insists on opening one, and in exclusive
 * mode keeps its index in memory instead of in a -shm file.
 */
static int open_alone(const char *path, int mode, sqlite3 **ret)
{
	_cleanup_buf_ struct buf uri;

	buf_init(&uri, MAX_PATH_URI);
	if (has_wal(path)) {
		int code = sqlite3_open_v2(path, ret, mode, "unix-none");

		return code != SQLITE_OK
			       ? code
			       : sqlite3_exec(*ret,
					 "PRAGMA locking_mode = EXCLUSIVE",
					 NULL, NULL, NULL);
	}
	if (make_uri(path, &uri) < 0)
		return SQLITE_NOMEM;
	return sqlite3_open_v2(uri.data, ret, mode | SQLITE_OPEN_URI, NULL);
}

static int open_handle(const char *path, unsigned flags, sqlite3 **ret)
{
	int mode = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;

	mode |= flags & DB_READ_ONLY ? SQLITE_OPEN_READONLY
				     : SQLITE_OPEN_READWRITE;
	return flags & DB_ALONE ? open_alone(path, mode, ret)
				: sqlite3_open_v2(path, ret, mode, NULL);
}

int db_open(
	const char *path, unsigned flags, struct db **ret, struct diag *diag)
{
	if (flags & ~(unsigned)(DB_READ_ONLY | DB_ALONE) ||
		flags == (unsigned)DB_ALONE)
		return diag_set(
			diag, -EINVAL, "opening %s: unknown flags", path);

	struct db *db = calloc(1, sizeof(*db));

	if (!db)
		return diag_errno(diag, -ENOMEM, "opening %s", path);

	int code = open_handle(path, flags, &db->handle);

	if (code == SQLITE_OK)
		code = harden(db->handle);
	if (code == SQLITE_OK) {
		*ret = db;
		return 0;
	}

	int r = db->handle ? errno_of(db->handle, code) : -ENOMEM;

	(void)diag_set(diag, r, "opening %s: %s", path, db_error(db));
	db_close(db);
	return r;
}

void db_close(struct db *db)
{
	if (!db)
		return;

	int code = sqlite3_close(db->handle);

	assert(code == SQLITE_OK); /* else a statement was left behind */
	(void)code;
	free(db);
}

const char *db_path(struct db *db)
{
	return sqlite3_db_filename(db->handle, "main");
}

const char *db_error(struct db *db)
{
	return db->handle ? sqlite3_errmsg(db->handle) : "out of memory";
}

int db_exec(struct db *db, const char *sql)
{
	return errno_of(
		db->handle, sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

int db_exec_int(struct db *db, const char *sql, int64_t *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, sql, &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret = db_int(s, 0);
	return 0;
}

void db_rollback(struct db *db)
{
	/* Most failures have rolled back already. A failing ROLLBACK leaves
	 * nothing more to do: the next BEGIN fails and says why. */
	if (!sqlite3_get_autocommit(db->handle))
		(void)sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
}

int db_prepare(struct db *db, const char *sql, struct db_stmt **ret)
{
	struct db_stmt *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;

	int code = sqlite3_prepare_v3(db->handle, sql, -1,
		SQLITE_PREPARE_PERSISTENT, &s->handle, NULL);

	if (code != SQLITE_OK) {
		free(s);
		return errno_of(db->handle, code);
	}
	*ret = s;
	return 0;
}

void db_stmt_free(struct db_stmt *s)
{
	if (!s)
		return;
	/* Repeats the failure of the last step, which was returned then. */
	(void)sqlite3_finalize(s->handle);
	free(s);
}

static void note_bind(struct db_stmt *s, int code)
{
	if (code != SQLITE_OK && !s->error)
		s->error = code;
}

void db_bind_int(struct db_stmt *s, int64_t value)
{
	note_bind(s, sqlite3_bind_int64(s->handle, ++s->bound, value));
}

void db_bind_bytes(struct db_stmt *s, const void *bytes, size_t len)
{
	/* A NULL pointer binds a NULL. */
	note_bind(s, sqlite3_bind_blob64(
			     s->handle, ++s->bound, bytes, len, SQLITE_STATIC));
}

void db_bind_text(struct db_stmt *s, const char *text)
{
	note_bind(s, sqlite3_bind_text(
			     s->handle, ++s->bound, text, -1, SQLITE_STATIC));
}

void db_bind_null(struct db_stmt *s)
{
	note_bind(s, sqlite3_bind_null(s->handle, ++s->bound));
}

int db_run(struct db_stmt *s)
{
	int r;

	do
		r = db_next(s);
	while (r > 0);
	db_rewind(s);
	return r;
}

int db_next(struct db_stmt *s)
{
	sqlite3 *handle = sqlite3_db_handle(s->handle);

	if (s->error)
		return errno_of(handle, s->error);
	assert(s->bound == sqlite3_bind_parameter_count(s->handle));

	int code = sqlite3_step(s->handle);

	return code == SQLITE_ROW ? 1 : errno_of(handle, code);
}

void db_rewind(struct db_stmt *s)
{
	/* Repeats the failure of the last step, which was returned then. */
	(void)sqlite3_reset(s->handle);
	s->bound = 0;
	s->error = 0;
}

enum db_type db_type(struct db_stmt *s, int column)
{
	switch (sqlite3_column_type(s->handle, column)) {
	case SQLITE_INTEGER: return DB_INT;
	case SQLITE_FLOAT: return DB_REAL;
	case SQLITE_TEXT: return DB_TEXT;
	case SQLITE_BLOB: return DB_BLOB;
	default: return DB_NULL;
	}
}

bool db_is_null(struct db_stmt *s, int column)
{
	return db_type(s, column) == DB_NULL;
}

int64_t db_int(struct db_stmt *s, int column)
{
	return sqlite3_column_int64(s->handle, column);
}

const void *db_bytes(struct db_stmt *s, int column, size_t *ret_len)
{
	if (db_is_null(s, column))
		return NULL;

	const void *bytes = sqlite3_column_blob(s->handle, column);

	*ret_len = (size_t)sqlite3_column_bytes(s->handle, column);
	return bytes ? bytes : ""; /* SQLite gives NULL for no bytes */
}
