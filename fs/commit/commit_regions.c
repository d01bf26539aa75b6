/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mount with writable paths shows of an image before anything is
 * written. A name of the image belongs to the innermost source that its folder
 * is in: its region. A file with names in several regions is several files;
 * and an overlay hides attributes that look like its marks.
 */
#include <linux/limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/cleanup.h"
#include "fs/commit/commit_internal.h"

/* No source: the image itself. */
#define OUTSIDE UINT32_MAX

/* A file of the image as another region than its first name's has it. */
struct region_copy {
	uint32_t ino, region;
	struct tree_node *node;
};

struct regions {
	struct commit *c;
	uint32_t *of;  /* region by inode number - 1; owned */
	uint32_t *top; /* inode numbers of the sources' paths; owned */
	struct region_copy *copies; /* owned */
	size_t count, cap;
	struct table by_id; /* index into copies */
};

const char *commit_below(const struct changes_source *s, const char *path)
{
	size_t len = strcmp(s->path, "/") == 0 ? 0 : strlen(s->path);

	if (strncmp(path, s->path, len) != 0 ||
		(path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len;
	return path + (*path == '/');
}

/* Does a source begin at this inode? Else what its folder has. */
static uint32_t region_of(
	const struct regions *g, uint32_t ino, uint32_t parent_region)
{
	for (size_t i = g->c->count; i-- > 0;) {
		if (g->top[i] == ino)
			return (uint32_t)i;
	}
	return parent_region;
}

/* Show attributes as the region's mount does. */
static int show_xattrs(
	struct commit *c, struct tree_node *node, enum overlay_form form)
{
	const struct tree_xattr *old = node->xattrs;
	uint32_t count = node->xattr_count;
	char shown[XATTR_NAME_MAX + 1];
	int r = 0;

	tree_clear_xattrs(node);
	for (uint32_t i = 0; i < count && r == 0; i++) {
		size_t len = overlay_shown_name(
			form, old[i].name, old[i].name_len, shown);

		if (len)
			r = tree_set_xattr(c->tree, node, shown, len,
				old[i].value, old[i].value_len);
	}
	return r;
}

static int show(struct commit *c, struct tree_node *node, uint32_t region)
{
	if (region == OUTSIDE || c->sources[region].form == OVERLAY_NONE)
		return 0;
	return show_xattrs(c, node, c->sources[region].form);
}

/* A file of its own, like another one. */
static struct tree_node *copy_file(
	struct commit *c, const struct tree_node *from)
{
	struct tree_node *n = tree_add_node(c->tree, from->mode);

	if (n) {
		struct tree_node *next = n->next;

		*n = *from;
		n->next = next;
	}
	return n;
}

static uint64_t copy_hash(
	const struct regions *g, uint32_t ino, uint32_t region)
{
	uint32_t id[] = {ino, region};

	return table_hash(&g->c->key, id, sizeof(id));
}

static struct tree_node *find_copy(
	const struct regions *g, uint32_t ino, uint32_t region)
{
	uint64_t hash = copy_hash(g, ino, region);
	const struct table_slot *slot = NULL;

	while ((slot = table_next(&g->by_id, hash, slot))) {
		const struct region_copy *copy = &g->copies[slot->value];

		if (copy->ino == ino && copy->region == region)
			return copy->node;
	}
	return NULL;
}

static int add_copy(struct regions *g, uint32_t ino, uint32_t region,
	struct tree_node **ret)
{
	struct commit *c = g->c;

	if (g->count == g->cap) {
		size_t cap = g->cap ? g->cap * 2 : 16;
		struct region_copy *more =
			reallocarray(g->copies, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		g->copies = more;
		g->cap = cap;
	}
	*ret = copy_file(c, c->nodes[ino - 1]);
	if (!*ret)
		return -ENOMEM;
	g->copies[g->count] = (struct region_copy){ino, region, *ret};

	int r = table_add(&g->by_id, copy_hash(g, ino, region), g->count++);

	return r < 0 ? r : show(c, *ret, region);
}

/* A name in another region than the file's first one: it leads to the file
 * that this region has. */
static int split(
	struct regions *g, const struct image_entry *e, uint32_t region)
{
	struct commit *c = g->c;
	struct tree_entry *entry = tree_find(
		c->tree, c->nodes[e->parent - 1], e->name, e->name_len);
	struct tree_node *node = find_copy(g, e->ino, region);
	int r = 0;

	if (!entry)
		return -EBADMSG;
	if (!node)
		r = add_copy(g, e->ino, region, &node);
	if (r == 0)
		entry->node = node;
	return r;
}

/* The entries in their order: a folder's region is known before what is in it.
 */
static int walk(struct regions *g)
{
	struct commit *c = g->c;
	struct image_summary sum;
	int r = 0;

	image_summary(c->img, &sum);
	g->of[0] = region_of(g, 1, OUTSIDE);
	for (uint32_t i = 0; i < sum.dirents && r == 0; i++) {
		struct image_entry e;
		struct image_node node;

		r = image_entry(c->img, i, &e);
		if (r == 0)
			r = image_node(c->img, e.ino, &node);
		if (r < 0)
			return r;

		uint32_t region = region_of(g, e.ino, g->of[e.parent - 1]);

		if (node.home == i)
			g->of[e.ino - 1] = region;
		else if (region != g->of[e.ino - 1])
			r = split(g, &e, region);
	}
	for (uint32_t i = 0; i < c->node_count && r == 0; i++)
		r = show(c, c->nodes[i], g->of[i]);
	return r;
}

int commit_regions(struct commit *c)
{
	struct regions g = {
		.c = c,
		.of = calloc(c->node_count, sizeof(*g.of)),
		.top = calloc(c->count + 1, sizeof(*g.top)),
	};
	int r = g.of && g.top ? 0 : -ENOMEM;

	for (size_t i = 0; i < c->count && r == 0; i++)
		g.top[i] = c->sources[i].ino;
	if (r == 0)
		r = walk(&g);
	free(g.of);
	free(g.top);
	free(g.copies);
	table_done(&g.by_id);
	return r < 0 ? diag_errno(c->diag, r, "reading the image") : 0;
}
