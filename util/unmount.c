/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a mount away; see unmount.h. */
#include "util/unmount.h"

#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "fs/base/io.h"

static int by_kernel(const char *dir, bool lazy)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	return umount2(dir, flags) < 0 ? -errno : 0;
}

/* Start fusermount3 with its messages going to `messages`. 0 or -errno. */
static int spawn_fusermount(
	const char *dir, bool lazy, int messages, pid_t *ret)
{
	char name[] = "fusermount3", u[] = "-u", z[] = "-z", end[] = "--";
	_cleanup_free_ char *where = strdup(dir);
	char *calm[] = {name, u, end, where, NULL};
	char *hasty[] = {name, u, z, end, where, NULL};
	posix_spawn_file_actions_t files;
	int r;

	if (!where)
		return -ENOMEM;
	r = posix_spawn_file_actions_init(&files);
	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&files, messages, STDERR_FILENO);
	if (r == 0)
		r = posix_spawnp(
			ret, name, &files, NULL, lazy ? hasty : calm, environ);
	posix_spawn_file_actions_destroy(&files);
	return -r;
}

/* Keep the first line of what a child said, and wait until it ends. */
static bool listen_to(int fd, pid_t pid, char *said, size_t room)
{
	ssize_t n = io_read(fd, said, room - 1);
	char rest[256];
	int status;

	said[n > 0 ? n : 0] = '\0';
	said[strcspn(said, "\n")] = '\0';
	while (io_read(fd, rest, sizeof(rest)) > 0)
		; /* so that it never blocks */
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return false;
	}
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Ordinary users ask fusermount3, which is setuid. 0, or -errno and perhaps
 * its words in said. */
static int by_fusermount(const char *dir, bool lazy, char *said, size_t room)
{
	int ends[2], r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;

	_cleanup_close_ int from = ends[0], to = ends[1];

	r = spawn_fusermount(dir, lazy, to, &pid);
	if (r < 0)
		return r;
	(void)close(take_fd(to)); /* or the end would never come */
	if (listen_to(from, pid, said, room))
		return 0;
	/* fusermount3 says why only in words: busy, or no mount of this user
	 * is in its list. */
	if (strstr(said, strerror(EBUSY)))
		return -EBUSY;
	return strstr(said, "not found in") ? -EPERM : -EIO;
}

int unmount_dir(const char *dir, bool lazy, char *said, size_t room)
{
	*said = '\0';
	return geteuid() == 0 ? by_kernel(dir, lazy)
			      : by_fusermount(dir, lazy, said, room);
}
