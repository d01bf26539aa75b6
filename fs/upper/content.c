/* SPDX-License-Identifier: Apache-2.0 */
/* What a writable path has at first; see content.h. */
#include "fs/upper/content.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"

enum {
	FD_PATH = 32,
	XATTR_MAX = 64 << 10, /* of the kernel, of a value and of a list */
	COPY_SIZE = 128 << 10,
};

/* ---- paths ---- */

int content_open_below(int dir, const char *path, int flags)
{
	struct open_how how = {
		.flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};
	const char *rest = path + strspn(path, "/");
	long fd = syscall(
		SYS_openat2, dir, *rest ? rest : ".", &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

static int make_one(int dir, const char *name, bool is_file)
{
	if (!is_file)
		return mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -errno
								       : 0;

	int fd = openat(dir, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	if (fd < 0)
		return errno == EEXIST ? 0 : -errno;
	return close(fd) < 0 ? -errno : 0;
}

int content_make_point(int dir, const char *path, bool is_file)
{
	_cleanup_free_ char *names = strdup(path + 1);
	_cleanup_close_ int at = content_open_below(dir, "/", O_PATH);
	char *next = names;

	if (!names)
		return -ENOMEM;
	if (at < 0)
		return at;
	for (char *name; (name = strsep(&next, "/"));) {
		bool file = is_file && !next;
		int r = make_one(at, name, file);
		int fd = r < 0 ? r
			       : content_open_below(at, name,
					 O_PATH | (file ? 0 : O_DIRECTORY));

		if (fd < 0)
			return fd;
		(void)close(at); /* only a place on the way */
		at = fd;
	}
	return 0;
}

/* Remove what goes; *ret_down is the first folder that is not empty, or -1. */
static int remove_some(DIR *d, int *ret_down)
{
	struct dirent *e;

	*ret_down = -1;
	while ((e = readdir(d))) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) == 0 ||
			unlinkat(dirfd(d), e->d_name, AT_REMOVEDIR) == 0)
			continue;
		if (errno != ENOTEMPTY)
			return -errno;
		*ret_down = openat(dirfd(d), e->d_name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		return *ret_down < 0 ? -errno : 0;
	}
	return 0;
}

/*
 * Down as long as there is something in it, up when a folder is empty. Nobody
 * else moves anything in there, and no stack is needed, however deep it is.
 */
static int remove_below(int top)
{
	int dir = fcntl(top, F_DUPFD_CLOEXEC, 0);
	size_t depth = 0;

	for (;;) {
		_cleanup_closedir_ DIR *d = dir < 0 ? NULL : fdopendir(dir);
		int down, r = d ? remove_some(d, &down) : -errno;

		if (r < 0)
			return r;
		if (down >= 0) {
			depth++;
		} else if (depth == 0) {
			return 0;
		} else {
			down = openat(dirfd(d), "..",
				O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			depth--;
		}
		dir = down;
	}
}

int content_remove(int dir, const char *name)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = remove_below(fd);
	if (r == 0 && unlinkat(dir, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

/* ---- attributes ---- */

/* What an overlay keeps for itself is not the file's. */
static bool is_of_overlay(const char *name)
{
	return strncmp(name, "trusted.overlay.", 16) == 0 ||
	       strncmp(name, "user.overlay.", 13) == 0;
}

/* Without these, somebody could do more, or less, than the image says. */
static bool is_needed(const char *name)
{
	return strncmp(name, "system.posix_acl_", 17) == 0 ||
	       strcmp(name, "security.capability") == 0;
}

static int copy_xattr(const char *from, const char *to, const char *name)
{
	_cleanup_free_ char *value = malloc(XATTR_MAX);
	ssize_t n = value ? getxattr(from, name, value, XATTR_MAX) : -1;

	if (!value)
		return -ENOMEM;
	if (n >= 0 && setxattr(to, name, value, (size_t)n, 0) == 0)
		return 0;
	return is_needed(name) ? -errno : 0;
}

static int copy_xattrs(const char *from, const char *to)
{
	_cleanup_free_ char *names = malloc(XATTR_MAX);
	ssize_t n = names ? listxattr(from, names, XATTR_MAX) : -1;
	int r = 0;

	if (!names)
		return -ENOMEM;
	if (n < 0)
		return errno == ENOTSUP ? 0 : -errno;
	for (char *name = names; r == 0 && name < names + n;
		name += strlen(name) + 1) {
		if (!is_of_overlay(name))
			r = copy_xattr(from, to, name);
	}
	return r;
}

static int set_owner(int fd, const struct plan_step *s, bool declared_only)
{
	const struct policy_path *p = s->declared;
	char path[FD_PATH];
	uid_t uid = declared_only ? p->uid : s->uid;
	gid_t gid = declared_only ? p->gid : s->gid;

	/* fd is an O_PATH descriptor. */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (chown(path, uid, gid) < 0 &&
		(errno != EINVAL || p->uid != POLICY_ID_UNSET ||
			p->gid != POLICY_ID_UNSET))
		return -errno; /* EINVAL: an id that our user namespace does not
				* know, and nobody asked for it: it is ours */
	/* Last, since to give it away takes set-id bits off. */
	if (declared_only && p->mode == POLICY_MODE_UNSET)
		return 0;
	return chmod(path, s->mode) < 0 ? -errno : 0;
}

int content_own(int dir, const char *name, const struct plan_step *s,
	bool declared_only, struct diag *diag)
{
	_cleanup_close_ int fd =
		openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : set_owner(fd, s, declared_only);

	return r < 0 ? diag_errno(diag, r, "giving it its mode and owner") : 0;
}

/* What the image says of the path, and what is declared on top of it. */
static int dress(
	int fd, const struct plan_step *s, const struct content_seed *seed)
{
	char from[FD_PATH], to[FD_PATH];
	int r = set_owner(fd, s, false);
	struct stat st;

	if (r < 0 || seed->node < 0)
		return r;
	(void)snprintf(from, sizeof(from), "/proc/self/fd/%d", seed->node);
	(void)snprintf(to, sizeof(to), "/proc/self/fd/%d", fd);
	r = copy_xattrs(from, to);
	/* An ACL changes the mode. */
	if (r == 0 && chmod(to, s->mode) < 0)
		r = -errno;
	if (r == 0 && fstat(seed->node, &st) < 0)
		r = -errno;
	if (r < 0)
		return r;

	const struct timespec times[] = {st.st_mtim, st.st_mtim};

	return utimensat(AT_FDCWD, to, times, 0) < 0 ? -errno : 0;
}

/* ---- making it ---- */

static int make_folder(int dir, const char *name, const struct plan_step *s,
	const struct content_seed *seed)
{
	const struct content_seed none = {.node = -1};
	bool as_image = s->form == PLAN_OVERLAY;

	if (mkdirat(dir, name, 0700) < 0)
		return -errno;

	_cleanup_close_ int fd = openat(
		dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : dress(fd, s, as_image ? seed : &none);
}

static int copy_bytes(int from, int to)
{
	_cleanup_free_ char *bytes = malloc(COPY_SIZE);
	ssize_t n = 0;
	int r = bytes ? 0 : -ENOMEM;

	while (r == 0 && (n = io_read(from, bytes, COPY_SIZE)) > 0)
		r = io_write(to, bytes, (size_t)n);
	return r < 0 ? r : (int)n;
}

static int make_file(int dir, const char *name, const struct plan_step *s,
	const struct content_seed *seed)
{
	bool empty = s->declared->seed == POLICY_SEED_EMPTY;
	_cleanup_close_ int to = openat(dir, name,
		O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = to < 0 ? -errno : 0;

	if (r == 0 && !empty) {
		_cleanup_close_ int from = content_open_below(
			seed->root, s->declared->path, O_RDONLY);

		r = from < 0 ? from : copy_bytes(from, to);
	}
	if (r == 0)
		r = dress(to, s, seed);
	if (r == 0 && seed->sync && fsync(to) < 0)
		r = -errno;
	return r;
}

const char *content_name(enum plan_form form)
{
	return form == PLAN_OVERLAY ? "upper" : "content";
}

int content_make(int dir, const struct plan_step *s,
	const struct content_seed *seed, struct diag *diag)
{
	const char *name = content_name(s->form);
	int r = s->form == PLAN_FILE ? make_file(dir, name, s, seed)
				     : make_folder(dir, name, s, seed);

	if (r == 0 && s->form == PLAN_OVERLAY && mkdirat(dir, "work", 0700) < 0)
		r = -errno;
	return r < 0 ? diag_errno(diag, r, "making its first content") : 0;
}
