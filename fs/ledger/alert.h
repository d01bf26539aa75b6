/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of the operator (exec:PATH) that are told of attempts, after these
 * are in the ledger: one JSON object as standard input, one line. One program
 * runs at a time, for a bounded time (hook.h).
 *
 * Of attempts with the same rule by the same process one in ALERT_SECONDS is
 * told; the next says how many there were in between ("suppressed"). At most
 * ALERT_QUEUE wait; the next alert says how many found no place ("dropped").
 * Nothing is lost by that: everything is in the ledger.
 *
 *	seq		number of the record; null when it is still open for
 *			more of the same (a flood)
 *	time, op, path, path2, errno, rule, uid, gid
 *	tid, pid, comm, exe, container	null when not known
 *	mount_point, image_id, origin
 *	suppressed, dropped
 *	checkpoint	{"size", "root"} of the last one, as in its note; null
 *before the first. A record whose seq is at most size is sealed by it
 */
#ifndef FS_LEDGER_ALERT_H
#define FS_LEDGER_ALERT_H

#include "fs/base/diag.h"
#include "fs/ledger/metrics.h"
#include "fs/ledger/store.h"

#define ALERT_SECONDS 10
#define ALERT_QUEUE 1024

struct alert_attempt {
	const struct ledger_attempt *attempt;
	const struct proc *proc; /* or NULL */
	int64_t seq;		 /* 0: not a record yet */
	struct store_time at;
};

/* The last checkpoint; size 0: none yet. */
struct alert_checkpoint {
	uint64_t size;
	struct digest root;
};

struct alert_options {
	const char *const *programs; /* ends with NULL; or NULL. Borrowed */
	const char *mount_point;     /* borrowed */
	const struct digest *image_id;
	struct metrics *metrics; /* borrowed */
	int epoll;		 /* see hook.h */
	int64_t program_ns;	 /* time of a program; 0: as hook.h */
	int64_t quiet_ns;	 /* 0: ALERT_SECONDS */

	/* An alert waits: see to it that alerts_tick is called. Any thread. */
	void (*wake)(void *arg);
	/* A program failed, by the thread of alerts_tick. */
	void (*failed)(void *arg, const char *place, const char *why);
	void *arg;
};

struct alerts;

/*
 * *ret is NULL when there are no programs. -EINVAL for something else than
 * exec:PATH, -errno when there is no such program; diag says which.
 */
int alerts_new(const struct alert_options *opt, struct alerts **ret,
	struct diag *diag) must_check;

/* A program that runs is ended. NULL is allowed. */
void alerts_free(struct alerts *a);
DEFINE_CLEANUP(alerts_free, struct alerts *);

/* An attempt was committed. Any thread; waits for nobody. A NULL a is allowed:
 * nobody wants to know. */
void alerts_offer(struct alerts *a, const struct alert_attempt *x);

/*
 * See to the programs; one thread. When to call again if neither epoll nor
 * wake does (by CLOCK_BOOTTIME); INT64_MAX: not before these.
 */
int64_t alerts_tick(struct alerts *a, int64_t boot_ns,
	const struct alert_checkpoint *last, const char *origin);

#endif
