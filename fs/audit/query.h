/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a ledger, also while a mount writes to it: records that match a
 * filter, in the order of their numbers, each joined with the facts of its
 * process, its mount and its target.
 *
 * Rows are read in batches, and between batches no read transaction is open:
 * a reader that waits (for a pager, for new records) never holds up the writer
 * or makes its log grow. The file is opened read-only and is not trusted.
 * A query belongs to one thread at a time.
 *
 * What is still being counted. Attempts that come fast are counted in open
 * records, which have no number yet and change until they are closed; then
 * they become rows like others. An answer is the ledger as it was at one
 * moment, that of query_start: in one read transaction it takes the number of
 * the newest record and a copy of all open ones that match. Up to that number
 * records never change any more, so it does not matter when they are read; and
 * an open record that is closed while they are read becomes a record with a
 * higher number, which the answer leaves out. So each attempt is in the answer
 * once, wherever it stood at that moment. Who follows leaves the open ones out
 * and sees each as a record when it is closed.
 */
#ifndef FS_AUDIT_QUERY_H
#define FS_AUDIT_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/base/diag.h"
#include "fs/ledger/ledger.h"

/* What a cell holds, when it is not null. */
enum query_kind {
	QUERY_NUMBER, /* number */
	QUERY_FLAG,   /* number, 0 or 1 */
	QUERY_TIME,   /* number: nanoseconds since 1970, UTC */
	QUERY_TEXT,   /* bytes, expected to be UTF-8 */
	QUERY_NAME,   /* bytes of any kind */
	QUERY_DIGEST, /* bytes, expected to be DIGEST_LEN of them */
	QUERY_BLOB,   /* bytes in a format of our own */
};

/* Columns of a record. Names and kinds: query_columns. */
enum query_column {
	QUERY_SEQ, /* null: still being counted */
	QUERY_T_REAL,
	QUERY_T_LAST, /* null: the same, there was one attempt */
	QUERY_OP,     /* "open", ..., "damage", "lost" */
	QUERY_ERRNO,
	QUERY_RULE,
	QUERY_COUNT, /* attempts that it stands for; lost, gap: how many */
	QUERY_TARGETS,
	QUERY_PATH, /* with several targets: the folder of all of them */
	QUERY_PATH2,
	QUERY_DAC_DENIED,
	QUERY_INO,
	QUERY_PARENT_INO,
	QUERY_TARGET_MODE, /* null: the target does not exist */
	QUERY_TARGET_UID,
	QUERY_TARGET_GID,
	QUERY_TARGET_SIZE,
	QUERY_TARGET_DIGEST,
	QUERY_FLAGS,
	QUERY_MODE,
	QUERY_SIZE,
	QUERY_OFF,
	QUERY_NEW_UID,
	QUERY_NEW_GID,
	QUERY_ATIME,
	QUERY_MTIME,
	QUERY_XATTR,
	QUERY_CALLER_VISIBLE,
	QUERY_TID,
	QUERY_UID,
	QUERY_GID,
	QUERY_TIMES,	     /* when the attempts were, see README.md */
	QUERY_TEXT_OF_EVENT, /* null for an attempt, and only then */
	QUERY_T_BOOT,
	QUERY_MOUNT_ID,
	QUERY_MOUNT_POINT,
	QUERY_IMAGE_ID,
	QUERY_IMAGE_PATH,
	QUERY_TREE_ID,
	QUERY_POLICY_DIGEST,
	QUERY_LABEL,
	QUERY_HOST,
	QUERY_MACHINE_ID,
	QUERY_BOOT_ID,
	QUERY_MOUNT_OPTIONS,
	QUERY_MOUNT_VERSION,
	QUERY_MOUNT_PID,
	QUERY_MOUNT_STARTED,
	QUERY_PROC_ID, /* this and what follows: null when not known */
	QUERY_PARENT_ID,
	QUERY_PID,
	QUERY_PPID,
	QUERY_VPID,
	QUERY_COMM,
	QUERY_EXE,
	QUERY_EXE_DEV_MAJOR,
	QUERY_EXE_DEV_MINOR,
	QUERY_EXE_INO,
	QUERY_EXE_DIGEST,
	QUERY_CMDLINE, /* arguments, each with a NUL behind it */
	QUERY_CMDLINE_NOTE,
	QUERY_CWD,
	QUERY_CGROUP,
	QUERY_CONTAINER,
	QUERY_RUNTIME,
	QUERY_POD,
	QUERY_START_REAL,
	QUERY_START_TICKS,
	QUERY_EXEC_STAMP,
	QUERY_RUID,
	QUERY_EUID,
	QUERY_SUID,
	QUERY_FSUID,
	QUERY_RGID,
	QUERY_EGID,
	QUERY_SGID,
	QUERY_FSGID,
	QUERY_GROUPS,
	QUERY_AUID,
	QUERY_SES,
	QUERY_UMASK,
	QUERY_CAP_EFF,
	QUERY_SECCOMP,
	QUERY_NO_NEW_PRIVS,
	QUERY_LSM,
	QUERY_PID_NS,
	QUERY_USER_NS,
	QUERY_MNT_NS,
	QUERY_TTY,
	QUERY_COLUMNS,
};

struct query_column_info {
	const char *name; /* the key in JSON */
	enum query_kind kind;
};

extern const struct query_column_info query_columns[QUERY_COLUMNS];

struct query_cell {
	bool null;
	int64_t number;
	const char *bytes;
	size_t len;
};

struct query_row {
	struct query_cell cell[QUERY_COLUMNS];
	struct query_cell names; /* packed targets: ask query_targets */
};

/*
 * Zeroed, it lets everything pass. Strings are borrowed while a query runs.
 * Events have neither a process nor a rule, so where only some of these may
 * pass, no event does, unless events names it.
 */
struct query_filter {
	/* ns, both included; until 0: no end. A record passes when any time
	 * from its first attempt to its last does. */
	int64_t since, until;
	/* A record passes when one of its targets, or the second path of one,
	 * does. path and under must hold for the same target. */
	const char *path;  /* GLOB: * ? [a-z], * matches '/' too; [*] is a
			    * star */
	const char *under; /* a folder: itself and all below it */
	uint64_t ops;	   /* bits 1 << ledger_op; with events 0 too: any */
	unsigned events;   /* bits 1 << ledger_event */
	pid_t pid;	   /* process or thread; 0: any */
	pid_t tree;	   /* process and all that descend from it; 0: any */
	const char *exe;   /* GLOB */
	const char *comm;  /* the whole name */
	const char *container; /* beginning of the id */
	const char *rule;
	int error; /* errno that was answered; 0: any */
	bool has_uid;
	uid_t uid; /* the one the attempt was made with */
	bool has_boot;
	int64_t boot; /* 0: the last one that is recorded, -1: before that */
	const char *boot_id; /* its beginning; '-' does not count */
	bool closed;	     /* leave out what is still being counted */
	/* What of the rows is needed: bits 1 << column % 64 in only[column /
	 * 64]; none: all of it. Other cells may be null. */
	uint64_t only[2];
};

enum query_order { QUERY_FORWARD, QUERY_BACKWARD };

struct query;

/*
 * -EBADMSG when the file is no ledger or is damaged, -EOPNOTSUPP when a newer
 * version wrote it, -errno; diag says it. Works on a read-only filesystem and
 * without the -shm file, too.
 */
int query_open(
	const char *path, struct query **ret, struct diag *diag) must_check;
void query_close(struct query *q); /* NULL is allowed */
DEFINE_CLEANUP(query_close, struct query *);

/*
 * Begin with the records that are there now and match: only the last ones of
 * them, that many; last < 0: all. What is still being counted comes after all
 * others (before them when the order is backward). 0 or -errno (query_error);
 * -E2BIG: more open records than a mount ever has.
 */
int query_start(struct query *q, const struct query_filter *filter,
	enum query_order order, int64_t last) must_check;

/* The next record, valid until the next call: 1; 0 at the end; -errno. */
int query_next(struct query *q, const struct query_row **ret) must_check;

/*
 * After the end of a forward query that left open records out: 1 when records
 * have been added since, and then query_next goes on with those that match; 0;
 * -errno. Cheap enough to be asked many times a second.
 */
int query_more(struct query *q) must_check;

/* A target of a record: what was attempted how often, from when to when. */
struct query_target {
	struct query_cell path, path2;
	int64_t count;
	int64_t first, last; /* by the wall clock, ns; kept to the µs */
};

/*
 * Call fn for those targets of a record that the filter's path and under let
 * pass, in the order of their first attempts; a record without a list has one.
 * Stops when fn gives other than 0 and returns that. row is the one that
 * query_next gave last. -EBADMSG when the list is malformed: query_error names
 * the record.
 */
int query_targets(struct query *q, const struct query_row *row,
	int (*fn)(void *arg, const struct query_target *t),
	void *arg) must_check;

/* One ancestor of a process; cells as in a row, valid during the call. */
struct query_ancestor {
	int64_t pid;
	struct query_cell comm, exe, exe_digest, cmdline, start_real;
};

/* Call fn for the recorded ancestors of a process, parent first, at most 16;
 * stops when fn gives other than 0 and returns that. */
int query_ancestors(struct query *q, int64_t proc_id,
	int (*fn)(void *arg, const struct query_ancestor *a),
	void *arg) must_check;

/* Why the last call failed. */
const char *query_error(struct query *q);

#endif
