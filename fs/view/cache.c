/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of decompressed frames; see cache.h. */
#include "fs/view/cache.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>

#define SHARDS 8

/*
 * States of a slot, and the only moves between them:
 *	EMPTY -> LOADING   cache_get takes it for a frame
 *	LOADING -> READY   the loader succeeded
 *	LOADING -> FAILED  it did not; waiters take the error with them
 *	FAILED -> EMPTY    the last waiter has left
 *	READY -> LOADING   nobody holds it and another frame needs the room
 */
enum slot_state {
	SLOT_EMPTY,
	SLOT_LOADING,
	SLOT_READY,
	SLOT_FAILED,
};

/* All fields but data's bytes are protected by the shard's lock. */
struct cache_slot {
	enum slot_state state;
	uint32_t index; /* frame; not when EMPTY */
	unsigned holds; /* loader, waiters and readers */
	int error;	/* FAILED */
	uint64_t used;	/* the shard's clock when it was last wanted */
	uint8_t *data;	/* frame_size bytes, allocated at first use */
};

struct shard {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* a slot left LOADING */
	uint64_t clock;		/* protected by lock */
	struct cache_slot *slots;
};

struct cache {
	struct shard shards[SHARDS];
	unsigned slots_per_shard;
	uint32_t frame_size;
	cache_load load;
	void *arg;
};

int cache_new(size_t bytes, uint32_t frame_size, cache_load load, void *arg,
	struct cache **ret)
{
	_cleanup_(cache_free) struct cache *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->frame_size = frame_size;
	c->load = load;
	c->arg = arg;
	c->slots_per_shard = (unsigned)(bytes / frame_size / SHARDS);
	if (c->slots_per_shard == 0)
		c->slots_per_shard = 1;

	for (int i = 0; i < SHARDS; i++) {
		struct shard *s = &c->shards[i];

		s->slots = calloc(c->slots_per_shard, sizeof(*s->slots));
		if (!s->slots)
			return -ENOMEM;
		pthread_mutex_init(&s->lock, NULL);
		pthread_cond_init(&s->changed, NULL);
	}
	*ret = take_ptr(c);
	return 0;
}

void cache_free(struct cache *c)
{
	if (!c)
		return;
	/* A shard without slots is one that cache_new did not reach. */
	for (int i = 0; i < SHARDS && c->shards[i].slots; i++) {
		struct shard *s = &c->shards[i];

		for (unsigned j = 0; j < c->slots_per_shard; j++) {
			assert(s->slots[j].holds == 0);
			free(s->slots[j].data);
		}
		free(s->slots);
		pthread_cond_destroy(&s->changed);
		pthread_mutex_destroy(&s->lock);
	}
	free(c);
}

/* The slot that has the frame or is getting it; NULL. Lock held. */
static struct cache_slot *find(struct cache *c, struct shard *s, uint32_t index)
{
	for (unsigned i = 0; i < c->slots_per_shard; i++) {
		struct cache_slot *slot = &s->slots[i];

		if (slot->index == index &&
			(slot->state == SLOT_READY ||
				slot->state == SLOT_LOADING))
			return slot;
	}
	return NULL;
}

/* The slot to give up: an empty one, else the longest unused. Lock held. */
static struct cache_slot *victim(struct cache *c, struct shard *s)
{
	struct cache_slot *best = NULL;

	for (unsigned i = 0; i < c->slots_per_shard; i++) {
		struct cache_slot *slot = &s->slots[i];

		if (slot->holds > 0)
			continue;
		if (slot->state == SLOT_EMPTY)
			return slot;
		if (!best || slot->used < best->used)
			best = slot;
	}
	return best;
}

/* Give back one hold; the last one leaves a failed slot empty. Lock held. */
static void unhold(struct cache_slot *slot)
{
	assert(slot->holds > 0);
	if (--slot->holds == 0 && slot->state == SLOT_FAILED)
		slot->state = SLOT_EMPTY;
}

/* Load the frame into a held slot in state LOADING; takes the lock itself. */
static int fill(struct cache *c, struct shard *s, struct cache_slot *slot)
{
	int r = 0;

	if (!slot->data)
		slot->data = malloc(c->frame_size);
	r = slot->data ? c->load(c->arg, slot->index, slot->data) : -ENOMEM;

	pthread_mutex_lock(&s->lock);
	slot->state = r < 0 ? SLOT_FAILED : SLOT_READY;
	slot->error = r;
	if (r < 0)
		unhold(slot);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
	return r;
}

/* Wait for another thread's load of a slot that is held here. Lock held. */
static int wait_for(struct shard *s, struct cache_slot *slot)
{
	while (slot->state == SLOT_LOADING)
		pthread_cond_wait(&s->changed, &s->lock);
	if (slot->state == SLOT_READY)
		return 0;

	int r = slot->error;

	unhold(slot);
	return r;
}

int cache_get(struct cache *c, uint32_t index, struct cache_slot **ret,
	const uint8_t **ret_data)
{
	struct shard *s = &c->shards[index % SHARDS];
	int r = 0;

	pthread_mutex_lock(&s->lock);

	struct cache_slot *slot = find(c, s, index);
	bool mine = !slot;

	if (mine)
		slot = victim(c, s);
	if (!slot) {
		pthread_mutex_unlock(&s->lock);
		return -EAGAIN;
	}
	slot->holds++;
	slot->used = ++s->clock;
	if (mine) {
		slot->state = SLOT_LOADING;
		slot->index = index;
	} else {
		r = wait_for(s, slot);
	}
	pthread_mutex_unlock(&s->lock);

	if (mine)
		r = fill(c, s, slot);
	if (r < 0)
		return r;
	*ret = slot;
	*ret_data = slot->data;
	return 0;
}

void cache_put(struct cache *c, struct cache_slot *slot)
{
	struct shard *s = &c->shards[slot->index % SHARDS];

	/* A held slot keeps its index, so the shard can be found unlocked. */
	pthread_mutex_lock(&s->lock);
	unhold(slot);
	pthread_mutex_unlock(&s->lock);
}
