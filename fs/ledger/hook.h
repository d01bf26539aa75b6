/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the operator that is given some text: run with it as standard
 * input, no arguments, what it prints thrown away, in a process group of its
 * own, with nothing of our environment but a plain PATH. It has a bounded time
 * and is then killed.
 *
 * Never waits for the program: hook_tick looks how it is getting on. One at a
 * time for each hook; belongs to one thread.
 */
#ifndef FS_LEDGER_HOOK_H
#define FS_LEDGER_HOOK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/base/cleanup.h"
#include "fs/base/diag.h"

#define HOOK_SECONDS 10

struct hook {
	int epoll;	  /* borrowed; readable when a program has ended */
	pid_t pid;	  /* 0: none runs */
	int pidfd;	  /* of pid; in epoll */
	bool killed;	  /* its time was over */
	int64_t deadline; /* CLOCK_BOOTTIME, ns */
	int64_t bound;	  /* ns */
};

/* bound_ns 0: HOOK_SECONDS. */
void hook_init(struct hook *h, int epoll, int64_t bound_ns);

/* Ends a program that runs. A zeroed hook is allowed. */
void hook_done(struct hook *h);

/* Start the program, which none may be running. 0 or -errno. */
int hook_start(struct hook *h, const char *path, const void *text,
	size_t len) must_check;

/*
 * 1 while it runs (ask again when epoll wakes, or at deadline); 0 when it has
 * ended well; else how it failed: -ETIMEDOUT, -ECHILD for an exit status other
 * than 0 (diag says which), -EINVAL when none was started.
 */
int hook_tick(struct hook *h, int64_t boot_ns, struct diag *diag) must_check;

#endif
