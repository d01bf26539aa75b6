/* SPDX-License-Identifier: Apache-2.0 */
/* The image's tree, what was written, and one image of both; see README.md. */
#include "fs/commit/commit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/base/buf.h"
#include "fs/commit/commit_internal.h"
#include "fs/tree/beneath.h"
#include "fs/tree/build.h"
#include "fs/tree/inode.h"
#include "fs/tree/listing.h"

#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOATIME)

/* A file of which only the index of the overlay has a name. */
static int open_indexed(
	const struct changes_source *s, const struct tree_node *node)
{
	struct listing l;
	int r = listing_read(s->index_fd, &l);
	int fd = -ENOENT;

	if (r < 0)
		return r;
	for (size_t i = 0; i < l.count && fd == -ENOENT; i++) {
		struct statx st;

		if (inode_stat(s->index_fd, l.names[i], &st) == 0 &&
			st.stx_ino == node->dev_ino && S_ISREG(st.stx_mode))
			fd = beneath_open(s->index_fd, l.names[i], OPEN_FLAGS);
	}
	listing_done(&l);
	return fd;
}

/* For struct tree_opener; arg is the commit. */
static int open_written(
	void *arg, const struct tree_node *node, const char *path)
{
	const struct commit *c = arg;
	_cleanup_buf_ struct buf name = {.max = SIZE_MAX / 2};
	const struct changes_source *s = NULL;
	const char *rest = NULL;

	for (size_t i = c->count; i-- > 0 && !rest;) {
		s = &c->sources[i];
		rest = commit_below(s, path);
	}
	if (!rest)
		return -ENOENT;

	int r = buf_printf(&name, "%s%s%s", s->name, *rest ? "/" : "", rest);

	if (r == 0)
		r = buf_add(&name, "", 1);
	if (r < 0)
		return r;

	int fd = beneath_open(s->dir_fd, name.data, OPEN_FLAGS);

	return fd == -ENOENT && s->index_fd >= 0 ? open_indexed(s, node) : fd;
}

/* tree_from_image makes the nodes in the order of their numbers. */
static int list_nodes(struct commit *c)
{
	struct image_summary sum;
	struct tree_node *n = tree_root(c->tree);

	image_summary(c->img, &sum);
	c->node_count = sum.inodes;
	c->nodes = calloc(sum.inodes, sizeof(struct tree_node *));
	if (!c->nodes)
		return diag_errno(c->diag, -ENOMEM, "reading the image");
	for (uint32_t i = 0; i < sum.inodes; i++, n = n->next)
		c->nodes[i] = n;
	return 0;
}

static int merge(struct commit *c)
{
	const struct diff_hooks hooks = {.found = commit_apply, .arg = c};
	int r = tree_from_image(c->img, &c->tree, c->diag);

	if (r == 0)
		r = list_nodes(c);
	if (r == 0)
		r = commit_regions(c);
	for (size_t i = 0; i < c->count && r == 0; i++) {
		c->source = &c->sources[i];
		r = tree_changes(c->source, 0, &hooks, c->diag);
	}
	return r < 0 ? r : tree_seal(c->tree, c->diag);
}

int commit_changes(const struct image *img,
	const struct changes_source *sources, size_t count, const char *path,
	const struct pack_options *opt, struct pack_result *ret,
	struct diag *diag)
{
	struct commit c = {
		.img = img,
		.sources = sources,
		.count = count,
		.diag = diag,
	};
	const struct tree_opener opener = {open_written, &c};
	int r = table_key_init(&c.key);

	if (r < 0)
		return diag_errno(diag, r, "committing");
	r = merge(&c);
	if (r == 0) {
		tree_set_opener(c.tree, &opener);
		r = pack(c.tree, path, opt, ret, diag);
	}
	tree_free(c.tree);
	table_done(&c.linked);
	free(c.nodes);
	free(c.files);
	return r;
}
