/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a ledger, also while a mount writes to it: records that match a
 * filter, in the order of their numbers, each joined with the facts of its
 * process and its mount.
 *
 * Rows are read in batches, and between batches no read transaction is open:
 * a reader that waits (for a pager, for new records) never holds up the writer
 * or makes its log grow. The file is opened read-only and is not trusted.
 * A query belongs to one thread at a time.
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
};

/* Columns of a record. Names and kinds: query_columns. */
enum query_column {
	QUERY_SEQ,
	QUERY_T_REAL,
	QUERY_OP, /* "open", ..., "damage", "lost" */
	QUERY_ERRNO,
	QUERY_PATH,
	QUERY_PATH2,
	QUERY_DAC_DENIED,
	QUERY_INO,
	QUERY_PARENT_INO,
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
	QUERY_TEXT_OF_EVENT, /* null for an attempt, and only then */
	QUERY_COUNT_OF_EVENT,
	QUERY_T_BOOT,
	QUERY_BOOT_ID,
	QUERY_MOUNT_ID,
	QUERY_MOUNT_POINT,
	QUERY_IMAGE_ID,
	QUERY_IMAGE_PATH,
	QUERY_PROC_ID, /* this and what follows: null when not known */
	QUERY_PID,
	QUERY_PPID,
	QUERY_COMM,
	QUERY_EXE,
	QUERY_EXE_DIGEST,
	QUERY_CMDLINE, /* arguments, each with a NUL behind it */
	QUERY_CMDLINE_NOTE,
	QUERY_CWD,
	QUERY_CGROUP,
	QUERY_START_REAL,
	QUERY_START_TICKS,
	QUERY_RUID,
	QUERY_EUID,
	QUERY_SUID,
	QUERY_RGID,
	QUERY_EGID,
	QUERY_SGID,
	QUERY_GROUPS,
	QUERY_AUID,
	QUERY_SES,
	QUERY_CAP_EFF,
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
};

/* Zeroed, it lets everything pass. Strings are borrowed while a query runs. */
struct query_filter {
	int64_t since, until; /* ns, both included; until 0: no end */
	const char *path;     /* GLOB: * ? [a-z], * matches '/' too; [*] is a
			       * star; matches the path or the second path */
	const char *under;    /* a folder: itself and all below it */
	uint64_t ops;	      /* bits 1 << ledger_op; with events 0 too: any */
	unsigned events;      /* bits 1 << ledger_event */
	pid_t pid;	      /* process or thread; 0: any */
	bool has_uid;
	uid_t uid;	  /* the one the attempt was made with */
	const char *comm; /* the whole name */
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
 * them, that many; last < 0: all. 0 or -errno (query_error).
 */
int query_start(struct query *q, const struct query_filter *filter,
	enum query_order order, int64_t last) must_check;

/* The next record, valid until the next call: 1; 0 at the end; -errno. */
int query_next(struct query *q, const struct query_row **ret) must_check;

/*
 * After the end of a forward query: 1 when records have been added since, and
 * then query_next goes on with those that match; 0; -errno. Cheap enough to be
 * asked many times a second.
 */
int query_more(struct query *q) must_check;

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
