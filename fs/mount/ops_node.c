/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on names and attributes that change nothing. */
#include <linux/capability.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>

#include "fs/mount/internal.h"

int op_stat(
	const struct mount *m, const struct image_node *node, struct stat *ret)
{
	struct stat st = {
		.st_ino = node->ino,
		.st_mode = node->mode,
		.st_nlink = node->nlink,
		.st_uid = node->uid,
		.st_gid = node->gid,
		.st_size = (off_t)node->size,
		.st_blksize = LAYOUT_BLOCK,
	};

	/* Only the time of the content is kept; the others follow it. */
	st.st_mtim.tv_sec = node->mtime;
	st.st_mtim.tv_nsec = node->mtime_nsec;
	st.st_atim = st.st_mtim;
	st.st_ctim = st.st_mtim;

	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		st.st_rdev = makedev(node->data, node->minor);
	if (S_ISREG(node->mode)) {
		struct image_object obj;
		int r = scene_object(m->scene, node, &obj);

		if (r < 0)
			return r;
		st.st_blocks = (blkcnt_t)((obj.dense + 511) / 512);
	}
	*ret = st;
	return 0;
}

int op_entry(struct mount *m, const struct image_node *node, bool guarded,
	struct fuse_entry_param *e)
{
	*e = (struct fuse_entry_param){
		.ino = node->ino,
		.attr_timeout = FOREVER,
		.entry_timeout = guarded ? 0 : FOREVER,
	};

	int r = op_stat(m, node, &e->attr);

	if (r == 0)
		guard_hold(m->guard, node->ino);
	return r;
}

/* A reply that the kernel does not want any more gives it nothing to hold. */
static void reply_entry(fuse_req_t req, const struct fuse_entry_param *e)
{
	struct mount *m = mount_of(req);

	if (fuse_reply_entry(req, e) < 0 && e->ino)
		guard_release(m->guard, (uint32_t)e->ino, 1);
}

/* Overlayfs and name_to_handle_at look up "." and ".." by node id. */
static void lookup_handle(
	fuse_req_t req, const struct image_node *node, bool parent)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param e;
	struct image_node found = *node;

	if (parent && !op_node(req, scene_parent(m->scene, node), &found))
		return;

	int r = op_entry(m, &found, true, &e);

	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		reply_entry(req, &e);
}

/*
 * The caller must be able to search the folder, and a FIFO or socket is only
 * found by who may read and write it: the kernel will not ask again when it is
 * opened or connected to. 0, or the positive errno to refuse with.
 */
static int lookup_refusal(fuse_req_t req, const struct image_node *dir,
	const struct image_entry *entry, const struct image_node *node)
{
	struct mount *m = mount_of(req);

	if (guard_is_guarded(m->guard, dir->ino) &&
		op_check(req, dir, PERM_EXEC) < 0)
		return guard_refusal(m->guard, entry, dir->ino);
	if (node && (S_ISFIFO(node->mode) || S_ISSOCK(node->mode)) &&
		op_check(req, node, PERM_READ | PERM_WRITE) < 0)
		return guard_refusal(m->guard, entry, dir->ino);
	return 0;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mount *m = mount_of(req);
	struct fuse_entry_param e = {.entry_timeout = FOREVER};
	struct image_node dir, node;
	struct image_entry entry;
	int r = scene_node(m->scene, parent, &dir);

	/* Not by op_node: a mount that is halted goes on answering this, since
	 * an error can detach what is mounted on the name; see guard.h. */
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		lookup_handle(req, &dir, name[1] == '.');
		return;
	}

	r = scene_lookup(m->scene, &dir, name, strlen(name), &entry);

	bool found = r == 0;

	if (found)
		r = scene_node(m->scene, entry.ino, &node);
	if (r < 0 && r != -ENOENT) {
		(void)fuse_reply_err(req, -r);
		return;
	}

	int refusal = lookup_refusal(req, &dir, &entry, found ? &node : NULL);

	if (refusal) {
		(void)fuse_reply_err(req, refusal);
		return;
	}
	if (found) {
		r = op_entry(m, &node, guard_has_entry(m->guard, &entry), &e);
		if (r < 0) {
			(void)fuse_reply_err(req, -r);
			return;
		}
	} else if (guard_is_guarded(m->guard, dir.ino)) {
		e.entry_timeout = 0; /* a missing name is asked for each time */
	}
	reply_entry(req, &e);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	struct mount *m = mount_of(req);

	if (ino <= scene_last(m->scene))
		guard_release(m->guard, (uint32_t)ino, count);
	fuse_reply_none(req);
}

void op_forget_multi(
	fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct mount *m = mount_of(req);

	for (size_t i = 0; i < count; i++) {
		if (forgets[i].ino <= scene_last(m->scene))
			guard_release(m->guard, (uint32_t)forgets[i].ino,
				forgets[i].nlookup);
	}
	fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct image_node node;
	struct stat st;

	if (!op_node(req, ino, &node))
		return;

	int r = op_stat(mount_of(req), &node, &st);

	(void)(r < 0 ? fuse_reply_err(req, -r)
		     : fuse_reply_attr(req, &st, FOREVER));
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct image_node node;
	char target[LAYOUT_LINK_MAX + 1];
	const char *text;
	size_t len;

	if (!op_node(req, ino, &node))
		return;

	int r = image_link_target(mount_of(req)->img, &node, &text, &len);

	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	memcpy(target, text, len);
	target[len] = '\0';
	(void)fuse_reply_readlink(req, target);
}

/* The types of which a read-only file system says so (sb_permission). */
static bool is_read_only_type(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode);
}

void op_access(fuse_req_t req, fuse_ino_t ino, int mask)
{
	struct image_node node;
	struct caller c;

	if (!op_node(req, ino, &node))
		return;
	if ((mask & PERM_WRITE) && is_read_only_type(node.mode)) {
		op_access_refused(req, &node, mask);
		return;
	}
	op_caller(req, &c);

	int r = perm_check(mount_of(req)->img, &node, &c,
		(unsigned)mask & (PERM_READ | PERM_WRITE | PERM_EXEC));

	caller_done(&c);
	(void)fuse_reply_err(req, -r);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	const struct image_summary *sum = &mount_of(req)->sum;
	struct statvfs st = {
		.f_bsize = LAYOUT_BLOCK,
		.f_frsize = LAYOUT_BLOCK,
		.f_blocks =
			(sum->object_bytes + LAYOUT_BLOCK - 1) / LAYOUT_BLOCK,
		.f_files = sum->inodes,
		.f_namemax = LAYOUT_NAME_MAX,
	};

	(void)fuse_reply_statfs(req, &st);
}

/* With size 0 the caller asks how much room it needs. */
static void reply_xattr(
	fuse_req_t req, const char *data, size_t len, size_t size)
{
	if (size == 0)
		(void)fuse_reply_xattr(req, len);
	else if (len > size)
		(void)fuse_reply_err(req, ERANGE);
	else
		(void)fuse_reply_buf(req, data, len);
}

/* What the kernel says on other file systems about a name without a handler
 * (xattr_resolve_name); here it leaves that to us. */
static int missing_xattr(const char *name)
{
	static const char *const prefixes[] = {
		"user.", "trusted.", "security."};

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (strncmp(name, prefixes[i], len) == 0)
			return name[len] ? -ENODATA : -EINVAL;
	}
	return strncmp(name, "system.posix_acl_", 17) == 0 ? -ENODATA
							   : -EOPNOTSUPP;
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	struct image_node node;
	struct image_xattr x;

	if (!op_node(req, ino, &node))
		return;

	int r = image_xattr_get(mount_of(req)->img, &node, name, &x);

	if (r == -ENODATA)
		r = missing_xattr(name);
	/*
	 * Reading a user.* attribute takes read permission on the file, and
	 * so does one of no namespace; the rules of the others are the
	 * kernel's (fs/xattr.c).
	 */
	if (strncmp(name, "user.", 5) == 0 ||
		(r == -EOPNOTSUPP && strncmp(name, "system.", 7) != 0)) {
		int denied = op_check(req, &node, PERM_READ);

		if (denied < 0)
			r = denied;
	}
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		reply_xattr(req, (const char *)x.value, x.value_len, size);
}

/* Only the administrator sees the names of trusted.* attributes. */
static bool is_listed(fuse_req_t req, const struct image_xattr *x)
{
	struct caller c;

	if (x->name_len < 8 || memcmp(x->name, "trusted.", 8) != 0)
		return true;
	op_caller(req, &c);

	bool listed = caller_is_capable(&c, CAP_SYS_ADMIN);

	caller_done(&c);
	return listed;
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct mount *m = mount_of(req);
	_cleanup_buf_ struct buf names = {.max = MOUNT_REQUEST_MAX};
	struct image_node node;

	if (!op_node(req, ino, &node))
		return;

	uint32_t count = image_xattr_count(m->img, &node);

	for (uint32_t i = 0; i < count; i++) {
		struct image_xattr x;
		int r = image_xattr(m->img, &node, i, &x);

		if (r == 0 && !is_listed(req, &x))
			continue;
		if (r == 0)
			r = buf_add(&names, x.name, x.name_len);
		if (r == 0)
			r = buf_add(&names, "", 1);
		if (r < 0) {
			(void)fuse_reply_err(req, -r);
			return;
		}
	}
	reply_xattr(req, names.data, names.len, size);
}
