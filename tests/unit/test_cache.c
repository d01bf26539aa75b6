/* SPDX-License-Identifier: Apache-2.0 */
/* The cache of frames: bounded, and each frame loaded once for all who wait. */
#include "fs/view/cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "tests/lib/prng.h"
#include "tests/unit/unit.h"

#define FRAME 4096u
/* Of the cache: frames whose index leaves the same rest share its slots. */
#define SHARDS 8u
#define THREADS 8

/* Linked with --wrap. */
int __real_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m);
void *__real_malloc(size_t len);
void *__wrap_malloc(size_t len);

static atomic_int waiting;  /* that ever waited for another's load */
static atomic_int no_frame; /* allocations of a frame that fail */

int __wrap_pthread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m)
{
	atomic_fetch_add(&waiting, 1);
	return __real_pthread_cond_wait(c, m);
}

void *__wrap_malloc(size_t len)
{
	int left = atomic_load(&no_frame);

	if (len == FRAME && left > 0) {
		atomic_store(&no_frame, left - 1);
		return NULL;
	}
	return __real_malloc(len);
}

/* What the loader does, and what it has done. */
struct loader {
	struct cache *cache;
	atomic_int loads;
	atomic_int error;    /* of the next load, once */
	int wait_for_others; /* end a load only when so many wait */
};

/* Any frame is told from the others by its bytes. */
static void fill(uint32_t index, uint8_t *dst)
{
	struct prng prng = {index};

	prng_fill(&prng, dst, FRAME);
}

static int load(void *arg, uint32_t index, void *dst)
{
	struct loader *l = arg;

	atomic_fetch_add(&l->loads, 1);
	while (atomic_load(&waiting) < l->wait_for_others)
		sched_yield();

	int error = atomic_exchange(&l->error, 0);

	/* A failed load may leave anything behind. */
	memset(dst, 0xee, FRAME);
	if (!error)
		fill(index, dst);
	return error;
}

static int set_up(void **state)
{
	static struct loader l;

	atomic_store(&l.loads, 0);
	atomic_store(&l.error, 0);
	atomic_store(&waiting, 0);
	atomic_store(&no_frame, 0);
	l.wait_for_others = 0;
	l.cache = NULL;
	*state = &l;
	return 0;
}

static int tear_down(void **state)
{
	struct loader *l = *state;

	cache_free(l->cache);
	return 0;
}

/* A cache with so many slots in each shard. */
static void new_cache(struct loader *l, size_t slots)
{
	assert_int_equal(
		cache_new(slots * SHARDS * FRAME, FRAME, load, l, &l->cache),
		0);
}

static void assert_frame(uint32_t index, const uint8_t *data)
{
	uint8_t want[FRAME];

	fill(index, want);
	assert_memory_equal(data, want, FRAME);
}

static struct cache_slot *hold(struct loader *l, uint32_t index)
{
	struct cache_slot *slot;
	const uint8_t *data;

	assert_int_equal(cache_get(l->cache, index, &slot, &data), 0);
	assert_frame(index, data);
	return slot;
}

/* The number of loads that one more use of the frame takes. */
static int cost(struct loader *l, uint32_t index)
{
	int before = atomic_load(&l->loads);

	cache_put(l->cache, hold(l, index));
	return atomic_load(&l->loads) - before;
}

static void test_hits(void **state)
{
	struct loader *l = *state;

	new_cache(l, 2);
	for (uint32_t i = 0; i < 2 * SHARDS; i++)
		assert_int_equal(cost(l, i), 1);
	for (uint32_t i = 0; i < 2 * SHARDS; i++)
		assert_int_equal(cost(l, i), 0);
	assert_int_equal(cost(l, UINT32_MAX - 1), 1);
	assert_int_equal(cost(l, UINT32_MAX - 1), 0);
}

/* Who was not wanted for the longest time goes. */
static void test_eviction(void **state)
{
	struct loader *l = *state;

	new_cache(l, 2);
	assert_int_equal(cost(l, 0), 1);
	assert_int_equal(cost(l, SHARDS), 1);
	assert_int_equal(cost(l, 0), 0);
	assert_int_equal(cost(l, 2 * SHARDS), 1);
	assert_int_equal(cost(l, 0), 0);
	assert_int_equal(cost(l, SHARDS), 1);
	assert_int_equal(cost(l, 2 * SHARDS), 1);
}

/* However little memory is given, there is a slot in each shard. */
static void test_no_room(void **state)
{
	struct loader *l = *state;

	assert_int_equal(cache_new(0, FRAME, load, l, &l->cache), 0);
	for (uint32_t i = 0; i < SHARDS; i++)
		assert_int_equal(cost(l, i), 1);
	for (uint32_t i = 0; i < SHARDS; i++)
		assert_int_equal(cost(l, i), 0);
}

static void test_all_held(void **state)
{
	struct loader *l = *state;
	struct cache_slot *held[2], *slot;
	const uint8_t *data;

	new_cache(l, 2);
	held[0] = hold(l, 0);
	held[1] = hold(l, SHARDS);
	assert_int_equal(
		cache_get(l->cache, 2 * SHARDS, &slot, &data), -EAGAIN);
	/* What is there can be had all the same, and other shards. */
	assert_int_equal(cost(l, 0), 0);
	assert_int_equal(cost(l, 1), 1);
	cache_put(l->cache, held[0]);
	assert_int_equal(cost(l, 2 * SHARDS), 1);
	assert_int_equal(cost(l, SHARDS), 0);
	cache_put(l->cache, held[1]);
}

static void test_held_twice(void **state)
{
	struct loader *l = *state;
	struct cache_slot *slot, *a, *b;
	const uint8_t *data;

	new_cache(l, 1);
	a = hold(l, 3);
	b = hold(l, 3);
	assert_ptr_equal(a, b);
	cache_put(l->cache, a);
	assert_int_equal(
		cache_get(l->cache, 3 + SHARDS, &slot, &data), -EAGAIN);
	cache_put(l->cache, b);
	assert_int_equal(cost(l, 3 + SHARDS), 1);
}

/* An error stays with those who asked; the next one tries again. */
static void test_error(void **state)
{
	struct loader *l = *state;
	struct cache_slot *slot;
	const uint8_t *data;

	new_cache(l, 1);
	for (int i = 0; i < 3; i++) {
		atomic_store(&l->error, -EBADMSG);
		assert_int_equal(
			cache_get(l->cache, 5, &slot, &data), -EBADMSG);
	}
	assert_int_equal(atomic_load(&l->loads), 3);
	assert_int_equal(cost(l, 5), 1);
	assert_int_equal(cost(l, 5), 0);
	/* The failed load of another frame costs this one its place. */
	atomic_store(&l->error, -EIO);
	assert_int_equal(cache_get(l->cache, 5 + SHARDS, &slot, &data), -EIO);
	assert_int_equal(cost(l, 5), 1);
}

static void test_memory(void **state)
{
	struct loader *l = *state;
	struct cache_slot *slot;
	const uint8_t *data;

	new_cache(l, 1);
	atomic_store(&no_frame, 1);
	assert_int_equal(cache_get(l->cache, 5, &slot, &data), -ENOMEM);
	assert_int_equal(atomic_load(&l->loads), 0);
	assert_int_equal(cost(l, 5), 1);
}

/* What a thread asks for, and what it was told. */
struct asker {
	struct loader *l;
	pthread_t thread;
	uint32_t index;
	int result;
	bool good;
};

static void *ask(void *arg)
{
	struct asker *a = arg;
	struct cache_slot *slot;
	const uint8_t *data;
	uint8_t want[FRAME];

	a->result = cache_get(a->l->cache, a->index, &slot, &data);
	a->good = false;
	if (a->result == 0) {
		fill(a->index, want);
		a->good = memcmp(data, want, FRAME) == 0;
		cache_put(a->l->cache, slot);
	}
	return NULL;
}

/* All want one frame; its load ends only when all others wait for it. */
static void ask_at_once(struct loader *l, struct asker askers[THREADS])
{
	l->wait_for_others = THREADS - 1;
	for (int i = 0; i < THREADS; i++) {
		askers[i] = (struct asker){.l = l, .index = 9};
		assert_int_equal(pthread_create(&askers[i].thread, NULL, ask,
					 &askers[i]),
			0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(askers[i].thread, NULL), 0);
	l->wait_for_others = 0;
}

static void test_one_load_for_all(void **state)
{
	struct loader *l = *state;
	struct asker askers[THREADS];

	new_cache(l, 2);
	ask_at_once(l, askers);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(askers[i].result, 0);
		assert_true(askers[i].good);
	}
	assert_int_equal(atomic_load(&l->loads), 1);
	assert_int_equal(cost(l, 9), 0);
}

static void test_one_error_for_all(void **state)
{
	struct loader *l = *state;
	struct asker askers[THREADS];

	new_cache(l, 1);
	atomic_store(&l->error, -EBADMSG);
	ask_at_once(l, askers);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(askers[i].result, -EBADMSG);
	assert_int_equal(atomic_load(&l->loads), 1);
	/* The slot is free again, for this frame and others. */
	assert_int_equal(cost(l, 9), 1);
	assert_int_equal(cost(l, 9 + SHARDS), 1);
}

/* While one frame is loaded, others are to be had. */
static void test_load_holds_nobody_up(void **state)
{
	struct loader *l = *state;
	struct asker slow = {.l = l, .index = 1};

	new_cache(l, 2);
	assert_int_equal(cost(l, 1 + SHARDS), 1);
	l->wait_for_others = 1;
	assert_int_equal(pthread_create(&slow.thread, NULL, ask, &slow), 0);
	while (atomic_load(&l->loads) < 2)
		sched_yield();
	/* Of the same shard and of another. */
	assert_int_equal(cost(l, 1 + SHARDS), 0);
	atomic_store(&waiting, 1); /* let it end */
	assert_int_equal(cost(l, 2), 1);
	assert_int_equal(pthread_join(slow.thread, NULL), 0);
	assert_int_equal(slow.result, 0);
	assert_true(slow.good);
}

struct worker {
	struct loader *l;
	pthread_t thread;
	uint64_t seed;
	const char *fault;
};

/* Hold a few frames at a time, look at them, and give them back. */
static void *use_many(void *arg)
{
	struct worker *w = arg;
	struct prng prng = {w->seed};
	uint8_t want[FRAME];

	for (int i = 0; i < 3000 && !w->fault; i++) {
		uint32_t index = (uint32_t)prng_below(&prng, 40);
		struct cache_slot *slot;
		const uint8_t *data;

		if (prng_below(&prng, 50) == 0)
			atomic_store(&w->l->error, -EIO);

		int r = cache_get(w->l->cache, index, &slot, &data);

		if (r == -EAGAIN || r == -EIO)
			continue;
		if (r < 0) {
			w->fault = "unexpected error";
			break;
		}
		fill(index, want);
		if (memcmp(data, want, FRAME) != 0)
			w->fault = "not the frame that was asked for";
		sched_yield();
		if (memcmp(data, want, FRAME) != 0)
			w->fault = "changed while it was held";
		cache_put(w->l->cache, slot);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct loader *l = *state;
	struct worker workers[THREADS];

	new_cache(l, 1);
	for (int i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.l = l, .seed = (uint64_t)i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL,
					 use_many, &workers[i]),
			0);
	}
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		if (workers[i].fault)
			fail_msg("%s", workers[i].fault);
	}
	/* Nothing is held any more: each shard can take a new frame. */
	atomic_store(&l->error, 0);
	for (uint32_t i = 0; i < SHARDS; i++)
		assert_int_equal(cost(l, 1000 + i), 1);
}

#define CACHE_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CACHE_TEST(test_hits),
		CACHE_TEST(test_eviction),
		CACHE_TEST(test_no_room),
		CACHE_TEST(test_all_held),
		CACHE_TEST(test_held_twice),
		CACHE_TEST(test_error),
		CACHE_TEST(test_memory),
		CACHE_TEST(test_one_load_for_all),
		CACHE_TEST(test_one_error_for_all),
		CACHE_TEST(test_load_holds_nobody_up),
		CACHE_TEST(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
