/* SPDX-License-Identifier: Apache-2.0 */
/* Columns and statements of readers; see query_sql.h. */
#include "fs/audit/query_sql.h"

#include <stdbool.h>
#include <string.h>

#include "fs/audit/query.h"

const struct query_column_info query_columns[QUERY_COLUMNS] = {
	[QUERY_SEQ] = {"seq", QUERY_NUMBER},
	[QUERY_T_REAL] = {"time", QUERY_TIME},
	[QUERY_T_LAST] = {"last_time", QUERY_TIME},
	[QUERY_OP] = {"op", QUERY_TEXT},
	[QUERY_ERRNO] = {"errno", QUERY_NUMBER},
	[QUERY_RULE] = {"rule", QUERY_TEXT},
	[QUERY_COUNT] = {"count", QUERY_NUMBER},
	[QUERY_TARGETS] = {"targets", QUERY_NUMBER},
	[QUERY_PATH] = {"path", QUERY_NAME},
	[QUERY_PATH2] = {"path2", QUERY_NAME},
	[QUERY_DAC_DENIED] = {"dac_denied", QUERY_FLAG},
	[QUERY_INO] = {"ino", QUERY_NUMBER},
	[QUERY_PARENT_INO] = {"parent_ino", QUERY_NUMBER},
	[QUERY_TARGET_MODE] = {"target_mode", QUERY_NUMBER},
	[QUERY_TARGET_UID] = {"target_uid", QUERY_NUMBER},
	[QUERY_TARGET_GID] = {"target_gid", QUERY_NUMBER},
	[QUERY_TARGET_SIZE] = {"target_size", QUERY_NUMBER},
	[QUERY_TARGET_DIGEST] = {"target_digest", QUERY_DIGEST},
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
	[QUERY_TIMES] = {"times", QUERY_BLOB},
	[QUERY_TEXT_OF_EVENT] = {"text", QUERY_TEXT},
	[QUERY_T_BOOT] = {"t_boot", QUERY_NUMBER},
	[QUERY_MOUNT_ID] = {"mount_id", QUERY_NUMBER},
	[QUERY_MOUNT_POINT] = {"mount_point", QUERY_NAME},
	[QUERY_IMAGE_ID] = {"image_id", QUERY_DIGEST},
	[QUERY_IMAGE_PATH] = {"image_path", QUERY_NAME},
	[QUERY_TREE_ID] = {"tree_id", QUERY_DIGEST},
	[QUERY_POLICY_DIGEST] = {"policy_digest", QUERY_DIGEST},
	[QUERY_LABEL] = {"label", QUERY_TEXT},
	[QUERY_HOST] = {"host", QUERY_TEXT},
	[QUERY_MACHINE_ID] = {"machine_id", QUERY_TEXT},
	[QUERY_BOOT_ID] = {"boot_id", QUERY_TEXT},
	[QUERY_MOUNT_OPTIONS] = {"mount_options", QUERY_NAME},
	[QUERY_MOUNT_VERSION] = {"mount_version", QUERY_TEXT},
	[QUERY_MOUNT_PID] = {"mount_pid", QUERY_NUMBER},
	[QUERY_MOUNT_STARTED] = {"mount_started", QUERY_TIME},
	[QUERY_PROC_ID] = {"proc_id", QUERY_NUMBER},
	[QUERY_PARENT_ID] = {"parent_id", QUERY_NUMBER},
	[QUERY_PID] = {"pid", QUERY_NUMBER},
	[QUERY_PPID] = {"ppid", QUERY_NUMBER},
	[QUERY_VPID] = {"vpid", QUERY_NUMBER},
	[QUERY_COMM] = {"comm", QUERY_NAME},
	[QUERY_EXE] = {"exe", QUERY_NAME},
	[QUERY_EXE_DEV_MAJOR] = {"exe_dev_major", QUERY_NUMBER},
	[QUERY_EXE_DEV_MINOR] = {"exe_dev_minor", QUERY_NUMBER},
	[QUERY_EXE_INO] = {"exe_ino", QUERY_NUMBER},
	[QUERY_EXE_DIGEST] = {"exe_digest", QUERY_DIGEST},
	[QUERY_CMDLINE] = {"cmdline", QUERY_NAME},
	[QUERY_CMDLINE_NOTE] = {"cmdline_note", QUERY_TEXT},
	[QUERY_CWD] = {"cwd", QUERY_NAME},
	[QUERY_CGROUP] = {"cgroup", QUERY_NAME},
	[QUERY_CONTAINER] = {"container", QUERY_TEXT},
	[QUERY_RUNTIME] = {"runtime", QUERY_TEXT},
	[QUERY_POD] = {"pod", QUERY_TEXT},
	[QUERY_START_REAL] = {"start_time", QUERY_TIME},
	[QUERY_START_TICKS] = {"start_ticks", QUERY_NUMBER},
	[QUERY_EXEC_STAMP] = {"exec_stamp", QUERY_NUMBER},
	[QUERY_RUID] = {"proc_uid", QUERY_NUMBER},
	[QUERY_EUID] = {"proc_euid", QUERY_NUMBER},
	[QUERY_SUID] = {"proc_suid", QUERY_NUMBER},
	[QUERY_FSUID] = {"proc_fsuid", QUERY_NUMBER},
	[QUERY_RGID] = {"proc_gid", QUERY_NUMBER},
	[QUERY_EGID] = {"proc_egid", QUERY_NUMBER},
	[QUERY_SGID] = {"proc_sgid", QUERY_NUMBER},
	[QUERY_FSGID] = {"proc_fsgid", QUERY_NUMBER},
	[QUERY_GROUPS] = {"groups", QUERY_TEXT},
	[QUERY_AUID] = {"auid", QUERY_NUMBER},
	[QUERY_SES] = {"ses", QUERY_NUMBER},
	[QUERY_UMASK] = {"umask", QUERY_NUMBER},
	[QUERY_CAP_EFF] = {"cap_eff", QUERY_NUMBER},
	[QUERY_SECCOMP] = {"seccomp", QUERY_NUMBER},
	[QUERY_NO_NEW_PRIVS] = {"no_new_privs", QUERY_FLAG},
	[QUERY_LSM] = {"lsm", QUERY_NAME},
	[QUERY_PID_NS] = {"pid_ns", QUERY_NUMBER},
	[QUERY_USER_NS] = {"user_ns", QUERY_NUMBER},
	[QUERY_MNT_NS] = {"mnt_ns", QUERY_NUMBER},
	[QUERY_TTY] = {"tty", QUERY_NUMBER},
};

/* Where each column comes from, when it has one at all: for an attempt and for
 * an event. */
static const struct {
	const char *attempt, *event;
} sources[QUERY_COLUMNS] = {
	[QUERY_SEQ] = {"a.seq", "e.seq"},
	[QUERY_T_REAL] = {"a.t_real", "e.t_real"},
	[QUERY_T_LAST] = {"a.t_last", NULL},
	[QUERY_OP] = {"coalesce(o.name, a.op)", "e.kind"},
	[QUERY_ERRNO] = {"a.errno", NULL},
	[QUERY_RULE] = {"a.rule", NULL},
	[QUERY_COUNT] = {"a.count", "e.count"},
	[QUERY_TARGETS] = {"a.targets", NULL},
	[QUERY_PATH] = {"a.path", "e.path"},
	[QUERY_PATH2] = {"a.path2", NULL},
	[QUERY_DAC_DENIED] = {"a.dac_denied", NULL},
	[QUERY_INO] = {"a.ino", NULL},
	[QUERY_PARENT_INO] = {"a.parent_ino", NULL},
	[QUERY_TARGET_MODE] = {"n.mode", NULL},
	[QUERY_TARGET_UID] = {"n.uid", NULL},
	[QUERY_TARGET_GID] = {"n.gid", NULL},
	[QUERY_TARGET_SIZE] = {"n.size", NULL},
	[QUERY_TARGET_DIGEST] = {"n.digest", NULL},
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
	[QUERY_TIMES] = {"a.times", NULL},
	[QUERY_TEXT_OF_EVENT] = {NULL, "e.text"},
	[QUERY_T_BOOT] = {"a.t_boot", "e.t_boot"},
	[QUERY_MOUNT_ID] = {"a.mount_id", "e.mount_id"},
	[QUERY_MOUNT_POINT] = {"m.mount_point", "m.mount_point"},
	[QUERY_IMAGE_ID] = {"m.image_id", "m.image_id"},
	[QUERY_IMAGE_PATH] = {"m.image_path", "m.image_path"},
	[QUERY_TREE_ID] = {"m.tree_id", "m.tree_id"},
	[QUERY_POLICY_DIGEST] = {"m.policy_digest", "m.policy_digest"},
	[QUERY_LABEL] = {"m.label", "m.label"},
	[QUERY_HOST] = {"m.host", "m.host"},
	[QUERY_MACHINE_ID] = {"m.machine_id", "m.machine_id"},
	[QUERY_BOOT_ID] = {"m.boot_id", "m.boot_id"},
	[QUERY_MOUNT_OPTIONS] = {"m.options", "m.options"},
	[QUERY_MOUNT_VERSION] = {"m.version", "m.version"},
	[QUERY_MOUNT_PID] = {"m.pid", "m.pid"},
	[QUERY_MOUNT_STARTED] = {"m.started", "m.started"},
	[QUERY_PROC_ID] = {"a.proc_id", NULL},
	[QUERY_PARENT_ID] = {"p.parent_id", NULL},
	[QUERY_PID] = {"p.tgid", NULL},
	[QUERY_PPID] = {"p.ppid", NULL},
	[QUERY_VPID] = {"p.vpid", NULL},
	[QUERY_COMM] = {"p.comm", NULL},
	[QUERY_EXE] = {"p.exe", NULL},
	[QUERY_EXE_DEV_MAJOR] = {"p.exe_dev_major", NULL},
	[QUERY_EXE_DEV_MINOR] = {"p.exe_dev_minor", NULL},
	[QUERY_EXE_INO] = {"p.exe_ino", NULL},
	[QUERY_EXE_DIGEST] = {"p.exe_digest", NULL},
	[QUERY_CMDLINE] = {"p.cmdline", NULL},
	[QUERY_CMDLINE_NOTE] = {"p.cmdline_note", NULL},
	[QUERY_CWD] = {"p.cwd", NULL},
	[QUERY_CGROUP] = {"p.cgroup", NULL},
	[QUERY_CONTAINER] = {"p.container", NULL},
	[QUERY_RUNTIME] = {"p.runtime", NULL},
	[QUERY_POD] = {"p.pod", NULL},
	[QUERY_START_REAL] = {"p.start_real", NULL},
	[QUERY_START_TICKS] = {"p.start_ticks", NULL},
	[QUERY_EXEC_STAMP] = {"p.exec_stamp", NULL},
	[QUERY_RUID] = {"p.uid", NULL},
	[QUERY_EUID] = {"p.euid", NULL},
	[QUERY_SUID] = {"p.suid", NULL},
	[QUERY_FSUID] = {"p.fsuid", NULL},
	[QUERY_RGID] = {"p.gid", NULL},
	[QUERY_EGID] = {"p.egid", NULL},
	[QUERY_SGID] = {"p.sgid", NULL},
	[QUERY_FSGID] = {"p.fsgid", NULL},
	[QUERY_GROUPS] = {"p.groups", NULL},
	[QUERY_AUID] = {"p.auid", NULL},
	[QUERY_SES] = {"p.ses", NULL},
	[QUERY_UMASK] = {"p.umask", NULL},
	[QUERY_CAP_EFF] = {"p.cap_eff", NULL},
	[QUERY_SECCOMP] = {"p.seccomp", NULL},
	[QUERY_NO_NEW_PRIVS] = {"p.no_new_privs", NULL},
	[QUERY_LSM] = {"p.lsm", NULL},
	[QUERY_PID_NS] = {"p.pid_ns", NULL},
	[QUERY_USER_NS] = {"p.user_ns", NULL},
	[QUERY_MNT_NS] = {"p.mnt_ns", NULL},
	[QUERY_TTY] = {"p.tty", NULL},
};

#define ATTEMPT_JOINS                                \
	" LEFT JOIN op AS o ON o.op = a.op"          \
	" LEFT JOIN proc AS p ON p.id = a.proc_id"   \
	" LEFT JOIN mount AS m ON m.id = a.mount_id" \
	" LEFT JOIN node AS n ON n.mount_id = a.mount_id AND n.ino = a.ino"

static const char *const tails[] = {
	[QUERY_ATTEMPT] =
		", a.names FROM attempt AS a" ATTEMPT_JOINS " WHERE a.seq = ?1",
	[QUERY_FOLD] = ", NULL FROM fold AS a" ATTEMPT_JOINS " WHERE a.id = ?1",
	[QUERY_EVENT] = ", NULL FROM event AS e"
			" LEFT JOIN mount AS m ON m.id = e.mount_id"
			" WHERE e.seq = ?1",
};

_Static_assert(QUERY_COLUMNS <= 128, "bits in query_filter.only");

/* What query.h promises about targets and events comes from these. */
static bool is_needed(int column, const uint64_t only[2])
{
	switch (column) {
	case QUERY_SEQ:
	case QUERY_T_REAL:
	case QUERY_T_LAST:
	case QUERY_COUNT:
	case QUERY_PATH:
	case QUERY_PATH2:
	case QUERY_TEXT_OF_EVENT: return true;
	default:
		return (!only[0] && !only[1]) ||
		       only[column / 64] >> column % 64 & 1;
	}
}

static const char *source_of(
	int column, enum query_table table, const uint64_t only[2])
{
	const char *from = table == QUERY_EVENT ? sources[column].event
						: sources[column].attempt;

	/* What is still being counted has no number. */
	if (!from || !is_needed(column, only) ||
		(column == QUERY_SEQ && table == QUERY_FOLD))
		return "NULL";
	return from;
}

int query_sql_record(
	struct buf *ret, enum query_table table, const uint64_t only[2])
{
	int r = 0;

	for (int i = 0; r == 0 && i < QUERY_COLUMNS; i++)
		r = buf_printf(ret, "%s%s", i ? ", " : "SELECT ",
			source_of(i, table, only));
	return r < 0 ? r : buf_add(ret, tails[table], strlen(tails[table]) + 1);
}
