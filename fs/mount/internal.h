/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the operations share. An operation decodes its request, calls plain
 * functions that know no FUSE, and sends exactly one reply.
 *
 * The node id that the kernel holds is the inode number of the image, and file
 * handles are not used: there is no state of open files, and a server that is
 * started anew can answer for everything that the kernel still holds.
 */
#ifndef FS_MOUNT_INTERNAL_H
#define FS_MOUNT_INTERNAL_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>

#include "fs/base/buf.h"
#include "fs/image/image.h"
#include "fs/ledger/ledger.h"
#include "fs/mount/caller.h"
#include "fs/mount/guard.h"
#include "fs/mount/mount.h"
#include "fs/mount/park.h"
#include "fs/mount/perm.h"
#include "fs/mount/scene.h"
#include "fs/view/view.h"

/* The image never changes, so what the kernel was told holds for ever. */
#define FOREVER 1e9

/* The largest read or listing that the kernel may ask for. */
#define MOUNT_REQUEST_MAX (1u << 20)

struct mount {
	struct image *img;
	struct image_summary sum;
	struct scene *scene; /* what is shown: img and what it lacks */
	struct view *view;
	struct guard *guard;
	struct ledger *ledger;
	struct park *park; /* answers that go out later */
	struct fuse_session *se;
	char *mount_point;
	bool mounted;
	bool by_helper; /* fusermount3 mounted it and must unmount it */
	unsigned threads;

	/* Of the mounted file system: to know programs that run from it. */
	uint32_t dev_major, dev_minor;

	/* A bit for each frame whose damage is recorded already. */
	atomic_uint *damaged;

	void (*ready)(void *arg);
	void *ready_arg;
	void (*unmounted)(void *arg); /* or NULL */
	void *unmounted_arg;

	/* Reply buffers of MOUNT_REQUEST_MAX bytes that are free. */
	pthread_mutex_t buffers_lock;
	struct buffer *buffers; /* protected by buffers_lock */
};

struct buffer {
	struct buffer *next; /* only while free */
	char data[MOUNT_REQUEST_MAX];
};

/* A buffer for one reply; NULL: out of memory. */
struct buffer *mount_take_buffer(struct mount *m) must_check;
void mount_give_buffer(struct mount *m, struct buffer *b);

static inline struct mount *mount_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* The inode that a request names; replies with the error when there is none, or
 * when nothing is answered any more (on_full=halt). */
bool op_node(fuse_req_t req, fuse_ino_t ino, struct image_node *ret);

/* Who sent the request; to be given back with caller_done. */
void op_caller(fuse_req_t req, struct caller *ret);

/* perm_check for the sender: 0 or a negative errno. */
int op_check(fuse_req_t req, const struct image_node *node,
	unsigned mask) must_check;

/* stat(2) of an inode. */
int op_stat(const struct mount *m, const struct image_node *node,
	struct stat *ret) must_check;

/*
 * refuse.c: send a write to the gate and reply with its answer when it is due,
 * which may be after this returns. The attempt's caller is filled in from the
 * request.
 */
void op_refuse(fuse_req_t req, struct ledger_attempt *a);

/* ops.c */
extern const struct fuse_lowlevel_ops op_table;

/* ops_node.c: names and attributes */
void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count);
void op_forget_multi(
	fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readlink(fuse_req_t req, fuse_ino_t ino);
void op_access(fuse_req_t req, fuse_ino_t ino, int mask);
void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);

/* Put the kernel's view of a node into e and count it as held. */
int op_entry(struct mount *m, const struct image_node *node, bool guarded,
	struct fuse_entry_param *e) must_check;

/* ops_read.c: contents of files and folders */
void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
	struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	struct fuse_file_info *fi);
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi);

/* ops_write.c: everything that would change something */
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
	struct fuse_file_info *fi);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
	const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	fuse_ino_t new_parent, const char *new_name, unsigned flags);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
	const char *new_name);
void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *fi);
void op_tmpfile(fuse_req_t req, fuse_ino_t parent, mode_t mode,
	struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
	off_t off, struct fuse_file_info *fi);
void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
	const char *value, size_t size, int flags);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
	off_t len, struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t ino_in, off_t off_in,
	struct fuse_file_info *fi_in, fuse_ino_t ino_out, off_t off_out,
	struct fuse_file_info *fi_out, size_t len, int flags);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned cmd, void *arg,
	struct fuse_file_info *fi, unsigned flags, const void *in,
	size_t in_size, size_t out_size);

/* An open with this intent changes something: refuse it and return true. */
bool op_open_refused(fuse_req_t req, const struct image_node *node, int flags);
/* access(2) with W_OK: a probe that is answered like a write. */
void op_access_refused(fuse_req_t req, const struct image_node *node, int mask);

#endif
