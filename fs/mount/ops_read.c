/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on the contents of files and folders that change nothing. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/mount/internal.h"

/*
 * An exec opens the program with this flag (linux/fs.h, __FMODE_EXEC), which
 * is not among those that user space can give.
 */
#define OPEN_FOR_EXEC 0x20

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct image_node node;

	if (!op_node(req, ino, &node))
		return;
	if (op_open_refused(req, &node, fi->flags))
		return;

	int r = op_check(
		req, &node, fi->flags & OPEN_FOR_EXEC ? PERM_EXEC : PERM_READ);

	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	fi->keep_cache = 1; /* the content never changes */
	fi->noflush = 1;    /* nothing to flush: close(2) costs no request */
	(void)fuse_reply_open(req, fi);
}

/*
 * Bytes that do not match their digest are never given out. The first time, it
 * is an event for the investigator, with the name of one file that shows it.
 */
static void record_damage(struct mount *m, uint32_t ino, uint32_t frame)
{
	unsigned bit = 1u << frame % 32;

	if (atomic_fetch_or(&m->damaged[frame / 32], bit) & bit)
		return;

	_cleanup_free_ char *path = scene_path(m->scene, ino, NULL);
	char text[128];

	(void)snprintf(text, sizeof(text),
		"frame %u of the image does not match its digest; the read was "
		"refused",
		frame);
	if (ledger_event(m->ledger, LEDGER_EVENT_DAMAGE, path, text) < 0)
		return; /* the read fails all the same, and a ledger that cannot
			 * store says so when it can again */
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct image_node node;
	struct image_object obj;

	if (!op_node(req, ino, &node))
		return;

	int r = S_ISREG(node.mode) ? scene_object(m->scene, &node, &obj)
				   : -EINVAL;
	struct buffer *b = r < 0 ? NULL : mount_take_buffer(m);

	if (r == 0 && !b)
		r = -ENOMEM;
	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}

	uint32_t frame = 0;
	ssize_t n = view_read(m->view, &obj, b->data,
		size < sizeof(b->data) ? size : sizeof(b->data), (uint64_t)off,
		&frame);

	if (n == -EBADMSG)
		record_damage(m, node.ino, frame);
	if (n < 0)
		(void)fuse_reply_err(req, n == -EBADMSG ? EIO : (int)-n);
	else
		(void)fuse_reply_buf(req, b->data, (size_t)n);
	mount_give_buffer(m, b);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)fuse_reply_err(req, 0);
}

/* What never changes is always on the disk. */
void op_fsync(
	fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)fuse_reply_err(req, 0);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
	struct fuse_file_info *fi)
{
	struct mount *m = mount_of(req);
	struct image_node node;
	struct image_object obj;
	uint64_t found;

	if (!op_node(req, ino, &node))
		return;

	int r = S_ISREG(node.mode) && off >= 0
			? scene_object(m->scene, &node, &obj)
			: -EINVAL;

	if (r == 0)
		r = image_seek(m->img, &obj, (uint64_t)off, whence, &found);
	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_lseek(req, (off_t)found);
}

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct image_node node;

	if (!op_node(req, ino, &node))
		return;

	int r = op_check(req, &node, PERM_READ);

	if (r < 0) {
		(void)fuse_reply_err(req, -r);
		return;
	}
	fi->keep_cache = 1;
	fi->cache_readdir = 1;
	(void)fuse_reply_open(req, fi);
}

/* A listing under way: where the next entry goes. */
struct listing {
	fuse_req_t req;
	char *buf;
	size_t size, len;
	bool plus; /* with attributes */
	bool full;
};

/* Cookies: 1 is behind ".", 2 behind "..", 3 + i behind entry i. */
enum {
	COOKIE_SELF = 1,
	COOKIE_PARENT = 2,
	COOKIE_FIRST = 3,
};

static void list_add(struct listing *l, const char *name,
	const struct fuse_entry_param *e, off_t cookie)
{
	char *to = l->buf + l->len;
	size_t room = l->size - l->len;
	size_t n = l->plus ? fuse_add_direntry_plus(
				     l->req, to, room, name, e, cookie)
			   : fuse_add_direntry(
				     l->req, to, room, name, &e->attr, cookie);

	if (n > room)
		l->full = true;
	else
		l->len += n;
}

/* An entry without attributes: the kernel makes no node of it. */
static void list_add_bare(struct listing *l, const char *name, uint32_t ino,
	uint32_t type, off_t cookie)
{
	struct fuse_entry_param e = {
		.attr = {.st_ino = ino, .st_mode = type},
	};

	list_add(l, name, &e, cookie);
}

/*
 * With attributes the kernel makes a node of the entry without asking for
 * permission, so guarded entries are listed bare.
 */
static int list_entry(struct mount *m, struct listing *l,
	const struct image_entry *entry, off_t cookie)
{
	char name[LAYOUT_NAME_MAX + 1];

	memcpy(name, entry->name, entry->name_len);
	name[entry->name_len] = '\0';
	if (!l->plus || guard_has_entry(m->guard, entry)) {
		list_add_bare(l, name, entry->ino, entry->type, cookie);
		return 0;
	}

	struct fuse_entry_param e;
	struct image_node node;
	int r = scene_node(m->scene, entry->ino, &node);

	if (r == 0)
		r = op_entry(m, &node, false, &e);
	if (r < 0)
		return r;
	list_add(l, name, &e, cookie);
	if (l->full)
		guard_release(m->guard, node.ino, 1);
	return 0;
}

static int list_from(struct mount *m, struct listing *l,
	const struct image_node *dir, uint64_t cookie)
{
	if (cookie < COOKIE_SELF)
		list_add_bare(l, ".", dir->ino, S_IFDIR, COOKIE_SELF);
	if (cookie < COOKIE_PARENT && !l->full)
		list_add_bare(l, "..", scene_parent(m->scene, dir), S_IFDIR,
			COOKIE_PARENT);

	uint64_t i = cookie < COOKIE_FIRST ? 0 : cookie - COOKIE_PARENT;

	for (; !l->full; i++) {
		struct image_entry entry;
		int r = scene_entry(m->scene, dir, i, &entry);

		if (r == -ENOENT)
			break;
		if (r == 0)
			r = list_entry(m, l, &entry, (off_t)(i + COOKIE_FIRST));
		if (r < 0)
			return r;
	}
	return 0;
}

static void list(
	fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, bool plus)
{
	struct mount *m = mount_of(req);
	struct image_node dir;

	if (!op_node(req, ino, &dir))
		return;

	struct buffer *b = S_ISDIR(dir.mode) ? mount_take_buffer(m) : NULL;

	if (!b) {
		(void)fuse_reply_err(req, S_ISDIR(dir.mode) ? ENOMEM : ENOTDIR);
		return;
	}

	struct listing l = {
		.req = req,
		.buf = b->data,
		.size = size < sizeof(b->data) ? size : sizeof(b->data),
		.plus = plus,
	};
	int r = list_from(m, &l, &dir, (uint64_t)off);

	if (r < 0)
		(void)fuse_reply_err(req, -r);
	else
		(void)fuse_reply_buf(req, l.buf, l.len);
	mount_give_buffer(m, b);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	list(req, ino, size, off, false);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
	struct fuse_file_info *fi)
{
	list(req, ino, size, off, true);
}
