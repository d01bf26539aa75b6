/* SPDX-License-Identifier: Apache-2.0 */
/* The table of operations, what is agreed with the kernel, and what every
 * operation begins with. */
#include "fs/mount/internal.h"

bool op_node(fuse_req_t req, fuse_ino_t ino, struct image_node *ret)
{
	const struct mount *m = mount_of(req);
	int r = scene_node(m->scene, ino, ret);

	if (ledger_is_halted(m->ledger))
		r = -EIO;
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	return r == 0;
}

void op_caller(fuse_req_t req, struct caller *ret)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	caller_init(ret, ctx->pid, ctx->uid, ctx->gid);
}

int op_check(fuse_req_t req, const struct image_node *node, unsigned mask)
{
	struct caller c;

	op_caller(req, &c);

	int r = perm_check(mount_of(req)->img, node, &c, mask);

	caller_done(&c);
	return r;
}

static void want(struct fuse_conn_info *conn, uint64_t flag, bool on)
{
#if FUSE_VERSION >= FUSE_MAKE_VERSION(3, 17)
	if (on)
		(void)fuse_set_feature_flag(conn, flag); /* where there is */
	else
		fuse_unset_feature_flag(conn, flag);
#else
	if (on)
		conn->want |= (unsigned)flag & conn->capable;
	else
		conn->want &= ~(unsigned)flag;
#endif
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *m = userdata;

	conn->max_write = MOUNT_REQUEST_MAX; /* bounds reads as well */
	conn->max_readahead = MOUNT_REQUEST_MAX;
	conn->time_gran = 1;

	/* Overlayfs needs file handles; they are free with our numbering. */
	want(conn, FUSE_CAP_EXPORT_SUPPORT, true);
	/* Links never change either. */
	want(conn, FUSE_CAP_CACHE_SYMLINKS, true);
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
	/* Else each write above us asks for security.capability. */
	want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2, true);
#endif
	/* O_TRUNC comes with the open: one attempt, one record. */
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
	want(conn, FUSE_CAP_PARALLEL_DIROPS, true);
	/* Nothing is ever stale. */
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
	/* The kernel would check permission only with default_permissions. */
	want(conn, FUSE_CAP_POSIX_ACL, false);
	/* Who writes must be known: no write from the page cache. */
	want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
	/* Replies lie in memory already. */
	want(conn, FUSE_CAP_SPLICE_WRITE, false);
	want(conn, FUSE_CAP_SPLICE_MOVE, false);
	want(conn, FUSE_CAP_SPLICE_READ, false);
	m->ready(m->ready_arg);
}

const struct fuse_lowlevel_ops op_table = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.readlink = op_readlink,
	.access = op_access,
	.statfs = op_statfs,
	.getxattr = op_getxattr,
	.listxattr = op_listxattr,
	.open = op_open,
	.read = op_read,
	.release = op_release,
	.fsync = op_fsync,
	.lseek = op_lseek,
	.opendir = op_opendir,
	.readdir = op_readdir,
	.readdirplus = op_readdirplus,
	.releasedir = op_release,
	.fsyncdir = op_fsync,
	.setattr = op_setattr,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.create = op_create,
#if HAVE_FUSE_TMPFILE
	.tmpfile = op_tmpfile,
#endif
	.write = op_write,
	.setxattr = op_setxattr,
	.removexattr = op_removexattr,
	.fallocate = op_fallocate,
	.copy_file_range = op_copy_file_range,
	.ioctl = op_ioctl,
	/*
	 * getlk, setlk and flock stay NULL: then libfuse does not offer
	 * them and the kernel keeps the locks itself.
	 */
};
