/* SPDX-License-Identifier: Apache-2.0 */
/* Columns and statements of readers; see query_sql.h. */
#include "fs/audit/query_sql.h"

#include <assert.h>

#include "fs/audit/query.h"

const struct query_column_info query_columns[QUERY_COLUMNS] = {
	[QUERY_SEQ] = {"seq", QUERY_NUMBER},
	[QUERY_T_REAL] = {"time", QUERY_TIME},
	[QUERY_OP] = {"op", QUERY_TEXT},
	[QUERY_ERRNO] = {"errno", QUERY_NUMBER},
	[QUERY_PATH] = {"path", QUERY_NAME},
	[QUERY_PATH2] = {"path2", QUERY_NAME},
	[QUERY_DAC_DENIED] = {"dac_denied", QUERY_FLAG},
	[QUERY_INO] = {"ino", QUERY_NUMBER},
	[QUERY_PARENT_INO] = {"parent_ino", QUERY_NUMBER},
	[QUERY_FLAGS] = {"flags", QUERY_NUMBER},
	[QUERY_MODE] = {"mode", QUERY_NUMBER},
	[QUERY_SIZE] = {"size", QUERY_NUMBER},
	[QUERY_OFF] = {"off", QUERY_NUMBER},
	[QUERY_NEW_UID] = {"new_uid", QUERY_NUMBER},
	[QUERY_NEW_GID] = {"new_gid", QUERY_NUMBER},
	[QUERY_ATIME] = {"atime", QUERY_TIME},
	[QUERY_MTIME] = {"mtime", QUERY_TIME},
	[QUERY_XATTR] = {"xattr", QUERY_NAME},
	[QUERY_CALLER_VISIBLE] = {"caller_visible", QUERY_FLAG},
	[QUERY_TID] = {"tid", QUERY_NUMBER},
	[QUERY_UID] = {"uid", QUERY_NUMBER},
	[QUERY_GID] = {"gid", QUERY_NUMBER},
	[QUERY_TEXT_OF_EVENT] = {"text", QUERY_TEXT},
	[QUERY_COUNT_OF_EVENT] = {"count", QUERY_NUMBER},
	[QUERY_T_BOOT] = {"t_boot", QUERY_NUMBER},
	[QUERY_BOOT_ID] = {"boot_id", QUERY_TEXT},
	[QUERY_MOUNT_ID] = {"mount_id", QUERY_NUMBER},
	[QUERY_MOUNT_POINT] = {"mount_point", QUERY_NAME},
	[QUERY_IMAGE_ID] = {"image_id", QUERY_DIGEST},
	[QUERY_IMAGE_PATH] = {"image_path", QUERY_NAME},
	[QUERY_PROC_ID] = {"proc_id", QUERY_NUMBER},
	[QUERY_PID] = {"pid", QUERY_NUMBER},
	[QUERY_PPID] = {"ppid", QUERY_NUMBER},
	[QUERY_COMM] = {"comm", QUERY_NAME},
	[QUERY_EXE] = {"exe", QUERY_NAME},
	[QUERY_EXE_DIGEST] = {"exe_digest", QUERY_DIGEST},
	[QUERY_CMDLINE] = {"cmdline", QUERY_NAME},
	[QUERY_CMDLINE_NOTE] = {"cmdline_note", QUERY_TEXT},
	[QUERY_CWD] = {"cwd", QUERY_NAME},
	[QUERY_CGROUP] = {"cgroup", QUERY_NAME},
	[QUERY_START_REAL] = {"start_time", QUERY_TIME},
	[QUERY_START_TICKS] = {"start_ticks", QUERY_NUMBER},
	[QUERY_RUID] = {"proc_uid", QUERY_NUMBER},
	[QUERY_EUID] = {"proc_euid", QUERY_NUMBER},
	[QUERY_SUID] = {"proc_suid", QUERY_NUMBER},
	[QUERY_RGID] = {"proc_gid", QUERY_NUMBER},
	[QUERY_EGID] = {"proc_egid", QUERY_NUMBER},
	[QUERY_SGID] = {"proc_sgid", QUERY_NUMBER},
	[QUERY_GROUPS] = {"groups", QUERY_TEXT},
	[QUERY_AUID] = {"auid", QUERY_NUMBER},
	[QUERY_SES] = {"ses", QUERY_NUMBER},
	[QUERY_CAP_EFF] = {"cap_eff", QUERY_NUMBER},
	[QUERY_PID_NS] = {"pid_ns", QUERY_NUMBER},
	[QUERY_USER_NS] = {"user_ns", QUERY_NUMBER},
	[QUERY_MNT_NS] = {"mnt_ns", QUERY_NUMBER},
	[QUERY_TTY] = {"tty", QUERY_NUMBER},
};

/* Where each column comes from: for an attempt, and for an event when it has
 * one at all. */
static const struct {
	const char *attempt, *event;
} sources[QUERY_COLUMNS] = {
	[QUERY_SEQ] = {"a.seq", "e.seq"},
	[QUERY_T_REAL] = {"a.t_real", "e.t_real"},
	[QUERY_OP] = {"coalesce(o.name, a.op)", "e.kind"},
	[QUERY_ERRNO] = {"a.errno", NULL},
	[QUERY_PATH] = {"a.path", "e.path"},
	[QUERY_PATH2] = {"a.path2", NULL},
	[QUERY_DAC_DENIED] = {"a.dac_denied", NULL},
	[QUERY_INO] = {"a.ino", NULL},
	[QUERY_PARENT_INO] = {"a.parent_ino", NULL},
	[QUERY_FLAGS] = {"a.flags", NULL},
	[QUERY_MODE] = {"a.mode", NULL},
	[QUERY_SIZE] = {"a.size", NULL},
	[QUERY_OFF] = {"a.off", NULL},
	[QUERY_NEW_UID] = {"a.new_uid", NULL},
	[QUERY_NEW_GID] = {"a.new_gid", NULL},
	[QUERY_ATIME] = {"a.atime", NULL},
	[QUERY_MTIME] = {"a.mtime", NULL},
	[QUERY_XATTR] = {"a.xattr", NULL},
	[QUERY_CALLER_VISIBLE] = {"a.caller_visible", NULL},
	[QUERY_TID] = {"a.tid", NULL},
	[QUERY_UID] = {"a.uid", NULL},
	[QUERY_GID] = {"a.gid", NULL},
	[QUERY_TEXT_OF_EVENT] = {"NULL", "e.text"},
	[QUERY_COUNT_OF_EVENT] = {"NULL", "e.count"},
	[QUERY_T_BOOT] = {"a.t_boot", "e.t_boot"},
	[QUERY_BOOT_ID] = {"m.boot_id", "m.boot_id"},
	[QUERY_MOUNT_ID] = {"a.mount_id", "e.mount_id"},
	[QUERY_MOUNT_POINT] = {"m.mount_point", "m.mount_point"},
	[QUERY_IMAGE_ID] = {"m.image_id", "m.image_id"},
	[QUERY_IMAGE_PATH] = {"m.image_path", "m.image_path"},
	[QUERY_PROC_ID] = {"a.proc_id", NULL},
	[QUERY_PID] = {"p.tgid", NULL},
	[QUERY_PPID] = {"p.ppid", NULL},
	[QUERY_COMM] = {"p.comm", NULL},
	[QUERY_EXE] = {"p.exe", NULL},
	[QUERY_EXE_DIGEST] = {"p.exe_digest", NULL},
	[QUERY_CMDLINE] = {"p.cmdline", NULL},
	[QUERY_CMDLINE_NOTE] = {"p.cmdline_note", NULL},
	[QUERY_CWD] = {"p.cwd", NULL},
	[QUERY_CGROUP] = {"p.cgroup", NULL},
	[QUERY_START_REAL] = {"p.start_real", NULL},
	[QUERY_START_TICKS] = {"p.start_ticks", NULL},
	[QUERY_RUID] = {"p.uid", NULL},
	[QUERY_EUID] = {"p.euid", NULL},
	[QUERY_SUID] = {"p.suid", NULL},
	[QUERY_RGID] = {"p.gid", NULL},
	[QUERY_EGID] = {"p.egid", NULL},
	[QUERY_SGID] = {"p.sgid", NULL},
	[QUERY_GROUPS] = {"p.groups", NULL},
	[QUERY_AUID] = {"p.auid", NULL},
	[QUERY_SES] = {"p.ses", NULL},
	[QUERY_CAP_EFF] = {"p.cap_eff", NULL},
	[QUERY_PID_NS] = {"p.pid_ns", NULL},
	[QUERY_USER_NS] = {"p.user_ns", NULL},
	[QUERY_MNT_NS] = {"p.mnt_ns", NULL},
	[QUERY_TTY] = {"p.tty", NULL},
};

#define ATTEMPTS                                                    \
	" FROM attempt AS a"                                        \
	" LEFT JOIN op AS o ON o.op = a.op"                         \
	" LEFT JOIN proc AS p ON p.id = a.proc_id"                  \
	" LEFT JOIN mount AS m ON m.id = a.mount_id"                \
	" WHERE a.seq > ?1 AND a.seq < ?2"                          \
	" AND a.t_real >= ?3 AND a.t_real <= ?4"                    \
	" AND (?8 >> a.op) & 1"                                     \
	" AND (?11 IS NULL OR a.uid = ?11)"                         \
	" AND (?6 IS NULL OR a.path = ?6"                           \
	"  OR substr(a.path, 1, length(?7)) = ?7"                   \
	"  OR a.path2 = ?6 OR substr(a.path2, 1, length(?7)) = ?7)" \
	" AND (?5 IS NULL OR CAST(a.path AS TEXT) GLOB ?5"          \
	"  OR CAST(a.path2 AS TEXT) GLOB ?5)"                       \
	" AND (?10 IS NULL OR p.tgid = ?10 OR a.tid = ?10)"         \
	" AND (?12 IS NULL OR p.comm = ?12)"

/* Only attempts have a process, so 10, 11 and 12 are the caller's to turn
 * into bits of no event. */
#define EVENTS                                       \
	" FROM event AS e"                           \
	" LEFT JOIN mount AS m ON m.id = e.mount_id" \
	" WHERE e.seq > ?1 AND e.seq < ?2"           \
	" AND e.t_real >= ?3 AND e.t_real <= ?4"     \
	" AND ?9 & CASE e.kind WHEN 'damage' THEN 1" \
	"  WHEN 'lost' THEN 2 ELSE 4 END"            \
	" AND (?6 IS NULL OR e.path = ?6"            \
	"  OR substr(e.path, 1, length(?7)) = ?7)"   \
	" AND (?5 IS NULL OR CAST(e.path AS TEXT) GLOB ?5)"

_Static_assert(LEDGER_EVENT_DAMAGE == 0 && LEDGER_EVENT_LOST == 1,
	"the bits in EVENTS");

static int add_columns(struct buf *b, bool of_event)
{
	int r = 0;

	for (int i = 0; r == 0 && i < QUERY_COLUMNS; i++) {
		const char *from =
			of_event ? sources[i].event : sources[i].attempt;

		r = buf_printf(
			b, "%s%s", i ? ", " : "SELECT ", from ? from : "NULL");
	}
	return r;
}

static int add_records(struct buf *b, const char *order)
{
	int r = add_columns(b, false);

	if (r == 0)
		r = buf_printf(b, "%s UNION ALL ", ATTEMPTS);
	if (r == 0)
		r = add_columns(b, true);
	if (r == 0)
		r = buf_printf(b, "%s ORDER BY 1 %s LIMIT ?13", EVENTS, order);
	return r;
}

int query_sql_forward(struct buf *ret)
{
	return add_records(ret, "ASC");
}

int query_sql_backward(struct buf *ret)
{
	return add_records(ret, "DESC");
}

int query_sql_nth(struct buf *ret)
{
	return buf_printf(ret,
		"SELECT min(seq) FROM (SELECT a.seq AS seq%s"
		" UNION ALL SELECT e.seq%s ORDER BY 1 DESC LIMIT ?13)",
		ATTEMPTS, EVENTS);
}

int query_sql_ancestors(struct buf *ret)
{
	/* The depth ends a ring of parents in a forged file. */
	return buf_printf(ret, "%s",
		"WITH RECURSIVE up(id, depth) AS ("
		" SELECT parent_id, 1 FROM proc WHERE id = ?1"
		" UNION ALL SELECT p.parent_id, depth + 1"
		" FROM up JOIN proc AS p ON p.id = up.id WHERE depth < 16)"
		" SELECT p.tgid, p.comm, p.exe, p.exe_digest, p.cmdline,"
		" p.start_real FROM up JOIN proc AS p ON p.id = up.id"
		" ORDER BY up.depth");
}

int query_sql_version(struct buf *ret)
{
	return buf_printf(ret, "PRAGMA data_version");
}
