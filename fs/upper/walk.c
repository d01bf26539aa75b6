/* SPDX-License-Identifier: Apache-2.0 */
/* Through an upper, breadth first; see walk.h. */
#include "fs/upper/walk.h"

#include <fcntl.h>
#include <string.h>

#include "fs/base/buf.h"
#include "fs/upper/content.h"

/* Of the paths of all folders together. */
#define WAITING_MAX (256u << 20)

struct walk {
	walk_fn fn;
	void *arg;
	struct buf waiting; /* paths of folders to visit, each with its NUL */
};

const char *walk_fd_path(int fd, char ret[WALK_FD_PATH])
{
	(void)snprintf(ret, WALK_FD_PATH, "/proc/self/fd/%d", fd);
	return ret;
}

static int visit(struct walk *w, int folder, const char *path, const char *name)
{
	_cleanup_close_ int fd =
		openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_free_ char *whole = NULL;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (asprintf(&whole, "%s/%s", path, name) < 0) {
		whole = NULL;
		return -ENOMEM;
	}

	int r = w->fn(w->arg, whole, fd, &st);

	if (r == 0 && S_ISDIR(st.st_mode))
		r = buf_add(&w->waiting, whole, strlen(whole) + 1);
	return r;
}

static int visit_all(struct walk *w, int upper, const char *path)
{
	int fd = content_open_below(upper, path, O_RDONLY | O_DIRECTORY);
	_cleanup_closedir_ DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = fd < 0 ? fd : d ? 0 : -errno;

	while (r == 0 && (errno = 0, e = readdir(d))) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = visit(w, dirfd(d), path, e->d_name);
	}
	return r == 0 && d && errno ? -errno : r;
}

int walk_upper(int upper, walk_fn fn, void *arg)
{
	struct walk w = {.fn = fn, .arg = arg, .waiting.max = WAITING_MAX};
	struct stat st;
	int r = fstat(upper, &st) < 0 ? -errno : fn(arg, "", upper, &st);

	if (r == 0)
		r = buf_add(&w.waiting, "", 1);
	for (size_t at = 0; r == 0 && at < w.waiting.len;) {
		/* The buf moves when it grows. */
		_cleanup_free_ char *path = strdup(w.waiting.data + at);

		if (path) {
			at += strlen(path) + 1;
			r = visit_all(&w, upper, path);
		} else {
			r = -ENOMEM;
		}
	}
	buf_done(&w.waiting);
	return r;
}
