/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that only look: who may read, list, enter, run and lock what.
 */
#include "tests/system/attempt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

static int result_close(long r, int fd)
{
	int err = result(r);

	(void)close(fd); /* nothing was written through it */
	return err;
}

static int open_flags(const char *path, const char *flags)
{
	return open(path, (int)attempt_number(flags) | O_NONBLOCK | O_CLOEXEC);
}

static int do_access(const struct attempt_place *p, char *const *a)
{
	return result(syscall(SYS_faccessat2, AT_FDCWD, a[0],
		(int)attempt_number(a[1]), (int)attempt_number(a[2])));
}

static int do_stat(const struct attempt_place *p, char *const *a)
{
	struct stat st;

	return result(stat(a[0], &st));
}

static int do_lstat(const struct attempt_place *p, char *const *a)
{
	struct stat st;

	return result(lstat(a[0], &st));
}

static int do_statfs(const struct attempt_place *p, char *const *a)
{
	struct statfs st;

	return result(statfs(a[0], &st));
}

static int do_readlink(const struct attempt_place *p, char *const *a)
{
	char target[4096];

	return result(readlink(a[0], target, sizeof(target)));
}

/* Read all entries; a folder that opens may still refuse to be read. */
static int list_fd(int fd)
{
	char entries[4096];
	long r;

	do {
		r = syscall(SYS_getdents64, fd, entries, sizeof(entries));
	} while (r > 0);
	return result(r);
}

static int do_list(const struct attempt_place *p, char *const *a)
{
	int err, fd = open(a[0], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	err = list_fd(fd);
	(void)close(fd); /* only read */
	return err;
}

static int do_read(const struct attempt_place *p, char *const *a)
{
	char byte;
	int fd = open(a[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : result_close(read(fd, &byte, 1), fd);
}

static int do_opath(const struct attempt_place *p, char *const *a)
{
	int fd = open(a[0], O_PATH | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : result_close(0, fd);
}

/* Do something in a child that cannot be undone; its errno comes back. */
static int in_child(int (*what)(const char *path), const char *path)
{
	int pipes[2], err = 0;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC))
		attempt_die("pipe");
	child = fork();
	if (child < 0)
		attempt_die("fork");
	if (!child) {
		err = what(path);
		if (write(pipes[1], &err, sizeof(err)) != sizeof(err))
			_exit(125);
		_exit(0);
	}
	(void)close(pipes[1]); /* so that the read ends when exec succeeds */
	if (read(pipes[0], &err, sizeof(err)) < 0)
		attempt_die("read");
	(void)close(pipes[0]); /* only read */
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

static int exec_it(const char *path)
{
	char *const argv[] = {(char *)(uintptr_t)path, NULL};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)dup2(null, STDOUT_FILENO); /* what it prints is not for us */
	(void)execve(path, argv, argv + 1);
	return -errno;
}

static int do_exec(const struct attempt_place *p, char *const *a)
{
	return in_child(exec_it, a[0]);
}

static int chdir_it(const char *path)
{
	return result(chdir(path));
}

static int do_chdir(const struct attempt_place *p, char *const *a)
{
	int err;

	/* The way back may be closed by now. */
	if (fchdir(p->root))
		return in_child(chdir_it, a[0]);
	err = chdir_it(a[0]);
	if (fchdir(p->root))
		attempt_die("fchdir");
	return err;
}

static int chroot_it(const char *path)
{
	return result(chroot(path));
}

static int do_chroot(const struct attempt_place *p, char *const *a)
{
	return in_child(chroot_it, a[0]);
}

static int do_getxattr(const struct attempt_place *p, char *const *a)
{
	char value[65536];

	return result(getxattr(a[0], a[1], value, sizeof(value)));
}

static int do_lgetxattr(const struct attempt_place *p, char *const *a)
{
	char value[65536];

	return result(lgetxattr(a[0], a[1], value, sizeof(value)));
}

static int do_listxattr(const struct attempt_place *p, char *const *a)
{
	char names[65536];

	return result(listxattr(a[0], names, sizeof(names)));
}

/* Does the list of names hold this one? */
static int do_hasxattr(const struct attempt_place *p, char *const *a)
{
	char names[65536];
	ssize_t n = llistxattr(a[0], names, sizeof(names));

	if (n < 0)
		return -errno;
	for (ssize_t i = 0; i < n; i += (ssize_t)strlen(names + i) + 1)
		if (!strcmp(names + i, a[1]))
			return 0;
	return -ENODATA;
}

static int do_mmap(const struct attempt_place *p, char *const *a)
{
	int fd = open_flags(a[0], a[1]), prot = (int)attempt_number(a[2]);
	void *map;
	int err;

	if (fd < 0)
		return -errno;
	map = mmap(NULL, 4096, prot, (int)attempt_number(a[3]), fd, 0);
	err = map == MAP_FAILED ? -errno : 0;
	if (map != MAP_FAILED) {
		/* A private page may be written; the file stays as it is. */
		if (prot & PROT_WRITE)
			*(volatile char *)map = 'x';
		(void)munmap(map, 4096); /* known to be mapped */
	}
	(void)close(fd); /* only read */
	return err;
}

static int do_fsync(const struct attempt_place *p, char *const *a)
{
	int fd = open_flags(a[0], "0");

	return fd < 0 ? -errno : result_close(fsync(fd), fd);
}

static int do_fdatasync(const struct attempt_place *p, char *const *a)
{
	int fd = open_flags(a[0], "0");

	return fd < 0 ? -errno : result_close(fdatasync(fd), fd);
}

static int do_syncfs(const struct attempt_place *p, char *const *a)
{
	int fd = open_flags(a[0], "0");

	return fd < 0 ? -errno : result_close(syncfs(fd), fd);
}

static int do_flock(const struct attempt_place *p, char *const *a)
{
	int fd = open_flags(a[0], "0");

	return fd < 0 ? -errno
		      : result_close(flock(fd, (int)attempt_number(a[1])), fd);
}

static int do_lock(const struct attempt_place *p, char *const *a)
{
	struct flock lock = {.l_type = (short)attempt_number(a[1])};
	int fd = open_flags(a[0], "0");

	return fd < 0 ? -errno : result_close(fcntl(fd, F_SETLK, &lock), fd);
}

/* Name a file by its handle, and open it again by that. */
static int do_handle(const struct attempt_place *p, char *const *a)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = {.handle = {.handle_bytes = MAX_HANDLE_SZ}};
	int mount_id, fd;

	if (name_to_handle_at(AT_FDCWD, a[0], &u.handle, &mount_id, 0))
		return -errno;
	fd = open_by_handle_at(p->root, &u.handle,
		(int)attempt_number(a[1]) | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : result_close(0, fd);
}

static int do_connect(const struct attempt_place *p, char *const *a)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(a[0]) >= sizeof(name.sun_path))
		attempt_die("socket");
	memcpy(name.sun_path, a[0], strlen(a[0]));
	return result_close(
		connect(fd, (struct sockaddr *)&name, sizeof(name)), fd);
}

static int do_watch(const struct attempt_place *p, char *const *a)
{
	/* One for all: closing it waits for every processor. */
	static _Thread_local int fd = -1;

	if (fd < 0)
		fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		attempt_die("inotify_init1");
	return result(inotify_add_watch(fd, a[0], IN_ALL_EVENTS) < 0 ? -1 : 0);
}

/* What can be done with a descriptor that was opened with more rights. */
static int do_held_read(const struct attempt_place *p, char *const *a)
{
	char byte;

	return result(pread(p->held, &byte, 1, 0));
}

static int do_held_list(const struct attempt_place *p, char *const *a)
{
	if (lseek(p->held, 0, SEEK_SET))
		return -errno;
	return list_fd(p->held);
}

static int do_held_stat(const struct attempt_place *p, char *const *a)
{
	struct stat st;

	return result(fstatat(p->held, a[0], &st, AT_EMPTY_PATH));
}

static int do_held_open(const struct attempt_place *p, char *const *a)
{
	int fd = openat(p->held, a[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	return fd < 0 ? -errno : result_close(0, fd);
}

static int fchdir_it(const char *number)
{
	return result(fchdir((int)attempt_number(number)));
}

static int do_held_chdir(const struct attempt_place *p, char *const *a)
{
	char number[16];

	(void)snprintf(number, sizeof(number), "%d", p->held);
	return in_child(fchdir_it, number);
}

static int do_held_reopen(const struct attempt_place *p, char *const *a)
{
	char path[64];
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", p->held);
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : result_close(0, fd);
}

const struct attempt_kind attempt_looks[] = {
	{"access", 3, do_access},
	{"stat", 1, do_stat},
	{"lstat", 1, do_lstat},
	{"statfs", 1, do_statfs},
	{"readlink", 1, do_readlink},
	{"list", 1, do_list},
	{"read", 1, do_read},
	{"opath", 1, do_opath},
	{"chdir", 1, do_chdir},
	{"exec", 1, do_exec},
	{"chroot", 1, do_chroot},
	{"getxattr", 2, do_getxattr},
	{"lgetxattr", 2, do_lgetxattr},
	{"listxattr", 1, do_listxattr},
	{"hasxattr", 2, do_hasxattr},
	{"mmap", 4, do_mmap},
	{"fsync", 1, do_fsync},
	{"fdatasync", 1, do_fdatasync},
	{"syncfs", 1, do_syncfs},
	{"flock", 2, do_flock},
	{"lock", 2, do_lock},
	{"handle", 2, do_handle},
	{"connect", 1, do_connect},
	{"watch", 1, do_watch},
	{"held-read", 0, do_held_read},
	{"held-list", 0, do_held_list},
	{"held-stat", 1, do_held_stat},
	{"held-open", 1, do_held_open},
	{"held-chdir", 0, do_held_chdir},
	{"held-reopen", 0, do_held_reopen},
	{0},
};
