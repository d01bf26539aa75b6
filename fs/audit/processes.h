/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows of proc and mount a filter means. */
#ifndef FS_AUDIT_PROCESSES_H
#define FS_AUDIT_PROCESSES_H

#include <sys/types.h>

#include "fs/audit/ids.h"
#include "fs/audit/query.h"

struct db;

/* Processes that filter's exe, comm and container let pass. */
int processes_like(struct db *db, const struct query_filter *filter,
	struct ids *ret) must_check;

/* The rows of process pid: every program that it ran, in each boot. */
int processes_of_pid(struct db *db, pid_t pid, struct ids *ret) must_check;

/*
 * These, and those of all processes that descend from them: a process is known
 * by its boot, its id and when it started, so children count that it had under
 * an earlier program.
 */
int processes_of_tree(struct db *db, pid_t pid, struct ids *ret) must_check;

/* Mounts in the boot that filter means; none when there is no such boot. */
int processes_mounts(struct db *db, const struct query_filter *filter,
	struct ids *ret) must_check;

#endif
