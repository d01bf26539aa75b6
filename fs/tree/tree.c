/* SPDX-License-Identifier: Apache-2.0 */
/* Building a tree: nodes, entries, extended attributes; see tree.h. */
#include "fs/tree/tree.h"

#include <assert.h>
#include <limits.h>
#include <linux/limits.h>
#include <sys/stat.h>

#include "fs/tree/tree_internal.h"

/* A folder with fewer entries is searched faster than it is indexed. */
#define INDEX_MIN 16

int tree_new(struct tree **ret)
{
	struct tree *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->root_fd = t->spool_fd = -1;

	int r = table_key_init(&t->key);

	if (r == 0 && !tree_add_node(t, S_IFDIR | 0755))
		r = -ENOMEM;
	if (r < 0) {
		tree_free(t);
		return r;
	}
	*ret = t;
	return 0;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	for (struct tree_node *n = t->root; n; n = n->next) {
		if (!S_ISDIR(n->mode))
			continue;
		free(n->entries);
		if (n->index)
			table_done(n->index);
		free(n->index);
	}
	arena_done(&t->arena);
	free(t->by_ino);
	close_cleanup(&t->root_fd);
	close_cleanup(&t->spool_fd);
	free(t);
}

struct tree_node *tree_root(struct tree *t)
{
	return t->root;
}

struct tree_node *tree_add_node(struct tree *t, uint32_t mode)
{
	struct tree_node *n = arena_zalloc(&t->arena, sizeof(*n));

	assert(!t->sealed);
	if (!n)
		return NULL;
	n->mode = mode;
	if (t->last)
		t->last->next = n;
	else
		t->root = n;
	t->last = n;
	t->created++;
	return n;
}

static bool name_is_good(const char *name, size_t len)
{
	if (len == 0 || len > NAME_MAX)
		return false;
	if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
		return false;
	return !memchr(name, '/', len) && !memchr(name, '\0', len);
}

static int entries_grow(struct tree_node *dir)
{
	uint32_t cap = dir->entry_cap ? dir->entry_cap * 2 : 4;
	size_t bytes;

	if (dir->entry_count < dir->entry_cap)
		return 0;
	if (cap < dir->entry_cap ||
		__builtin_mul_overflow(cap, sizeof(*dir->entries), &bytes))
		return -ENOMEM;

	struct tree_entry *e = realloc(dir->entries, bytes);

	if (!e)
		return -ENOMEM;
	dir->entries = e;
	dir->entry_cap = cap;
	return 0;
}

int tree_add_entry(struct tree *t, struct tree_node *dir, const char *name,
	size_t len, struct tree_node *node)
{
	assert(!t->sealed && S_ISDIR(dir->mode) && node != t->root);
	if (!name_is_good(name, len))
		return -EINVAL;

	int r = entries_grow(dir);

	if (r < 0)
		return r;

	char *copy = arena_copy(&t->arena, name, len);

	if (!copy)
		return -ENOMEM;
	if (dir->index) {
		r = table_add(dir->index, table_hash(&t->key, name, len),
			dir->entry_count);
		if (r < 0)
			return r;
	}
	dir->entries[dir->entry_count++] = (struct tree_entry){
		.name = copy,
		.name_len = (uint32_t)len,
		.node = node,
	};
	return 0;
}

/* An index of all entries, or none when memory is short: then the search is
 * linear, and whoever is out of memory learns it from something that matters.
 */
static void index_build(struct tree *t, struct tree_node *dir)
{
	struct table *index = calloc(1, sizeof(*index));

	if (!index)
		return;
	for (uint32_t i = 0; i < dir->entry_count; i++) {
		const struct tree_entry *e = &dir->entries[i];

		if (table_add(index, table_hash(&t->key, e->name, e->name_len),
			    i) < 0) {
			table_done(index);
			free(index);
			return;
		}
	}
	dir->index = index;
}

static bool name_is(const struct tree_entry *e, const char *name, size_t len)
{
	return e->name_len == len && memcmp(e->name, name, len) == 0;
}

static struct table_slot *index_find(struct tree *t,
	const struct tree_node *dir, const char *name, size_t len)
{
	uint64_t hash = table_hash(&t->key, name, len);
	struct table_slot *s = NULL;

	do
		s = table_next(dir->index, hash, s);
	while (s && !name_is(&dir->entries[s->value], name, len));
	return s;
}

static struct tree_entry *find_sorted(
	const struct tree_node *dir, const char *name, size_t len)
{
	uint32_t low = 0, high = dir->entry_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		struct tree_entry *e = &dir->entries[mid];
		int c = name_cmp(name, len, e->name, e->name_len);

		if (c == 0)
			return e;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct tree_entry *tree_find(
	struct tree *t, struct tree_node *dir, const char *name, size_t len)
{
	if (!S_ISDIR(dir->mode))
		return NULL;
	if (t->sealed)
		return find_sorted(dir, name, len);
	if (!dir->index && dir->entry_count >= INDEX_MIN)
		index_build(t, dir);
	if (dir->index) {
		struct table_slot *s = index_find(t, dir, name, len);

		return s ? &dir->entries[s->value] : NULL;
	}
	for (uint32_t i = 0; i < dir->entry_count; i++) {
		if (name_is(&dir->entries[i], name, len))
			return &dir->entries[i];
	}
	return NULL;
}

int tree_remove_entry(
	struct tree *t, struct tree_node *dir, const char *name, size_t len)
{
	struct tree_entry *e = tree_find(t, dir, name, len);

	assert(!t->sealed);
	if (!e)
		return -ENOENT;

	/* The last entry takes its place. */
	struct tree_entry *last = &dir->entries[dir->entry_count - 1];

	if (dir->index) {
		table_remove(
			dir->index, index_find(t, dir, e->name, e->name_len));
		if (e != last)
			index_find(t, dir, last->name, last->name_len)->value =
				(uint64_t)(e - dir->entries);
	}
	*e = *last;
	dir->entry_count--;
	return 0;
}

/* Room for one more: the array doubles when the count is a power of two, and
 * what it leaves behind stays in the arena. */
static int xattrs_grow(struct tree *t, struct tree_node *node)
{
	size_t count = node->xattr_count;

	if (count & (count - 1))
		return 0;

	struct tree_xattr *x = arena_zalloc(
		&t->arena, (count ? count * 2 : 1) * sizeof(*node->xattrs));

	if (!x)
		return -ENOMEM;
	if (count)
		memcpy(x, node->xattrs, count * sizeof(*x));
	node->xattrs = x;
	return 0;
}

int tree_set_xattr(struct tree *t, struct tree_node *node, const char *name,
	size_t name_len, const void *value, size_t value_len)
{
	struct tree_xattr *x = NULL;
	size_t list = name_len + 1; /* as listxattr counts */

	assert(!t->sealed);
	if (name_len == 0 || name_len > XATTR_NAME_MAX ||
		memchr(name, '\0', name_len))
		return -EINVAL;
	for (uint32_t i = 0; i < node->xattr_count && !x; i++) {
		if (name_cmp(name, name_len, node->xattrs[i].name,
			    node->xattrs[i].name_len) == 0)
			x = &node->xattrs[i];
		list += node->xattrs[i].name_len + 1;
	}
	if (value_len > XATTR_SIZE_MAX || (!x && list > XATTR_LIST_MAX))
		return -E2BIG;

	uint8_t *copy = (uint8_t *)arena_copy(&t->arena, value, value_len);

	if (!copy)
		return -ENOMEM;
	if (!x) {
		char *name_copy = arena_copy(&t->arena, name, name_len);
		int r = name_copy ? xattrs_grow(t, node) : -ENOMEM;

		if (r < 0)
			return r;
		x = &node->xattrs[node->xattr_count++];
		x->name = name_copy;
		x->name_len = (uint32_t)name_len;
	}
	x->value = copy;
	x->value_len = (uint32_t)value_len;
	return 0;
}

void tree_clear_xattrs(struct tree_node *node)
{
	node->xattrs = NULL; /* the arena has them until the end */
	node->xattr_count = 0;
}

int tree_set_target(
	struct tree *t, struct tree_node *node, const char *target, size_t len)
{
	assert(!t->sealed && S_ISLNK(node->mode));
	if (len == 0 || len >= PATH_MAX || memchr(target, '\0', len))
		return -EINVAL;
	node->target = arena_copy(&t->arena, target, len);
	if (!node->target)
		return -ENOMEM;
	node->size = len;
	return 0;
}

void tree_set_root_fd(struct tree *t, int fd)
{
	close_cleanup(&t->root_fd);
	t->root_fd = fd;
}

void tree_set_spool_fd(struct tree *t, int fd)
{
	close_cleanup(&t->spool_fd);
	t->spool_fd = fd;
}

int tree_root_fd(const struct tree *t)
{
	return t->root_fd;
}
