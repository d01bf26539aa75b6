/* SPDX-License-Identifier: Apache-2.0 */
/*
 * personality PATH: open PATH by io_uring with the ids of a root without
 * capabilities, from a thread that has become uid 1000. Says "ok" or the name
 * of the errno; exit 77 when there is no io_uring here.
 */
#include <fcntl.h>
#include <linux/capability.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/system/ring.h"

static void drop_capabilities(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3};
	/* What is needed to change the ids later. */
	struct __user_cap_data_struct data[2] = {{
		.effective = 1 << CAP_SETUID | 1 << CAP_SETGID,
		.permitted = 1 << CAP_SETUID | 1 << CAP_SETGID,
	}};

	ring_need(syscall(SYS_capset, &head, data) == 0, "capset");
}

int main(int argc, char **argv)
{
	struct ring ring;

	if (argc != 2)
		return 2;
	drop_capabilities();
	ring_open(&ring);

	int personality = (int)syscall(SYS_io_uring_register, ring.fd,
		IORING_REGISTER_PERSONALITY, NULL, 0);

	ring_need(personality > 0, "io_uring_register");
	ring_need(setresgid(1000, 1000, 1000) == 0 &&
			  setresuid(1000, 1000, 1000) == 0,
		"setresuid");

	struct io_uring_sqe sqe = {
		.opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)argv[1],
		.open_flags = O_RDONLY,
		.personality = (uint16_t)personality,
	};
	int r = ring_call(&ring, &sqe);

	(void)printf("%s\n", r < 0 ? strerrorname_np(-r) : "ok");
	return 0;
}
