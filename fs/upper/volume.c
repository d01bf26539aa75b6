/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes in files; see volume.h. */
#include "fs/upper/volume.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/loop.h>
#include <spawn.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fs/base/io.h"
#include "fs/upper/detached.h"

/* linux/fs/ext4/ext4.h; a size in blocks. */
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)

enum {
	BLOCK = 4096,
	LOOP_TRIES = 64, /* others take free devices, too */
	RESERVED_INODES = 11,
};

static int file_name(const char *name, const char *end, char ret[NAME_MAX + 1])
{
	return snprintf(ret, NAME_MAX + 1, "%s.ext4%s", name, end) > NAME_MAX
		       ? -ENAMETOOLONG
		       : 0;
}

bool volume_exists(int dir, const char *name)
{
	char file[NAME_MAX + 1];

	return file_name(name, "", file) == 0 &&
	       faccessat(dir, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void volume_remove(int dir, const char *name)
{
	char file[NAME_MAX + 1];

	if (file_name(name, "", file) == 0)
		(void)unlinkat(dir, file, 0); /* or it is not there */
}

/* ---- making ---- */

/* Run mkfs.ext4 on the file, which it knows as descriptor 3; what it says goes
 * to memory. */
static int spawn_mkfs(int file, int said, char *inodes, pid_t *ret)
{
	char name[] = "mkfs.ext4", q[] = "-q", force[] = "-F", b[] = "-b",
	     block[] = "4096", m[] = "-m", zero[] = "0", n[] = "-N",
	     target[] = "/proc/self/fd/3",
	     path[] = "PATH=/usr/sbin:/sbin:/usr/bin:/bin", lang[] = "LC_ALL=C";
	char *with[] = {
		name, q, force, b, block, m, zero, n, inodes, target, NULL};
	char *without[] = {name, q, force, b, block, m, zero, target, NULL};
	char *env[] = {path, lang, NULL};
	static const char *const places[] = {
		"/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4"};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, said, 2);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, said, 1);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, file, 3);
	if (r == 0)
		r = ENOENT;
	for (size_t i = 0; r == ENOENT && i < ARRAY_LEN(places); i++)
		r = posix_spawn(ret, places[i], &actions, NULL,
			*inodes ? with : without, env);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

static int run_mkfs(int file, uint64_t inodes, struct diag *diag)
{
	_cleanup_close_ int said = memfd_create("mkfs", MFD_CLOEXEC);
	char number[24] = "", text[256];
	pid_t pid;
	int status, r;

	if (said < 0)
		return diag_errno(diag, -errno, "making the volume");
	if (inodes)
		(void)snprintf(number, sizeof(number), "%" PRIu64,
			inodes > UINT64_MAX - RESERVED_INODES
				? inodes
				: inodes + RESERVED_INODES);
	r = spawn_mkfs(file, said, number, &pid);
	if (r == -ENOENT)
		return diag_set(diag, -ENOPKG,
			"a storage with a size needs mkfs.ext4; install the "
			"package e2fsprogs");
	if (r < 0)
		return diag_errno(diag, r, "starting mkfs.ext4");
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return diag_errno(
				diag, -errno, "waiting for mkfs.ext4");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;

	ssize_t len = io_pread(said, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return diag_set(diag, -EINVAL, "mkfs.ext4 refused: %s", text);
}

int volume_make(int dir, const char *name, const struct volume_limits *limits,
	struct diag *diag)
{
	char new[NAME_MAX + 1], final[NAME_MAX + 1];
	int r = file_name(name, ".new", new);

	if (r == 0)
		r = file_name(name, "", final);
	if (r < 0)
		return diag_errno(diag, r, "making the volume");

	_cleanup_close_ int fd = openat(dir, new,
		O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)(limits->size / BLOCK * BLOCK)) < 0)
		r = diag_errno(diag, -errno, "making the volume");
	if (r == 0)
		r = run_mkfs(fd, limits->inodes, diag);
	if (r == 0 && (fsync(fd) < 0 || renameat(dir, new, dir, final) < 0))
		r = diag_errno(diag, -errno, "making the volume");
	if (r < 0)
		(void)unlinkat(dir, new, 0); /* it means nothing */
	return r;
}

/* ---- mounting ---- */

/* The loop device keeps this descriptor's file open, and so the lock: it is
 * held exactly as long as the volume is mounted, whoever has died. */
static int open_volume(int dir, const char *name, struct diag *diag)
{
	char file[NAME_MAX + 1];
	int r = file_name(name, "", file);
	_cleanup_close_ int fd =
		r < 0 ? -1 : openat(dir, file, O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return diag_errno(
			diag, r < 0 ? r : -errno, "opening volume %s", name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_set(diag, errno == EWOULDBLOCK ? -EBUSY : -errno,
			"volume %s is still mounted; unmount it there first "
			"('losetup -j' names the device)",
			name);
	return take_fd(fd);
}

/* A file that is smaller than the policy says grows. */
static int fit_file(int fd, const char *name, uint64_t size, struct diag *diag)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return diag_errno(diag, -errno, "volume %s", name);
	size = size / BLOCK * BLOCK;
	if (size < (uint64_t)st.st_size)
		return diag_set(diag, -ERANGE,
			"volume %s has %" PRIu64 " bytes and cannot shrink to "
			"%" PRIu64
			"; declare at least as much, or another name",
			name, (uint64_t)st.st_size, size);
	if (size > (uint64_t)st.st_size && ftruncate(fd, (off_t)size) < 0)
		return diag_errno(diag, -errno, "growing volume %s", name);
	return 0;
}

/* 0, -EBUSY when another took it, -errno. */
static int try_loop(
	int control, int file, const char *name, char ret_path[32], int *ret)
{
	struct loop_config config = {
		.fd = (uint32_t)file,
		.block_size = BLOCK,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int number = ioctl(control, LOOP_CTL_GET_FREE);

	if (number < 0)
		return -errno;
	(void)snprintf(ret_path, 32, "/dev/loop%d", number);
	/* Only what losetup shows. */
	(void)snprintf(
		(char *)config.info.lo_file_name, LO_NAME_SIZE, "%s", name);

	_cleanup_close_ int fd = open(ret_path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, LOOP_CONFIGURE, &config) < 0)
		return -errno;
	*ret = take_fd(fd);
	return 0;
}

static int take_loop(
	int file, const char *name, char ret_path[32], struct diag *diag)
{
	_cleanup_close_ int control =
		open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int fd = -1, r = control < 0 ? -errno : -EBUSY;

	for (int i = 0; r == -EBUSY && i < LOOP_TRIES; i++)
		r = try_loop(control, file, name, ret_path, &fd);
	if (r < 0)
		return diag_set(diag, -ENODEV,
			"volume %s needs a loop device, and there is none: %s",
			name, strerror(-r));
	return fd;
}

/* Blocks of the file system, from its superblock (Documentation/filesystems/
 * ext4/super.rst); 0: unreadable. */
static uint64_t blocks_of(int file)
{
	uint32_t low, high;

	if (io_pread(file, &low, sizeof(low), 1024 + 0x4) != sizeof(low) ||
		io_pread(file, &high, sizeof(high), 1024 + 0x150) !=
			sizeof(high))
		return 0;
	return (uint64_t)le32toh(high) << 32 | le32toh(low);
}

/* Let the file system fill its file: after the file has grown, perhaps long ago
 * by a mount that was cut off. */
static int grow(int mount, int file, const char *name, struct diag *diag)
{
	_cleanup_close_ int root =
		openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	uint64_t blocks;

	if (root < 0 || fstat(file, &st) < 0)
		return diag_errno(diag, -errno, "growing volume %s", name);
	blocks = (uint64_t)st.st_size / BLOCK;
	if (blocks <= blocks_of(file))
		return 0;
	if (ioctl(root, EXT4_IOC_RESIZE_FS, &blocks) < 0)
		return diag_errno(diag, -errno, "growing volume %s", name);
	return 0;
}

int volume_mount(int dir, const char *name, uint64_t size, unsigned attrs,
	struct diag *diag)
{
	_cleanup_close_ int file = open_volume(dir, name, diag);
	_cleanup_close_ int device = -1, mount = -1;
	char path[32];
	int r = file < 0 ? file : fit_file(file, name, size, diag);

	if (r < 0)
		return r;
	device = take_loop(file, name, path, diag);
	if (device < 0)
		return device;
	mount = detached_device("ext4", path, attrs, diag);
	if (mount < 0)
		return mount;
	r = grow(mount, file, name, diag);
	return r < 0 ? r : take_fd(mount);
}
