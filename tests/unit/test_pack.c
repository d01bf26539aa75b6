/* SPDX-License-Identifier: Apache-2.0 */
/* Trees become images: the same bytes each time, each content once. */
#include "fs/tree/pack.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/tree/build.h"
#include "tests/unit/pack_kit.h"
#include "tests/unit/unit.h"

#define FRAME 4096u /* of kit_options */

static struct image_summary summary(const struct image *img)
{
	struct image_summary sum;

	image_summary(img, &sum);
	return sum;
}

/* Pack once more and open; only the objects are of interest. */
static uint32_t count_objects(struct kit *k)
{
	_cleanup_(image_free) struct image *img = NULL;
	struct pack_result result;

	kit_pack(k, &kit_options, &result);
	img = kit_open(k);
	assert_int_equal(result.objects, summary(img).objects);
	assert_int_equal(result.object_bytes, summary(img).object_bytes);
	return result.objects;
}

/* Sizes around those where something changes. */
static const uint32_t edges[] = {0, 1, 4095, 4096, 4097, 8191, 8192, 8193,
	12288, 16384, 20000, 65536, 65537, 131072, 131073, 262144};

static void test_empty(void **state)
{
	struct kit *k = *state;
	_cleanup_(image_free) struct image *img = NULL;

	kit_pack(k, &kit_options, NULL);
	img = kit_open(k);
	assert_int_equal(summary(img).frames, 0);
	assert_int_equal(summary(img).objects, 0);
}

/* Files without bytes are one object without a place. */
static void test_empty_files(void **state)
{
	struct kit *k = *state;

	(void)kit_sparse(k, "a", 0);
	(void)kit_sparse(k, "b", 0);
	assert_int_equal(count_objects(k), 1);
}

static void test_small_twins(void **state)
{
	struct kit *k = *state;

	(void)kit_noise(k, "a", 1, 100);
	(void)kit_noise(k, "b", 2, 100);
	(void)kit_noise(k, "c", 1, 100);
	(void)kit_noise(k, "d", 1, 101);
	(void)kit_noise(k, "e", 2, 100);
	(void)kit_noise(k, "f", 3, FRAME);
	(void)kit_noise(k, "g", 3, FRAME);
	assert_int_equal(count_objects(k), 4);
}

/* Equal ones, others of the same size, three at once, and all in turn. */
static void test_large_twins(void **state)
{
	struct kit *k = *state;

	(void)kit_noise(k, "a1", 1, 5 * FRAME);
	(void)kit_noise(k, "a2", 1, 5 * FRAME);
	(void)kit_noise(k, "b1", 2, 5 * FRAME);
	(void)kit_noise(k, "b2", 3, 5 * FRAME);
	(void)kit_noise(k, "c1", 4, FRAME + 1);
	(void)kit_noise(k, "c2", 4, FRAME + 1);
	(void)kit_noise(k, "c3", 4, FRAME + 1);
	(void)kit_noise(k, "d1", 5, FRAME + 1);
	(void)kit_noise(k, "e1", 3, 5 * FRAME);
	(void)kit_noise(k, "e2", 2, 5 * FRAME);
	(void)kit_noise(k, "e3", 4, FRAME + 1);
	(void)kit_noise(k, "f1", 6, 6 * FRAME);
	assert_int_equal(count_objects(k), 6);
}

/* A file with one byte more or less, or that differs in the last one only. */
static void test_near_twins(void **state)
{
	struct kit *k = *state;
	struct tree_node *n;

	(void)kit_noise(k, "a", 1, 3 * FRAME);
	(void)kit_noise(k, "b", 1, 3 * FRAME + 1);
	(void)kit_noise(k, "c", 1, 3 * FRAME - 1);
	n = kit_noise(k, "d", 1, 3 * FRAME);
	kit_poke(k, n, 3 * FRAME - 1, "", 1);
	n = kit_noise(k, "e", 1, 3 * FRAME);
	kit_poke(k, n, 0, "", 1);
	assert_int_equal(count_objects(k), 5);
}

/*
 * Twins that are further apart than files are under way at once, large and
 * small, and some that are close together.
 */
static void test_distant_twins(void **state)
{
	struct kit *k = *state;
	char name[32];

	for (uint32_t i = 0; i < 2600; i++) {
		bool large = i % 650 == 0, twin = i % 1300 == 7;

		(void)snprintf(name, sizeof(name), "%05u", i);
		(void)kit_noise(
			k, name, large || twin ? 0 : i, large ? 3 * FRAME : 64);
	}
	assert_int_equal(count_objects(k), 2600 - 3 - 1);
}

static void test_hard_links(void **state)
{
	struct kit *k = *state;
	struct tree_node *n = kit_noise(k, "a", 1, 2 * FRAME);
	struct tree_node *d = kit_add(k, k->root, "d", S_IFDIR | 0700);

	kit_link(k, k->root, "b", n);
	kit_link(k, d, "c", n);
	assert_int_equal(count_objects(k), 1);
	assert_int_equal(n->nlink, 3);
}

/* What fits into a frame shares one; a byte more has frames of its own. */
static void test_places(void **state)
{
	struct kit *k = *state;
	struct tree_node *n[7];
	struct image_object o;

	n[0] = kit_noise(k, "a", 0, 1000);
	n[1] = kit_noise(k, "b", 1, FRAME);
	n[2] = kit_noise(k, "c", 2, FRAME + 1);
	n[3] = kit_noise(k, "d", 3, 2 * FRAME);
	n[4] = kit_noise(k, "e", 4, 1000);
	n[5] = kit_noise(k, "f", 5, 3096);
	n[6] = kit_file(k, "g", "g", 1);
	kit_pack(k, &kit_options, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);

	/* c and d, the large ones, go first. b does not fit behind a, nor e
	 * behind b; f fits exactly, g not. */
	static const struct {
		uint32_t frame, off;
	} want[] = {{4, 0}, {5, 0}, {0, 0}, {2, 0}, {6, 0}, {6, 1000}, {7, 0}};

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		o = kit_object(img, n[i]);
		if (o.frame != want[i].frame || o.off != want[i].off)
			fail_msg("file %zu lies at %u, %u", i, o.frame, o.off);
	}
	assert_int_equal(summary(img).frames, 8);
}

struct hole_case {
	const char *name;
	uint64_t size;
	uint64_t data[4]; /* offsets of a byte that is not zero; 0 ends */
	uint32_t holes;
	uint64_t dense;
};

/* Byte 0 has the offset 1 here, and so on. */
static const struct hole_case hole_cases[] = {
	{"all", 5 * FRAME, {0}, 1, 0},
	{"all, odd", 5 * FRAME + 1, {0}, 1, 0},
	{"one byte", 1, {0}, 1, 0},
	{"less than a block", 4095, {0}, 1, 0},
	{"none", 100, {100}, 0, 100},
	{"first", 3 * FRAME, {2 * FRAME + 1}, 1, FRAME},
	{"last", 3 * FRAME, {1}, 1, FRAME},
	{"last, odd", 3 * FRAME + 5, {1}, 1, FRAME},
	{"middle", 3 * FRAME, {1, 3 * FRAME}, 1, 2 * FRAME},
	{"odd tail with data", 3 * FRAME + 5, {1, 3 * FRAME + 5}, 1, FRAME + 5},
	{"every other", 7 * FRAME, {1, 2 * FRAME + 1, 4 * FRAME + 1}, 3,
		3 * FRAME},
	{"the others", 5 * FRAME, {FRAME + 1, 3 * FRAME + 1}, 3, 2 * FRAME},
	{"large, one block", 1000 * FRAME, {500 * FRAME}, 2, FRAME},
	{"large, odd", 100 * FRAME + 1, {100 * FRAME + 1}, 1, 1},
};

static void test_holes(void **state)
{
	struct kit *k = *state;
	struct tree_node *n[ARRAY_LEN(hole_cases)];

	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		n[i] = kit_sparse(k, hole_cases[i].name, hole_cases[i].size);
		for (const uint64_t *at = hole_cases[i].data; *at; at++)
			kit_poke(k, n[i], *at - 1, "x", 1);
	}
	kit_pack(k, &kit_options, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);

	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		const struct hole_case *c = &hole_cases[i];
		struct image_object o = kit_object(img, n[i]);

		if (o.hole_count != c->holes || o.dense != c->dense)
			fail_msg("%s: %u holes, %zu dense", c->name,
				o.hole_count, (size_t)o.dense);
	}
}

/* How a file is stored where it comes from does not show. */
static void test_written_zeros(void **state)
{
	struct kit *k = *state;
	static uint8_t zeros[20 * FRAME];

	(void)kit_sparse(k, "hole", sizeof(zeros));
	(void)kit_file(k, "written", zeros, sizeof(zeros));
	assert_int_equal(count_objects(k), 1);
}

/* Large for its size, small for its bytes: it shares a frame. */
static void test_small_of_large(void **state)
{
	struct kit *k = *state;
	struct tree_node *a = kit_noise(k, "a", 1, 10);
	struct tree_node *b = kit_sparse(k, "b", 100 * FRAME);
	struct tree_node *c = kit_sparse(k, "c", 50 * FRAME + 7);
	struct tree_node *d = kit_noise(k, "d", 2, 10);

	kit_poke(k, b, 50 * FRAME, "x", 1);
	kit_poke(k, c, 50 * FRAME, "y", 1);
	kit_pack(k, &kit_options, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);

	assert_int_equal(kit_object(img, b).frame, 0);
	assert_int_equal(kit_object(img, b).dense, FRAME);
	assert_int_equal(kit_object(img, c).frame, 1);
	assert_int_equal(kit_object(img, c).dense, 7);
	assert_int_equal(kit_object(img, a).frame, 1);
	assert_int_equal(kit_object(img, a).off, 7);
	assert_int_equal(kit_object(img, d).off, 17);
}

/* Small files of a kind are neighbours; objects are numbered as ever. */
static void test_kinds(void **state)
{
	static const char *const names[] = {
		".z", "a.x", "b.y", "c.x", "d", "e.y", "f."};
	static const uint32_t want[] = {0, 30, 50, 40, 10, 60, 20};
	struct tree_node *n[ARRAY_LEN(names)];
	struct kit *k = *state;

	for (uint32_t i = 0; i < ARRAY_LEN(n); i++)
		n[i] = kit_noise(k, names[i], i, 10);
	kit_pack(k, &kit_options, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);

	for (uint32_t i = 0; i < ARRAY_LEN(n); i++) {
		assert_int_equal(kit_object(img, n[i]).off, want[i]);
		assert_int_equal(kit_object(img, n[i]).index, i);
	}
}

/* Over 4 GiB, of which only the blocks with bytes are read. */
static void test_huge(void **state)
{
	struct kit *k = *state;
	struct pack_options opt = kit_options;
	uint64_t size = (UINT64_C(4) << 30) + 12345;
	struct tree_node *n = kit_sparse(k, "huge", size);

	opt.frame_size = LAYOUT_FRAME_DEFAULT;
	kit_poke(k, n, 0, "first", 5);
	kit_poke(k, n, UINT64_C(3) << 30, "middle", 6);
	kit_poke(k, n, (UINT64_C(4) << 30) - 3, "border", 6);
	kit_poke(k, n, size - 1, "l", 1);
	kit_pack(k, &opt, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);
	struct image_object o = kit_object(img, n);

	assert_int_equal(o.size, size);
	assert_int_equal(o.hole_count, 3);
	assert_int_equal(o.dense, 4 * FRAME + 12345 % FRAME);
	assert_int_equal(summary(img).frames, 1);
}

/* Equal sets are one, whatever the order they were given in. */
static void test_xattrs(void **state)
{
	struct kit *k = *state;
	struct tree_node *n[8];
	char name[8];

	for (size_t i = 0; i < ARRAY_LEN(n); i++) {
		(void)snprintf(name, sizeof(name), "%zu", i);
		n[i] = kit_add(k, k->root, name,
			i % 2 ? S_IFDIR | 0755 : S_IFIFO | 0600);
	}
	kit_xattr(k, n[0], "user.a", "1");
	kit_xattr(k, n[0], "user.b", "2");
	kit_xattr(k, n[1], "user.b", "2");
	kit_xattr(k, n[1], "user.a", "1");
	kit_xattr(k, n[2], "user.a", "1");
	kit_xattr(k, n[3], "user.a", "");
	/* The same bytes in a row, split otherwise. */
	kit_xattr(k, n[4], "user.ab", "c");
	kit_xattr(k, n[5], "user.a", "bc");
	kit_xattr(k, k->root, "user.a", "1");
	kit_pack(k, &kit_options, NULL);

	_cleanup_(image_free) struct image *img = kit_open(k);

	assert_int_equal(summary(img).xattr_sets, 5);
}

static void test_digest_known(void **state)
{
	struct kit *k = *state;
	static uint8_t data[5 * FRAME];
	struct prng prng = {9};

	prng_fill(&prng, data, sizeof(data));
	for (int i = 0; i < 3; i++) {
		char name[] = {'a', (char)('0' + i), 0};
		struct tree_node *n =
			kit_file(k, name, data, sizeof(data) - i / 2);

		assert_int_equal(digest_of(data, n->size, &n->digest), 0);
		n->has_digest = true;
	}
	assert_int_equal(count_objects(k), 2);
}

/* A real folder, with what only a real one has. */
static void test_scanned(void **state)
{
	struct kit *k = *state;
	struct tree_options opt = {0};
	struct scratch source;
	struct diag diag = {0};

	assert_true(scratch_init(&source));
	int top = open(source.path, O_RDONLY | O_DIRECTORY);

	assert_true(top >= 0);
	assert_int_equal(mkdirat(top, "folder", 0750), 0);
	assert_int_equal(symlinkat("to nowhere", top, "link"), 0);
	assert_int_equal(mkfifoat(top, "folder/fifo", 0640), 0);
	for (uint32_t i = 0; i < ARRAY_LEN(edges); i++) {
		uint8_t *data = calloc(1, edges[i] + 1);
		char name[32];

		(void)snprintf(name, sizeof(name), "folder/%u", i);
		prng_fill(&k->prng, data, edges[i] / 2);

		int fd = openat(top, name, O_WRONLY | O_CREAT, 0600 + i);

		assert_int_equal(write(fd, data, edges[i]), edges[i]);
		assert_int_equal(ftruncate(fd, edges[i] * INT64_C(3)), 0);
		assert_int_equal(fsetxattr(fd, "user.name", "v", 1, 0), 0);
		assert_int_equal(close(fd), 0);
		free(data);
	}
	assert_int_equal(linkat(top, "folder/3", top, "hard", 0), 0);
	assert_int_equal(close(top), 0);

	tree_free(take_ptr(k->tree));
	if (tree_scan(source.path, &opt, &k->tree, &diag) < 0)
		fail_msg("%s", diag.text);
	k->root = tree_root(k->tree);
	kit_pack(k, &kit_options, NULL);
	image_free(kit_open(k));
	scratch_done(&source);
}

/* What was told of the progress. */
struct told {
	uint64_t done, total;
	uint32_t count;
	bool backwards;
};

static void note_progress(void *arg, uint64_t done, uint64_t total)
{
	struct told *t = arg;

	t->backwards = t->backwards || done < t->done || done > total;
	t->done = done;
	t->total = total;
	t->count++;
}

/* Also within a large file, and to the end. */
static void test_progress(void **state)
{
	struct kit *k = *state;
	struct told told = {0};
	struct pack_options opt = kit_options;

	opt.progress = note_progress;
	opt.arg = &told;
	(void)kit_noise(k, "a", 1, 10 * FRAME);
	(void)kit_noise(k, "b", 1, 10 * FRAME);
	(void)kit_noise(k, "c", 2, 10 * FRAME);
	(void)kit_sparse(k, "d", 10 * FRAME + 1);
	(void)kit_sparse(k, "e", 0);
	kit_pack(k, &opt, NULL);
	assert_false(told.backwards);
	assert_int_equal(told.total, 40 * FRAME + 1);
	assert_int_equal(told.done, told.total);
	assert_true(told.count >= 25);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		KIT_TEST(test_empty),
		KIT_TEST(test_empty_files),
		KIT_TEST(test_small_twins),
		KIT_TEST(test_large_twins),
		KIT_TEST(test_near_twins),
		KIT_TEST(test_distant_twins),
		KIT_TEST(test_hard_links),
		KIT_TEST(test_places),
		KIT_TEST(test_kinds),
		KIT_TEST(test_holes),
		KIT_TEST(test_written_zeros),
		KIT_TEST(test_small_of_large),
		KIT_TEST(test_huge),
		KIT_TEST(test_xattrs),
		KIT_TEST(test_digest_known),
		KIT_TEST(test_scanned),
		KIT_TEST(test_progress),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
