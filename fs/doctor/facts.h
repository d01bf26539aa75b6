/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the doctor knows of the running machine: our mounts wherever they are
 * seen, their daemons, the places of their ledgers. look.c fills it in, judge.c
 * judges; so the judgement can be tested without a sick machine.
 *
 * Whatever could not be found out is left unknown, and unknown is never a
 * finding.
 */
#ifndef FS_DOCTOR_FACTS_H
#define FS_DOCTOR_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/mountinfo.h"

/* Inodes of the first namespaces: the kernel gives them these numbers. */
#define DOCTOR_FIRST_PID_NS UINT64_C(4026531836)
#define DOCTOR_FIRST_USER_NS UINT64_C(4026531837)

/* A mount of ours in one mount namespace. */
struct doctor_seen {
	struct mountinfo m;
	uint64_t ns;   /* inode of the mount namespace */
	bool here;     /* it is that of who asks */
	pid_t pid;     /* a process in it */
	char comm[32]; /* its name */
	char *cover;   /* where a mount lies that hides this one, or NULL */
};

enum doctor_state {
	DOCTOR_UNKNOWN,
	DOCTOR_ANSWERS,
	DOCTOR_DEAD,  /* the kernel knows that nobody serves it */
	DOCTOR_STUCK, /* no answer in time */
};

/* The process that serves a mount. */
struct doctor_daemon {
	pid_t pid;    /* 0: not found */
	bool stopped; /* by a signal or a debugger */
	uint64_t pid_ns, user_ns;
	bool knows_uid;
	uid_t uid;
	bool knows_caps;
	uint64_t caps;	/* effective */
	bool knows_ids; /* whether all ids are mapped */
	bool has_all_ids;
	bool knows_oom;
	int oom_score_adj;
	char *cgroup; /* the text of /proc/PID/cgroup, or NULL; owned */
	bool has_connection;
	uint32_t connection; /* minor number of the file system it serves */
	char *ledger;	     /* that it holds the lock of, or NULL; owned */
};

/* A file system that holds a ledger. */
struct doctor_store {
	char *ledger;  /* the file, or NULL: none is known; owned */
	bool in_place; /* it is where readers look for it by themselves */
	char *folder;  /* that it is in; owned */
	char *fstype, *fs_dir; /* from mountinfo, or NULL; owned */
	uint64_t bytes, free;  /* 0 bytes: unknown */
	bool knows_xattrs, has_xattrs;
	bool has_file; /* whether what follows is known */
	uid_t owner;
	mode_t mode, key_mode; /* 0: there is no key file */
};

/* One file system of ours. */
struct doctor_mount {
	uint32_t major, minor;
	struct doctor_seen *seen; /* owned; at least one, ours first */
	size_t seen_count;
	enum doctor_state state;
	struct doctor_daemon daemon;
	struct doctor_store store;
	uint32_t read_ahead_kib; /* 0: unknown */
};

/* Something that a mount left behind. */
struct doctor_litter {
	char *path;   /* owned */
	bool is_link; /* to a ledger that is gone; else a lock without holder */
};

struct doctor_machine {
	unsigned release[2]; /* of the kernel; 0: unknown */
	bool knows_device;   /* whether there is a /dev/fuse */
	bool has_device;
	mode_t device_mode;
	char uring;    /* 'Y', 'N' or 0: no such switch */
	char *hide;    /* hidepid= of /proc, or NULL; owned */
	bool is_root;  /* who asks */
	size_t unseen; /* processes whose mounts could not be read */
};

struct doctor_facts {
	struct doctor_machine machine;
	struct doctor_mount *mounts; /* owned */
	size_t mount_count;
	struct doctor_litter *litter; /* owned */
	size_t litter_count;
};

void doctor_facts_done(struct doctor_facts *f);

/* Do the files of such a file system lie on other machines? Then nothing is
 * asked of it: the answer may never come. */
bool doctor_is_remote(const char *fstype);

#endif
