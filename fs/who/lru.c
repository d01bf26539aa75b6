/* SPDX-License-Identifier: Apache-2.0 */
/* A hash table with an order of use; see lru.h. */
#include "fs/who/lru.h"

#include <assert.h>

int lru_init(struct lru *l, size_t expected)
{
	size_t count = 16;

	while (count < expected)
		count *= 2;
	*l = (struct lru){.bucket_count = count};
	l->buckets = calloc(count, sizeof(struct lru_node *));
	return l->buckets ? 0 : -ENOMEM;
}

void lru_done(struct lru *l)
{
	assert(l->count == 0);
	free(l->buckets);
	*l = (struct lru){0};
}

static struct lru_node **bucket_of(const struct lru *l, uint64_t hash)
{
	return &l->buckets[hash & (l->bucket_count - 1)];
}

static void make_newest(struct lru *l, struct lru_node *node)
{
	node->newer = NULL;
	node->older = l->newest;
	if (l->newest)
		l->newest->newer = node;
	else
		l->oldest = node;
	l->newest = node;
}

static void take_out(struct lru *l, struct lru_node *node)
{
	if (node->older)
		node->older->newer = node->newer;
	else
		l->oldest = node->newer;
	if (node->newer)
		node->newer->older = node->older;
	else
		l->newest = node->older;
}

void lru_add(struct lru *l, struct lru_node *node, uint64_t hash)
{
	struct lru_node **bucket = bucket_of(l, hash);

	node->hash = hash;
	node->chain = *bucket;
	*bucket = node;
	make_newest(l, node);
	l->count++;
}

void lru_remove(struct lru *l, struct lru_node *node)
{
	struct lru_node **at = bucket_of(l, node->hash);

	while (*at != node)
		at = &(*at)->chain;
	*at = node->chain;
	take_out(l, node);
	l->count--;
}

void lru_touch(struct lru *l, struct lru_node *node)
{
	if (l->newest == node)
		return;
	take_out(l, node);
	make_newest(l, node);
}

static struct lru_node *skip_others(struct lru_node *node, uint64_t hash)
{
	while (node && node->hash != hash)
		node = node->chain;
	return node;
}

struct lru_node *lru_first(const struct lru *l, uint64_t hash)
{
	return skip_others(*bucket_of(l, hash), hash);
}

struct lru_node *lru_next(const struct lru_node *node)
{
	return skip_others(node->chain, node->hash);
}
