/* SPDX-License-Identifier: Apache-2.0 */
/* See ring.h. */
#include "tests/system/ring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

void ring_need(int good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(errno == ENOSYS || errno == EPERM ? RING_SKIP : 1);
}

static char *map(int fd, size_t len, off_t what)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, what);

	ring_need(p != MAP_FAILED, "mmap");
	return p;
}

void ring_open(struct ring *r)
{
	struct io_uring_params *p = &r->params;

	*r = (struct ring){0};
	r->fd = (int)syscall(SYS_io_uring_setup, 4, p);
	ring_need(r->fd >= 0, "io_uring_setup");
	r->sq = map(r->fd, p->sq_off.array + p->sq_entries * sizeof(unsigned),
		IORING_OFF_SQ_RING);
	r->cq = map(r->fd,
		p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
		IORING_OFF_CQ_RING);
	r->sqes = map(r->fd, p->sq_entries * sizeof(struct io_uring_sqe),
		IORING_OFF_SQES);
}

static unsigned *number(char *ring, unsigned offset)
{
	return (unsigned *)(void *)(ring + offset);
}

int ring_call(struct ring *r, const struct io_uring_sqe *sqe)
{
	const struct io_uring_params *p = &r->params;
	unsigned tail = *number(r->sq, p->sq_off.tail);
	unsigned head = *number(r->cq, p->cq_off.head);
	unsigned slot = tail & *number(r->sq, p->sq_off.ring_mask);
	unsigned done = head & *number(r->cq, p->cq_off.ring_mask);
	struct io_uring_cqe cqe;

	memcpy(r->sqes + slot * sizeof(*sqe), sqe, sizeof(*sqe));
	number(r->sq, p->sq_off.array)[slot] = slot;
	__atomic_store_n(
		number(r->sq, p->sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	ring_need(syscall(SYS_io_uring_enter, r->fd, 1, 1,
			  IORING_ENTER_GETEVENTS, NULL, 0) == 1,
		"io_uring_enter");
	memcpy(&cqe, r->cq + p->cq_off.cqes + done * sizeof(cqe), sizeof(cqe));
	__atomic_store_n(
		number(r->cq, p->cq_off.head), head + 1, __ATOMIC_RELEASE);
	return cqe.res;
}
