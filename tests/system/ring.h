/* SPDX-License-Identifier: Apache-2.0 */
/* One system call at a time through io_uring, without a library. */
#ifndef TESTS_SYSTEM_RING_H
#define TESTS_SYSTEM_RING_H

#include <linux/io_uring.h>

#define RING_SKIP 77 /* exit code: there is no io_uring here */

struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq, *sqes;
};

/* End the program when good is false: RING_SKIP where the kernel lacks or
 * forbids what was asked, else 1. */
void ring_need(int good, const char *what);

void ring_open(struct ring *r);

/* Do it and wait: what the call gives, or a negative errno. */
int ring_call(struct ring *r, const struct io_uring_sqe *sqe);

#endif
