/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A folder becomes a tree; see build.h.
 *
 * The walk holds two descriptors at most, however deep the folder: it goes down
 * by name and up by "..", and after each step it makes sure, by device and
 * inode, that it is where it means to be. A folder whose ctime moved while it
 * was listed may have been seen half: that is an error.
 */
#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/base/buf.h"
#include "fs/tree/beneath.h"
#include "fs/tree/build.h"
#include "fs/tree/filter.h"
#include "fs/tree/inode.h"
#include "fs/tree/table.h"

/* A folder on the way from the root to where the walk is. */
struct level {
	struct tree_node *node;
	uint32_t next;	 /* entry to look at when the walk is back here */
	size_t path_len; /* of the folder's path */
};

struct scan {
	struct tree *tree;
	struct filter filter;
	struct diag *diag;
	char *top; /* the folder as the caller named it, without '/' at its
		    * end; owned */
	dev_t top_dev;
	struct buf path; /* of the entry at hand, from the top, with a NUL
			  * that is not counted */

	struct level *levels; /* depth of them; owned */
	size_t depth, cap;

	struct table links; /* nodes with several names, by dev and ino */
	struct table_key key;

	struct inode_reader reader;
};

static void scan_free(struct scan *s)
{
	tree_free(s->tree);
	filter_done(&s->filter);
	free(s->top);
	buf_done(&s->path);
	free(s->levels);
	table_done(&s->links);
	free(s);
}

DEFINE_CLEANUP(scan_free, struct scan *);

static int fail(struct scan *s, int err, const char *what)
{
	return diag_errno(s->diag, err, "%s %s/%s", what, s->top, s->path.data);
}

static int changed(struct scan *s)
{
	return diag_set(s->diag, -ESTALE,
		"%s/%s changed while it was read: stop what writes there, "
		"exclude it, or build from a snapshot",
		s->top, s->path.data);
}

/* The path becomes that of name in the folder whose path has len bytes. */
static int path_set(struct scan *s, size_t len, const char *name)
{
	int r = 0;

	s->path.len = len;
	if (len)
		r = buf_add(&s->path, "/", 1);
	if (r == 0)
		r = buf_add(&s->path, name, strlen(name) + 1);
	if (r < 0)
		return diag_errno(s->diag, r, "reading %s", s->top);
	s->path.len--;
	return 0;
}

static void path_cut(struct scan *s, size_t len)
{
	s->path.len = len;
	s->path.data[len] = '\0';
}

/* For struct xattr_keep; arg is the scan. */
static size_t keep_xattr(
	void *arg, const char *name, size_t len, char ret[XATTR_NAME_MAX + 1])
{
	const struct scan *s = arg;

	if (!filter_keeps_xattr(name, len)) {
		filter_remark(&s->filter, "%s/%s: attribute %s is left out",
			s->top, s->path.data, name);
		return 0;
	}
	memcpy(ret, name, len);
	return len;
}

static int read_xattrs(
	struct scan *s, int dir_fd, const char *name, struct tree_node *node)
{
	int r = inode_xattrs(&s->reader, dir_fd, name, s->tree, node);

	if (r == -ESTALE)
		return changed(s);
	return r < 0 ? fail(s, r, "reading the extended attributes of") : 0;
}

static int read_target(
	struct scan *s, int dir_fd, const char *name, struct tree_node *node)
{
	int r = inode_target(dir_fd, name, s->tree, node);

	if (r == -ESTALE)
		return changed(s);
	return r < 0 ? fail(s, r, "reading the link") : 0;
}

static void set_attributes(
	struct scan *s, struct tree_node *node, const struct statx *st)
{
	inode_attributes(st, node);
	filter_attributes(&s->filter, node);
}

static uint64_t link_hash(const struct scan *s, const struct statx *st)
{
	uint64_t id[] = {
		makedev(st->stx_dev_major, st->stx_dev_minor), st->stx_ino};

	return table_hash(&s->key, id, sizeof(id));
}

/* The node of a file whose other name was seen before, or NULL in *ret. */
static int find_link(
	struct scan *s, const struct statx *st, struct tree_node **ret)
{
	uint64_t dev = makedev(st->stx_dev_major, st->stx_dev_minor);
	uint64_t hash = link_hash(s, st);
	const struct table_slot *slot = NULL;

	*ret = NULL;
	while ((slot = table_next(&s->links, hash, slot))) {
		struct tree_node *n = (void *)(uintptr_t)slot->value;

		if (n->dev != dev || n->dev_ino != st->stx_ino)
			continue;
		if (!inode_is_unchanged(n, st))
			return changed(s);
		*ret = n;
		break;
	}
	return 0;
}

static int add_node(struct scan *s, int dir_fd, const char *name,
	const struct statx *st, struct tree_node **ret)
{
	bool links = st->stx_nlink > 1 && !S_ISDIR(st->stx_mode);
	int r = links ? find_link(s, st, ret) : 0;

	if (r < 0 || (links && *ret))
		return r;

	struct tree_node *node = tree_add_node(s->tree, st->stx_mode);

	if (!node)
		return fail(s, -ENOMEM, "reading");
	set_attributes(s, node, st);
	if (S_ISLNK(node->mode))
		r = read_target(s, dir_fd, name, node);
	if (r == 0)
		r = read_xattrs(s, dir_fd, name, node);
	if (r == 0 && links &&
		table_add(&s->links, link_hash(s, st), (uintptr_t)node) < 0)
		r = fail(s, -ENOMEM, "reading");
	*ret = node;
	return r;
}

/* One name of a folder; s->path is that of the entry. */
static int read_entry(
	struct scan *s, int dir_fd, const char *name, struct tree_node *dir)
{
	struct tree_node *node = NULL;
	struct statx st;

	if (filter_excludes(&s->filter, s->path.data))
		return 0;

	int r = inode_stat(dir_fd, name, &st);

	if (r == -ENOENT)
		return changed(s);
	if (r < 0)
		return fail(s, r, "reading");
	if (s->filter.opt->one_file_system && !S_ISDIR(st.stx_mode) &&
		st.stx_attributes & STATX_ATTR_MOUNT_ROOT) {
		filter_remark(&s->filter,
			"%s/%s: a file mounted from elsewhere is left out",
			s->top, s->path.data);
		return 0;
	}
	r = add_node(s, dir_fd, name, &st, &node);
	if (r < 0)
		return r;
	r = tree_add_entry(s->tree, dir, name, strlen(name), node);
	if (r < 0)
		return fail(s, r, "reading");
	s->filter.bytes += S_ISREG(st.stx_mode) ? st.stx_size : 0;
	filter_count(&s->filter);
	return 0;
}

static int read_names(
	struct scan *s, DIR *d, int dir_fd, struct tree_node *node)
{
	size_t len = s->path.len;
	int r = 0;

	while (r == 0) {
		errno = 0;

		const struct dirent *e = readdir(d);

		if (!e && errno)
			r = fail(s, -errno, "reading the folder");
		if (!e)
			break;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		r = path_set(s, len, e->d_name);
		if (r == 0)
			r = read_entry(s, dir_fd, e->d_name, node);
	}
	if (r == 0)
		path_cut(s, len);
	return r;
}

/* All entries of the folder that is open as fd; s->path is its path. */
static int read_folder(struct scan *s, int fd, struct tree_node *node)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct statx st;

	if (copy < 0)
		return fail(s, -errno, "reading the folder");

	_cleanup_closedir_ DIR *d = fdopendir(copy);

	if (!d) {
		int r = -errno;

		close_cleanup(&copy);
		return fail(s, r, "reading the folder");
	}

	int r = read_names(s, d, fd, node);

	if (r < 0)
		return r;
	r = inode_stat(fd, "", &st);
	if (r < 0)
		return fail(s, r, "reading the folder");
	return inode_is_unchanged(node, &st) ? 0 : changed(s);
}

static bool is_to_enter(const struct scan *s, const struct tree_node *node)
{
	return S_ISDIR(node->mode) &&
	       (!s->filter.opt->one_file_system || node->dev == s->top_dev);
}

static bool has_folders(const struct scan *s, const struct tree_node *node)
{
	for (uint32_t i = 0; i < node->entry_count; i++) {
		if (is_to_enter(s, node->entries[i].node))
			return true;
	}
	return false;
}

static int push(struct scan *s, struct tree_node *node)
{
	if (s->depth == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 64;
		struct level *l = reallocarray(s->levels, cap, sizeof(*l));

		if (!l)
			return fail(s, -ENOMEM, "reading the folder");
		s->levels = l;
		s->cap = cap;
	}
	s->levels[s->depth++] =
		(struct level){.node = node, .path_len = s->path.len};
	return 0;
}

/* Read the next folder below the one that *fd is; go down into it when there
 * is more below. */
static int read_child(struct scan *s, int *fd, const struct tree_entry *entry)
{
	int r = path_set(s, s->path.len, entry->name);

	if (r < 0)
		return r;

	_cleanup_close_ int child = beneath_open(
		*fd, entry->name, O_RDONLY | O_DIRECTORY | O_NOATIME);

	if (beneath_is_change(child))
		return changed(s);
	if (child < 0)
		return fail(s, child, "opening the folder");

	struct statx st;

	r = inode_stat(child, "", &st);
	if (r < 0)
		return fail(s, r, "opening the folder");
	if (!inode_is_unchanged(entry->node, &st))
		return changed(s);
	r = read_folder(s, child, entry->node);
	if (r < 0 || !has_folders(s, entry->node))
		return r;
	close_cleanup(fd);
	*fd = take_fd(child);
	return push(s, entry->node);
}

/* From the folder that *fd is to the one above, which must be the one that the
 * walk came from. */
static int go_up(struct scan *s, int *fd)
{
	const struct level *up = &s->levels[s->depth - 1];
	_cleanup_close_ int parent = openat(
		*fd, "..", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct statx st;

	if (parent < 0)
		return fail(s, -errno, "leaving the folder");

	int r = inode_stat(parent, "", &st);

	if (r < 0)
		return fail(s, r, "leaving the folder");
	path_cut(s, up->path_len);
	if (!inode_is_unchanged(up->node, &st))
		return changed(s);
	close_cleanup(fd);
	*fd = take_fd(parent);
	return 0;
}

static int walk(struct scan *s, int top_fd)
{
	_cleanup_close_ int fd = fcntl(top_fd, F_DUPFD_CLOEXEC, 0);
	struct tree_node *root = tree_root(s->tree);

	if (fd < 0)
		return fail(s, -errno, "reading the folder");

	int r = read_folder(s, fd, root);

	if (r == 0)
		r = push(s, root);
	while (r == 0 && s->depth) {
		struct level *l = &s->levels[s->depth - 1];

		if (l->next == l->node->entry_count) {
			s->depth--;
			if (s->depth)
				r = go_up(s, &fd);
			continue;
		}

		const struct tree_entry *e = &l->node->entries[l->next++];

		if (!is_to_enter(s, e->node))
			continue;
		path_cut(s, l->path_len);
		r = read_child(s, &fd, e);
	}
	return r;
}

/* The folder itself: its attributes are the root's. */
static int read_top(struct scan *s, int fd)
{
	struct tree_node *root = tree_root(s->tree);
	struct statx st;
	int r = inode_stat(fd, "", &st);

	if (r < 0)
		return fail(s, r, "reading the folder");
	root->mode = st.stx_mode;
	s->top_dev = makedev(st.stx_dev_major, st.stx_dev_minor);
	set_attributes(s, root, &st);
	return read_xattrs(s, fd, ".", root);
}

static int scan_new(const char *path, const struct tree_options *opt,
	struct scan **ret, struct diag *diag)
{
	_cleanup_(scan_free) struct scan *s = calloc(1, sizeof(*s));

	size_t len = strlen(path);

	if (!s)
		return diag_errno(diag, -ENOMEM, "reading %s", path);
	while (len && path[len - 1] == '/')
		len--;
	s->top = strndup(path, len);
	if (!s->top)
		return diag_errno(diag, -ENOMEM, "reading %s", path);
	s->diag = diag;
	s->reader.keep = (struct xattr_keep){keep_xattr, s};
	buf_init(&s->path, INT_MAX);

	int r = filter_init(&s->filter, opt, diag);

	if (r < 0)
		return r;
	r = buf_add(&s->path, "", 1);
	s->path.len = 0;
	if (r == 0)
		r = table_key_init(&s->key);
	if (r == 0)
		r = tree_new(&s->tree);
	if (r < 0)
		return diag_errno(diag, r, "reading %s", path);
	*ret = take_ptr(s);
	return 0;
}

int tree_scan(const char *path, const struct tree_options *opt,
	struct tree **ret, struct diag *diag)
{
	_cleanup_(scan_free) struct scan *s = NULL;
	int r = scan_new(path, opt, &s, diag);

	if (r < 0)
		return r;

	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOTDIR)
		return diag_set(diag, -ENOTDIR, "%s is not a folder", path);
	if (fd < 0)
		return diag_errno(diag, -errno, "opening the folder %s", path);
	tree_set_root_fd(s->tree, fd);
	if (access("/proc/self/fd", X_OK) < 0)
		return diag_errno(diag, -errno,
			"reading %s: /proc is needed for extended attributes; "
			"mount it (mount -t proc proc /proc)",
			path);
	r = read_top(s, fd);
	if (r == 0)
		r = walk(s, fd);
	if (r < 0)
		return r;
	filter_progress(&s->filter);
	*ret = take_ptr(s->tree);
	return 0;
}
