/* SPDX-License-Identifier: Apache-2.0 */
/* An image together with folders and files that it lacks. */
#include "fs/mount/scene.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

static const struct sample_entry entries[] = {
	{.ino = 1, .mode = S_IFDIR | 0755, .mtime = 77, .mtime_nsec = 5},
	{.parent = 1, .ino = 2, .name = "etc", .mode = S_IFDIR | 0750},
	{.parent = 1, .ino = 3, .name = "link", .mode = S_IFLNK, .target = "x"},
	{.parent = 1, .ino = 4, .name = "m", .mode = S_IFREG | 0644},
	{.parent = 1, .ino = 5, .name = "var", .mode = S_IFDIR | 0755},
	{.parent = 2, .ino = 6, .name = "conf", .mode = S_IFREG | 0644},
};

enum { IMAGE_LAST = 6 };

static int open_image(void **state)
{
	static const struct sample_content nothing = {(const uint8_t *)"", 0};
	static struct buf bytes = {.max = 1u << 20};
	struct sample s = {
		.entries = entries,
		.entry_count = ARRAY_LEN(entries),
		.contents = &nothing,
		.frame_size = LAYOUT_FRAME_MIN,
	};
	struct source *src;
	struct diag diag;

	assert_int_equal(sample_image(&s, &bytes), 0);
	assert_int_equal(source_from_memory(bytes.data, bytes.len, &src), 0);
	if (image_open(src, (struct image **)state, &diag) < 0)
		fail_msg("%s", diag.text);
	return 0;
}

static int close_image(void **state)
{
	image_free(*state);
	return 0;
}

/* In another order than they are numbered in. */
static const struct mount_place places[] = {
	{"/var/z", false},
	{"/a/b/c", false},
	{"/zz", false},
	{"/a/b-x", false},
	{"/a/b/file", true},
	{"/etc", false}, /* the image has these two */
	{"/etc/conf", true},
	{"/etc/cone", true},
	{"/a/b/c", false}, /* once more */
	{"/", false},
};

static struct scene *make(const struct image *img)
{
	struct scene *s;

	assert_int_equal(scene_new(img, places, ARRAY_LEN(places), &s), 0);
	return s;
}

/* The inode of a path, found name by name. */
static struct image_node at(const struct scene *s, const char *path)
{
	struct image_node node;

	assert_int_equal(scene_node(s, LAYOUT_ROOT_INO, &node), 0);
	while (*path == '/' && path[1]) {
		size_t len = strcspn(++path, "/");
		struct image_entry e;

		if (scene_lookup(s, &node, path, len, &e) < 0)
			fail_msg("%s is not found", path);
		assert_int_equal(e.parent, node.ino);
		assert_int_equal(e.name_len, len);
		assert_memory_equal(e.name, path, len);
		assert_int_equal(scene_node(s, e.ino, &node), 0);
		assert_int_equal(e.type, node.mode & S_IFMT);
		path += len;
	}
	return node;
}

static void test_what_appears_where(void **state)
{
	static const struct {
		const char *path;
		uint32_t ino, parent;
		mode_t mode;
		uint32_t nlink;
	} want[] = {
		{"/", 1, 1, S_IFDIR | 0755, 2 + 2 + 2}, /* a and zz */
		{"/etc", 2, 1, S_IFDIR | 0750, 2},
		{"/var", 5, 1, S_IFDIR | 0755, 3},
		{"/a", 7, 1, S_IFDIR | 0755, 4},
		{"/a/b", 8, 7, S_IFDIR | 0755, 3},
		{"/a/b/c", 9, 8, S_IFDIR | 0755, 2},
		{"/a/b/file", 10, 8, S_IFREG | 0644, 1},
		{"/a/b-x", 11, 7, S_IFDIR | 0755, 2},
		{"/etc/cone", 12, 2, S_IFREG | 0644, 1},
		{"/var/z", 13, 5, S_IFDIR | 0755, 2},
		{"/zz", 14, 1, S_IFDIR | 0755, 2},
		{"/etc/conf", 6, 2, S_IFREG | 0644, 1},
	};
	_cleanup_(scene_free) struct scene *s = make(*state);

	assert_int_equal(scene_last(s), 14);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		struct image_node node = at(s, want[i].path);
		_cleanup_free_ char *path = scene_path(s, node.ino, NULL);
		_cleanup_free_ char *below = scene_path(s, node.ino, "new");
		char joined[64];

		print_message("%s\n", want[i].path);
		assert_int_equal(node.ino, want[i].ino);
		assert_int_equal(node.mode, want[i].mode);
		assert_int_equal(node.nlink, want[i].nlink);
		assert_int_equal(scene_parent(s, &node), want[i].parent);
		assert_string_equal(path, want[i].path);
		(void)snprintf(joined, sizeof(joined), "%s/new",
			i ? want[i].path : "");
		assert_string_equal(below, joined);
		if (node.ino <= IMAGE_LAST)
			continue;
		assert_int_equal(node.uid, 0);
		assert_int_equal(node.gid, 0);
		assert_int_equal(node.mtime, 77);
		assert_int_equal(node.mtime_nsec, 5);
		assert_int_equal(image_xattr_count(*state, &node), 0);
	}
}

/* The names of a folder in the order of their indexes, each with a space. */
static void assert_lists(
	const struct scene *s, const char *path, const char *want)
{
	_cleanup_buf_ struct buf got = {.max = 4096};
	struct image_node dir = at(s, path);
	struct image_entry e;
	uint64_t i;
	int r = 0;

	for (i = 0; (r = scene_entry(s, &dir, i, &e)) == 0; i++)
		assert_int_equal(
			buf_printf(&got, "%.*s ", (int)e.name_len, e.name), 0);
	assert_int_equal(r, -ENOENT);
	assert_int_equal(buf_add(&got, "", 1), 0);
	assert_string_equal(got.data, want);
	/* Any index may be asked for, in any order. */
	while (i-- > 0)
		assert_int_equal(scene_entry(s, &dir, i, &e), 0);
	assert_int_equal(scene_entry(s, &dir, UINT64_MAX, &e), -ENOENT);
}

/* Indexes of the image's names stay what they are. */
static void test_listings_have_the_image_first(void **state)
{
	_cleanup_(scene_free) struct scene *s = make(*state);

	assert_lists(s, "/", "etc link m var a zz ");
	assert_lists(s, "/a", "b b-x ");
	assert_lists(s, "/a/b", "c file ");
	assert_lists(s, "/a/b/c", "");
	assert_lists(s, "/etc", "conf cone ");
}

static void test_what_is_missing(void **state)
{
	static const struct {
		const char *dir, *name;
		int err;
	} cases[] = {
		{"/", "b", -ENOENT},
		{"/", "", -ENOENT},
		{"/a", "b-", -ENOENT},
		{"/a", "b-xx", -ENOENT},
		{"/a/b/c", "d", -ENOENT},
		{"/var", "a", -ENOENT},
		{"/m", "x", -ENOTDIR},
		{"/a/b/file", "x", -ENOTDIR},
	};
	_cleanup_(scene_free) struct scene *s = make(*state);
	struct image_node node;
	struct image_entry e;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		node = at(s, cases[i].dir);
		assert_int_equal(scene_lookup(s, &node, cases[i].name,
					 strlen(cases[i].name), &e),
			cases[i].err);
	}
	assert_int_equal(scene_node(s, 15, &node), -ESTALE);
	assert_int_equal(scene_node(s, UINT64_MAX, &node), -ESTALE);
	assert_int_equal(scene_node(s, 0, &node), -ESTALE);
	assert_null(scene_path(s, 15, NULL));
	assert_false(scene_extra(s, 8, &e));
	assert_true(scene_extra(s, 7, &e));
}

static void test_a_file_that_appears_is_empty(void **state)
{
	_cleanup_(scene_free) struct scene *s = make(*state);
	struct image_node node = at(s, "/a/b/file");
	struct image_object obj;
	struct digest empty;

	assert_int_equal(digest_of("", 0, &empty), 0);
	assert_int_equal(node.size, 0);
	assert_int_equal(scene_object(s, &node, &obj), 0);
	assert_int_equal(obj.size, 0);
	assert_int_equal(obj.dense, 0);
	assert_true(digest_equal(&obj.digest, &empty));
}

static void test_what_cannot_be_shown(void **state)
{
	static const struct {
		struct mount_place places[2];
		int err;
	} cases[] = {
		{{{"", false}, {"/", false}}, -EINVAL},
		{{{"a", false}, {"/", false}}, -EINVAL},
		{{{"/a/", false}, {"/", false}}, -EINVAL},
		{{{"/a//b", false}, {"/", false}}, -EINVAL},
		{{{"/a/../b", false}, {"/", false}}, -EINVAL},
		{{{"/./b", false}, {"/", false}}, -EINVAL},
		{{{"/m/b", false}, {"/", false}}, -ENOTDIR},
		{{{"/link/b", false}, {"/", false}}, -ENOTDIR},
		{{{"/n/x", false}, {"/n", true}}, -ENOTDIR},
	};
	char longest[LAYOUT_NAME_MAX + 3];
	struct mount_place place = {longest, false};
	struct scene *s;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		assert_int_equal(scene_new(*state, cases[i].places, 2, &s),
			cases[i].err);
	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(scene_new(*state, &place, 1, &s), -ENAMETOOLONG);
	longest[sizeof(longest) - 2] = '\0';
	assert_int_equal(scene_new(*state, &place, 1, &s), 0);
	scene_free(s);
}

static void test_nothing_to_show_is_the_image(void **state)
{
	_cleanup_(scene_free) struct scene *s = NULL;

	assert_int_equal(scene_new(*state, NULL, 0, &s), 0);
	assert_int_equal(scene_last(s), IMAGE_LAST);
	assert_lists(s, "/", "etc link m var ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_appears_where),
		cmocka_unit_test(test_listings_have_the_image_first),
		cmocka_unit_test(test_what_is_missing),
		cmocka_unit_test(test_a_file_that_appears_is_empty),
		cmocka_unit_test(test_what_cannot_be_shown),
		cmocka_unit_test(test_nothing_to_show_is_the_image),
	};

	return cmocka_run_group_tests_name(
		"scene", tests, open_image, close_image);
}
