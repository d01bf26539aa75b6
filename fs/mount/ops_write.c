/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations that would change something: each describes the attempt and sends
 * it to the gate. Every kind has a handler, since a kind that is answered
 * ENOSYS once is never sent again by the kernel, and would never be seen.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/fsverity.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/mount/internal.h"

/* What an investigator is told of the inode that somebody tried to change: what
 * it was, and that it still is, since images do not change. */
static struct ledger_node facts_of(
	const struct scene *scene, const struct image_node *node)
{
	struct ledger_node facts = {
		.mode = node->mode,
		.uid = node->uid,
		.gid = node->gid,
		.size = node->size,
	};
	struct image_object obj;

	if (S_ISREG(node->mode) && scene_object(scene, node, &obj) == 0) {
		facts.has_digest = true;
		facts.digest = obj.digest;
	}
	return facts;
}

/* Complete an attempt on an existing inode, and refuse it. */
static void refuse_node(
	fuse_req_t req, struct ledger_attempt *a, const struct image_node *node)
{
	const struct scene *scene = mount_of(req)->scene;
	struct ledger_node facts = facts_of(scene, node);
	_cleanup_free_ char *path = scene_path(scene, node->ino, NULL);

	if (!path) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	a->path = path;
	a->ino = node->ino;
	a->node = a->ino_is_parent ? NULL : &facts;
	op_refuse(req, a);
}

/* The same where write permission on the inode is what the bits would ask. */
static void refuse_content(
	fuse_req_t req, struct ledger_attempt *a, fuse_ino_t ino)
{
	struct image_node node;

	if (!op_node(req, ino, &node))
		return;
	a->dac_denied = op_check(req, &node, PERM_WRITE) < 0;
	refuse_node(req, a, &node);
}

/* The same where only the owner may. */
static void refuse_attribute(
	fuse_req_t req, struct ledger_attempt *a, fuse_ino_t ino)
{
	struct image_node node;
	struct caller c;

	if (!op_node(req, ino, &node))
		return;
	op_caller(req, &c);
	a->dac_denied = !perm_is_owner(&node, &c);
	caller_done(&c);
	refuse_node(req, a, &node);
}

/* The inode that a name in a folder leads to; its number is 0 if missing. */
static struct image_node named(
	const struct mount *m, const struct image_node *dir, const char *name)
{
	struct image_node node;
	struct image_entry entry;

	if (scene_lookup(m->scene, dir, name, strlen(name), &entry) < 0 ||
		scene_node(m->scene, entry.ino, &node) < 0)
		node = (struct image_node){.ino = 0};
	return node;
}

/* Would the bits forbid to make, remove or replace a name of dir? node is what
 * named found for it. */
static bool is_name_denied(fuse_req_t req, const struct image_node *dir,
	const struct image_node *node)
{
	const struct image *img = mount_of(req)->img;
	struct caller c;

	op_caller(req, &c);

	bool denied = node->ino ? !perm_may_delete(img, dir, node, &c)
				: perm_check(img, dir, &c,
					  PERM_WRITE | PERM_EXEC) < 0;

	caller_done(&c);
	return denied;
}

/*
 * Complete an attempt to make, remove or replace a name in a folder, and refuse
 * it. path2 is the caller's.
 */
static void refuse_name(fuse_req_t req, struct ledger_attempt *a,
	const struct image_node *dir, const char *name)
{
	struct mount *m = mount_of(req);
	struct image_node node = named(m, dir, name);
	struct ledger_node facts = facts_of(m->scene, &node);
	_cleanup_free_ char *path = scene_path(m->scene, dir->ino, name);

	if (!path) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}
	a->dac_denied |= is_name_denied(req, dir, &node);
	a->path = path;
	a->ino = node.ino ? node.ino : dir->ino;
	a->ino_is_parent = !node.ino;
	a->node = node.ino ? &facts : NULL;
	op_refuse(req, a);
}

static void refuse_name_in(fuse_req_t req, struct ledger_attempt *a,
	fuse_ino_t parent, const char *name)
{
	struct image_node dir;

	if (op_node(req, parent, &dir))
		refuse_name(req, a, &dir, name);
}

/* One of a utimensat(2) pair, in nanoseconds; INT64_MIN: not asked for. */
static int64_t wanted_time(
	const struct timespec *t, int to_set, int set, int now)
{
	int64_t ns;

	if (to_set & now) {
		struct timespec clock;

		clock_gettime(CLOCK_REALTIME, &clock);
		return clock.tv_sec * INT64_C(1000000000) + clock.tv_nsec;
	}
	if (!(to_set & set))
		return INT64_MIN;
	if (__builtin_mul_overflow(
		    (int64_t)t->tv_sec, INT64_C(1000000000), &ns) ||
		__builtin_add_overflow(ns, (int64_t)t->tv_nsec, &ns))
		return t->tv_sec < 0 ? INT64_MIN + 1 : INT64_MAX;
	return ns;
}

#define SET_TIMES                                                              \
	(FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | \
		FUSE_SET_ATTR_MTIME_NOW)

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
	struct fuse_file_info *fi)
{
	/* chown(path, -1, -1) asks for nothing at all, and is told so too. */
	struct ledger_attempt a = {
		.op = LEDGER_CHOWN,
		.new_uid = UINT32_MAX,
		.new_gid = UINT32_MAX,
	};

	if (to_set & SET_TIMES) {
		a.op = LEDGER_UTIMES;
		a.has |= LEDGER_HAS_TIMES;
		a.atime = wanted_time(&attr->st_atim, to_set,
			FUSE_SET_ATTR_ATIME, FUSE_SET_ATTR_ATIME_NOW);
		a.mtime = wanted_time(&attr->st_mtim, to_set,
			FUSE_SET_ATTR_MTIME, FUSE_SET_ATTR_MTIME_NOW);
	}
	if (to_set & FUSE_SET_ATTR_MODE) {
		a.op = LEDGER_CHMOD;
		a.has |= LEDGER_HAS_MODE;
		a.mode = attr->st_mode;
	}
	if (to_set & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) {
		a.op = LEDGER_CHOWN;
		a.has |= LEDGER_HAS_OWNER;
		if (to_set & FUSE_SET_ATTR_UID)
			a.new_uid = attr->st_uid;
		if (to_set & FUSE_SET_ATTR_GID)
			a.new_gid = attr->st_gid;
	}
	if (to_set & FUSE_SET_ATTR_SIZE) {
		a.op = LEDGER_TRUNCATE;
		a.has |= LEDGER_HAS_SIZE;
		a.size = (uint64_t)attr->st_size;
		refuse_content(req, &a, ino);
		return;
	}
	refuse_attribute(req, &a, ino);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	dev_t rdev)
{
	struct ledger_attempt a = {
		.op = LEDGER_MKNOD,
		.has = LEDGER_HAS_MODE,
		.mode = mode,
	};

	refuse_name_in(req, &a, parent, name);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct ledger_attempt a = {
		.op = LEDGER_MKDIR,
		.has = LEDGER_HAS_MODE,
		.mode = S_IFDIR | mode,
	};

	refuse_name_in(req, &a, parent, name);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ledger_attempt a = {.op = LEDGER_UNLINK};

	refuse_name_in(req, &a, parent, name);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ledger_attempt a = {.op = LEDGER_RMDIR};

	refuse_name_in(req, &a, parent, name);
}

void op_symlink(
	fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	struct ledger_attempt a = {.op = LEDGER_SYMLINK, .path2 = target};

	refuse_name_in(req, &a, parent, name);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	fuse_ino_t new_parent, const char *new_name, unsigned flags)
{
	struct image_node dir, new_dir;

	if (!op_node(req, parent, &dir) || !op_node(req, new_parent, &new_dir))
		return;

	_cleanup_free_ char *to =
		scene_path(mount_of(req)->scene, new_dir.ino, new_name);

	if (!to) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}

	struct ledger_attempt a = {
		.op = LEDGER_RENAME,
		.path2 = to,
		.has = LEDGER_HAS_FLAGS,
		.flags = flags,
	};
	struct image_node target = named(mount_of(req), &new_dir, new_name);

	a.dac_denied = is_name_denied(req, &new_dir, &target);
	refuse_name(req, &a, &dir, name);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
	const char *new_name)
{
	struct image_node node, dir;

	if (!op_node(req, ino, &node) || !op_node(req, new_parent, &dir))
		return;

	_cleanup_free_ char *existing =
		scene_path(mount_of(req)->scene, node.ino, NULL);

	if (!existing) {
		(void)fuse_reply_err(req, ENOMEM);
		return;
	}

	struct ledger_attempt a = {.op = LEDGER_LINK, .path2 = existing};

	refuse_name(req, &a, &dir, new_name);
}

void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi)
{
	struct ledger_attempt a = {
		.op = LEDGER_CREATE,
		.has = LEDGER_HAS_MODE | LEDGER_HAS_FLAGS,
		.mode = mode,
		.flags = (uint32_t)fi->flags,
	};

	refuse_name_in(req, &a, parent, name);
}

void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode,
	struct fuse_file_info *fi)
{
	struct image_node dir;
	struct ledger_attempt a = {
		.op = LEDGER_TMPFILE,
		.has = LEDGER_HAS_MODE | LEDGER_HAS_FLAGS,
		.mode = mode,
		.flags = (uint32_t)fi->flags,
		.ino_is_parent = true,
	};

	if (!op_node(req, parent, &dir))
		return;
	a.dac_denied = op_check(req, &dir, PERM_WRITE | PERM_EXEC) < 0;
	refuse_node(req, &a, &dir);
}

/*
 * No file is ever open for writing, so the next three can only come from a
 * kernel that behaves unlike all that we know; they are recorded all the same.
 */
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	off_t off, struct fuse_file_info *fi)
{
	struct ledger_attempt a = {
		.op = LEDGER_WRITE,
		.has = LEDGER_HAS_SIZE,
		.size = size,
		.off = (uint64_t)off,
	};

	refuse_content(req, &a, ino);
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
	off_t len, struct fuse_file_info *fi)
{
	struct ledger_attempt a = {
		.op = LEDGER_FALLOCATE,
		.has = LEDGER_HAS_SIZE | LEDGER_HAS_FLAGS,
		.flags = (uint32_t)mode,
		.size = (uint64_t)len,
		.off = (uint64_t)off,
	};

	refuse_content(req, &a, ino);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags)
{
	struct ledger_attempt a = {
		.op = LEDGER_COPY_FILE_RANGE,
		.has = LEDGER_HAS_SIZE,
		.size = len,
		.off = (uint64_t)off_out,
	};

	refuse_content(req, &a, ino_out);
}

static void refuse_xattr(
	fuse_req_t req, struct ledger_attempt *a, fuse_ino_t ino)
{
	struct image_node node;
	struct caller c;

	if (strncmp(a->xattr, "user.", 5) == 0) {
		refuse_content(req, a, ino);
		return;
	}
	if (strncmp(a->xattr, "system.", 7) == 0) {
		refuse_attribute(req, a, ino);
		return;
	}

	/* trusted.* and security.* are the administrator's. */
	if (!op_node(req, ino, &node))
		return;
	op_caller(req, &c);
	a->dac_denied = !caller_is_capable(&c, CAP_SYS_ADMIN);
	caller_done(&c);
	refuse_node(req, a, &node);
}

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
	const char *value, size_t size, int flags)
{
	struct ledger_attempt a = {
		.op = LEDGER_SETXATTR,
		.has = LEDGER_HAS_SIZE | LEDGER_HAS_FLAGS,
		.size = size,
		.flags = (uint32_t)flags,
		.xattr = name,
	};

	refuse_xattr(req, &a, ino);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct ledger_attempt a = {.op = LEDGER_REMOVEXATTR, .xattr = name};

	refuse_xattr(req, &a, ino);
}

/*
 * Inode flags. The kernel reads them before it sets them, so an unset answer to
 * the reading is what lets the attempt to set arrive here. They are all unset:
 * an immutable flag would be copied up by an overlay above.
 */
static bool ioctl_reads_flags(unsigned cmd)
{
	return cmd == FS_IOC_GETFLAGS || cmd == FS_IOC32_GETFLAGS ||
	       cmd == FS_IOC_FSGETXATTR;
}

static bool ioctl_writes(unsigned cmd)
{
	static const unsigned writing[] = {
		FS_IOC_SETFLAGS,
		FS_IOC32_SETFLAGS,
		FS_IOC_FSSETXATTR,
		FS_IOC_SETVERSION,
		FS_IOC32_SETVERSION,
		FS_IOC_SETFSLABEL,
		FS_IOC_ENABLE_VERITY,
	};

	for (size_t i = 0; i < ARRAY_LEN(writing); i++) {
		if (cmd == writing[i])
			return true;
	}
	return false;
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
	struct fuse_file_info *fi, unsigned flags, const void *in,
	size_t in_size, size_t out_size)
{
	static const struct fsxattr none;

	if (ioctl_reads_flags(cmd)) {
		(void)fuse_reply_ioctl(req, 0, &none,
			out_size < sizeof(none) ? out_size : sizeof(none));
	} else if (ioctl_writes(cmd)) {
		struct ledger_attempt a = {
			.op = LEDGER_SETFLAGS,
			.has = LEDGER_HAS_FLAGS,
			.flags = cmd,
		};

		refuse_attribute(req, &a, ino);
	} else {
		(void)fuse_reply_err(req, ENOTTY);
	}
}

bool op_open_refused(fuse_req_t req, const struct image_node *node, int flags)
{
	if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC))
		return false;

	struct ledger_attempt a = {
		.op = LEDGER_OPEN,
		.has = LEDGER_HAS_FLAGS,
		.flags = (uint32_t)flags,
		.dac_denied = op_check(req, node, PERM_WRITE) < 0,
	};

	refuse_node(req, &a, node);
	return true;
}

void op_access_refused(fuse_req_t req, const struct image_node *node, int mask)
{
	struct ledger_attempt a = {
		.op = LEDGER_ACCESS,
		.has = LEDGER_HAS_FLAGS,
		.flags = (uint32_t)mask,
	};
	struct caller c;

	op_caller(req, &c);
	a.dac_denied = perm_check(mount_of(req)->img, node, &c,
			       (unsigned)mask & 7) < 0;
	caller_done(&c);
	refuse_node(req, &a, node);
}
