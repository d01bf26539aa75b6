/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is guarded in an image, and with which error a look-up is refused while
 * the kernel holds what is below.
 */
#include "fs/mount/guard.h"

#include <pthread.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tests/lib/image_sample.h"
#include "tests/lib/prng.h"
#include "tests/unit/unit.h"

/* user::rwx group::rwx user:1000:--- mask::rwx other::rwx, and one cut short */
static const struct sample_xattr acl[] = {
	{"system.posix_acl_access",
		"\2\0\0\0\1\0\7\0\377\377\377\377\2\0\0\0\350\3\0\0"
		"\4\0\7\0\377\377\377\377\20\0\7\0\377\377\377\377"
		"\40\0\7\0\377\377\377\377",
		44},
	{NULL, NULL, 0},
};

static const struct sample_xattr bad_acl[] = {
	{"system.posix_acl_access", "\2\0\0", 3},
	{NULL, NULL, 0},
};

/* An ACL for what will be made in the folder guards nothing. */
static const struct sample_xattr default_acl[] = {
	{"system.posix_acl_default", "\2\0\0\0", 4},
	{NULL, NULL, 0},
};

/* Inode numbers; a folder of the root is named by its number. */
enum {
	ROOT = 1,
	PRIVATE = 2,  /* 0700 */
	SEARCH = 3,   /* 0711 */
	PUBLIC = 4,   /* 0755 */
	ACL = 5,      /* 0777 with an ACL */
	BAD_ACL = 6,  /* 0755 with a broken one */
	DEFAULT = 7,  /* 0755 with a default ACL */
	OTHERS = 8,   /* 0701 */
	GROUP = 9,    /* 0710 */
	STICKY = 10,  /* 01777 */
	NOTHING = 11, /* 0 */
	LINKED = 12,  /* file in PRIVATE (twice), PUBLIC and GROUP */
	BELOW = 13,   /* folder in PRIVATE that all may search */
	SOCKET = 14,  /* in PRIVATE and PUBLIC */
	FIFO = 15,    /* in PUBLIC */
	DEVICE = 16,  /* in PUBLIC */
	PLAIN = 17,   /* file in PUBLIC, 0 */
	DEEP = 18,    /* file in BELOW */
	LAST = DEEP,
};

static const struct sample_entry entries[] = {
	{.ino = ROOT, .mode = S_IFDIR | 0755},
	{.parent = 1, .ino = PRIVATE, .name = "02", .mode = S_IFDIR | 0700},
	{.parent = 1, .ino = SEARCH, .name = "03", .mode = S_IFDIR | 0711},
	{.parent = 1, .ino = PUBLIC, .name = "04", .mode = S_IFDIR | 0755},
	{.parent = 1,
		.ino = ACL,
		.name = "05",
		.mode = S_IFDIR | 0777,
		.xattrs = acl},
	{.parent = 1,
		.ino = BAD_ACL,
		.name = "06",
		.mode = S_IFDIR | 0755,
		.xattrs = bad_acl},
	{.parent = 1,
		.ino = DEFAULT,
		.name = "07",
		.mode = S_IFDIR | 0755,
		.xattrs = default_acl},
	{.parent = 1, .ino = OTHERS, .name = "08", .mode = S_IFDIR | 0701},
	{.parent = 1, .ino = GROUP, .name = "09", .mode = S_IFDIR | 0710},
	{.parent = 1, .ino = STICKY, .name = "10", .mode = S_IFDIR | 01777},
	{.parent = 1, .ino = NOTHING, .name = "11", .mode = S_IFDIR},

	{.parent = PRIVATE, .ino = LINKED, .name = "a", .mode = S_IFREG | 0644},
	{.parent = PRIVATE, .ino = LINKED, .name = "b"},
	{.parent = PRIVATE, .ino = BELOW, .name = "c", .mode = S_IFDIR | 0755},
	{.parent = PRIVATE, .ino = SOCKET, .name = "d", .mode = S_IFSOCK},

	{.parent = PUBLIC, .ino = LINKED, .name = "a"},
	{.parent = PUBLIC, .ino = SOCKET, .name = "b"},
	{.parent = PUBLIC, .ino = FIFO, .name = "c", .mode = S_IFIFO | 0666},
	{.parent = PUBLIC, .ino = DEVICE, .name = "d", .mode = S_IFCHR | 0666},
	{.parent = PUBLIC, .ino = PLAIN, .name = "e", .mode = S_IFREG},

	{.parent = GROUP, .ino = LINKED, .name = "a"},

	{.parent = BELOW, .ino = DEEP, .name = "a", .mode = S_IFREG | 0644},
};

/* The root has no entry. */
#define ENTRIES (ARRAY_LEN(entries) - 1)

/* What appears in a guarded folder that the image leaves empty. */
static const struct mount_place places[] = {
	{.path = "/11/new/deeper"},
};

enum { NEW = LAST + 1, DEEPER };

struct guarding {
	struct buf bytes;
	struct image *img;
	struct scene *scene;
	struct guard *guard;
};

static int set_up(void **state)
{
	static struct guarding g;
	static const struct sample_content nothing = {(const uint8_t *)"", 0};
	struct sample s = {
		.entries = entries,
		.entry_count = ARRAY_LEN(entries),
		.contents = &nothing,
		.frame_size = LAYOUT_FRAME_MIN,
	};
	struct source *src;
	struct diag diag = {0};

	buf_init(&g.bytes, 1 << 20);
	assert_int_equal(sample_image(&s, &g.bytes), 0);
	assert_int_equal(
		source_from_memory(g.bytes.data, g.bytes.len, &src), 0);
	if (image_open(src, &g.img, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_int_equal(
		scene_new(g.img, places, ARRAY_LEN(places), &g.scene), 0);
	assert_int_equal(guard_new(g.img, g.scene, &g.guard), 0);
	*state = &g;
	return 0;
}

static int tear_down(void **state)
{
	struct guarding *g = *state;

	guard_free(g->guard);
	scene_free(g->scene);
	image_free(g->img);
	buf_done(&g->bytes);
	return 0;
}

static bool is_guarded(uint32_t folder)
{
	return folder == PRIVATE || folder == ACL || folder == BAD_ACL ||
	       folder == OTHERS || folder == GROUP || folder == NOTHING;
}

static void test_folders(void **state)
{
	const struct guarding *g = *state;

	for (uint32_t ino = ROOT; ino <= LAST; ino++)
		assert_int_equal(
			guard_is_guarded(g->guard, ino), is_guarded(ino));
}

static struct image_entry entry_at(const struct guarding *g, uint32_t index)
{
	struct image_entry e;

	assert_int_equal(image_entry(g->img, index, &e), 0);
	return e;
}

static bool has_entry(const struct image_entry *e)
{
	return is_guarded(e->parent) || e->ino == SOCKET || e->ino == FIFO;
}

static void test_entries(void **state)
{
	const struct guarding *g = *state;
	int count = 0;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct image_entry e = entry_at(g, i);

		assert_int_equal(guard_has_entry(g->guard, &e), has_entry(&e));
		count += has_entry(&e);
	}
	assert_int_equal(count, 7);
}

/* The errno for the look-up of an inode in a folder. */
static int refusal(struct guarding *g, uint32_t ino, uint32_t folder)
{
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct image_entry e = entry_at(g, i);

		if (e.ino == ino && e.parent == folder)
			return guard_refusal(g->guard, &e, folder);
	}
	fail_msg("%u has no entry in %u", ino, folder);
	return 0;
}

/* A name that is not there is refused as those that are. */
static int refusal_of_absent(struct guarding *g, uint32_t folder)
{
	struct image_entry garbage = {.ino = UINT32_MAX, .parent = UINT32_MAX};

	return guard_refusal(g->guard, &garbage, folder);
}

static void test_nothing_held(void **state)
{
	struct guarding *g = *state;

	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct image_entry e = entry_at(g, i);

		if (has_entry(&e))
			assert_int_equal(
				guard_refusal(g->guard, &e, e.parent), EACCES);
	}
	assert_int_equal(refusal_of_absent(g, PRIVATE), EACCES);
	assert_int_equal(refusal_of_absent(g, NOTHING), EACCES);
}

/* One child that the kernel holds tells for all names of its folders. */
static void test_one_held(void **state)
{
	struct guarding *g = *state;

	guard_hold(g->guard, BELOW);
	assert_int_equal(refusal(g, BELOW, PRIVATE), ENOMEM);
	assert_int_equal(refusal(g, LINKED, PRIVATE), ENOMEM);
	assert_int_equal(refusal(g, SOCKET, PRIVATE), ENOMEM);
	assert_int_equal(refusal_of_absent(g, PRIVATE), ENOMEM);
	/* Other folders do not care. */
	assert_int_equal(refusal(g, LINKED, GROUP), EACCES);
	assert_int_equal(refusal(g, SOCKET, PUBLIC), EACCES);
	assert_int_equal(refusal(g, FIFO, PUBLIC), EACCES);
	guard_release(g->guard, BELOW, 1);
	assert_int_equal(refusal(g, BELOW, PRIVATE), EACCES);
}

/* What the image lacks is guarded as what it has. */
static void test_what_appears(void **state)
{
	struct guarding *g = *state;
	struct image_entry e;

	assert_true(scene_extra(g->scene, 0, &e));
	assert_int_equal(e.ino, NEW);
	assert_true(guard_has_entry(g->guard, &e));
	assert_int_equal(guard_refusal(g->guard, &e, NOTHING), EACCES);
	guard_hold(g->guard, NEW);
	guard_hold(g->guard, DEEPER); /* in a folder that all may search */
	assert_int_equal(guard_refusal(g->guard, &e, NOTHING), ENOMEM);
	assert_int_equal(refusal_of_absent(g, NOTHING), ENOMEM);
	guard_release(g->guard, NEW, 1);
	assert_int_equal(refusal_of_absent(g, NOTHING), EACCES);
	assert_true(scene_extra(g->scene, 1, &e));
	assert_false(guard_has_entry(g->guard, &e));
	guard_release(g->guard, DEEPER, 1);
}

/* A file with names in several guarded folders, two of them in one. */
static void test_hard_links(void **state)
{
	struct guarding *g = *state;

	guard_hold(g->guard, LINKED);
	guard_hold(g->guard, LINKED);
	guard_hold(g->guard, BELOW);
	assert_int_equal(refusal_of_absent(g, PRIVATE), ENOMEM);
	assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
	guard_release(g->guard, LINKED, 1);
	assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
	guard_release(g->guard, LINKED, 1);
	assert_int_equal(refusal_of_absent(g, GROUP), EACCES);
	assert_int_equal(refusal_of_absent(g, PRIVATE), ENOMEM);
	guard_release(g->guard, BELOW, 1);
	assert_int_equal(refusal_of_absent(g, PRIVATE), EACCES);
}

/* In a folder that all may search each special file is for itself; in a guarded
 * one it counts as any other. */
static void test_special(void **state)
{
	struct guarding *g = *state;

	guard_hold(g->guard, SOCKET);
	assert_int_equal(refusal(g, SOCKET, PUBLIC), ENOMEM);
	assert_int_equal(refusal(g, FIFO, PUBLIC), EACCES);
	assert_int_equal(refusal_of_absent(g, PRIVATE), ENOMEM);
	guard_hold(g->guard, FIFO);
	guard_release(g->guard, SOCKET, 1);
	assert_int_equal(refusal(g, SOCKET, PUBLIC), EACCES);
	assert_int_equal(refusal(g, FIFO, PUBLIC), ENOMEM);
	assert_int_equal(refusal_of_absent(g, PRIVATE), EACCES);
}

/* More given back than was given, and what was never guarded. */
static void test_over_release(void **state)
{
	static const uint64_t counts[] = {1, 2, UINT32_MAX, UINT64_MAX};
	struct guarding *g = *state;

	for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
		guard_release(g->guard, LINKED, counts[i]);
		assert_int_equal(refusal_of_absent(g, GROUP), EACCES);
		guard_hold(g->guard, LINKED);
		assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
		guard_release(g->guard, LINKED, counts[i]);
		assert_int_equal(refusal_of_absent(g, GROUP), EACCES);
		guard_release(g->guard, LINKED, 0);
	}
	guard_hold(g->guard, LINKED);
	guard_release(g->guard, LINKED, 0);
	assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
	guard_release(g->guard, LINKED, 1);
	for (uint32_t ino = 0; ino <= LAST; ino++) {
		if (ino == LINKED || ino == BELOW || ino == SOCKET ||
			ino == FIFO)
			continue;
		guard_release(g->guard, ino, 1);
		guard_hold(g->guard, ino);
	}
	test_nothing_held(state);
}

/* What the header says, in the plainest way. */
static int expected(struct guarding *g, const uint64_t held[LAST + 1],
	const struct image_entry *e)
{
	if (!is_guarded(e->parent))
		return held[e->ino] ? ENOMEM : EACCES;
	for (uint32_t i = 0; i < ENTRIES; i++) {
		struct image_entry other = entry_at(g, i);

		if (other.parent == e->parent && held[other.ino])
			return ENOMEM;
	}
	return EACCES;
}

static void test_random(void **state)
{
	struct guarding *g = *state;
	uint64_t held[LAST + 1] = {0};
	struct prng prng = {1};

	for (int i = 0; i < 5000; i++) {
		uint32_t ino = 1 + (uint32_t)prng_below(&prng, LAST);
		uint64_t count = prng_below(&prng, 5);

		if (prng_below(&prng, 2)) {
			guard_hold(g->guard, ino);
			held[ino]++;
		} else {
			guard_release(g->guard, ino, count);
			held[ino] -= count < held[ino] ? count : held[ino];
		}
		for (uint32_t j = 0; j < ENTRIES; j++) {
			struct image_entry e = entry_at(g, j);

			if (has_entry(&e) &&
				guard_refusal(g->guard, &e, e.parent) !=
					expected(g, held, &e))
				fail_msg("step %d, inode %u in %u", i, e.ino,
					e.parent);
		}
	}
}

/* Each holds and gives back; and one hold of its own stays to the end. */
static void *hold_many(void *arg)
{
	struct guarding *g = arg;
	static const uint32_t inodes[] = {LINKED, BELOW, SOCKET, FIFO, PLAIN};
	struct image_entry any = {.ino = FIFO, .parent = PUBLIC};

	guard_hold(g->guard, LINKED);
	for (int i = 0; i < 2000; i++) {
		uint32_t ino = inodes[i % 5];

		guard_hold(g->guard, ino);
		guard_hold(g->guard, ino);
		if (guard_refusal(g->guard, &any, GROUP) != ENOMEM)
			return g;
		guard_release(g->guard, ino, 2);
	}
	return NULL;
}

#define THREADS 4

static void test_threads(void **state)
{
	struct guarding *g = *state;
	pthread_t threads[THREADS];
	void *fault;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, hold_many, g), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &fault), 0);
		assert_null(fault);
	}
	assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
	guard_release(g->guard, LINKED, THREADS - 1);
	assert_int_equal(refusal_of_absent(g, GROUP), ENOMEM);
	guard_release(g->guard, LINKED, 1);
	test_nothing_held(state);
}

#define GUARD_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		GUARD_TEST(test_folders),
		GUARD_TEST(test_entries),
		GUARD_TEST(test_nothing_held),
		GUARD_TEST(test_one_held),
		GUARD_TEST(test_hard_links),
		GUARD_TEST(test_what_appears),
		GUARD_TEST(test_special),
		GUARD_TEST(test_over_release),
		GUARD_TEST(test_random),
		GUARD_TEST(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
