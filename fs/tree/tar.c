/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar stream becomes a tree; see build.h. tar_reader.c says what the members
 * are, this file where they go. A name is followed through the folders that
 * the archive made and through nothing else.
 */
#include <assert.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/build.h"
#include "fs/tree/spool.h"
#include "fs/tree/tar_attr.h"

/* What a folder that is only implied by a name counts towards the bound of
 * max_bytes: as if it had a header of its own. A name of a megabyte can imply
 * half a million folders. */
#define IMPLIED_SIZE 512

struct import {
	struct tree *tree;
	struct filter filter;
	struct stream *stream;
	struct tar_reader *reader;
	struct spool *spool;
	struct owners *owners;
	struct tar_attr attr;
	struct buf path, target; /* made normal: "a/b", with a NUL */
	uint64_t charged;	 /* against max_bytes: sizes, implied folders */
	bool in_member;		 /* else between two of them */
	const struct tar_member *member; /* the last one; NULL: none yet */
	struct diag *diag;
};

static void import_free(struct import *im)
{
	tree_free(im->tree);
	filter_done(&im->filter);
	tar_reader_free(im->reader);
	stream_free(im->stream);
	spool_free(im->spool);
	owners_free(im->owners);
	buf_done(&im->path);
	buf_done(&im->target);
	free(im);
}

DEFINE_CLEANUP(import_free, struct import *);

static int no_memory(struct import *im)
{
	return diag_errno(im->diag, -ENOMEM, "reading the archive");
}

static int charge(struct import *im, uint64_t bytes)
{
	uint64_t max = im->filter.opt->max_bytes;

	if (__builtin_add_overflow(im->charged, bytes, &im->charged) ||
		(max && im->charged > max))
		return diag_set(im->diag, -EFBIG,
			"the archive's files are more than %llu bytes",
			(unsigned long long)(max ? max : UINT64_MAX));
	return 0;
}

/* "/a//./b/" -> "a/b", with a NUL that is not counted; "" is the root. */
static int normalise(struct import *im, const struct buf *from, struct buf *to)
{
	const char *p = from->data, *end = from->data + from->len;
	int r = 0;

	buf_reset(to);
	while (p < end && r == 0) {
		size_t len = strcspn(p, "/");

		if (len == 2 && memcmp(p, "..", 2) == 0)
			return diag_set(
				im->diag, -EBADMSG, "a name with \"..\" in it");
		if (len && !(len == 1 && *p == '.')) {
			if (to->len)
				r = buf_add(to, "/", 1);
			if (r == 0)
				r = buf_add(to, p, len);
		}
		p += len + 1;
	}
	if (r == 0)
		r = buf_add(to, "", 1);
	if (r < 0)
		return no_memory(im);
	to->len--;
	return 0;
}

/* Is the path, or a folder on the way to it, to be left out? */
static bool is_excluded(struct import *im)
{
	bool excluded = false;

	if (im->filter.opt->exclude_count == 0)
		return false;
	for (char *p = im->path.data; p && !excluded;) {
		p = strchr(p, '/');
		if (p)
			*p = '\0';
		excluded = filter_excludes(&im->filter, im->path.data);
		if (p)
			*p++ = '/';
	}
	return excluded;
}

static int add_entry(struct import *im, struct tree_node *dir, const char *name,
	size_t len, struct tree_node *node)
{
	int r = tree_add_entry(im->tree, dir, name, len, node);

	if (r == -EINVAL)
		return diag_set(im->diag, -EBADMSG,
			"a name of more than %d bytes", NAME_MAX);
	return r < 0 ? no_memory(im) : 0;
}

/* What no header describes: as tar would make it, but without a time, so that
 * the same archive gives the same tree. */
static int add_implied(struct import *im, struct tree_node *dir,
	const char *name, size_t len, struct tree_node **ret)
{
	struct tree_node *node = tree_add_node(im->tree, S_IFDIR | 0755);

	if (!node)
		return no_memory(im);
	filter_attributes(&im->filter, node);
	*ret = node;

	int r = charge(im, IMPLIED_SIZE);

	return r < 0 ? r : add_entry(im, dir, name, len, node);
}

/* The folder that the last component of im->path is in, and that component. */
static int find_parent(
	struct import *im, struct tree_node **ret_dir, struct span *ret_name)
{
	struct tree_node *dir = tree_root(im->tree);
	const char *p = im->path.data, *slash;
	int r = 0;

	while ((slash = strchr(p, '/'))) {
		size_t len = (size_t)(slash - p);
		const struct tree_entry *e = tree_find(im->tree, dir, p, len);

		if (e)
			dir = e->node;
		else
			r = add_implied(im, dir, p, len, &dir);
		if (r < 0)
			return r;
		if (!S_ISDIR(dir->mode))
			return diag_set(im->diag, -EBADMSG,
				"%.*s is no folder, and nothing can be in it",
				(int)(slash - im->path.data), im->path.data);
		p = slash + 1;
	}
	*ret_dir = dir;
	*ret_name = (struct span){p, strlen(p)};
	return 0;
}

/* The node that an earlier member made under the path in im->target. */
static struct tree_node *find_target(struct import *im)
{
	struct tree_node *node = tree_root(im->tree);
	const char *p = im->target.data;

	while (*p) {
		size_t len = strcspn(p, "/");
		const struct tree_entry *e = tree_find(im->tree, node, p, len);

		if (!e)
			return NULL;
		node = e->node;
		p += len;
		p += *p == '/';
	}
	return node;
}

/* The name leads to this node from now on, whatever it led to before. */
static int put_entry(struct import *im, struct tree_node *node)
{
	struct tree_node *dir;
	struct span name;
	int r = find_parent(im, &dir, &name);

	if (r < 0)
		return r;

	struct tree_entry *e = tree_find(im->tree, dir, name.data, name.len);

	if (!e)
		return add_entry(im, dir, name.data, name.len, node);
	if (S_ISDIR(e->node->mode) && e->node->entry_count)
		return diag_set(im->diag, -EBADMSG,
			"in place of a folder that is not empty");
	e->node = node;
	return 0;
}

static int add_link(struct import *im)
{
	int r = normalise(im, &im->member->target, &im->target);

	if (r < 0)
		return r;

	struct tree_node *node = find_target(im);

	if (!node)
		return diag_set(im->diag, -EBADMSG,
			"a hard link to %s, which is not in the archive before "
			"it, or was left out",
			im->target.data);
	if (S_ISDIR(node->mode))
		return diag_set(im->diag, -EBADMSG,
			"a hard link to the folder %s", im->target.data);
	if (im->member->stored && im->member->stored != node->size)
		return diag_set(im->diag, -EBADMSG,
			"a hard link with a content of another size");
	return put_entry(im, node);
}

/* A folder that is there already only gets the attributes. */
static int add_folder(struct import *im)
{
	struct tree_node *dir = tree_root(im->tree), *node;
	struct span name;

	if (im->path.len == 0)
		return tar_attr_set(&im->attr, im->member, dir);

	int r = find_parent(im, &dir, &name);

	if (r < 0)
		return r;

	struct tree_entry *e = tree_find(im->tree, dir, name.data, name.len);

	if (e && S_ISDIR(e->node->mode))
		return tar_attr_set(&im->attr, im->member, e->node);
	node = tree_add_node(im->tree, S_IFDIR);
	if (!node)
		return no_memory(im);
	r = tar_attr_set(&im->attr, im->member, node);
	return r < 0 ? r : put_entry(im, node);
}

/* The zeros between two pieces. They are hashed, in steps, since a digest
 * covers them. */
static int spool_hole(struct import *im, uint64_t len)
{
	const uint64_t step = (uint64_t)16 << 20;

	while (len) {
		uint64_t n = len < step ? len : step;
		int r = spool_add_hole(im->spool, n, im->diag);

		if (r < 0)
			return r;
		filter_count_bytes(&im->filter, n);
		len -= n;
	}
	return 0;
}

static int spool_some(struct import *im, uint64_t *left)
{
	const uint8_t *data;
	ssize_t n = tar_reader_data(im->reader, &data, *left, im->diag);

	if (n < 0)
		return (int)n;
	assert(n > 0); /* the map has as many bytes as are stored */
	*left -= (uint64_t)n;
	filter_count_bytes(&im->filter, (uint64_t)n);
	return spool_add(im->spool, data, (size_t)n, im->diag);
}

static int spool_piece(struct import *im, uint64_t len)
{
	int r = 0;

	while (len && r == 0)
		r = spool_some(im, &len);
	return r;
}

static int spool_content(struct import *im, struct tree_node *node)
{
	const struct tar_member *m = im->member;
	uint64_t at = 0, off;
	int r = 0;

	spool_begin(im->spool);
	if (!m->sparse)
		r = spool_piece(im, m->stored);
	for (size_t i = 0; m->sparse && i < m->map.count && r == 0; i++) {
		const struct tar_chunk *c = &m->map.chunks[i];

		r = spool_hole(im, c->off - at);
		if (r == 0)
			r = spool_piece(im, c->len);
		at = c->off + c->len;
	}
	if (m->sparse && r == 0)
		r = spool_hole(im, m->size - at);
	if (r == 0)
		r = spool_end(im->spool, &node->digest, &off, im->diag);
	if (r < 0)
		return r;
	node->has_digest = true;
	node->size = m->size;
	if (m->size) {
		node->content = TREE_CONTENT_SPOOL;
		node->spool_off = off;
	}
	return 0;
}

static int add_other(struct import *im, uint32_t type)
{
	const struct tar_member *m = im->member;
	struct tree_node *node = tree_add_node(im->tree, type);
	int r = 0;

	if (!node)
		return no_memory(im);
	if (S_ISREG(type)) {
		r = charge(im, m->size);
		if (r == 0)
			r = spool_content(im, node);
	} else if (S_ISLNK(type)) {
		r = tree_set_target(
			im->tree, node, m->target.data, m->target.len);
		if (r == -EINVAL)
			r = diag_set(im->diag, -EBADMSG,
				"a symbolic link with a target of %zu bytes",
				m->target.len);
		else if (r < 0)
			r = no_memory(im);
	} else if (S_ISCHR(type) || S_ISBLK(type)) {
		node->major = m->major;
		node->minor = m->minor;
	}
	if (r == 0)
		r = tar_attr_set(&im->attr, m, node);
	return r < 0 ? r : put_entry(im, node);
}

static int add_member(struct import *im)
{
	static const uint32_t types[] = {
		['0'] = S_IFREG,
		['2'] = S_IFLNK,
		['3'] = S_IFCHR,
		['4'] = S_IFBLK,
		['6'] = S_IFIFO,
	};
	char type = im->member->type;
	int r = normalise(im, &im->member->path, &im->path);

	if (r < 0)
		return r;
	if (im->path.len == 0 && type != '5')
		return diag_set(im->diag, -EBADMSG,
			"the root of the tree must be a folder");
	if (is_excluded(im))
		return 0;
	if (type == '5')
		r = add_folder(im);
	else if (type == '1')
		r = add_link(im);
	else
		r = add_other(im, types[(uint8_t)type]);
	if (r == 0)
		filter_count(&im->filter);
	return r;
}

static int read_members(struct import *im)
{
	for (;;) {
		im->in_member = false;

		int r = tar_reader_next(im->reader, &im->member, im->diag);

		if (r <= 0)
			return r;
		im->in_member = true;
		r = add_member(im);
		if (r < 0)
			return r;
	}
}

static int import_new(int fd, const struct tree_options *opt,
	struct import **ret, struct diag *diag)
{
	_cleanup_(import_free) struct import *im = calloc(1, sizeof(*im));

	if (!im)
		return diag_errno(diag, -ENOMEM, "reading the archive");
	im->diag = diag;
	buf_init(&im->path, INT_MAX);
	buf_init(&im->target, INT_MAX);

	int r = filter_init(&im->filter, opt, diag);

	if (r == 0)
		r = spool_new(opt->spool_dir, &im->spool, diag);
	if (r == 0)
		r = stream_open(fd, opt->max_bytes, &im->stream, diag);
	if (r < 0)
		return r;
	im->reader = tar_reader_new(im->stream);
	im->owners = owners_new(opt->numeric);
	if (!im->reader || !im->owners || tree_new(&im->tree) < 0)
		return no_memory(im);
	filter_attributes(&im->filter, tree_root(im->tree));
	im->attr = (struct tar_attr){
		.tree = im->tree,
		.filter = &im->filter,
		.reader = im->reader,
		.owners = im->owners,
		.diag = diag,
	};
	*ret = take_ptr(im);
	return 0;
}

/* Say where in the archive it was. */
static int explain(const struct import *im, int err, const struct diag *why,
	struct diag *diag)
{
	if (!im || !im->member)
		return diag_set(diag, err, "%s", why->text);
	return diag_set(diag, err, "%s (%s member %s)", why->text,
		im->in_member ? "archive" : "after archive",
		im->member->path.data);
}

int tree_read_tar(int fd, const struct tree_options *opt, struct tree **ret,
	struct diag *diag)
{
	_cleanup_(import_free) struct import *im = NULL;
	struct diag why = {0};
	int r = import_new(fd, opt, &im, &why);

	if (r == 0)
		r = read_members(im);
	if (r < 0)
		return explain(im, r, &why, diag);
	if (tar_reader_has_more(im->reader))
		filter_remark(&im->filter,
			"what follows the end of the archive is left out");
	tree_set_spool_fd(im->tree, spool_take_fd(im->spool));
	filter_progress(&im->filter);
	*ret = take_ptr(im->tree);
	return 0;
}
