/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what dead mounts left; see sweep.h. */
#include "fs/doctor/sweep.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

/* As a writer gives it up (fs/ledger/claim.c): the name goes while the lock is
 * held, so that nobody can hold a lock on a file that has no name. */
static int remove_lock(const char *path)
{
	_cleanup_close_ int fd =
		open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	struct stat held, named;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, &held) < 0 || lstat(path, &named) < 0)
		return -errno;
	if (!S_ISREG(held.st_mode) || held.st_dev != named.st_dev ||
		held.st_ino != named.st_ino)
		return -EBUSY;
	return unlink(path) < 0 ? -errno : 0;
}

static int remove_link(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return -errno;
	if (!S_ISLNK(st.st_mode) || stat(path, &st) == 0 || errno != ENOENT)
		return -EBUSY;
	return unlink(path) < 0 ? -errno : 0;
}

int doctor_sweep(const struct doctor_litter *l)
{
	return l->is_link ? remove_link(l->path) : remove_lock(l->path);
}
