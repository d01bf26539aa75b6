/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that go out later, and callers that wait until there is one. Neither
 * holds a worker: one thread of the park sends all of them, so a flood that is
 * slowed down takes nothing from those who read.
 *
 * A request that is parked is answered by the park, exactly once, whatever
 * happens. It is answered before its time
 *
 *  - when its caller is killed, since a process can't end before it is
 *    answered. Other signals do not shorten a delay, or a flood would need only
 *    a timer to go as fast as it likes; but a question has no bound, so any
 *    signal ends that.
 *  - when the park ends, or holds PARK_MAX requests already.
 */
#ifndef FS_MOUNT_PARK_H
#define FS_MOUNT_PARK_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

#define PARK_MAX 65536

struct park;

/* Starts a thread: call it after the last fork. 0 or -errno. */
int park_new(struct park **ret) must_check;

/*
 * Answers all that is parked. The session must still have its descriptor, and
 * its threads must have ended. NULL is allowed.
 */
void park_free(struct park *p);
DEFINE_CLEANUP(park_free, struct park *);

/* Answer req with error (positive) when the delay is over. Thread-safe, as is
 * the next; req is the park's from the call on. */
void park_reply(struct park *p, fuse_req_t req, int error, uint64_t delay_ns);

/* How a request comes to an answer that there is none for yet. */
struct park_question {
	/* The errno to answer, positive; 0: none yet, ask again. */
	int (*ask)(void *arg);
	void (*forget)(void *arg); /* called once, last of all */
	void *arg;
};

/* Ask after each second until there is an answer. EIO is answered when it does
 * not come to that. */
void park_ask(
	struct park *p, fuse_req_t req, const struct park_question *question);

#endif
