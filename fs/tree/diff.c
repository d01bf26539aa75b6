/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two trees; see diff.h. A merge of two sorted folders after
 * another, with a stack of its own.
 *
 * Hard links: two sealed trees number their nodes alike as long as names and
 * links are alike, but after a difference not any more. So each node remembers
 * the first partner that it met under some name; where two nodes under one name
 * are not each other's partner, or have not the same number of names, the sets
 * differ. (All names of a set in one partner, and as many there: the same set.)
 */
#include "fs/tree/diff.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "fs/base/io.h"
#include "fs/tree/diff_internal.h"
#include "fs/tree/tree_internal.h"

#define CHUNK ((size_t)256 << 10)

/* Two folders of one name that are being compared; a or b may be NULL. */
struct level {
	const struct tree_node *a, *b;
	uint32_t next_a, next_b;
	size_t path_len;
};

struct walk {
	const struct tree *a, *b;
	unsigned flags;
	const struct diff_hooks *hooks;
	struct diag *diag;
	struct level *levels; /* depth of them; owned */
	size_t depth, cap;
	struct buf path; /* with a NUL that is not counted */

	/* By inode number - 1: number of the partner, 0: none yet. Owned. */
	uint32_t *partner_a, *partner_b;

	struct hasher *hasher;
	uint8_t *chunk; /* two of them; owned */
	uint64_t bytes; /* read so far */
};

static void walk_done(struct walk *w)
{
	free(w->levels);
	buf_done(&w->path);
	free(w->partner_a);
	free(w->partner_b);
	hasher_free(w->hasher);
	free(w->chunk);
}

static int no_memory(const struct walk *w)
{
	return diag_errno(w->diag, -ENOMEM, "comparing");
}

/* ---- contents ---- */

struct content {
	const struct tree *tree;
	const struct tree_node *node;
	int fd;
	uint64_t off;
};

static int content_open(struct walk *w, const struct tree *t,
	const struct tree_node *node, struct content *ret)
{
	*ret = (struct content){.tree = t, .node = node, .fd = -1};
	return tree_open(t, node, &ret->fd, &ret->off, w->diag);
}

/* Exactly len bytes at off; less is a file that was cut meanwhile. */
static int content_read(struct walk *w, const struct content *c, uint8_t *buf,
	size_t len, uint64_t off)
{
	ssize_t n = io_pread(c->fd, buf, len, c->off + off);
	_cleanup_free_ char *path = NULL;

	if (n >= 0 && (size_t)n == len) {
		w->bytes += len;
		if (w->hooks->progress)
			w->hooks->progress(w->hooks->arg, w->bytes);
		return 0;
	}
	path = tree_path(c->node);
	if (n < 0)
		return diag_errno(
			w->diag, (int)n, "reading %s", path ? path : "a file");
	return diag_set(w->diag, -ESTALE, "%s became shorter while it was read",
		path ? path : "a file");
}

static int content_close(struct walk *w, struct content *c)
{
	int r = tree_recheck(c->tree, c->node, c->fd, w->diag);

	close_cleanup(&c->fd);
	return r;
}

static size_t step(uint64_t size, uint64_t off)
{
	return size - off < CHUNK ? (size_t)(size - off) : CHUNK;
}

/* The digest of a file that does not know it. */
static int hash(struct walk *w, const struct tree *t,
	const struct tree_node *node, struct digest *ret)
{
	struct content c;
	int r = 0;

	hasher_begin(w->hasher);
	if (node->content != TREE_CONTENT_NONE) {
		r = content_open(w, t, node, &c);
		if (r < 0)
			return r;
		for (uint64_t off = 0; off < node->size && r == 0;) {
			size_t len = step(node->size, off);

			r = content_read(w, &c, w->chunk, len, off);
			if (r == 0)
				hasher_add(w->hasher, w->chunk, len);
			off += len;
		}
		if (r < 0)
			close_cleanup(&c.fd);
		else
			r = content_close(w, &c);
	}
	if (r == 0)
		hasher_end(w->hasher, ret);
	return r;
}

/* Two files of one size, neither of which knows its digest. */
static int compare_bytes(struct walk *w, const struct tree_node *a,
	const struct tree_node *b, bool *ret_same)
{
	_cleanup_close_ int fd_a = -1, fd_b = -1;
	struct content ca, cb;
	bool same = true;
	int r = content_open(w, w->a, a, &ca);

	if (r < 0)
		return r;
	fd_a = ca.fd;
	r = content_open(w, w->b, b, &cb);
	if (r < 0)
		return r;
	fd_b = cb.fd;
	for (uint64_t off = 0; off < a->size && same && r == 0;) {
		size_t len = step(a->size, off);

		r = content_read(w, &ca, w->chunk, len, off);
		if (r == 0)
			r = content_read(w, &cb, w->chunk + CHUNK, len, off);
		if (r == 0)
			same = memcmp(w->chunk, w->chunk + CHUNK, len) == 0;
		off += len;
	}
	if (r == 0)
		r = tree_recheck(w->a, a, fd_a, w->diag);
	if (r == 0)
		r = tree_recheck(w->b, b, fd_b, w->diag);
	*ret_same = same;
	return r;
}

static int compare_content(struct walk *w, const struct tree_node *a,
	const struct tree_node *b, bool *ret_same)
{
	struct digest da, db;
	int r = 0;

	*ret_same = a->size == b->size;
	if (!*ret_same || a->size == 0)
		return 0;
	if (!a->has_digest && !b->has_digest)
		return compare_bytes(w, a, b, ret_same);
	if (a->has_digest)
		da = a->digest;
	else
		r = hash(w, w->a, a, &da);
	if (r == 0 && b->has_digest)
		db = b->digest;
	else if (r == 0)
		r = hash(w, w->b, b, &db);
	if (r == 0)
		*ret_same = digest_equal(&da, &db);
	return r;
}

/* ---- attributes ---- */

static bool xattrs_equal(const struct tree_node *a, const struct tree_node *b)
{
	if (a->xattr_count != b->xattr_count)
		return false;
	for (uint32_t i = 0; i < a->xattr_count; i++) {
		const struct tree_xattr *x = &a->xattrs[i], *y = &b->xattrs[i];

		if (name_cmp(x->name, x->name_len, y->name, y->name_len) != 0 ||
			x->value_len != y->value_len ||
			memcmp(x->value, y->value, x->value_len) != 0)
			return false;
	}
	return true;
}

static bool links_equal(
	struct walk *w, const struct tree_node *a, const struct tree_node *b)
{
	uint32_t *pa = &w->partner_a[a->ino - 1];
	uint32_t *pb = &w->partner_b[b->ino - 1];

	if (*pa == 0 && *pb == 0) {
		*pa = b->ino;
		*pb = a->ino;
	}
	return *pa == b->ino && *pb == a->ino && a->nlink == b->nlink;
}

unsigned diff_attributes(
	unsigned flags, const struct tree_node *a, const struct tree_node *b)
{
	bool device = S_ISCHR(a->mode) || S_ISBLK(a->mode);
	unsigned what = 0;

	if (a->mode != b->mode)
		what |= DIFF_MODE;
	if (!(flags & DIFF_IGNORE_OWNER) &&
		(a->uid != b->uid || a->gid != b->gid))
		what |= DIFF_OWNER;
	if (!(flags & DIFF_IGNORE_MTIME) &&
		(a->mtime != b->mtime || a->mtime_nsec != b->mtime_nsec))
		what |= DIFF_MTIME;
	if (!xattrs_equal(a, b))
		what |= DIFF_XATTRS;
	if (S_ISREG(a->mode) && a->size != b->size)
		what |= DIFF_SIZE;
	if (S_ISLNK(a->mode) &&
		(a->size != b->size || memcmp(a->target, b->target, a->size)))
		what |= DIFF_TARGET;
	if (device && (a->major != b->major || a->minor != b->minor))
		what |= DIFF_DEVICE;
	return what;
}

static int tell(struct walk *w, enum diff_kind kind, unsigned what,
	const struct tree_node *a, const struct tree_node *b)
{
	const struct diff d = {
		.kind = kind,
		.what = what,
		.path = w->path.len ? w->path.data : "/",
		.path_len = w->path.len ? w->path.len : 1,
		.a = a,
		.b = b,
	};
	int r = w->hooks->found(w->hooks->arg, &d);

	return r < 0 ? r : 0;
}

static int compare(
	struct walk *w, const struct tree_node *a, const struct tree_node *b)
{
	bool same = true;
	int r = 0;

	if ((a->mode & S_IFMT) != (b->mode & S_IFMT))
		return tell(w, DIFF_CHANGED, DIFF_TYPE, a, b);

	unsigned what = diff_attributes(w->flags, a, b);

	if (!S_ISDIR(a->mode) && !links_equal(w, a, b))
		what |= DIFF_LINKS;
	if (S_ISREG(a->mode))
		r = compare_content(w, a, b, &same);
	if (r < 0)
		return r;
	if (!same)
		what |= DIFF_CONTENT;
	return what ? tell(w, DIFF_CHANGED, what, a, b) : 0;
}

/* ---- the walk ---- */

static int push(
	struct walk *w, const struct tree_node *a, const struct tree_node *b)
{
	if (a && !S_ISDIR(a->mode))
		a = NULL;
	if (b && !S_ISDIR(b->mode))
		b = NULL;
	if (!a && !b)
		return 0;
	if (w->depth == w->cap) {
		size_t cap = w->cap ? w->cap * 2 : 64;
		struct level *l = reallocarray(w->levels, cap, sizeof(*l));

		if (!l)
			return no_memory(w);
		w->levels = l;
		w->cap = cap;
	}
	w->levels[w->depth++] = (struct level){
		.a = a,
		.b = b,
		.path_len = w->path.len,
	};
	return 0;
}

static int set_path(struct walk *w, size_t len, const struct tree_entry *entry)
{
	w->path.len = len;

	int r = buf_add(&w->path, "/", 1);

	if (r == 0) /* with its NUL */
		r = buf_add(&w->path, entry->name, (size_t)entry->name_len + 1);
	if (r < 0)
		return no_memory(w);
	w->path.len--;
	return 0;
}

static const struct tree_entry *peek(const struct tree_node *dir, uint32_t next)
{
	return dir && next < dir->entry_count ? &dir->entries[next] : NULL;
}

/* The next name of the folders on top of the stack. */
static int go_on(struct walk *w)
{
	struct level *l = &w->levels[w->depth - 1];
	const struct tree_entry *a = peek(l->a, l->next_a);
	const struct tree_entry *b = peek(l->b, l->next_b);
	int r;

	if (!a && !b) {
		w->depth--;
		return 0;
	}

	int order = !a	 ? 1
		    : !b ? -1
			 : name_cmp(a->name, a->name_len, b->name, b->name_len);

	if (order < 0)
		b = NULL;
	if (order > 0)
		a = NULL;
	l->next_a += a != NULL;
	l->next_b += b != NULL;
	r = set_path(w, l->path_len, a ? a : b);
	if (r < 0)
		return r;
	if (a && b)
		r = compare(w, a->node, b->node);
	else if (a)
		r = tell(w, DIFF_REMOVED, 0, a->node, NULL);
	else
		r = tell(w, DIFF_ADDED, 0, NULL, b->node);
	return r < 0 ? r : push(w, a ? a->node : NULL, b ? b->node : NULL);
}

static int walk_init(struct walk *w)
{
	buf_init(&w->path, INT_MAX);
	w->partner_a = calloc(tree_node_count(w->a), sizeof(*w->partner_a));
	w->partner_b = calloc(tree_node_count(w->b), sizeof(*w->partner_b));
	w->hasher = hasher_new();
	w->chunk = malloc(2 * CHUNK);
	if (!w->partner_a || !w->partner_b || !w->hasher || !w->chunk)
		return no_memory(w);
	return 0;
}

int tree_diff(const struct tree *a, const struct tree *b, unsigned flags,
	const struct diff_hooks *hooks, struct diag *diag)
{
	struct walk w = {
		.a = a,
		.b = b,
		.flags = flags,
		.hooks = hooks,
		.diag = diag,
	};

	if (flags & ~(unsigned)(DIFF_IGNORE_MTIME | DIFF_IGNORE_OWNER))
		return diag_set(diag, -EINVAL, "unknown flags");

	int r = walk_init(&w);

	if (r == 0)
		r = compare(&w, tree_node(a, 1), tree_node(b, 1));
	if (r == 0)
		r = push(&w, tree_node(a, 1), tree_node(b, 1));
	while (r == 0 && w.depth)
		r = go_on(&w);
	walk_done(&w);
	return r;
}
