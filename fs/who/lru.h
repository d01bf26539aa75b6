/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table that knows which of its nodes was used longest ago. The node is
 * part of the caller's struct, so nothing here allocates but the table itself.
 * Not thread-safe; owns no node.
 */
#ifndef FS_WHO_LRU_H
#define FS_WHO_LRU_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

struct lru_node {
	uint64_t hash;
	struct lru_node *chain;		/* same bucket */
	struct lru_node *older, *newer; /* NULL at the ends */
};

struct lru {
	struct lru_node **buckets;
	size_t bucket_count; /* a power of two */
	size_t count;
	struct lru_node *oldest, *newest;
};

/* For about expected nodes. 0 or -ENOMEM. */
int lru_init(struct lru *l, size_t expected) must_check;
void lru_done(struct lru *l); /* the nodes must have been removed */

/* Put a node in as the newest; it must not be in the table. */
void lru_add(struct lru *l, struct lru_node *node, uint64_t hash);
void lru_remove(struct lru *l, struct lru_node *node);
/* Make a node the newest. */
void lru_touch(struct lru *l, struct lru_node *node);

/* The nodes with a hash, one after another; NULL at the end. */
struct lru_node *lru_first(const struct lru *l, uint64_t hash);
struct lru_node *lru_next(const struct lru_node *node);

#endif
