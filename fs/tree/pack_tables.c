/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of inodes, entries, names and xattrs; see fs/FORMAT.md. */
#include <string.h>
#include <sys/stat.h>

#include "fs/tree/pack_internal.h"

/* Room for 2^32 records of the largest stride; memory ends before. */
#define TABLE_MAX ((size_t)1 << 38)

void pack_tables_init(struct pack_tables *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->sections); i++)
		buf_init(&t->sections[i], TABLE_MAX);
}

void pack_tables_done(struct pack_tables *t)
{
	for (size_t i = 0; i < ARRAY_LEN(t->sections); i++)
		buf_done(&t->sections[i]);
}

/* What is known about the xattr sets while inodes are written. */
struct xsets {
	struct pack_tables *t;
	struct table known; /* first bytes of a digest -> set */
	struct buf digests; /* struct digest, by set */
	struct hasher *hasher;
};

/* A digest that two lists of xattrs share only when they are equal. */
static void digest_xattrs(
	struct hasher *h, const struct tree_node *node, struct digest *ret)
{
	hasher_begin(h);
	for (uint32_t i = 0; i < node->xattr_count; i++) {
		const struct tree_xattr *x = &node->xattrs[i];
		uint32_t lens[2] = {x->name_len, x->value_len};

		hasher_add(h, lens, sizeof(lens));
		hasher_add(h, x->name, x->name_len);
		hasher_add(h, x->value, x->value_len);
	}
	hasher_end(h, ret);
}

static int add_xattrs(struct pack_tables *t, const struct tree_node *node)
{
	for (uint32_t i = 0; i < node->xattr_count; i++) {
		const struct tree_xattr *x = &node->xattrs[i];
		struct buf *bytes = &t->sections[SECTION_XBYTES];
		struct layout_xattr record = {
			.bytes = htole64(bytes->len),
			.value_len = htole32(x->value_len),
			.name_len = htole16((uint16_t)x->name_len),
		};
		int r = buf_add(
			&t->sections[SECTION_XATTRS], &record, sizeof(record));

		if (r == 0)
			r = buf_add(bytes, x->name, x->name_len);
		if (r == 0)
			r = buf_add(bytes, x->value, x->value_len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The set of a node's xattrs, made when it is new. */
static int find_xset(
	struct xsets *xs, const struct tree_node *node, uint32_t *ret)
{
	struct pack_tables *t = xs->t;
	const struct table_slot *slot = NULL;
	struct digest d;
	uint64_t hash;

	*ret = LAYOUT_NONE;
	if (!node->xattr_count)
		return 0;
	digest_xattrs(xs->hasher, node, &d);
	memcpy(&hash, d.bytes, sizeof(hash));
	while ((slot = table_next(&xs->known, hash, slot))) {
		if (memcmp(xs->digests.data + slot->value * sizeof(d), &d,
			    sizeof(d)) == 0) {
			*ret = (uint32_t)slot->value;
			return 0;
		}
	}

	size_t index = xs->digests.len / sizeof(d);
	size_t first =
		t->sections[SECTION_XATTRS].len / sizeof(struct layout_xattr);

	if (index >= LAYOUT_NONE || first + node->xattr_count >= LAYOUT_NONE)
		return -E2BIG;

	struct layout_xset set = {
		.first = htole32((uint32_t)first),
		.count = htole32(node->xattr_count),
	};
	int r = buf_add(&t->sections[SECTION_XSETS], &set, sizeof(set));

	if (r == 0)
		r = buf_add(&xs->digests, &d, sizeof(d));
	if (r == 0)
		r = table_add(&xs->known, hash, index);
	if (r == 0)
		r = add_xattrs(t, node);
	*ret = (uint32_t)index;
	return r;
}

static int add_entries(struct pack_tables *t, const struct tree_node *dir)
{
	struct buf *names = &t->sections[SECTION_NAMES];

	for (uint32_t i = 0; i < dir->entry_count; i++) {
		const struct tree_entry *e = &dir->entries[i];

		if (names->len > UINT32_MAX)
			return -E2BIG;

		struct layout_dirent record = {
			.name = htole32((uint32_t)names->len),
			.ino = htole32(e->node->ino),
			.parent = htole32(dir->ino),
			.name_len = htole16((uint16_t)e->name_len),
			.type = htole16((uint16_t)(e->node->mode >> 12)),
		};
		int r = buf_add(
			&t->sections[SECTION_DIRENTS], &record, sizeof(record));

		if (r == 0)
			r = buf_add(names, e->name, e->name_len);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Where each folder's entries begin; they are written folder by folder. */
static int fill_entries(
	struct pack_tables *t, const struct tree *tree, uint32_t *first)
{
	uint32_t count = tree_node_count(tree);

	for (uint32_t ino = 1; ino <= count; ino++) {
		const struct tree_node *node = tree_node(tree, ino);

		if (!S_ISDIR(node->mode))
			continue;
		first[ino - 1] = (uint32_t)(t->sections[SECTION_DIRENTS].len /
					    sizeof(struct layout_dirent));

		int r = add_entries(t, node);

		if (r < 0)
			return r;
	}
	return 0;
}

/* The place of a node's home entry in the table. */
static uint32_t home_of(const struct tree_node *node, const uint32_t *first)
{
	if (!node->home)
		return LAYOUT_NONE;
	return first[node->parent->ino - 1] +
	       (uint32_t)(node->home - node->parent->entries);
}

static int add_inode(struct pack_tables *t, const struct tree_node *node,
	struct layout_inode *in, uint32_t first, uint32_t object)
{
	struct buf *names = &t->sections[SECTION_NAMES];
	int r = 0;

	switch (node->mode & S_IFMT) {
	case S_IFREG:
		in->size = htole64(node->size);
		in->data = htole32(object);
		break;
	case S_IFDIR:
		in->size = htole64(node->entry_count);
		in->data = htole32(first);
		break;
	case S_IFLNK:
		in->size = htole64(node->size);
		in->link = htole64(names->len);
		r = buf_add(names, node->target, node->size);
		break;
	case S_IFCHR:
	case S_IFBLK:
		in->data = htole32(node->major);
		in->more = htole32(node->minor);
		break;
	default: break; /* FIFO, socket: nothing more */
	}
	if (r == 0)
		r = buf_add(&t->sections[SECTION_INODES], in, sizeof(*in));
	return r;
}

static int fill_inodes(struct xsets *xs, const struct tree *tree,
	const uint32_t *first, const uint32_t *object)
{
	uint32_t count = tree_node_count(tree);

	for (uint32_t ino = 1; ino <= count; ino++) {
		const struct tree_node *node = tree_node(tree, ino);
		uint32_t xset;
		int r = find_xset(xs, node, &xset);

		if (r < 0)
			return r;

		struct layout_inode in = {
			.mode = htole32(node->mode),
			.uid = htole32(node->uid),
			.gid = htole32(node->gid),
			.nlink = htole32(node->nlink),
			.mtime = (int64_t)htole64((uint64_t)node->mtime),
			.mtime_nsec = htole32(node->mtime_nsec),
			.home = htole32(home_of(node, first)),
			.xset = htole32(xset),
		};

		r = add_inode(
			xs->t, node, &in, first[ino - 1], object[ino - 1]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Append an object's record, place and holes to another set of tables. */
static int copy_object(
	const struct pack_tables *from, uint32_t index, struct pack_tables *to)
{
	const struct buf *old = from->sections;
	struct buf *holes = &to->sections[SECTION_HOLES];
	struct layout_object object;
	size_t stride = sizeof(struct layout_hole);

	memcpy(&object, old[SECTION_OBJECTS].data + index * sizeof(object),
		sizeof(object));

	size_t first = le32toh(object.hole);
	size_t count = le32toh(object.hole_count);
	int r = 0;

	if (count) {
		object.hole = htole32((uint32_t)(holes->len / stride));
		r = buf_add(holes, old[SECTION_HOLES].data + first * stride,
			count * stride);
	}
	if (r == 0)
		r = buf_add(&to->sections[SECTION_OBJECTS], &object,
			sizeof(object));
	if (r == 0)
		r = buf_add(&to->sections[SECTION_PLACES],
			old[SECTION_PLACES].data +
				index * sizeof(struct layout_place),
			sizeof(struct layout_place));
	return r;
}

/* Objects were found in the order of packing; number them by first use. */
static int renumber_objects(
	struct pack_tables *t, const struct tree *tree, uint32_t *object)
{
	size_t count =
		t->sections[SECTION_OBJECTS].len / sizeof(struct layout_object);
	_cleanup_free_ uint32_t *number = malloc((count + 1) * sizeof(*number));
	struct pack_tables sorted;
	uint32_t next = 0;
	int r = 0;

	if (!number)
		return -ENOMEM;
	memset(number, 0xff, count * sizeof(*number)); /* LAYOUT_NONE */
	pack_tables_init(&sorted);
	for (uint32_t ino = 1; r == 0 && ino <= tree_node_count(tree); ino++) {
		uint32_t *mine = &object[ino - 1];

		if (!S_ISREG(tree_node(tree, ino)->mode))
			continue;
		if (number[*mine] == LAYOUT_NONE) {
			number[*mine] = next++;
			r = copy_object(t, *mine, &sorted);
		}
		*mine = number[*mine];
	}
	for (enum section s = SECTION_OBJECTS; s <= SECTION_PLACES; s++) {
		struct buf old = t->sections[s];

		t->sections[s] = sorted.sections[s];
		sorted.sections[s] = old;
	}
	pack_tables_done(&sorted);
	return r;
}

int pack_tables_fill(struct pack_tables *t, const struct tree *tree,
	uint32_t *object, struct diag *diag)
{
	_cleanup_free_ uint32_t *first =
		calloc(tree_node_count(tree) + (size_t)1, sizeof(*first));
	_cleanup_(hasher_free) struct hasher *hasher = hasher_new();
	struct xsets xs = {.t = t, .hasher = hasher};

	if (!first || !hasher)
		return -ENOMEM;
	buf_init(&xs.digests, TABLE_MAX);

	int r = renumber_objects(t, tree, object);

	if (r == 0)
		r = fill_entries(t, tree, first);
	if (r == 0)
		r = fill_inodes(&xs, tree, first, object);
	buf_done(&xs.digests);
	table_done(&xs.known);
	if (r == -E2BIG)
		return diag_set(diag, r,
			"the tree does not fit into one image: too many names "
			"or extended attributes");
	return r;
}
