/* SPDX-License-Identifier: Apache-2.0 */
/* An upper for another image; see rebase.h. */
#include "fs/upper/rebase.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/base/buf.h"
#include "fs/upper/content.h"

/* Of all folder's paths that wait. */
#define WAITING_MAX (256u << 20)

/* What refers to the lower by handle, or counts by it. */
static const char *const handles[] = {
	"trusted.overlay.origin",
	"trusted.overlay.nlink",
	"trusted.overlay.upper",
	"user.overlay.origin",
	"user.overlay.nlink",
	"user.overlay.upper",
};

static int forget_handles(int fd)
{
	char path[32];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (size_t i = 0; i < ARRAY_LEN(handles); i++) {
		/* Without the right to trusted.*, none can be there. */
		if (removexattr(path, handles[i]) < 0 && errno != ENODATA &&
			errno != ENOTSUP && errno != EPERM)
			return -errno;
	}
	return 0;
}

/* One entry of the folder with the given path; folders are to be visited. */
static int visit(
	int folder, const char *path, const char *name, struct buf *waiting)
{
	_cleanup_close_ int fd =
		openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;

	/* Links and devices, which whiteouts are, have none of user.*; an
	 * O_PATH descriptor of a link leads to it and not on. */
	if (r == 0)
		r = forget_handles(fd);
	if (r < 0 || !S_ISDIR(st.st_mode))
		return r;
	r = buf_add(waiting, path, strlen(path));
	if (r == 0)
		r = buf_add(waiting, "/", 1);
	return r < 0 ? r : buf_add(waiting, name, strlen(name) + 1);
}

static int visit_folder(int upper, const char *path, struct buf *waiting)
{
	int fd = content_open_below(upper, path, O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = fd < 0 ? fd : d ? 0 : -errno;

	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit(dirfd(d), path, e->d_name, waiting);
	}
	return r == 0 && errno ? -errno : r;
}

static int walk(int upper)
{
	_cleanup_buf_ struct buf waiting = {.max = WAITING_MAX};
	int r = forget_handles(upper);

	if (r == 0)
		r = buf_add(&waiting, "", 1); /* the upper itself */
	for (size_t at = 0; r == 0 && at < waiting.len;) {
		/* The buf moves when it grows. */
		_cleanup_free_ char *path = strdup(waiting.data + at);

		if (!path)
			return -ENOMEM;
		at += strlen(path) + 1;
		r = visit_folder(upper, path, &waiting);
	}
	return r;
}

int rebase(int dir, struct diag *diag)
{
	_cleanup_close_ int upper = openat(
		dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = upper < 0 ? -errno : content_remove(dir, "work");

	if (r == 0 && mkdirat(dir, "work", 0700) < 0)
		r = -errno;
	if (r == 0)
		r = walk(upper);
	if (r < 0)
		return diag_errno(
			diag, r, "fitting what was written to this image");
	return 0;
}
