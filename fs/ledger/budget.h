/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How fast somebody may add to the ledger. Each process, and each cgroup as a
 * whole, has a bucket of bytes that fills at a fixed rate; who takes more than
 * is there gets his answer later. Nothing is ever dropped: the price of a flood
 * is paid by who makes it, and the disk fills no faster than was configured.
 *
 * The cgroup's bucket is what holds a program that forks for each attempt, and
 * one that makes cgroups below its own: only the first three names of a cgroup
 * count, which is where service managers and container engines put the line
 * between one tenant and the next.
 *
 * A bucket is one moment: until when what was taken is paid for. It may lie at
 * most a burst in the past; as far as it lies in the future there is debt. Debt
 * stays when a delay is cut short, up to a day's worth.
 */
#ifndef FS_LEDGER_BUDGET_H
#define FS_LEDGER_BUDGET_H

#include "fs/who/proc.h"

/* A bucket holds what its rate gives in this time. */
#define BUDGET_BURST_NS UINT64_C(8000000000)
/* The longest that one answer is held back. */
#define BUDGET_DELAY_MAX_NS UINT64_C(2000000000)

struct budget_options {
	uint64_t process_rate; /* bytes a second; 0: no limit */
	uint64_t group_rate;   /* the same for all of a cgroup */
	size_t max_processes;  /* 0: 4096 are remembered */
	size_t max_groups;     /* 0: 1024 */
};

struct budget;

/* 0 or -ENOMEM. */
int budget_new(
	const struct budget_options *opt, struct budget **ret) must_check;
void budget_free(struct budget *b); /* NULL is allowed */
DEFINE_CLEANUP(budget_free, struct budget *);

/*
 * Somebody added bytes to the ledger. Returns after how many nanoseconds the
 * answer may go out, 0 to BUDGET_DELAY_MAX_NS. proc NULL: not known; all of
 * those share one bucket. now_ns is of any clock that never steps back.
 * Thread-safe. Who is forgotten, since too many others came after, does not
 * gain by it: whoever is new begins with no more than the forgotten had.
 */
uint64_t budget_charge(struct budget *b, const struct proc *proc,
	uint64_t bytes, uint64_t now_ns) must_check;

#endif
