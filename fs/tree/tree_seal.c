/* SPDX-License-Identifier: Apache-2.0 */
/* Closing a tree: order, inode numbers, link counts, paths; see tree.h. */
#include <assert.h>
#include <sys/stat.h>

#include "fs/tree/tree_internal.h"

/* The greatest number is kept free: LAYOUT_NONE means "none". */
#define COUNT_MAX (UINT32_MAX - 1)

static int entry_cmp(const void *a, const void *b)
{
	const struct tree_entry *x = a, *y = b;

	return name_cmp(x->name, x->name_len, y->name, y->name_len);
}

static int xattr_cmp(const void *a, const void *b)
{
	const struct tree_xattr *x = a, *y = b;

	return name_cmp(x->name, x->name_len, y->name, y->name_len);
}

static int duplicate(const struct tree_node *dir, const struct tree_entry *e,
	struct diag *diag)
{
	_cleanup_free_ char *path = tree_path(dir);

	return diag_set(diag, -EEXIST, "folder %s: the name %s is there twice",
		path ? path : "?", e->name);
}

static int sort_entries(struct tree_node *dir, struct diag *diag)
{
	/* Entries stay where they are from now on: nodes point to them. */
	if (dir->entry_count < dir->entry_cap && dir->entry_count) {
		struct tree_entry *e = realloc(
			dir->entries, dir->entry_count * sizeof(*dir->entries));

		if (e) {
			dir->entries = e;
			dir->entry_cap = dir->entry_count;
		}
	}
	if (dir->entry_count)
		qsort(dir->entries, dir->entry_count, sizeof(*dir->entries),
			entry_cmp);
	for (uint32_t i = 1; i < dir->entry_count; i++) {
		if (entry_cmp(&dir->entries[i - 1], &dir->entries[i]) == 0)
			return duplicate(dir, &dir->entries[i], diag);
	}
	if (dir->index) {
		table_done(dir->index);
		free(dir->index);
		dir->index = NULL;
	}
	return 0;
}

void tree_sort_xattrs(struct tree_node *node)
{
	if (node->xattr_count)
		qsort(node->xattrs, node->xattr_count, sizeof(*node->xattrs),
			xattr_cmp);
}

static void number(struct tree *t, struct tree_node *node,
	struct tree_node *parent, const struct tree_entry *home)
{
	t->by_ino[t->node_count++] = node;
	node->ino = t->node_count;
	node->parent = parent;
	node->home = home;
	node->nlink = S_ISDIR(node->mode) ? 2 : 0;
	tree_sort_xattrs(node);
}

static int number_children(
	struct tree *t, struct tree_node *dir, struct diag *diag)
{
	int r = sort_entries(dir, diag);

	if (r < 0)
		return r;
	if (dir->entry_count > COUNT_MAX - t->entry_count)
		return diag_set(
			diag, -E2BIG, "more than %u entries", COUNT_MAX);
	t->entry_count += dir->entry_count;
	for (uint32_t i = 0; i < dir->entry_count; i++) {
		const struct tree_entry *e = &dir->entries[i];

		if (e->node->ino && S_ISDIR(e->node->mode))
			return diag_set(diag, -EMLINK,
				"the folder %s has two names", e->name);
		if (!e->node->ino)
			number(t, e->node, dir, e);
		if (S_ISDIR(e->node->mode))
			dir->nlink++;
		else
			e->node->nlink++;
	}
	return 0;
}

int tree_seal(struct tree *t, struct diag *diag)
{
	assert(!t->sealed);
	if (t->created > COUNT_MAX)
		return diag_set(diag, -E2BIG, "more than %u files", COUNT_MAX);
	t->by_ino = calloc(t->created, sizeof(struct tree_node *));
	if (!t->by_ino)
		return diag_errno(diag, -ENOMEM, "sorting the tree");

	/* The list of numbered nodes is the queue of the breadth-first walk. */
	number(t, t->root, t->root, NULL);
	for (uint32_t i = 0; i < t->node_count; i++) {
		if (!S_ISDIR(t->by_ino[i]->mode))
			continue;

		int r = number_children(t, t->by_ino[i], diag);

		if (r < 0)
			return r;
	}
	t->sealed = true;
	return 0;
}

uint32_t tree_node_count(const struct tree *t)
{
	assert(t->sealed);
	return t->node_count;
}

uint32_t tree_entry_count(const struct tree *t)
{
	assert(t->sealed);
	return t->entry_count;
}

struct tree_node *tree_node(const struct tree *t, uint32_t ino)
{
	assert(t->sealed);
	return ino >= 1 && ino <= t->node_count ? t->by_ino[ino - 1] : NULL;
}

char *tree_path(const struct tree_node *node)
{
	size_t len = 0;

	for (const struct tree_node *n = node; n->home; n = n->parent)
		len += 1 + (size_t)n->home->name_len;

	char *path = malloc(len ? len + 1 : 2);

	if (!path)
		return NULL;
	if (len == 0) {
		path[len++] = '/';
		path[len] = '\0';
		return path;
	}
	path[len] = '\0';
	for (const struct tree_node *n = node; n->home; n = n->parent) {
		len -= n->home->name_len;
		memcpy(path + len, n->home->name, n->home->name_len);
		path[--len] = '/';
	}
	return path;
}
