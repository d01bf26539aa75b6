/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts that are attached nowhere; see detached.h. */
#include "fs/upper/detached.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>

/* Room for "/proc/self/fd/N". */
#define FD_PATH 32

/* The last thing that the kernel said about it: "overlay: ..." */
static void add_words(int context, struct diag *diag)
{
	char text[256];
	size_t used = diag ? strlen(diag->text) : 0;
	ssize_t n, last = 0;
	char said[256] = "";

	while ((n = read(context, text, sizeof(text) - 1)) > 0) {
		last = n;
		text[n] = '\0';
		memcpy(said, text, (size_t)n + 1);
	}
	if (last < 3 || !diag)
		return;
	said[strcspn(said, "\n")] = '\0';
	/* "e " and "w " tell how bad it is. */
	(void)snprintf(diag->text + used, sizeof(diag->text) - used, " (%s)",
		said[1] == ' ' ? said + 2 : said);
}

static int failed(int context, int err, const char *what, struct diag *diag)
{
	(void)diag_errno(diag, err, "making the %s", what);
	add_words(context, diag);
	return err;
}

static int set(int context, const char *key, const char *value)
{
	return fsconfig(context, FSCONFIG_SET_STRING, key, value, 0) < 0
		       ? -errno
		       : 0;
}

/* All is set: make it. */
static int create(int context, unsigned attrs)
{
	if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;

	int fd = fsmount(context, FSMOUNT_CLOEXEC, attrs);

	return fd < 0 ? -errno : fd;
}

int detached_tmpfs(uint64_t size, uint64_t inodes, mode_t mode, unsigned attrs,
	struct diag *diag)
{
	_cleanup_close_ int context = fsopen("tmpfs", FSOPEN_CLOEXEC);
	char number[32];
	int r = context < 0 ? -errno : set(context, "source", "stele");

	if (r == 0 && size) {
		(void)snprintf(number, sizeof(number), "%" PRIu64, size);
		r = set(context, "size", number);
	}
	if (r == 0 && inodes) {
		(void)snprintf(number, sizeof(number), "%" PRIu64, inodes);
		r = set(context, "nr_inodes", number);
	}
	if (r == 0) {
		(void)snprintf(number, sizeof(number), "%o", (unsigned)mode);
		r = set(context, "mode", number);
	}
	if (r == 0)
		r = create(context, attrs);
	return r < 0 ? failed(context, r, "tmpfs", diag) : r;
}

int detached_device(
	const char *type, const char *device, unsigned attrs, struct diag *diag)
{
	_cleanup_close_ int context = fsopen(type, FSOPEN_CLOEXEC);
	int r = context < 0 ? -errno : set(context, "source", device);

	if (r == 0)
		r = create(context, attrs);
	return r < 0 ? failed(context, r, type, diag) : r;
}

int detached_clone(int fd, bool deep, unsigned attrs, struct diag *diag)
{
	unsigned recursive = deep ? AT_RECURSIVE : 0;
	_cleanup_close_ int mount = open_tree(fd, "",
		AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
			recursive);
	struct mount_attr attr = {.attr_set = attrs, .propagation = MS_PRIVATE};

	if (mount < 0)
		return diag_errno(diag, -errno, "making the bind mount");
	if (mount_setattr(mount, "", AT_EMPTY_PATH | recursive, &attr,
		    sizeof(attr)) < 0)
		return diag_errno(diag, -errno, "giving it its flags");
	return take_fd(mount);
}

/* ---- overlays ---- */

static const struct option {
	enum detached_option option;
	const char *key, *value, *word;
} options[] = {
	/* The first ones are given up first. */
	{DETACHED_XINO, "xino", "on", "xino=on"},
	{DETACHED_INDEX, "index", "on", "index=on"},
	{DETACHED_REDIRECT, "redirect_dir", "on", "redirect_dir=on"},
	{DETACHED_USERXATTR, "userxattr", NULL, "userxattr"},
};

const char *detached_option_word(enum detached_option option)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		if (options[i].option == option)
			return options[i].word;
	}
	return NULL;
}

/* A layer as a descriptor (Linux 6.13), else by the name that it has in /proc,
 * which holds nothing that the option would be split at. */
static int set_layer(
	int context, const char *key, const char *older_key, int fd)
{
	char path[FD_PATH];

	if (fsconfig(context, FSCONFIG_SET_FD, key, NULL, fd) == 0)
		return 0;
	if (errno != EINVAL)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return set(context, older_key, path);
}

static int set_options(int context, unsigned wanted)
{
	int r = set(context, "source", "stele");

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(options); i++) {
		if (!(wanted & options[i].option))
			continue;
		if (options[i].value)
			r = set(context, options[i].key, options[i].value);
		else if (fsconfig(context, FSCONFIG_SET_FLAG, options[i].key,
				 NULL, 0) < 0)
			r = -errno;
	}
	return r;
}

static int try_overlay(const struct detached_layers *l, unsigned wanted,
	unsigned attrs, struct diag *diag)
{
	_cleanup_close_ int context = fsopen("overlay", FSOPEN_CLOEXEC);
	int r = context < 0 ? -errno : set_options(context, wanted);

	if (r == 0)
		r = set_layer(context, "lowerdir+", "lowerdir", l->lower);
	if (r == 0)
		r = set_layer(context, "upperdir", "upperdir", l->upper);
	if (r == 0)
		r = set_layer(context, "workdir", "workdir", l->work);
	if (r == 0)
		r = create(context, attrs);
	return r < 0 ? failed(context, r, "overlay", diag) : r;
}

int detached_overlay(const struct detached_layers *l, unsigned *ret_options,
	unsigned attrs, struct diag *diag)
{
	unsigned wanted = *ret_options;
	int r = try_overlay(l, wanted, attrs, diag);

	for (size_t i = 0; i < ARRAY_LEN(options) - 1 && r == -EINVAL; i++) {
		if (!(wanted & options[i].option))
			continue;
		wanted &= ~(unsigned)options[i].option;
		r = try_overlay(l, wanted, attrs, diag);
	}
	if (r >= 0)
		*ret_options = wanted;
	return r;
}

/* ---- attaching ---- */

int detached_attach(int mount, int target)
{
	return move_mount(mount, "", target, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

void detached_undo(int mount)
{
	char path[FD_PATH];

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", mount);
	(void)umount2(path, MNT_DETACH); /* what was mounted can be detached */
}
