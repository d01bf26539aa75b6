/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test; see scratch.h. */
#include "tests/lib/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fs/base/io.h"

bool scratch_init(struct scratch *s)
{
	static const char pattern[] = "/tmp/stele-test.XXXXXX";

	memcpy(s->path, pattern, sizeof(pattern));
	return mkdtemp(s->path) != NULL;
}

static int remove_one(
	const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void scratch_done(const struct scratch *s)
{
	/* What can't be removed stays in /tmp; no test depends on it. */
	(void)nftw(s->path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

const char *scratch_name(
	const struct scratch *s, const char *name, char ret[SCRATCH_PATH])
{
	(void)snprintf(ret, SCRATCH_PATH, "%s/%s", s->path, name);
	return ret;
}

bool scratch_write(const struct scratch *s, const char *name, const void *bytes,
	size_t len)
{
	char path[SCRATCH_PATH];
	_cleanup_close_ int fd = open(scratch_name(s, name, path),
		O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	return fd >= 0 && io_write(fd, bytes, len) == 0;
}

bool scratch_own_mounts(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}
