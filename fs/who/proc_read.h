/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one process from /proc, for proc.c. Stateless; blocks for nobody. */
#ifndef FS_WHO_PROC_READ_H
#define FS_WHO_PROC_READ_H

#include "fs/who/proc.h"

/* What one read of a thread's stat file tells. */
struct proc_stat {
	pid_t ppid;
	uint64_t start_ticks; /* of the thread */
	uint64_t exec_stamp;
	struct proc_number tty;
};

/*
 * Open the stat file of a thread. It is the one below task/, which tells of
 * the thread alone: the other sums up all threads of the process, and their
 * number is the attacker's to choose. A descriptor or -errno (-ENOENT: gone).
 */
int proc_read_open(pid_t tid) must_check;

/* -ESRCH when the thread that was opened is gone. */
int proc_read_stat(int fd, struct proc_stat *ret) must_check;

/* The thread group that a thread belongs to, or -errno. */
pid_t proc_read_tgid(pid_t tid) must_check;

/* What reading takes. */
struct proc_reader {
	struct proc_options opt;
	struct cmdline *cmdline; /* helper for what can block */
	bool has_labels;	 /* a security module labels processes */
};

/* Whether the kernel has labels for processes, by asking for our own. */
bool proc_read_has_labels(struct cmdline *cmdline);

/*
 * Everything of facts but key and ppid. What can't be read is left unknown.
 * 0; -ENOMEM; -errno when the process is gone.
 */
int proc_read_facts(pid_t tid, const struct proc_reader *reader,
	struct proc_facts *facts) must_check;

void proc_read_done(struct proc_facts *facts);

/* True when /proc shows our own pid namespace, so that its numbers are ours. */
bool proc_read_is_ours(void);

#endif
