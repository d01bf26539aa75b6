/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a ledger; see schema.h, and README.md for every column. */
#include "fs/ledger/schema.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"
#include "fs/db/db.h"
#include "fs/ledger/ledger.h"

/* What a record of attempts is, closed or still open. */
#define ATTEMPT_TABLE                                        \
	" mount_id INTEGER NOT NULL REFERENCES mount(id),\n" \
	" t_real INTEGER NOT NULL,\n"                        \
	" t_boot INTEGER NOT NULL,\n"                        \
	" op INTEGER NOT NULL REFERENCES op(op),\n"          \
	" errno INTEGER NOT NULL,\n"                         \
	" rule TEXT NOT NULL,\n"                             \
	" dac_denied INTEGER NOT NULL,\n"                    \
	" path BLOB NOT NULL,\n"                             \
	" path2 BLOB,\n"                                     \
	" ino INTEGER,\n"                                    \
	" parent_ino INTEGER,\n"                             \
	" flags INTEGER,\n"                                  \
	" mode INTEGER,\n"                                   \
	" size INTEGER,\n"                                   \
	" off INTEGER,\n"                                    \
	" new_uid INTEGER,\n"                                \
	" new_gid INTEGER,\n"                                \
	" atime INTEGER,\n"                                  \
	" mtime INTEGER,\n"                                  \
	" xattr BLOB,\n"                                     \
	" caller_visible INTEGER NOT NULL,\n"                \
	" tid INTEGER,\n"                                    \
	" uid INTEGER NOT NULL,\n"                           \
	" gid INTEGER NOT NULL,\n"                           \
	" proc_id INTEGER REFERENCES proc(id),\n"            \
	" count INTEGER NOT NULL,\n"                         \
	" t_last INTEGER,\n"                                 \
	" times BLOB,\n"                                     \
	" targets INTEGER NOT NULL"

/* What attempt and fold have in common and the view shows. */
#define ATTEMPT_COLUMNS                                                  \
	"t_real, t_boot, op, errno, rule, dac_denied, path, path2, ino," \
	" uid, gid, tid, count, targets,"                                \
	" coalesce(t_last, t_real) AS t_end, proc_id, mount_id"

/*
 * SQLite keeps these texts in the file, byte by byte from the name on; so
 * schema_check compares them, and a file whose tables were swapped for views
 * or whose columns were moved is found before a row is read or written.
 * Changing one, even a space, is a new version.
 */
static const struct object {
	const char *name;
	const char *sql;
} objects[] = {
	{"meta", "CREATE TABLE meta(\n"
		 " key TEXT PRIMARY KEY,\n"
		 " value)"},
	{"op", "CREATE TABLE op(\n"
	       " op INTEGER PRIMARY KEY,\n"
	       " name TEXT NOT NULL)"},
	{"mount", "CREATE TABLE mount(\n"
		  " id INTEGER PRIMARY KEY,\n"
		  " image_id BLOB NOT NULL,\n"
		  " tree_id BLOB,\n"
		  " image_path BLOB,\n"
		  " mount_point BLOB,\n"
		  " options BLOB,\n"
		  " policy_digest BLOB,\n"
		  " label TEXT,\n"
		  " version TEXT,\n"
		  " host TEXT,\n"
		  " machine_id TEXT,\n"
		  " boot_id TEXT,\n"
		  " pid INTEGER,\n"
		  " started INTEGER NOT NULL,\n"
		  " started_boot INTEGER NOT NULL)"},
	{"proc", "CREATE TABLE proc(\n"
		 " id INTEGER PRIMARY KEY,\n"
		 " parent_id INTEGER REFERENCES proc(id),\n"
		 " mount_id INTEGER NOT NULL REFERENCES mount(id),\n"
		 " first_seq INTEGER NOT NULL,\n"
		 " tgid INTEGER NOT NULL,\n"
		 " ppid INTEGER,\n"
		 " vpid INTEGER,\n"
		 " start_ticks INTEGER NOT NULL,\n"
		 " exec_stamp INTEGER NOT NULL,\n"
		 " start_real INTEGER,\n"
		 " exe BLOB,\n"
		 " exe_dev_major INTEGER,\n"
		 " exe_dev_minor INTEGER,\n"
		 " exe_ino INTEGER,\n"
		 " exe_digest BLOB,\n"
		 " comm BLOB,\n"
		 " cmdline BLOB,\n"
		 " cmdline_note TEXT,\n"
		 " cwd BLOB,\n"
		 " cgroup BLOB,\n"
		 " container TEXT,\n"
		 " runtime TEXT,\n"
		 " pod TEXT,\n"
		 " uid INTEGER,\n"
		 " euid INTEGER,\n"
		 " suid INTEGER,\n"
		 " fsuid INTEGER,\n"
		 " gid INTEGER,\n"
		 " egid INTEGER,\n"
		 " sgid INTEGER,\n"
		 " fsgid INTEGER,\n"
		 " groups TEXT,\n"
		 " auid INTEGER,\n"
		 " ses INTEGER,\n"
		 " umask INTEGER,\n"
		 " cap_eff INTEGER,\n"
		 " seccomp INTEGER,\n"
		 " no_new_privs INTEGER,\n"
		 " lsm BLOB,\n"
		 " pid_ns INTEGER,\n"
		 " user_ns INTEGER,\n"
		 " mnt_ns INTEGER,\n"
		 " tty INTEGER)"},
	{"node", "CREATE TABLE node(\n"
		 " mount_id INTEGER NOT NULL REFERENCES mount(id),\n"
		 " ino INTEGER NOT NULL,\n"
		 " mode INTEGER NOT NULL,\n"
		 " uid INTEGER NOT NULL,\n"
		 " gid INTEGER NOT NULL,\n"
		 " size INTEGER,\n"
		 " digest BLOB,\n"
		 " PRIMARY KEY(mount_id, ino)) WITHOUT ROWID"},
	{"attempt", "CREATE TABLE attempt(\n"
		    " seq INTEGER PRIMARY KEY,\n" ATTEMPT_TABLE ",\n"
		    " names BLOB)"},
	{"fold", "CREATE TABLE fold(\n"
		 " id INTEGER PRIMARY KEY,\n" ATTEMPT_TABLE ")"},
	{"fold_name", "CREATE TABLE fold_name(\n"
		      " fold_id INTEGER NOT NULL REFERENCES fold(id),\n"
		      " n INTEGER NOT NULL,\n"
		      " path BLOB NOT NULL,\n"
		      " path2 BLOB,\n"
		      " ino INTEGER,\n"
		      " parent_ino INTEGER,\n"
		      " count INTEGER NOT NULL,\n"
		      " t_first INTEGER NOT NULL,\n"
		      " t_last INTEGER NOT NULL,\n"
		      " PRIMARY KEY(fold_id, n)) WITHOUT ROWID"},
	{"event", "CREATE TABLE event(\n"
		  " seq INTEGER PRIMARY KEY,\n"
		  " mount_id INTEGER NOT NULL REFERENCES mount(id),\n"
		  " t_real INTEGER NOT NULL,\n"
		  " t_boot INTEGER NOT NULL,\n"
		  " kind TEXT NOT NULL,\n"
		  " path BLOB,\n"
		  " text TEXT NOT NULL,\n"
		  " count INTEGER NOT NULL)"},
	{"tile", "CREATE TABLE tile(\n"
		 " n INTEGER PRIMARY KEY,\n"
		 " root BLOB NOT NULL,\n"
		 " leaves BLOB)"},
	{"checkpoint", "CREATE TABLE checkpoint(\n"
		       " size INTEGER PRIMARY KEY,\n"
		       " t_real INTEGER NOT NULL,\n"
		       " note TEXT NOT NULL)"},
	{"epoch", "CREATE TABLE epoch(\n"
		  " number INTEGER PRIMARY KEY,\n"
		  " key TEXT NOT NULL,\n"
		  " size INTEGER NOT NULL,\n"
		  " note TEXT)"},
	{"anchor", "CREATE TABLE anchor(\n"
		   " size INTEGER NOT NULL,\n"
		   " place TEXT NOT NULL,\n"
		   " t_real INTEGER NOT NULL,\n"
		   " PRIMARY KEY(place, size)) WITHOUT ROWID"},
	{"attempt_time", "CREATE INDEX attempt_time ON attempt("
			 "coalesce(t_last, t_real))"},
	{"attempt_path", "CREATE INDEX attempt_path ON attempt(path)"},
	{"attempt_path2", "CREATE INDEX attempt_path2 ON attempt(path2)"
			  " WHERE path2 IS NOT NULL"},
	{"attempt_names", "CREATE INDEX attempt_names ON attempt(seq)"
			  " WHERE names IS NOT NULL"},
	{"refused",
		"CREATE VIEW refused AS\n"
		" WITH a AS (SELECT seq,\n"
		" " ATTEMPT_COLUMNS " FROM attempt\n"
		" UNION ALL SELECT NULL,\n"
		" " ATTEMPT_COLUMNS " FROM fold)\n"
		" SELECT a.seq AS seq,\n"
		" strftime('%Y-%m-%dT%H:%M:%S', a.t_real / 1000000000,"
		" 'unixepoch') || printf('.%09dZ', a.t_real % 1000000000)"
		" AS time,\n"
		" p.tgid AS pid,\n"
		" CAST(p.comm AS TEXT) AS comm,\n"
		" o.name AS op,\n"
		" a.errno AS errno,\n"
		" CAST(a.path AS TEXT) AS path,\n"
		" CAST(a.path2 AS TEXT) AS path2,\n"
		" a.uid AS uid,\n"
		" a.gid AS gid,\n"
		" a.count AS count,\n"
		" a.targets AS targets,\n"
		" strftime('%Y-%m-%dT%H:%M:%S', a.t_end / 1000000000,"
		" 'unixepoch') || printf('.%09dZ', a.t_end % 1000000000)"
		" AS last_time,\n"
		" a.rule AS rule,\n"
		" a.dac_denied AS dac_denied,\n"
		" CAST(p.exe AS TEXT) AS exe,\n"
		" lower(hex(p.exe_digest)) AS exe_digest,\n"
		" CAST(replace(p.cmdline, x'00', x'20') AS TEXT) AS cmdline,\n"
		" CAST(p.cwd AS TEXT) AS cwd,\n"
		" p.auid AS auid,\n"
		" p.container AS container,\n"
		" p.pod AS pod,\n"
		" CAST(p.cgroup AS TEXT) AS cgroup,\n"
		" lower(hex(n.digest)) AS target_digest,\n"
		" CAST(m.mount_point AS TEXT) AS mount_point,\n"
		" lower(hex(m.image_id)) AS image_id,\n"
		" m.boot_id AS boot_id,\n"
		" a.t_real AS t_real,\n"
		" a.t_boot AS t_boot,\n"
		" a.tid AS tid,\n"
		" a.proc_id AS proc_id,\n"
		" a.mount_id AS mount_id\n"
		" FROM a\n"
		" LEFT JOIN op AS o ON o.op = a.op\n"
		" LEFT JOIN proc AS p ON p.id = a.proc_id\n"
		" LEFT JOIN node AS n ON n.mount_id = a.mount_id"
		" AND n.ino = a.ino\n"
		" LEFT JOIN mount AS m ON m.id = a.mount_id"},
};

static int failed(struct db *db, int r, const char *path, struct diag *diag)
{
	if (r == -EBADMSG)
		return diag_set(diag, r,
			"%s is damaged or is not a ledger (%s); give another "
			"file, or move this one away",
			path, db_error(db));
	return diag_set(diag, r, "using the ledger %s: %s", path, db_error(db));
}

static int add_ops(struct db *db)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, "INSERT INTO op VALUES(?, ?)", &s);

	for (int op = 0; r == 0 && op < LEDGER_OP_COUNT; op++) {
		db_bind_int(s, op);
		db_bind_text(s, ledger_op_name(op));
		r = db_run(s);
	}
	return r;
}

static int add_meta(struct db *db, const char *key, int64_t value)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, "INSERT INTO meta VALUES(?, ?)", &s);

	if (r < 0)
		return r;
	db_bind_text(s, key);
	db_bind_int(s, value);
	return db_run(s);
}

static int create_all(struct db *db)
{
	char mark[64];

	(void)snprintf(mark, sizeof(mark), "PRAGMA application_id = %d",
		SCHEMA_APPLICATION_ID);

	int r = db_exec(db, mark);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(objects); i++)
		r = db_exec(db, objects[i].sql);
	if (r == 0)
		r = add_ops(db);
	return r < 0 ? r : add_meta(db, "version", SCHEMA_VERSION);
}

int schema_create(struct db *db, const char *path, struct diag *diag)
{
	/* So that retention can give space back; before there is a table. */
	int r = db_exec(db, "PRAGMA auto_vacuum = INCREMENTAL");

	if (r == 0)
		r = db_exec(db, "BEGIN IMMEDIATE");
	if (r == 0)
		r = create_all(db);
	if (r == 0)
		r = db_exec(db, "COMMIT");
	if (r == 0)
		return 0;
	(void)failed(db, r, path, diag);
	db_rollback(db);
	return r;
}

static bool same_text(struct db_stmt *s, int column, const char *want)
{
	size_t len;
	const void *text = db_bytes(s, column, &len);

	return text && len == strlen(want) && memcmp(text, want, len) == 0;
}

/* Every object is there as we made it. Views and indexes that a user added
 * are let be; triggers are not, though they are switched off as well. */
static int check_objects(struct db *db)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int64_t triggers;
	int r = db_exec_int(db,
		"SELECT count(*) FROM sqlite_master WHERE type = 'trigger'",
		&triggers);

	if (r == 0 && triggers)
		r = -EBADMSG;
	if (r == 0)
		r = db_prepare(
			db, "SELECT sql FROM sqlite_master WHERE name = ?", &s);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(objects); i++) {
		db_bind_text(s, objects[i].name);
		r = db_next(s);
		if (r >= 0)
			r = r && same_text(s, 0, objects[i].sql) ? 0 : -EBADMSG;
		db_rewind(s);
	}
	return r;
}

static int check_version(struct db *db, const char *path, struct diag *diag)
{
	int64_t version;
	int r = db_exec_int(
		db, "SELECT value FROM meta WHERE key = 'version'", &version);

	if (r < 0 && r != -ENOENT)
		return failed(db, r, path, diag);
	if (r == 0 && version == 1)
		return diag_set(diag, -EOPNOTSUPP,
			"%s is a ledger of version 1, which no release wrote; "
			"move it away, or give another file",
			path);
	if (r == -ENOENT || version < 1)
		return diag_set(diag, -EBADMSG,
			"%s: the ledger does not say its version: it is "
			"damaged",
			path);
	if (version > SCHEMA_VERSION)
		return diag_set(diag, -EOPNOTSUPP,
			"%s was written by a newer version of stele (ledger "
			"version %lld, this program knows up to %d); use that "
			"one, or another ledger",
			path, (long long)version, SCHEMA_VERSION);
	return 0;
}

int schema_check(struct db *db, const char *path, struct diag *diag)
{
	int64_t id = 0, count = 0;
	int r = db_exec_int(db, "PRAGMA application_id", &id);

	if (r == 0)
		r = db_exec_int(
			db, "SELECT count(*) FROM sqlite_master", &count);
	if (r < 0)
		return failed(db, r, path, diag);
	if (id == 0 && count == 0)
		return -ENODATA;
	if (id != SCHEMA_APPLICATION_ID)
		return diag_set(diag, -EBADMSG,
			"%s is a database, but not a ledger; give another "
			"file",
			path);
	r = check_version(db, path, diag);
	if (r < 0)
		return r;
	r = check_objects(db);
	if (r == -EBADMSG)
		return diag_set(diag, r,
			"%s: the tables are not those of a ledger of version "
			"%d: the file was changed",
			path, SCHEMA_VERSION);
	return r < 0 ? failed(db, r, path, diag) : 0;
}

int schema_is_unborn(struct db *db, bool *ret)
{
	int64_t rows;
	int r = db_exec_int(db,
		"SELECT EXISTS(SELECT 1 FROM epoch)"
		" + EXISTS(SELECT 1 FROM checkpoint)"
		" + EXISTS(SELECT 1 FROM tile)"
		" + EXISTS(SELECT 1 FROM anchor)"
		" + EXISTS(SELECT 1 FROM attempt)"
		" + EXISTS(SELECT 1 FROM fold)"
		" + EXISTS(SELECT 1 FROM event"
		" WHERE kind NOT IN ('mount', 'unmount'))"
		" + EXISTS(SELECT 1 FROM meta WHERE key = 'origin')",
		&rows);

	*ret = r == 0 && rows == 0;
	return r;
}

int schema_probe(const char *path)
{
	static const char magic[16] = "SQLite format 3";
	uint8_t head[72];
	struct stat st;
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;

	ssize_t n = io_pread(fd, head, sizeof(head), 0);

	if (n < 0)
		return (int)n;

	uint32_t id = (uint32_t)head[68] << 24 | (uint32_t)head[69] << 16 |
		      (uint32_t)head[70] << 8 | head[71];

	if (n < (ssize_t)sizeof(head) ||
		memcmp(head, magic, sizeof(magic)) != 0 ||
		id != SCHEMA_APPLICATION_ID)
		return -EBADMSG;
	return 0;
}
