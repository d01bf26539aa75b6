/* SPDX-License-Identifier: Apache-2.0 */
/* The tree of an image; see build.h. */
#include "fs/tree/from_image.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/tree/build.h"
#include "fs/tree/tree_internal.h"

struct copy {
	const struct image *img;
	struct tree *tree;
	struct tree_node **nodes; /* by inode number - 1; owned */
	struct diag *diag;
};

static int failed(const struct copy *c, int err, uint32_t ino)
{
	return diag_errno(c->diag, err, "reading inode %u of the image", ino);
}

/* What only some types have. */
static int copy_kind(const struct image *img, const struct image_node *in,
	struct tree *t, struct tree_node *node)
{
	struct image_object object;
	const char *target;
	size_t len;
	int r = 0;

	if (S_ISREG(in->mode)) {
		r = image_object(img, in->data, &object);
		if (r < 0)
			return r;
		node->size = in->size;
		node->content =
			in->size ? TREE_CONTENT_IMAGE : TREE_CONTENT_NONE;
		node->object = in->data;
		node->digest = object.digest;
		node->has_digest = true;
	} else if (S_ISLNK(in->mode)) {
		r = image_link_target(img, in, &target, &len);
		if (r == 0)
			r = tree_set_target(t, node, target, len);
	} else if (S_ISCHR(in->mode) || S_ISBLK(in->mode)) {
		node->major = in->data;
		node->minor = in->minor;
	}
	return r;
}

static int copy_xattrs(const struct image *img, const struct image_node *in,
	const struct xattr_keep *keep, struct tree *t, struct tree_node *node)
{
	uint32_t count = image_xattr_count(img, in);
	char kept[XATTR_NAME_MAX + 1];
	int r = 0;

	for (uint32_t i = 0; i < count && r == 0; i++) {
		struct image_xattr x;

		r = image_xattr(img, in, i, &x);
		if (r < 0)
			return r;

		const char *name = x.name;
		size_t len = x.name_len;

		if (keep) {
			len = keep->name(keep->arg, name, len, kept);
			name = kept;
		}
		if (len)
			r = tree_set_xattr(
				t, node, name, len, x.value, x.value_len);
	}
	return r;
}

int from_image_node(const struct image *img, const struct image_node *in,
	const struct xattr_keep *keep, struct tree *t, struct tree_node *node)
{
	node->mode = in->mode;
	node->uid = in->uid;
	node->gid = in->gid;
	node->mtime = in->mtime;
	node->mtime_nsec = in->mtime_nsec;

	int r = copy_kind(img, in, t, node);

	return r < 0 ? r : copy_xattrs(img, in, keep, t, node);
}

static int copy_node(const struct copy *c, uint32_t ino)
{
	struct image_node in;
	int r = image_node(c->img, ino, &in);

	if (r < 0)
		return failed(c, r, ino);

	struct tree_node *node = ino == LAYOUT_ROOT_INO
					 ? tree_root(c->tree)
					 : tree_add_node(c->tree, in.mode);

	if (!node)
		return failed(c, -ENOMEM, ino);
	c->nodes[ino - 1] = node;
	r = from_image_node(c->img, &in, NULL, c->tree, node);
	return r < 0 ? failed(c, r, ino) : 0;
}

static int copy_entry(
	const struct copy *c, const struct image_summary *sum, uint32_t index)
{
	struct image_entry e;
	int r = image_entry(c->img, index, &e);

	/* image_open has checked the numbers; this is the second lock. */
	if (r == 0 && (e.ino < 1 || e.ino > sum->inodes || e.parent < 1 ||
			      e.parent > sum->inodes ||
			      !S_ISDIR(c->nodes[e.parent - 1]->mode)))
		r = -EBADMSG;
	if (r == 0)
		r = tree_add_entry(c->tree, c->nodes[e.parent - 1], e.name,
			e.name_len, c->nodes[e.ino - 1]);
	return r < 0 ? diag_errno(c->diag, r, "reading entry %u of the image",
			       index)
		     : 0;
}

int tree_from_image(
	const struct image *img, struct tree **ret, struct diag *diag)
{
	_cleanup_(tree_free) struct tree *tree = NULL;
	struct image_summary sum;
	int r = tree_new(&tree);

	if (r < 0)
		return diag_errno(diag, r, "reading the image");
	tree->image = img;
	image_summary(img, &sum);

	_cleanup_free_ struct tree_node **nodes =
		calloc(sum.inodes, sizeof(struct tree_node *));
	const struct copy c = {
		.img = img,
		.tree = tree,
		.nodes = nodes,
		.diag = diag,
	};

	if (!nodes)
		return diag_errno(diag, -ENOMEM, "reading the image");
	for (uint32_t ino = 1; ino <= sum.inodes && r == 0; ino++)
		r = copy_node(&c, ino);
	for (uint32_t i = 0; i < sum.dirents && r == 0; i++)
		r = copy_entry(&c, &sum, i);
	if (r < 0)
		return r;
	*ret = take_ptr(tree);
	return 0;
}
