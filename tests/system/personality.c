/* SPDX-License-Identifier: Apache-2.0 */
/*
 * personality PATH: open PATH by io_uring with the ids of a root without
 * capabilities, from a thread that has become uid 1000. Says "ok" or the name
 * of the errno; exit 77 when there is no io_uring here.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SKIP 77

static void need(int good, const char *what)
{
	if (good)
		return;
	(void)fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(errno == ENOSYS || errno == EPERM ? SKIP : 1);
}

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	/* What is needed to change the ids later. */
	struct __user_cap_data_struct data[2] = {{
		.effective = 1 << CAP_SETUID | 1 << CAP_SETGID,
		.permitted = 1 << CAP_SETUID | 1 << CAP_SETGID,
	}};

	need(syscall(SYS_capset, &head, data) == 0, "capset");
}

static char *map(int ring, size_t len, off_t what)
{
	char *p =
		mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, ring, what);

	need(p != MAP_FAILED, "mmap");
	return p;
}

/* Ask for the open and wait for its result. */
static int open_by_ring(int ring, const struct io_uring_params *p,
	const char *path, int personality)
{
	char *sq = map(ring, p->sq_off.array + p->sq_entries * sizeof(unsigned),
		IORING_OFF_SQ_RING);
	char *cq = map(ring,
		p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
		IORING_OFF_CQ_RING);
	void *sqes = map(ring, p->sq_entries * sizeof(struct io_uring_sqe),
		IORING_OFF_SQES);
	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)path,
		.open_flags = O_RDONLY,
		.personality = (uint16_t)personality,
	};
	struct io_uring_cqe cqe;
	unsigned one = 1;

	memcpy(sqes, &sqe, sizeof(sqe));
	memset(sq + p->sq_off.array, 0, sizeof(unsigned));
	__atomic_store_n((unsigned *)(void *)(sq + p->sq_off.tail), one,
		__ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS,
		     NULL, 0) == 1,
		"io_uring_enter");
	memcpy(&cqe, cq + p->cq_off.cqes, sizeof(cqe));
	return cqe.res;
}

int main(int argc, char **argv)
{
	struct io_uring_params params = {0};

	if (argc != 2)
		return 2;
	drop_capabilities();

	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

	need(ring >= 0, "io_uring_setup");

	int personality = (int)syscall(SYS_io_uring_register, ring,
		IORING_REGISTER_PERSONALITY, NULL, 0);

	need(personality > 0, "io_uring_register");
	need(setresgid(1000, 1000, 1000) == 0 &&
			setresuid(1000, 1000, 1000) == 0,
		"setresuid");

	int r = open_by_ring(ring, &params, argv[1], personality);

	(void)printf("%s\n", r < 0 ? strerrorname_np(-r) : "ok");
	return 0;
}
