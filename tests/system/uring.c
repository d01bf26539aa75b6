/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uring DIR: try to change DIR by every kind of change that io_uring knows, and
 * print for each "NAME RESULT". DIR has a file "file" and a folder "empty".
 * Exit 77 when there is no io_uring here.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/system/ring.h"

static uint64_t text(const char *s)
{
	return (uint64_t)(uintptr_t)s;
}

static struct io_uring_sqe open_of(int dir, const char *name, unsigned flags)
{
	return (struct io_uring_sqe){
		.opcode = IORING_OP_OPENAT,
		.fd = dir,
		.addr = text(name),
		.len = 0644,
		.open_flags = flags,
	};
}

/* Those with two names: the second folder is given as a number. */
static struct io_uring_sqe two_names(
	unsigned opcode, int dir, const char *from, const char *to)
{
	return (struct io_uring_sqe){
		.opcode = (uint8_t)opcode,
		.fd = dir,
		.addr = text(from),
		.len = (uint32_t)dir,
		.addr2 = text(to),
	};
}

static void report(struct ring *r, const char *name, struct io_uring_sqe sqe)
{
	int result = ring_call(r, &sqe);

	(void)printf(
		"%s %s\n", name, result < 0 ? strerrorname_np(-result) : "ok");
}

int main(int argc, char **argv)
{
	struct ring r;
	int dir;

	if (argc != 2)
		return 2;
	dir = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ring_need(dir >= 0 && fchdir(dir) == 0, argv[1]);
	ring_open(&r);
	report(&r, "create", open_of(dir, "new", O_WRONLY | O_CREAT | O_EXCL));
	report(&r, "open", open_of(dir, "file", O_WRONLY));
	report(&r, "tmpfile", open_of(dir, "empty", O_TMPFILE | O_RDWR));
	report(&r, "mkdir",
		(struct io_uring_sqe){
			.opcode = IORING_OP_MKDIRAT,
			.fd = dir,
			.addr = text("new"),
			.len = 0755,
		});
	report(&r, "unlink",
		(struct io_uring_sqe){
			.opcode = IORING_OP_UNLINKAT,
			.fd = dir,
			.addr = text("file"),
		});
	report(&r, "rmdir",
		(struct io_uring_sqe){
			.opcode = IORING_OP_UNLINKAT,
			.fd = dir,
			.addr = text("empty"),
			.unlink_flags = AT_REMOVEDIR,
		});
	report(&r, "rename", two_names(IORING_OP_RENAMEAT, dir, "file", "new"));
	report(&r, "link", two_names(IORING_OP_LINKAT, dir, "file", "new"));
	report(&r, "symlink",
		(struct io_uring_sqe){
			.opcode = IORING_OP_SYMLINKAT,
			.fd = dir,
			.addr = text("there"),
			.addr2 = text("new"),
		});
	report(&r, "setxattr",
		(struct io_uring_sqe){
			.opcode = IORING_OP_SETXATTR,
			.addr = text("user.x"),
			.addr2 = text("v"),
			.len = 1,
			.addr3 = text("file"),
		});
	return 0;
}
