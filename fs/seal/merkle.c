/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Merkle tree of RFC 6962; see merkle.h. A node is known by its level and
 * its number in that level, both from 0: node i of level n covers the leaves
 * from i << n. The last node of a level may cover fewer than 2^n leaves; then
 * it is the root of what there is.
 */
#include "fs/seal/merkle.h"

#include <assert.h>
#include <string.h>

void merkle_leaf(
	struct hasher *h, const void *data, size_t len, struct digest *ret)
{
	hasher_begin(h);
	hasher_add(h, "\x00", 1);
	hasher_add(h, data, len);
	hasher_end(h, ret);
}

/* ret may be one of the two. */
static void join(struct hasher *h, const struct digest *left,
	const struct digest *right, struct digest *ret)
{
	uint8_t text[1 + 2 * DIGEST_LEN] = {1};

	memcpy(text + 1, left->bytes, DIGEST_LEN);
	memcpy(text + 1 + DIGEST_LEN, right->bytes, DIGEST_LEN);
	hasher_run(h, text, sizeof(text), ret);
}

/* As adding 1 << level to a binary number: what is full carries. */
static void add(struct merkle *m, struct hasher *h, const struct digest *node,
	unsigned level)
{
	struct digest carry = *node;
	unsigned n = level;

	assert(m->size <= UINT64_MAX - (1ull << level));
	for (; m->size >> n & 1; n++)
		join(h, &m->edge[n], &carry, &carry);
	m->edge[n] = carry;
	m->size += 1ull << level;
}

void merkle_add(struct merkle *m, struct hasher *h, const struct digest *leaf)
{
	add(m, h, leaf, 0);
}

void merkle_add_tile(
	struct merkle *m, struct hasher *h, const struct digest *root)
{
	assert(m->size % MERKLE_TILE == 0);
	add(m, h, root, MERKLE_TILE_LEVEL);
}

void merkle_root(const struct merkle *m, struct hasher *h, struct digest *ret)
{
	bool any = false;

	if (m->size == 0)
		hasher_run(h, "", 0, ret);
	for (unsigned n = 0; n < MERKLE_LEVELS; n++) {
		if (!(m->size >> n & 1))
			continue;
		if (any)
			join(h, &m->edge[n], ret, ret);
		else
			*ret = m->edge[n];
		any = true;
	}
}

void merkle_tile_root(
	struct hasher *h, const struct digest *leaves, struct digest *ret)
{
	struct merkle m = {0};

	for (unsigned i = 0; i < MERKLE_TILE; i++)
		merkle_add(&m, h, &leaves[i]);
	*ret = m.edge[MERKLE_TILE_LEVEL];
}

/* What makes a proof: who asks for subtrees, and where the hashes go. */
struct maker {
	struct hasher *h;
	uint64_t size;
	merkle_subtree ask;
	void *arg;
	struct buf *out;
};

/*
 * Append the hash of a node, from the right: the perfect subtrees that it
 * consists of are the bits of the number of its leaves.
 */
static int put_node(const struct maker *m, unsigned level, uint64_t i)
{
	uint64_t first = i << level, end = m->size;
	struct digest root, left;
	bool any = false;

	if (end - first > 1ull << level)
		end = first + (1ull << level);
	for (unsigned n = 0; n <= level && first < end; n++) {
		if (!((end - first) >> n & 1))
			continue;
		end -= 1ull << n;

		int r = m->ask(m->arg, end, n, &left);

		if (r < 0)
			return r;
		if (any)
			join(m->h, &left, &root, &root);
		else
			root = left;
		any = true;
	}
	return buf_add(m->out, &root, sizeof(root));
}

/* Append the siblings of a node and of what is above it, up to the root. */
static int put_siblings(const struct maker *m, unsigned level, uint64_t i)
{
	uint64_t last = (m->size - 1) >> level;
	int r = 0;

	for (; r == 0 && last > 0; level++, i >>= 1, last >>= 1)
		/* An even last node has no sibling: it rises as it is. */
		if ((i ^ 1) <= last)
			r = put_node(m, level, i ^ 1);
	return r;
}

int merkle_inclusion(struct hasher *h, uint64_t index, uint64_t size,
	merkle_subtree ask, void *arg, struct buf *ret)
{
	const struct maker m = {h, size, ask, arg, ret};
	size_t len = ret->len;

	if (index >= size)
		return -EINVAL;

	int r = put_siblings(&m, 0, index);

	if (r < 0)
		ret->len = len;
	return r;
}

/*
 * The proof begins at the smallest of the perfect subtrees that the old tree
 * consists of. When that is all of the old tree its hash goes without saying.
 */
int merkle_consistency(struct hasher *h, uint64_t old_size, uint64_t size,
	merkle_subtree ask, void *arg, struct buf *ret)
{
	const struct maker m = {h, size, ask, arg, ret};
	size_t len = ret->len;
	int r = 0;

	if (old_size == 0 || old_size > size)
		return -EINVAL;
	if (old_size == size)
		return 0;

	unsigned level = (unsigned)__builtin_ctzll(old_size);
	uint64_t i = (old_size >> level) - 1;

	if (i > 0)
		r = put_node(&m, level, i);
	if (r == 0)
		r = put_siblings(&m, level, i);
	if (r < 0)
		ret->len = len;
	return r;
}

/*
 * A way up the tree, as RFC 9162 walks: node of a level whose last node is
 * last.
 */
struct climb {
	uint64_t node;
	uint64_t last;
};

enum side { SIDE_LEFT, SIDE_RIGHT };

/* On which side of us the next hash of a proof stands; then one level up. */
static enum side climb_up(struct climb *c)
{
	enum side side = SIDE_RIGHT;

	if (c->node & 1 || c->node == c->last) {
		side = SIDE_LEFT;
		/* A last node without a sibling rises as it is. */
		while (!(c->node & 1) && c->node) {
			c->node >>= 1;
			c->last >>= 1;
		}
	}
	c->node >>= 1;
	c->last >>= 1;
	return side;
}

int merkle_check_inclusion(struct hasher *h, const struct digest *leaf,
	uint64_t index, uint64_t size, const struct digest *path, size_t count,
	const struct digest *root)
{
	struct digest r = *leaf;

	if (index >= size)
		return -EBADMSG;

	struct climb c = {index, size - 1};

	for (size_t i = 0; i < count; i++) {
		if (c.last == 0)
			return -EBADMSG;
		if (climb_up(&c) == SIDE_LEFT)
			join(h, &path[i], &r, &r);
		else
			join(h, &r, &path[i], &r);
	}
	return c.last == 0 && digest_equal(&r, root) ? 0 : -EBADMSG;
}

int merkle_check_consistency(struct hasher *h, uint64_t old_size,
	const struct digest *old_root, uint64_t size, const struct digest *root,
	const struct digest *proof, size_t count)
{
	if (old_size == 0 || old_size > size)
		return -EBADMSG;
	if (old_size == size)
		return count == 0 && digest_equal(old_root, root) ? 0
								  : -EBADMSG;

	unsigned level = (unsigned)__builtin_ctzll(old_size);
	struct climb c = {(old_size >> level) - 1, (size - 1) >> level};
	size_t i = c.node > 0;

	if (count < i)
		return -EBADMSG;

	/* The two roots grow from the same subtree. */
	struct digest older = i ? proof[0] : *old_root, newer = older;

	for (; i < count; i++) {
		if (c.last == 0)
			return -EBADMSG;
		if (climb_up(&c) == SIDE_LEFT) {
			join(h, &proof[i], &older, &older);
			join(h, &proof[i], &newer, &newer);
		} else {
			join(h, &newer, &proof[i], &newer);
		}
	}
	return c.last == 0 && digest_equal(&older, old_root) &&
			       digest_equal(&newer, root)
		       ? 0
		       : -EBADMSG;
}
