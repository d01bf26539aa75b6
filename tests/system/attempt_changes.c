/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that want to change something. On a read-only mount none of them
 * may; what matters is which errno each gives.
 */
#include "tests/system/attempt.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#ifndef SYS_fchmodat2
#define SYS_fchmodat2 452 /* Linux 6.6; older headers lack the number */
#endif

static int result(long r)
{
	return r < 0 ? -errno : 0;
}

/* The result of a call on a descriptor that is not needed any more. */
static int result_close(long r, int fd)
{
	int err = result(r);

	(void)close(fd); /* nothing was written through it */
	return err;
}

static int open_nonblock(const char *path, const char *flags)
{
	return open(path, (int)attempt_number(flags) | O_NONBLOCK | O_CLOEXEC);
}

static int do_open(const struct attempt_place *p, char *const *a)
{
	int fd = open(a[0], (int)attempt_number(a[1]) | O_NONBLOCK | O_CLOEXEC,
		(mode_t)attempt_number(a[2]));

	return fd < 0 ? -errno : result_close(0, fd);
}

static int do_mkdir(const struct attempt_place *p, char *const *a)
{
	return result(mkdir(a[0], 0755));
}

static int do_rmdir(const struct attempt_place *p, char *const *a)
{
	return result(rmdir(a[0]));
}

static int do_unlink(const struct attempt_place *p, char *const *a)
{
	return result(unlink(a[0]));
}

static int do_symlink(const struct attempt_place *p, char *const *a)
{
	return result(symlink(a[0], a[1]));
}

static int do_mknod(const struct attempt_place *p, char *const *a)
{
	return result(mknod(a[0], (mode_t)attempt_number(a[1]), makedev(1, 3)));
}

static int do_bind(const struct attempt_place *p, char *const *a)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || strlen(a[0]) >= sizeof(name.sun_path))
		attempt_die("socket");
	memcpy(name.sun_path, a[0], strlen(a[0]));
	return result_close(
		bind(fd, (struct sockaddr *)&name, sizeof(name)), fd);
}

static int do_link(const struct attempt_place *p, char *const *a)
{
	return result(linkat(
		AT_FDCWD, a[0], AT_FDCWD, a[1], (int)attempt_number(a[2])));
}

static int do_rename(const struct attempt_place *p, char *const *a)
{
	return result(renameat2(AT_FDCWD, a[0], AT_FDCWD, a[1],
		(unsigned)attempt_number(a[2])));
}

static int do_chmod(const struct attempt_place *p, char *const *a)
{
	return result(chmod(a[0], (mode_t)attempt_number(a[1])));
}

static int do_lchmod(const struct attempt_place *p, char *const *a)
{
	return result(syscall(SYS_fchmodat2, AT_FDCWD, a[0],
		(mode_t)attempt_number(a[1]), AT_SYMLINK_NOFOLLOW));
}

static int do_fchmod(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], "0");

	return fd < 0 ? -errno
		      : result_close(
				fchmod(fd, (mode_t)attempt_number(a[1])), fd);
}

static int do_chown(const struct attempt_place *p, char *const *a)
{
	return result(chown(a[0], (uid_t)attempt_number(a[1]),
		(gid_t)attempt_number(a[2])));
}

static int do_lchown(const struct attempt_place *p, char *const *a)
{
	return result(lchown(a[0], (uid_t)attempt_number(a[1]),
		(gid_t)attempt_number(a[2])));
}

static int do_fchown(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], "0");

	return fd < 0 ? -errno
		      : result_close(fchown(fd, (uid_t)attempt_number(a[1]),
					     (gid_t)attempt_number(a[2])),
				fd);
}

/* now, set, omit, or only one of the two times. */
static const struct timespec *times(const char *what, struct timespec t[2])
{
	t[0] = (struct timespec){.tv_sec = 1000000000, .tv_nsec = 1};
	t[1] = (struct timespec){.tv_sec = 1000000001, .tv_nsec = 2};
	if (!strcmp(what, "now"))
		return NULL;
	if (!strcmp(what, "omit"))
		t[0].tv_nsec = t[1].tv_nsec = UTIME_OMIT;
	else if (!strcmp(what, "both-now"))
		t[0].tv_nsec = t[1].tv_nsec = UTIME_NOW;
	else if (!strcmp(what, "atime"))
		t[1].tv_nsec = UTIME_OMIT;
	else if (!strcmp(what, "mtime"))
		t[0].tv_nsec = UTIME_OMIT;
	return t;
}

static int do_utimes(const struct attempt_place *p, char *const *a)
{
	struct timespec t[2];

	return result(utimensat(AT_FDCWD, a[0], times(a[1], t), 0));
}

static int do_lutimes(const struct attempt_place *p, char *const *a)
{
	struct timespec t[2];

	return result(
		utimensat(AT_FDCWD, a[0], times(a[1], t), AT_SYMLINK_NOFOLLOW));
}

static int do_futimes(const struct attempt_place *p, char *const *a)
{
	struct timespec t[2];
	int fd = open_nonblock(a[0], "0");

	return fd < 0 ? -errno : result_close(futimens(fd, times(a[1], t)), fd);
}

static int do_truncate(const struct attempt_place *p, char *const *a)
{
	return result(truncate(a[0], attempt_number(a[1])));
}

static int do_ftruncate(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], a[1]);

	return fd < 0 ? -errno : result_close(ftruncate(fd, 1), fd);
}

static int do_fallocate(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], a[1]);

	return fd < 0 ? -errno
		      : result_close(fallocate(fd, (int)attempt_number(a[2]), 0,
					     4096),
				fd);
}

static int do_write(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], a[1]);

	return fd < 0 ? -errno : result_close(write(fd, "x", 1), fd);
}

static int do_setxattr(const struct attempt_place *p, char *const *a)
{
	return result(setxattr(
		a[0], a[1], a[2], strlen(a[2]), (int)attempt_number(a[3])));
}

static int do_lsetxattr(const struct attempt_place *p, char *const *a)
{
	return result(lsetxattr(a[0], a[1], a[2], strlen(a[2]), 0));
}

static int do_fsetxattr(const struct attempt_place *p, char *const *a)
{
	int fd = open_nonblock(a[0], "0");

	return fd < 0 ? -errno
		      : result_close(
				fsetxattr(fd, a[1], a[2], strlen(a[2]), 0), fd);
}

static int do_removexattr(const struct attempt_place *p, char *const *a)
{
	return result(removexattr(a[0], a[1]));
}

static int do_lremovexattr(const struct attempt_place *p, char *const *a)
{
	return result(lremovexattr(a[0], a[1]));
}

/* A minimal access list: user::rwx group::r-x other::r-x. */
static int do_setacl(const struct attempt_place *p, char *const *a)
{
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 0xff, 0xff, 0xff,
		0xff, 4, 0, 5, 0, 0xff, 0xff, 0xff, 0xff, 0x20, 0, 5, 0, 0xff,
		0xff, 0xff, 0xff};

	return result(setxattr(a[0], a[1], acl, sizeof(acl), 0));
}

enum mover { COPY_FILE_RANGE, SENDFILE, SPLICE };

/* Move bytes from the first file to a read-only descriptor of the second. */
static int move_bytes(enum mover how, char *const *a)
{
	int in = open_nonblock(a[0], "0"), out, err, pipes[2];
	long r;

	if (in < 0)
		return -errno;
	out = open_nonblock(a[1], a[2]);
	if (out < 0)
		return result_close(-1, in);
	switch (how) {
	case COPY_FILE_RANGE:
		r = copy_file_range(in, NULL, out, NULL, 1, 0);
		break;
	case SENDFILE: r = sendfile(out, in, NULL, 1); break;
	default:
		if (pipe(pipes) || write(pipes[1], "x", 1) != 1)
			attempt_die("pipe");
		r = splice(pipes[0], NULL, out, NULL, 1, SPLICE_F_NONBLOCK);
		err = errno;
		(void)close(pipes[0]); /* only there for the splice */
		(void)close(pipes[1]);
		errno = err;
		break;
	}
	err = result_close(r, out);
	(void)close(in); /* only read */
	return err;
}

static int do_copyrange(const struct attempt_place *p, char *const *a)
{
	return move_bytes(COPY_FILE_RANGE, a);
}

static int do_sendfile(const struct attempt_place *p, char *const *a)
{
	return move_bytes(SENDFILE, a);
}

static int do_splice(const struct attempt_place *p, char *const *a)
{
	return move_bytes(SPLICE, a);
}

static unsigned long ioctl_number(const char *name)
{
	if (!strcmp(name, "GETFLAGS"))
		return FS_IOC_GETFLAGS;
	if (!strcmp(name, "SETFLAGS"))
		return FS_IOC_SETFLAGS;
	if (!strcmp(name, "FSGETXATTR"))
		return FS_IOC_FSGETXATTR;
	if (!strcmp(name, "FSSETXATTR"))
		return FS_IOC_FSSETXATTR;
	if (!strcmp(name, "SETVERSION"))
		return FS_IOC_SETVERSION;
	if (!strcmp(name, "GETVERSION"))
		return FS_IOC_GETVERSION;
	if (!strcmp(name, "FICLONE"))
		return FICLONE;
	return (unsigned long)attempt_number(name);
}

static int do_ioctl(const struct attempt_place *p, char *const *a)
{
	unsigned long command = ioctl_number(a[1]);
	int64_t arg[64] = {0};
	int fd = open_nonblock(a[0], "0");

	if (fd < 0)
		return -errno;
	arg[0] = attempt_number(a[2]);
	if (command == FICLONE)
		return result_close(ioctl(fd, command, fd), fd);
	return result_close(ioctl(fd, command, arg), fd);
}

const struct attempt_kind attempt_changes[] = {
	{"open", 3, do_open},
	{"mkdir", 1, do_mkdir},
	{"rmdir", 1, do_rmdir},
	{"unlink", 1, do_unlink},
	{"symlink", 2, do_symlink},
	{"mknod", 2, do_mknod},
	{"bind", 1, do_bind},
	{"link", 3, do_link},
	{"rename", 3, do_rename},
	{"chmod", 2, do_chmod},
	{"lchmod", 2, do_lchmod},
	{"fchmod", 2, do_fchmod},
	{"chown", 3, do_chown},
	{"lchown", 3, do_lchown},
	{"fchown", 3, do_fchown},
	{"utimes", 2, do_utimes},
	{"lutimes", 2, do_lutimes},
	{"futimes", 2, do_futimes},
	{"truncate", 2, do_truncate},
	{"ftruncate", 2, do_ftruncate},
	{"fallocate", 3, do_fallocate},
	{"write", 2, do_write},
	{"setxattr", 4, do_setxattr},
	{"lsetxattr", 3, do_lsetxattr},
	{"fsetxattr", 3, do_fsetxattr},
	{"removexattr", 2, do_removexattr},
	{"lremovexattr", 2, do_lremovexattr},
	{"setacl", 2, do_setacl},
	{"copyrange", 3, do_copyrange},
	{"sendfile", 3, do_sendfile},
	{"splice", 3, do_splice},
	{"ioctl", 3, do_ioctl},
	{0},
};
