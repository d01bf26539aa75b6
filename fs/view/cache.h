/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cache of decompressed frames. A frame that several threads want at
 * once is loaded by one of them while the others wait. Thread-safe.
 *
 * Frames fall into shards by their index; a shard has a few slots and a lock of
 * its own, never held while a frame is loaded or copied.
 */
#ifndef FS_VIEW_CACHE_H
#define FS_VIEW_CACHE_H

#include <stddef.h>
#include <stdint.h>

#include "fs/base/cleanup.h"

struct cache;
struct cache_slot;

/*
 * Read frame index into dst (frame_size bytes of room). 0 or -errno. Called
 * without locks, for one index by one thread at a time.
 */
typedef int (*cache_load)(void *arg, uint32_t index, void *dst);

/* bytes is the bound on the cached data; at least one slot for each shard. */
int cache_new(size_t bytes, uint32_t frame_size, cache_load load, void *arg,
	struct cache **ret) must_check;
void cache_free(struct cache *c); /* NULL is allowed; no slot may be held */
DEFINE_CLEANUP(cache_free, struct cache *);

/*
 * Hold a frame: *ret_data stays valid until cache_put. 0; -EAGAIN when every
 * slot of the shard is held by others (read the frame without the cache then);
 * the error of load; -ENOMEM.
 */
int cache_get(struct cache *c, uint32_t index, struct cache_slot **ret,
	const uint8_t **ret_data) must_check;
void cache_put(struct cache *c, struct cache_slot *slot);

#endif
