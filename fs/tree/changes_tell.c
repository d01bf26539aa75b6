/* SPDX-License-Identifier: Apache-2.0 */
/* One name of what was written, compared with the image and told. */
#include <fcntl.h>
#include <string.h>

#include "fs/base/io.h"
#include "fs/tree/beneath.h"
#include "fs/tree/changes_internal.h"
#include "fs/tree/diff_internal.h"
#include "fs/tree/filter.h"
#include "fs/tree/from_image.h"
#include "fs/tree/tree_internal.h"

/* Nodes hold their extended attributes, which may be large. */
#define NODES_MAX 64

/* For struct xattr_keep; arg is the changes. */
static size_t keep_xattr(
	void *arg, const char *name, size_t len, char ret[XATTR_NAME_MAX + 1])
{
	struct changes *c = arg;

	if (!filter_keeps_xattr(name, len))
		return 0;
	if (overlay_is_metacopy(c->src->form, name, len))
		c->metacopy = true;
	return overlay_shown_name(c->src->form, name, len, ret);
}

void changes_read_as_shown(struct changes *c)
{
	c->reader.keep = (struct xattr_keep){keep_xattr, c};
}

/* The nodes of names told before are not needed any more. */
static void forget_nodes(struct changes *c)
{
	if (c->nodes_used < NODES_MAX)
		return;
	tree_free(take_ptr(c->nodes));
	c->nodes_used = 0;
}

static int new_node(struct changes *c, uint32_t mode, struct tree_node **ret)
{
	int r = 0;

	if (!c->nodes)
		r = tree_new(&c->nodes);
	if (r == 0)
		*ret = tree_add_node(c->nodes, mode);
	if (r < 0 || !*ret)
		return changes_fail(c, -ENOMEM, "comparing");
	c->nodes_used++;
	return 0;
}

static int base_node(
	struct changes *c, const struct change_entry *e, struct tree_node **ret)
{
	int r = new_node(c, e->base.mode, ret);

	if (r < 0)
		return r;
	r = from_image_node(
		c->src->img, &e->base, &c->reader.keep, c->nodes, *ret);
	if (r < 0)
		return changes_fail(c, r, "reading what the image has for");
	tree_sort_xattrs(*ret);
	(*ret)->ino = e->base.ino;
	(*ret)->nlink = S_ISDIR(e->base.mode) ? 0 : e->base.nlink;
	return 0;
}

static int written_node(
	struct changes *c, const struct change_entry *e, struct tree_node **ret)
{
	int r = new_node(c, e->st.stx_mode, ret);

	if (r < 0)
		return r;

	struct tree_node *n = *ret;

	inode_attributes(&e->st, n);
	c->metacopy = false;
	if (S_ISLNK(n->mode))
		r = inode_target(e->dir_fd, e->name, c->nodes, n);
	if (r == 0)
		r = inode_xattrs(&c->reader, e->dir_fd, e->name, c->nodes, n);
	if (r < 0)
		return changes_fail(c, r, "reading");
	if (c->metacopy && S_ISREG(n->mode))
		return changes_fail(c, -EBADMSG,
			"written by an overlay with metacopy=on, which is not "
			"ours:");
	tree_sort_xattrs(n);
	n->nlink = S_ISDIR(n->mode) ? 0 : survey_names(c, &e->st);
	return 0;
}

/* The digest of as much as there is, up to size bytes. */
static int hash(struct changes *c, int fd, uint64_t size, struct digest *ret)
{
	uint64_t off = 0;

	hasher_begin(c->hasher);
	while (off < size) {
		size_t len = size - off < CHANGES_CHUNK ? (size_t)(size - off)
							: CHANGES_CHUNK;
		ssize_t n = io_pread(fd, c->chunk, len, off);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break; /* cut meanwhile, and so another content */
		hasher_add(c->hasher, c->chunk, (size_t)n);
		off += (uint64_t)n;
		c->bytes += (uint64_t)n;
		if (c->hooks->progress)
			c->hooks->progress(c->hooks->arg, c->bytes);
	}
	hasher_end(c->hasher, ret);
	return 0;
}

/* Two files of one size: does the written one hold what the image's does? */
static int same_content(struct changes *c, const struct change_entry *e,
	const struct tree_node *a, bool *ret)
{
	struct digest digest;
	struct statx st;

	*ret = true;
	if (a->size == 0)
		return 0;

	/* A FIFO or a device that took the file's place in the meantime must
	 * not make us wait. */
	_cleanup_close_ int fd = beneath_open(e->dir_fd, e->name,
		O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME);

	if (beneath_is_change(fd))
		return changes_fail(c, -ESTALE, "reading");
	if (fd < 0)
		return changes_fail(c, fd, "opening");

	int r = inode_stat(fd, "", &st);

	if (r == 0 && (st.stx_ino != e->st.stx_ino || !S_ISREG(st.stx_mode)))
		r = -ESTALE;
	if (r == 0)
		r = hash(c, fd, a->size, &digest);
	if (r < 0)
		return changes_fail(c, r, "reading");
	*ret = digest_equal(&digest, &a->digest);
	return 0;
}

static int tell(struct changes *c, struct diff *d)
{
	d->path = c->path.len ? c->path.data : "/";
	d->path_len = c->path.len ? c->path.len : 1;

	int r = c->hooks->found(c->hooks->arg, d);

	return r < 0 ? r : 0;
}

int tell_added(struct changes *c, const struct change_entry *e)
{
	struct tree_node *b;

	forget_nodes(c);

	int r = written_node(c, e, &b);

	return r < 0 ? r : tell(c, &(struct diff){.kind = DIFF_ADDED, .b = b});
}

int tell_removed(struct changes *c, const struct change_entry *e)
{
	struct tree_node *a;

	forget_nodes(c);

	int r = base_node(c, e, &a);

	return r < 0 ? r
		     : tell(c, &(struct diff){.kind = DIFF_REMOVED, .a = a});
}

/* What differs, and the two nodes. */
static int compare(
	struct changes *c, const struct change_entry *e, struct diff *ret)
{
	struct tree_node *a, *b;
	bool same = true;

	forget_nodes(c);

	int r = base_node(c, e, &a);

	if (r == 0)
		r = written_node(c, e, &b);
	if (r < 0)
		return r;
	ret->a = a;
	ret->b = b;
	if ((a->mode & S_IFMT) != (b->mode & S_IFMT)) {
		ret->what = DIFF_TYPE;
		return 0;
	}
	ret->what = diff_attributes(c->flags, a, b);
	if (ret->what & DIFF_SIZE)
		same = false;
	else if (S_ISREG(a->mode))
		r = same_content(c, e, a, &same);
	if (!same)
		ret->what |= DIFF_CONTENT;
	if (!S_ISDIR(a->mode) && !survey_same_names(c, e))
		ret->what |= DIFF_LINKS;
	return r;
}

int tell_changed(struct changes *c, const struct change_entry *e)
{
	struct diff d = {.kind = DIFF_CHANGED};
	int r = compare(c, e, &d);

	return r < 0 || !d.what ? r : tell(c, &d);
}

int tell_renamed(struct changes *c, const struct change_entry *e)
{
	_cleanup_free_ char *from = image_path(c->src->img, e->base.ino, NULL);
	struct diff d = {.kind = DIFF_RENAMED, .from = from};

	if (!from)
		return changes_fail(c, -ENOMEM, "comparing");

	int r = compare(c, e, &d);

	return r < 0 ? r : tell(c, &d);
}
