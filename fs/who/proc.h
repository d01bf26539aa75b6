/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who tried: facts of the process behind a thread that waits for our answer.
 *
 * A process is told from another by its thread group id, its start time and a
 * stamp that changes with every execve (where the kernel put its code, stack,
 * heap and arguments). For a thread that was seen before, one pread of its
 * /proc/TID/task/TID/stat proves that it is still the same thread of the same
 * program: the descriptor belongs to the thread, not to the number, and fails
 * with ESRCH when that thread is gone, whoever has the number now.
 *
 * Facts are taken at first sight and do not change afterwards, though a process
 * may later change its directory or its user ids; the ids that an attempt was
 * made with are part of the attempt.
 *
 * While a request is unanswered its thread can't exit, and its process can't
 * finish an execve, so what is read from /proc/TID belongs together. Ancestors
 * are not held like that: they are read between two equal looks at their
 * identity, and linked only if the child still names them as its parent after.
 *
 * Nothing here can wait for our own mount: links of /proc are only read
 * (readlink gives the kernel's text of a path and asks no filesystem), the
 * executable is looked up with AT_STATX_DONT_SYNC (fuse_update_get_attr then
 * answers from memory and sends no request), cmdline and attr/current have a
 * helper (cmdline.h says why), and environ, maps and mem are not touched. stat,
 * status, comm, cgroup, loginuid and sessionid take no lock that is held across
 * file I/O.
 */
#ifndef FS_WHO_PROC_H
#define FS_WHO_PROC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/cleanup.h"
#include "fs/codec/digest.h"
#include "fs/who/cmdline.h"
#include "fs/who/lru.h"

#define PROC_ANCESTORS 16

/*
 * The file that a program runs from, when it lies in the image: *ret filled
 * and true. dev and ino are what statx gives for the executable. Called
 * without locks, from any thread; must not do I/O on the mount.
 */
typedef bool (*proc_exe_digest)(void *arg, uint32_t dev_major,
	uint32_t dev_minor, uint64_t ino, struct digest *ret);

/* Raw bytes as the kernel gives them; data NULL: not known. */
struct proc_bytes {
	char *data; /* owned */
	size_t len;
};

/* A number that may be unknown. */
struct proc_number {
	bool known;
	int64_t value;
};

struct proc_ids {
	struct proc_number real, effective, saved, fs;
};

/* Which process; equal for two looks at one program in one process. */
struct proc_key {
	pid_t tgid;
	uint64_t start_ticks; /* since boot, in clock ticks */
	uint64_t exec_stamp;
};

struct proc_facts {
	struct proc_key key;
	pid_t ppid;	    /* 0: no parent, or one that is not visible */
	int64_t start_real; /* start by the wall clock, nanoseconds */
	struct proc_bytes exe, comm, cmdline, cwd, cgroup, groups;
	const char *cmdline_note; /* NULL: whole; else "cut", "timeout",
				   * "unreadable"; static */
	bool has_exe_file;
	uint32_t exe_dev_major, exe_dev_minor;
	uint64_t exe_ino;
	bool has_exe_digest;
	struct digest exe_digest;
	struct proc_ids uid, gid;
	struct proc_number auid, ses, cap_eff, pid_ns, user_ns, mnt_ns, tty;
	struct proc_number vpid; /* its number in its own pid namespace */
	struct proc_number umask, seccomp, no_new_privs;
	struct proc_bytes lsm; /* label by AppArmor, SELinux or Smack */
	/* From cgroup, see container.h; NULL: in none that is known. */
	char *container, *pod; /* owned */
	const char *runtime;   /* static */
};

/* Facts do not change; parent, and from row to used, belong to the ledger's
 * writer, see ledger.c. */
struct proc {
	struct proc_facts facts;
	atomic_uint refs;
	atomic_bool stored;  /* row is committed; parent is NULL from then on */
	unsigned depth;	     /* parents that were not stored at first sight */
	struct proc *parent; /* a reference, or NULL */
	int64_t row;	     /* in table proc; 0: none yet */
	struct digest digest; /* of that row */
	int64_t busy_until;   /* how fast it tries: fs/ledger/folding.c */
	int64_t first, used;  /* records that need its row: fs/ledger/sweep.h */
	struct lru_node node;
};

struct proc_options {
	proc_exe_digest exe_digest; /* may be NULL */
	void *exe_digest_arg;
	size_t max_processes;	      /* 0: 4096 are remembered */
	size_t max_threads;	      /* 0: 256, each with an open descriptor */
	cmdline_read_fn read_cmdline; /* NULL: read(2); attr/current, too */
	void *read_cmdline_arg;
	uint64_t cmdline_bound_ns; /* 0: 50 ms */
};

struct proc_table;

/* Starts a helper thread: call it after the last fork. 0 or -errno. */
int proc_table_new(
	const struct proc_options *opt, struct proc_table **ret) must_check;

/* Processes that are still referred to live on. NULL is allowed. */
void proc_table_free(struct proc_table *t);
DEFINE_CLEANUP(proc_table_free, struct proc_table *);

/*
 * The process of a waiting thread, with its ancestors (to pid 1, at most
 * PROC_ANCESTORS); a reference that the caller gives back. NULL when nothing
 * can be said for sure: tid 0, no such thread in our /proc, /proc of another
 * pid namespace, out of memory or descriptors. Thread-safe. Costs one pread
 * when the thread was seen before, else some thirty system calls.
 */
struct proc *proc_find(struct proc_table *t, pid_t tid) must_check;

struct proc *proc_ref(struct proc *p);
void proc_unref(struct proc *p); /* NULL is allowed; not recursive */
DEFINE_CLEANUP(proc_unref, struct proc *);

#endif
