/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the mount point and the mount itself; see point.h. */
#include "fs/mount/point.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/base/mountinfo.h"

#define FUSE_DEVICE "/dev/fuse"
#define FUSE_DEVICE_NUMBER makedev(10, 229) /* devices.txt of Linux */

/* As many as the kernel follows. */
#define LINKS_MAX 40

/* Does path lie at or below folder? Both absolute and without links. */
static bool lies_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	if (strcmp(folder, "/") == 0)
		return true;
	return strncmp(path, folder, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

/* The folder of a path, without what links it has. */
static char *real_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *folder =
		slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");

	return folder ? realpath(folder, NULL) : NULL;
}

/*
 * Where a file is, or, when it is not there yet, the folder in which it will be
 * made: also at the end of links that lead to nothing yet. NULL: unknown.
 */
static char *real_place(const char *path)
{
	_cleanup_free_ char *at = strdup(path);

	for (int links = 0; at && links <= LINKS_MAX; links++) {
		char target[PATH_MAX];
		char *next = realpath(at, NULL);

		if (next || errno != ENOENT)
			return next;

		_cleanup_free_ char *folder = real_folder(at);
		ssize_t len = readlink(at, target, sizeof(target) - 1);

		if (len < 0 || !folder)
			return take_ptr(folder);
		target[len] = '\0';
		free(take_ptr(at));
		if (asprintf(&next, "%s/%s", target[0] == '/' ? "" : folder,
			    target) < 0)
			return NULL;
		at = next;
	}
	return NULL;
}

/* What lies below the mount point would be hidden by the mount from us too. */
static int check_outside(const char *what, const char *path,
	const char *mount_point, struct diag *diag)
{
	_cleanup_free_ char *real = real_place(path);

	if (!lies_below(real ? real : path, mount_point))
		return 0;
	return diag_set(diag, -ELOOP,
		"mount on %s: the %s %s lies below the mount point and would "
		"be hidden by it; choose another mount point",
		mount_point, what, path);
}

static int check_empty(const char *mount_point, struct diag *diag)
{
	_cleanup_closedir_ DIR *dir = opendir(mount_point);
	struct dirent *e;

	if (!dir)
		return diag_errno(diag, -errno, "mount on %s", mount_point);
	while ((e = readdir(dir))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		return diag_set(diag, -ENOTEMPTY,
			"mount on %s: the folder is not empty; its content "
			"would be hidden (-o nonempty allows it)",
			mount_point);
	}
	return 0;
}

int point_check(const struct mount_options *opt, struct diag *diag)
{
	const char *at = opt->mount_point;
	struct mountinfo info;
	struct stat st;
	int r = mountinfo_find_absolute(at, &info);

	if (r < 0)
		return diag_errno(
			diag, r, "mount on %s: reading the mounts", at);

	bool ours = r > 0 && strcmp(info.fstype, MOUNTINFO_FSTYPE) == 0;

	if (r > 0)
		mountinfo_done(&info);
	if (ours)
		return diag_set(diag, -EBUSY,
			"mount on %s: an image is mounted there already; "
			"unmount it first (stele umount %s)",
			at, at);
	if (stat(at, &st) < 0)
		return diag_errno(diag, -errno, "mount on %s", at);
	if (!S_ISDIR(st.st_mode))
		return diag_set(
			diag, -ENOTDIR, "mount on %s: it is not a folder", at);

	r = check_outside("image", opt->image, at, diag);
	if (r == 0)
		r = check_outside("ledger", opt->ledger, at, diag);
	if (r == 0 && !opt->nonempty)
		r = check_empty(at, diag);
	return r;
}

static int open_device(struct diag *diag)
{
	int fd = open(FUSE_DEVICE, O_RDWR | O_CLOEXEC);
	int err = errno;
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISCHR(st.st_mode) ||
			       st.st_rdev != FUSE_DEVICE_NUMBER)) {
		(void)close(fd); /* was only opened to look at it */
		fd = -1;
		err = ENODEV;
	}
	if (fd >= 0)
		return fd;
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return diag_set(diag, -ENODEV,
			"mount: no " FUSE_DEVICE
			" here; load the module (modprobe fuse) or give the "
			"container the device");
	return diag_errno(diag, -err, "mount: open " FUSE_DEVICE);
}

int point_mount(const struct mount_options *opt, struct diag *diag)
{
	_cleanup_close_ int fd = open_device(diag);

	if (fd < 0)
		return fd;

	char data[256];
	unsigned long flags = MS_NODEV;

	if (!opt->suid)
		flags |= MS_NOSUID;
	if (opt->noexec)
		flags |= MS_NOEXEC;
	(void)snprintf(data, sizeof(data),
		"fd=%d,rootmode=40000,user_id=%u,group_id=%u%s", fd, getuid(),
		getgid(), opt->allow_other ? ",allow_other" : "");
	if (mount(opt->image, opt->mount_point, MOUNTINFO_FSTYPE, flags, data) <
		0)
		return diag_errno(
			diag, -errno, "mount on %s", opt->mount_point);
	return take_fd(fd);
}

int point_device(
	const char *mount_point, uint32_t *ret_major, uint32_t *ret_minor)
{
	struct mountinfo info;
	int r = mountinfo_find_absolute(mount_point, &info);

	if (r <= 0)
		return r < 0 ? r : -ENOENT;
	*ret_major = info.major;
	*ret_minor = info.minor;
	mountinfo_done(&info);
	return 0;
}
