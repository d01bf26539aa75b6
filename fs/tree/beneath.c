/* SPDX-License-Identifier: Apache-2.0 */
/* openat2 in steps; see beneath.h. */
#include "fs/tree/beneath.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* A rename somewhere in the system while ".." is checked gives EAGAIN, which
 * says nothing about our path. */
#define TRIES 100

static int open_once(int dir_fd, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned)flags | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS |
			   RESOLVE_NO_MAGICLINKS,
	};

	for (int i = 0;; i++) {
		long fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));

		if (fd >= 0)
			return (int)fd;
		if (errno == EPERM && how.flags & O_NOATIME) {
			how.flags &= ~(uint64_t)O_NOATIME;
			continue;
		}
		if (errno != EINTR && (errno != EAGAIN || i == TRIES))
			return -errno;
	}
}

int beneath_open(int dir_fd, const char *path, int flags)
{
	char step[PATH_MAX];
	_cleanup_close_ int held = -1;
	size_t len = strlen(path);

	/* The kernel takes PATH_MAX bytes at once: go down as far as whole
	 * components allow, again and again. */
	while (len >= sizeof(step)) {
		size_t cut = sizeof(step) - 1;

		while (cut > 0 && path[cut] != '/')
			cut--;
		if (cut == 0)
			return -ENAMETOOLONG;
		memcpy(step, path, cut);
		step[cut] = '\0';

		int fd = open_once(dir_fd, step, O_PATH | O_DIRECTORY);

		if (fd < 0)
			return fd;
		close_cleanup(&held);
		held = dir_fd = fd;
		path += cut + 1;
		len -= cut + 1;
	}
	return open_once(dir_fd, len ? path : ".", flags);
}

bool beneath_is_change(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -ELOOP ||
	       err == -EXDEV || err == -ENXIO || err == -ENODEV;
}
