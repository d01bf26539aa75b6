/* SPDX-License-Identifier: Apache-2.0 */
/* Volumes in files; see volume.h. */
#include "fs/upper/volume.h"

#include <endian.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "fs/upper/detached.h"
#include "fs/upper/program.h"

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

static int run_mkfs(int file, uint64_t inodes, struct diag *diag)
{
	char number[24];
	const char *with[] = {"mkfs.ext4", "-q", "-F", "-b", "4096", "-m", "0",
		"-N", number, PROGRAM_FILE, NULL};
	const char *without[] = {"mkfs.ext4", "-q", "-F", "-b", "4096", "-m",
		"0", PROGRAM_FILE, NULL};

	/* ext4 keeps some for itself. */
	if (__builtin_add_overflow(inodes, RESERVED_INODES, &inodes))
		inodes = UINT64_MAX;
	(void)snprintf(number, sizeof(number), "%" PRIu64, inodes);

	int r = program_run(
		inodes > RESERVED_INODES ? with : without, file, diag);

	return r > 0 ? -EINVAL : r;
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
 * by a mount that was cut off. -EPERM without CAP_SYS_RESOURCE. */
static int grow_mounted(int mount, int file)
{
	_cleanup_close_ int root =
		openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	uint64_t blocks;

	if (root < 0 || fstat(file, &st) < 0)
		return -errno;
	blocks = (uint64_t)st.st_size / BLOCK;
	if (blocks <= blocks_of(file))
		return 0;
	return ioctl(root, EXT4_IOC_RESIZE_FS, &blocks) < 0 ? -errno : 0;
}

/* The same while it is not mounted: slower, since all of it is checked first.
 */
static int grow_offline(int file, const char *name, struct diag *diag)
{
	const char *check[] = {"e2fsck", "-f", "-p", PROGRAM_FILE, NULL};
	const char *resize[] = {"resize2fs", PROGRAM_FILE, NULL};
	struct diag said;
	int r = program_run(check, file, &said);

	/* 1: it has put right what was wrong. */
	if (r == 0 || r == 1)
		r = program_run(resize, file, &said);
	if (r != 0)
		return diag_set(diag, r < 0 ? r : -EINVAL,
			"growing volume %s: %s", name, said.text);
	return 0;
}

static int mount_file(
	int file, const char *name, unsigned attrs, struct diag *diag)
{
	_cleanup_close_ int device = -1;
	char path[32];

	device = take_loop(file, name, path, diag);
	return device < 0 ? device : detached_device("ext4", path, attrs, diag);
}

int volume_mount(int dir, const char *name, uint64_t size, unsigned attrs,
	struct diag *diag)
{
	_cleanup_close_ int file = open_volume(dir, name, diag);
	_cleanup_close_ int mount = -1;
	int r = file < 0 ? file : fit_file(file, name, size, diag);

	if (r < 0)
		return r;
	mount = mount_file(file, name, attrs, diag);
	if (mount < 0)
		return mount;
	r = grow_mounted(mount, file);
	if (r == 0)
		return take_fd(mount);
	if (r != -EPERM)
		return diag_errno(diag, r, "growing volume %s", name);
	(void)close(take_fd(mount)); /* unmounts it */
	r = grow_offline(file, name, diag);
	return r < 0 ? r : mount_file(file, name, attrs, diag);
}
