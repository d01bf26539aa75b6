/* SPDX-License-Identifier: Apache-2.0 */
/* Small programs; see hook_kit.h. */
#include "tests/unit/hook_kit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/base/io.h"
#include "fs/ledger/store.h"
#include "tests/unit/unit.h"

const char *hook_kit_program(const struct scratch *s, const char *name,
	const char *text, char ret[SCRATCH_PATH + 8])
{
	char path[SCRATCH_PATH], whole[1024];

	(void)snprintf(whole, sizeof(whole), "#!/bin/sh\n%s\n", text);
	assert_true(scratch_write(s, name, whole, strlen(whole)));
	assert_int_equal(chmod(scratch_name(s, name, path), 0700), 0);
	(void)snprintf(ret, SCRATCH_PATH + 8, "exec:%s", path);
	return ret;
}

void hook_kit_rest(int epoll)
{
	struct epoll_event events[4];

	(void)!epoll_wait(epoll, events, 4, 10);
}

int64_t hook_kit_now(void)
{
	return store_now().boot;
}

void hook_kit_read(
	const struct scratch *s, const char *name, char *ret, size_t room)
{
	char path[SCRATCH_PATH];
	_cleanup_close_ int fd =
		open(scratch_name(s, name, path), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : io_read(fd, ret, room - 1);

	assert_true(n >= 0);
	ret[n] = '\0';
}
