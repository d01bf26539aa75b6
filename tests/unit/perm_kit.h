/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real files with all kinds of owners, modes and ACLs, an image that says the
 * same of them, and processes with all kinds of ids and capabilities that ask
 * the kernel what they may do.
 */
#ifndef TESTS_UNIT_PERM_KIT_H
#define TESTS_UNIT_PERM_KIT_H

#include <stdbool.h>

#include "fs/base/buf.h"
#include "fs/image/image.h"
#include "tests/lib/prng.h"
#include "tests/lib/scratch.h"

/* Files, folders and FIFOs, all in one folder. */
#define SUBJECTS 300
/* Folders, each with one folder in it that is not empty. */
#define PARENTS 60

#define ACL_SIZE_MAX (4 + 8 * 12)

struct subject {
	char name[8];
	uint32_t mode, uid, gid;
	uint8_t acl[ACL_SIZE_MAX];
	size_t acl_len; /* 0: none */
};

struct subjects {
	struct scratch scratch;
	int dir; /* open on it */
	struct subject all[SUBJECTS];
	struct subject parents[PARENTS], victims[PARENTS];
	struct buf bytes;
	struct image *img;
};

/* Needs root and ACLs: false where there are none. Else it works, or fails the
 * test. */
bool subjects_new(struct subjects *s, uint64_t seed);
void subjects_done(struct subjects *s);

/* As in the image. */
struct image_node subject_node(
	const struct subjects *s, const struct subject *subject);
struct image_node victim_node(const struct subjects *s, size_t i);

#define GROUPS_MAX 2000 /* more than a page of /proc/PID/status */

/* A process; ids are those of our user namespace. */
struct who {
	uint32_t ruid, euid, rgid, egid;
	uint32_t groups[GROUPS_MAX];
	int group_count;
	uint64_t permitted, effective; /* capabilities */

	/* Lines for /proc/PID/uid_map and gid_map of a user namespace of its
	 * own; NULL: in ours. Empty: nothing is mapped, and ids stay. */
	const char *uid_map, *gid_map;

	bool in_thread; /* not the first one of the process */
};

/* What the kernel answered: an errno, or 0. */
struct answers {
	int tid;
	int effective[SUBJECTS][8]; /* by mask of R_OK, W_OK, X_OK */
	int real[SUBJECTS][8];	    /* access(2) */
	int utime[SUBJECTS];	    /* setting the times */
	int rmdir[PARENTS];	    /* of the victim; ENOTEMPTY: allowed */
	int result;		    /* of who_run's function */
};

/*
 * Start the process and wait for its answers. It stays as it is until
 * who_end, so that /proc can be asked about it.
 */
struct asking {
	int pid;
	int socket;
	struct answers *answers; /* shared */
};

void who_begin(struct asking *a, const struct subjects *s, const struct who *w);
/* The same to let it do something else. */
void who_run(struct asking *a, const struct who *w, int (*run)(void));
void who_end(struct asking *a);

#endif
