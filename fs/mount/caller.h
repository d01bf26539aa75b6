/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who sent a request, as far as a permission check wants to know it. The ids
 * come with the request; groups and capabilities cost a read of /proc, so they
 * are read only when an answer depends on them. A caller lives for one request,
 * while its thread waits for us and so cannot exit or exec.
 */
#ifndef FS_MOUNT_CALLER_H
#define FS_MOUNT_CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct caller {
	pid_t tid; /* in our pid namespace; 0: not visible from it */
	uid_t uid; /* fsuid and fsgid in our user namespace */
	gid_t gid;

	/* Filled by the first question that needs them; owned. */
	bool loaded;
	bool visible; /* /proc answered; else nothing below is known */
	uid_t real_uid, fs_uid; /* of the thread: a request may come with */
	gid_t real_gid, fs_gid; /* others, see capabilities in caller.c */
	uint64_t effective, permitted; /* capability sets */
	gid_t *groups;
	size_t group_count;
	bool same_user_ns;  /* as ours */
	bool is_other_root; /* an overlay works for our root meanwhile */
};

void caller_init(struct caller *c, pid_t tid, uid_t uid, gid_t gid);
void caller_done(struct caller *c);

/* Is gid the caller's group or one of its supplementary groups? */
bool caller_in_group(struct caller *c, gid_t gid);

/*
 * Does the caller hold a capability over an inode owned by uid:gid? In a user
 * namespace of its own it does only when both ids are mapped there, as the
 * kernel has it (capable_wrt_inode_uidgid). A caller that is not visible has
 * none.
 */
bool caller_has_capability(struct caller *c, int cap, uid_t uid, gid_t gid);

/* The same where only the owner need be mapped (inode_owner_or_capable). */
bool caller_has_capability_over_user(struct caller *c, int cap, uid_t uid);

/* The same for the whole machine: only in our own user namespace. */
bool caller_is_capable(struct caller *c, int cap);

/* Has the thread been killed, and only waits for its answer to end? False when
 * it is not visible. */
bool caller_is_dying(pid_t tid);

#endif
