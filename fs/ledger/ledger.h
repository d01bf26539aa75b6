/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of attempts. One ledger belongs to one mount point and is
 * appended to by one mount at a time; readers may look at it at any moment.
 *
 * The law of this file: ledger_attempt returns 0 only after the record is
 * committed, so whoever answers the caller afterwards can say "nothing was
 * refused that is not in here", also after a kill -9 of the process.
 */
#ifndef FS_LEDGER_LEDGER_H
#define FS_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/who/proc.h"

struct ledger;
struct clerk_pace;

/* What is written once for each mount. Strings are borrowed for the call. */
struct ledger_mount {
	struct digest image_id, tree_id;
	const char *image_path;
	const char *mount_point;
	const char *options;
	const struct digest *policy; /* of the writable paths, or NULL */
	const char *label;	     /* what the user calls it, or NULL */
	const char *version;	     /* of the program */
};

/* Facts of an inode of the image that somebody tried to change. */
struct ledger_node {
	uint32_t mode, uid, gid;
	uint64_t size;
	bool has_digest; /* a regular file: SHA-256 of its content */
	struct digest digest;
};

/* When the ledger has reached its size or the disk is full. */
enum ledger_on_full {
	LEDGER_AGGREGATE, /* count what comes, in a gap record; the default */
	LEDGER_BLOCK,	  /* attempts wait until there is room */
	LEDGER_ROTATE,	  /* remove the oldest segments that are anchored; when
			   * there are none, as LEDGER_AGGREGATE */
	LEDGER_HALT,	  /* every request gets EIO until an operator acts */
};

struct ledger_options {
	bool fsync; /* durability=fsync: a commit survives power loss */
	proc_exe_digest exe_digest; /* may be NULL */
	void *exe_digest_arg;

	enum ledger_on_full on_full;
	uint64_t max_bytes;    /* of the files of the ledger; 0: no limit */
	uint64_t keep_seconds; /* older segments are removed; 0: never */
	uint64_t process_rate; /* bytes a second that one process may add */
	uint64_t group_rate;   /* the same for all of a cgroup */
	bool recover; /* go on with a ledger whose end does not verify */

	/* Lists end with NULL; borrowed as long as the ledger is open. */
	const char *const *anchors; /* file:PATH, syslog, stdout, exec:CMD */
	const char *const *alerts;  /* exec:CMD */
	const char *metrics;	    /* file:PATH or unix:PATH, or NULL */

	const struct clerk_pace *pace; /* NULL: as usual; for tests */
};

/*
 * Open or create the ledger at path (mode 0600) and record a mount in it.
 * Starts a thread: call it in the process that serves, after its last fork.
 * -EBUSY when another mount writes to it (diag names its process), -EBADMSG
 * when the file is no ledger, -EOPNOTSUPP when a newer version wrote it,
 * -EPERM when it belongs to another user or is a symbolic link.
 */
int ledger_open(const char *path, const struct ledger_mount *mount,
	const struct ledger_options *opt, struct ledger **ret,
	struct diag *diag) must_check;

/* Records the end of the mount and closes. NULL is allowed. */
void ledger_close(struct ledger *l);
DEFINE_CLEANUP(ledger_close, struct ledger *);

/*
 * Kinds of attempts: what the caller asked for. Names: ledger_op_name. The
 * numbers are stored: new kinds go to the end.
 */
enum ledger_op {
	LEDGER_OPEN,	/* open for writing, or with O_TRUNC */
	LEDGER_CREATE,	/* open with O_CREAT of a missing name */
	LEDGER_TMPFILE, /* O_TMPFILE */
	LEDGER_MKNOD,
	LEDGER_MKDIR,
	LEDGER_SYMLINK, /* path2: the target */
	LEDGER_LINK,	/* path: the new name; path2: the existing file */
	LEDGER_UNLINK,
	LEDGER_RMDIR,
	LEDGER_RENAME, /* path: from; path2: to */
	LEDGER_CHMOD,
	LEDGER_CHOWN,
	LEDGER_TRUNCATE,
	LEDGER_UTIMES,
	LEDGER_SETXATTR,
	LEDGER_REMOVEXATTR,
	LEDGER_WRITE,
	LEDGER_FALLOCATE,
	LEDGER_COPY_FILE_RANGE,
	LEDGER_SETFLAGS, /* FS_IOC_SETFLAGS and friends */
	LEDGER_ACCESS,	 /* a probe: access(2) with W_OK */
	LEDGER_OP_COUNT,
};

/* "open", "create", ...; what stele log prints and --op takes. */
const char *ledger_op_name(enum ledger_op op);
/* -EINVAL for an unknown name. */
int ledger_op_parse(const char *name, enum ledger_op *ret) must_check;

#define LEDGER_HAS_FLAGS (1u << 0)
#define LEDGER_HAS_MODE (1u << 1)
#define LEDGER_HAS_SIZE (1u << 2)
#define LEDGER_HAS_OWNER (1u << 3)
#define LEDGER_HAS_TIMES (1u << 4)

/* One attempt as the mount saw it. Paths may hold any byte but NUL. */
struct ledger_attempt {
	enum ledger_op op;
	int error;	 /* answered errno, positive */
	bool dac_denied; /* permission bits alone would have refused it */
	const char *path;
	const char *path2; /* or NULL */
	const char *rule;  /* what refused it: "image", or a policy's path */
	uint64_t ino;	   /* of the target, or of its folder */
	/* Facts of the target, or NULL: then its ino is not stored either,
	 * since a record vouches for what it says of an inode. */
	const struct ledger_node *node;
	bool ino_is_parent; /* the target does not exist: ino is its folder */
	unsigned has;	    /* LEDGER_HAS_*: which of these are given */
	uint32_t flags;	    /* open, rename, ioctl command, access mask */
	uint32_t mode;	    /* create, mknod, mkdir, chmod */
	uint64_t size;	    /* truncate, write, fallocate, xattr value */
	uint64_t off;	    /* write, fallocate */
	uint32_t new_uid, new_gid; /* chown; ~0: unchanged */
	int64_t atime, mtime;	   /* utimes, nanoseconds; INT64_MIN: omitted */
	const char *xattr;	   /* name, or NULL */
	pid_t tid;		   /* 0: the caller is not visible from here */
	uid_t uid;		   /* fsuid, fsgid of the caller */
	gid_t gid;
};

/*
 * Store an attempt, with the facts of the process behind tid, which must be
 * waiting for our answer so that /proc/<tid> is stable. Returns 0 when it is
 * committed, and after which time the caller may have its answer (0: at once;
 * more when the process or its cgroup adds faster than it may;
 * ret_delay_ns may be NULL); -errno when it
 * could not be stored (disk full, ...), and then the caller must not be told
 * EROFS; -EAGAIN when it is to wait until there is room (LEDGER_BLOCK): try it
 * again after a second. Thread-safe; concurrent calls share commits.
 */
int ledger_attempt(struct ledger *l, const struct ledger_attempt *a,
	uint64_t *ret_delay_ns) must_check;

/* LEDGER_HALT, and the ledger was full once: everything is to be answered EIO,
 * reads too. Thread-safe. */
bool ledger_is_halted(const struct ledger *l);

/* Other things that happen to a mount and matter to an investigator. */
enum ledger_event {
	LEDGER_EVENT_DAMAGE, /* bytes of the image did not match their digest */
	LEDGER_EVENT_LOST,   /* attempts that could not be recorded, with their
			      * number; they were answered EIO */
	LEDGER_EVENT_MOUNT,  /* a mount began to write */
	LEDGER_EVENT_UNMOUNT,
	LEDGER_EVENT_HEARTBEAT, /* nothing happened, and somebody is there */
	LEDGER_EVENT_RECOVERY,	/* the writer before did not end in order, or
				 * the end of the ledger did not verify: what
				 * was found */
	LEDGER_EVENT_GAP,	/* attempts that were only counted, with their
				 * number: the ledger was full */
	LEDGER_EVENT_PRUNE,	/* records were removed by retention */
	LEDGER_EVENT_CLOCK,	/* the wall clock was set */
	LEDGER_EVENT_ALARM,	/* an anchor, an alert or the disk failed */
	LEDGER_EVENT_COUNT,
};

/* "damage", "lost"; stored, and what stele log prints and --op takes. */
const char *ledger_event_name(enum ledger_event kind);
/* -EINVAL for an unknown name. */
int ledger_event_parse(const char *name, enum ledger_event *ret) must_check;

/* Store an event; text is one line. Thread-safe. 0 or -errno. */
int ledger_event(struct ledger *l, enum ledger_event kind, const char *path,
	const char *text) must_check;

#endif
