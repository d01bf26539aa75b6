/* SPDX-License-Identifier: Apache-2.0 */
/* A change that was told is done to the tree. */
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/commit/commit_internal.h"

static int fail(struct commit *c, int err, const char *path)
{
	return diag_errno(c->diag, err, "changing %s", path);
}

/*
 * The folder that a path is in, and the name there. -ENOENT when it is not in
 * the tree (any more).
 */
static int find_parent(struct commit *c, const char *path,
	struct tree_node **ret, const char **ret_name)
{
	struct tree_node *dir = tree_root(c->tree);

	for (;;) {
		const char *name = path + 1;
		size_t len = strcspn(name, "/");
		struct tree_entry *e;

		if (!S_ISDIR(dir->mode))
			return -ENOENT;
		if (!name[len]) {
			*ret = dir;
			*ret_name = name;
			return 0;
		}
		e = tree_find(c->tree, dir, name, len);
		if (!e)
			return -ENOENT;
		dir = e->node;
		path = name + len;
	}
}

static struct tree_entry *find_entry(struct commit *c, const char *path)
{
	struct tree_node *dir;
	const char *name;

	if (find_parent(c, path, &dir, &name) < 0)
		return NULL;
	return tree_find(c->tree, dir, name, strlen(name));
}

static int remove_path(struct commit *c, const char *path)
{
	struct tree_node *dir;
	const char *name;
	int r = find_parent(c, path, &dir, &name);

	if (r == 0)
		r = tree_remove_entry(c->tree, dir, name, strlen(name));
	/* It went with the folder that it was in. */
	return r == -ENOENT ? 0 : r;
}

/* Let a path lead to the node, whatever it led to before. */
static int put(struct commit *c, const char *path, struct tree_node *node)
{
	struct tree_node *dir;
	const char *name;
	int r = find_parent(c, path, &dir, &name);

	if (r < 0)
		return r;

	struct tree_entry *e = tree_find(c->tree, dir, name, strlen(name));

	if (!e)
		return tree_add_entry(c->tree, dir, name, strlen(name), node);
	e->node = node;
	return 0;
}

static int copy_attributes(
	struct commit *c, struct tree_node *to, const struct tree_node *from)
{
	int r = 0;

	to->mode = from->mode;
	to->uid = from->uid;
	to->gid = from->gid;
	to->mtime = from->mtime;
	to->mtime_nsec = from->mtime_nsec;
	if (S_ISCHR(to->mode) || S_ISBLK(to->mode)) {
		to->major = from->major;
		to->minor = from->minor;
	}
	if (S_ISLNK(to->mode))
		r = tree_set_target(c->tree, to, from->target, from->size);
	tree_clear_xattrs(to);
	for (uint32_t i = 0; i < from->xattr_count && r == 0; i++) {
		const struct tree_xattr *x = &from->xattrs[i];

		r = tree_set_xattr(c->tree, to, x->name, x->name_len, x->value,
			x->value_len);
	}
	return r;
}

static void copy_content(struct tree_node *to, const struct tree_node *from)
{
	to->size = from->size;
	to->content = from->content;
	to->has_digest = from->has_digest;
	if (from->has_digest)
		to->digest = from->digest;
	if (from->content == TREE_CONTENT_IMAGE) {
		to->object = from->object;
	} else if (from->content == TREE_CONTENT_PATH) {
		to->dev = from->dev;
		to->dev_ino = from->dev_ino;
		to->ctime = from->ctime;
		to->ctime_nsec = from->ctime_nsec;
	}
}

/* Where the bytes are: what is as it was is in the image. */
static const struct tree_node *content_of(const struct diff *d)
{
	bool kept = d->a && !(d->what & (DIFF_TYPE | DIFF_SIZE | DIFF_CONTENT));

	return kept ? d->a : d->b;
}

static struct tree_node *find_file(
	const struct commit *c, uint64_t hash, const struct tree_node *b)
{
	const struct table_slot *slot = NULL;

	while ((slot = table_next(&c->linked, hash, slot))) {
		struct tree_node *n = c->files[slot->value * 2];
		const struct tree_node *id = c->files[slot->value * 2 + 1];

		if (id->dev == b->dev && id->dev_ino == b->dev_ino)
			return n;
	}
	return NULL;
}

/* Remember a file under what it is on the disk: a node for the tree, and one
 * that nothing names and that has the disk's numbers. */
static int add_file(struct commit *c, uint64_t hash, struct tree_node *n,
	const struct tree_node *b)
{
	struct tree_node *id = tree_add_node(c->tree, S_IFIFO);

	if (!id)
		return -ENOMEM;
	id->dev = b->dev;
	id->dev_ino = b->dev_ino;
	if (c->files_count == c->files_cap) {
		size_t cap = c->files_cap ? c->files_cap * 2 : 64;
		struct tree_node **f =
			reallocarray(c->files, cap, 2 * sizeof(*f));

		if (!f)
			return -ENOMEM;
		c->files = f;
		c->files_cap = cap;
	}
	c->files[c->files_count * 2] = n;
	c->files[c->files_count * 2 + 1] = id;
	return table_add(&c->linked, hash, c->files_count++);
}

/* The node of a written file: the one of its other name, or a new one. */
static int new_file(
	struct commit *c, const struct diff *d, struct tree_node **ret)
{
	const struct tree_node *b = d->b;
	uint64_t id[] = {b->dev, b->dev_ino};
	uint64_t hash = table_hash(&c->key, id, sizeof(id));
	struct tree_node *n = b->nlink > 1 ? find_file(c, hash, b) : NULL;
	int r = 0;

	*ret = n;
	if (n)
		return 0;
	n = tree_add_node(c->tree, b->mode);
	if (!n)
		return -ENOMEM;
	if (b->nlink > 1)
		r = add_file(c, hash, n, b);
	if (r == 0)
		r = copy_attributes(c, n, b);
	if (S_ISREG(b->mode))
		copy_content(n, content_of(d));
	*ret = n;
	return r;
}

static int apply_new(struct commit *c, const struct diff *d)
{
	struct tree_node *n;
	int r = new_file(c, d, &n);

	return r < 0 ? r : put(c, d->path, n);
}

/* What the path leads to stays the same one; it has other names perhaps, for
 * which the same is told. */
static int apply_changed(struct commit *c, const struct diff *d)
{
	struct tree_node *n = tree_root(c->tree);

	if (d->path[1]) {
		const struct tree_entry *e = find_entry(c, d->path);

		if (!e)
			return -ENOENT;
		n = e->node;
	}

	int r = copy_attributes(c, n, d->b);

	if (r == 0 && S_ISREG(n->mode))
		copy_content(n, content_of(d));
	return r;
}

/* Take a folder of the image away from where it was, if it is still there. */
static int detach(struct commit *c, uint32_t ino)
{
	struct tree_node *node = c->nodes[ino - 1];
	struct image_node in;
	struct image_entry home;
	int r = image_node(c->img, ino, &in);

	if (r == 0)
		r = image_entry(c->img, in.home, &home);
	if (r < 0)
		return r;

	struct tree_node *dir = c->nodes[home.parent - 1];
	const struct tree_entry *e =
		tree_find(c->tree, dir, home.name, home.name_len);

	if (!e || e->node != node)
		return 0;
	return tree_remove_entry(c->tree, dir, home.name, home.name_len);
}

static int apply_renamed(struct commit *c, const struct diff *d)
{
	struct tree_node *node = c->nodes[d->a->ino - 1];
	int r = detach(c, d->a->ino);

	if (r == 0)
		r = put(c, d->path, node);
	return r < 0 ? r : copy_attributes(c, node, d->b);
}

int commit_apply(void *arg, const struct diff *d)
{
	struct commit *c = arg;
	int r = 0;

	switch (d->kind) {
	case DIFF_ADDED: r = apply_new(c, d); break;
	case DIFF_REMOVED: r = remove_path(c, d->path); break;
	case DIFF_RENAMED: r = apply_renamed(c, d); break;
	case DIFF_CHANGED:
		r = d->what & (DIFF_TYPE | DIFF_LINKS) ? apply_new(c, d)
						       : apply_changed(c, d);
		break;
	}
	return r < 0 ? fail(c, r, d->path) : 0;
}
