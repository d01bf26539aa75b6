/* SPDX-License-Identifier: Apache-2.0 */
/* An upper for another image; see rebase.h. */
#include "fs/upper/rebase.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/upper/content.h"
#include "fs/upper/walk.h"

/* What refers to the lower by handle, or counts by it. */
static const char *const handles[] = {
	"trusted.overlay.origin",
	"trusted.overlay.nlink",
	"trusted.overlay.upper",
	"user.overlay.origin",
	"user.overlay.nlink",
	"user.overlay.upper",
};

/* A walk_fn. Links and whiteouts have no attributes of user.*. */
static int forget_handles(
	void *arg, const char *path, int fd, const struct stat *st)
{
	char name[WALK_FD_PATH];

	(void)walk_fd_path(fd, name);
	for (size_t i = 0; i < ARRAY_LEN(handles); i++) {
		/* Without the right to trusted.*, none can be there. */
		if (removexattr(name, handles[i]) < 0 && errno != ENODATA &&
			errno != ENOTSUP && errno != EPERM)
			return -errno;
	}
	return 0;
}

int rebase(int dir, struct diag *diag)
{
	_cleanup_close_ int upper = openat(
		dir, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = upper < 0 ? -errno : content_remove(dir, "work");

	if (r == 0 && mkdirat(dir, "work", 0700) < 0)
		r = -errno;
	if (r == 0)
		r = walk_upper(upper, forget_handles, NULL);
	if (r < 0)
		return diag_errno(
			diag, r, "fitting what was written to this image");
	return 0;
}
