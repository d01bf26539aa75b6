/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table from a 64-bit hash to a 64-bit value. It keeps no keys: the
 * caller compares what a value leads to, and goes on to the next one when that
 * is not it. Names come from archives, so the hash is keyed (SipHash-1-3) and
 * nobody can prepare names that all collide. Not thread-safe.
 */
#ifndef FS_TREE_TABLE_H
#define FS_TREE_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

struct table_key {
	uint64_t k[2];
};

/* A random key. -errno when the kernel gives no random bytes. */
int table_key_init(struct table_key *key) must_check;

uint64_t table_hash(const struct table_key *key, const void *data, size_t len);

struct table_slot {
	uint64_t hash; /* of a used slot */
	uint64_t value;
	/* TABLE_EMPTY is not a value that may be added. */
#define TABLE_EMPTY UINT64_MAX
};

struct table {
	struct table_slot *slots; /* owned; cap of them, a power of two */
	size_t cap, count;
};

/* A zeroed table is empty and ready. */
void table_done(struct table *t);

/* 0 or -ENOMEM. */
int table_add(struct table *t, uint64_t hash, uint64_t value) must_check;

/*
 * The values added with this hash, one after another; *pos is NULL before the
 * first. Returns the slot, whose value may be changed in place, or NULL after
 * the last. The table must not be changed in between.
 */
struct table_slot *table_next(
	const struct table *t, uint64_t hash, const struct table_slot *pos);

/* Take out a slot that table_next gave; other slots move. */
void table_remove(struct table *t, struct table_slot *slot);

#endif
