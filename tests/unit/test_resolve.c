/* SPDX-License-Identifier: Apache-2.0 */
/* Paths inside an image: links lead to places of the image, never out of it. */
#include "fs/image/resolve.h"

#include <string.h>
#include <sys/stat.h>

#include "tests/lib/image_sample.h"
#include "tests/unit/unit.h"

/* l00 -> l01 -> ... -> l41 -> file: two links more than may be followed. */
#define CHAIN 42

enum { FIRST_CHAIN = 5, LAST = FIRST_CHAIN + CHAIN + 9 };

static char chain_names[CHAIN + 1][8];

#define FOLDER(p, i, n)                                                  \
	{                                                                \
		.parent = p, .ino = i, .name = n, .mode = S_IFDIR | 0755 \
	}
#define FILE_(p, i, n)                                            \
	{                                                         \
		.parent = p, .ino = i, .name = n, .mode = S_IFREG \
	}
#define LINK(p, i, n, t)                                                  \
	{                                                                 \
		.parent = p, .ino = i, .name = n, .mode = S_IFLNK | 0777, \
		.target = t                                               \
	}

/* The image, in the order of its dirents; the chain is put in between. */
static size_t make_entries(struct sample_entry ret[LAST + 1])
{
	const uint32_t c = FIRST_CHAIN + CHAIN;
	const struct sample_entry before[] = {
		{.ino = 1, .mode = S_IFDIR | 0755},
		LINK(1, 2, "abs", "/d/e"),
		FOLDER(1, 3, "d"),
		FILE_(1, 4, "file"),
	};
	const struct sample_entry after[] = {
		LINK(1, c, "loop", "loop"),
		LINK(1, c + 1, "out", "../../../d/e"),
		LINK(1, c + 2, "ping", "pong"),
		LINK(1, c + 3, "pong", "./ping"),
		LINK(1, c + 4, "root", "//"),
		LINK(3, c + 5, "a", "../file"),
		FOLDER(3, c + 6, "e"),
		FILE_(c + 6, c + 7, "deep"),
		LINK(c + 6, c + 8, "up", ".."),
	};
	size_t n = ARRAY_LEN(before);

	memcpy(ret, before, sizeof(before));
	for (uint32_t i = 0; i <= CHAIN; i++)
		(void)snprintf(chain_names[i], sizeof(chain_names[i]),
			i < CHAIN ? "l%02u" : "file", i);
	for (uint32_t i = 0; i < CHAIN; i++)
		ret[n++] = (struct sample_entry)LINK(
			1, FIRST_CHAIN + i, chain_names[i], chain_names[i + 1]);
	memcpy(ret + n, after, sizeof(after));
	return n + ARRAY_LEN(after);
}

static struct buf bytes = {.max = 1u << 20};

static int open_image(void **state)
{
	static const struct sample_content text = {(const uint8_t *)"text", 4};
	struct sample_entry entries[LAST + 1];
	const struct sample s = {
		.entries = entries,
		.entry_count = make_entries(entries),
		.contents = &text,
		.frame_size = 4096,
		.level = 3,
	};
	struct source *src;
	struct image *img;
	struct diag diag = {0};

	assert_true(s.entry_count <= ARRAY_LEN(entries));
	assert_int_equal(sample_image(&s, &bytes), 0);
	assert_int_equal(source_from_memory(bytes.data, bytes.len, &src), 0);
	if (image_open(src, &img, &diag) < 0)
		fail_msg("%s", diag.text);
	*state = img;
	return 0;
}

static int close_image(void **state)
{
	image_free(*state);
	buf_done(&bytes);
	return 0;
}

static const struct {
	const char *path;
	bool follow;
	int err;
	const char *name; /* without links, when err is 0 */
} cases[] = {
	{"", true, 0, "/"},
	{"/", true, 0, "/"},
	{"//.//", true, 0, "/"},
	{"..", true, 0, "/"},
	{"/../../d", true, 0, "/d"},
	{"d", true, 0, "/d"},
	{"d/", true, 0, "/d"},
	{"/d/e/deep", false, 0, "/d/e/deep"},
	{"d/./e/../../file", true, 0, "/file"},
	{"d/e/deep/", true, -ENOTDIR, NULL},
	{"d/e/deep/.", true, -ENOTDIR, NULL},
	{"d/e/deep/..", true, -ENOTDIR, NULL},
	{"file/x", true, -ENOTDIR, NULL},
	{"nothing", true, -ENOENT, NULL},
	{"d/nothing/x", true, -ENOENT, NULL},
	{"d/nothing/..", true, -ENOENT, NULL},
	/* the last link */
	{"abs", true, 0, "/d/e"},
	{"abs", false, 0, "/abs"},
	{"abs/", false, 0, "/d/e"},
	{"d/a", true, 0, "/file"},
	{"d/a", false, 0, "/d/a"},
	{"d/a/", false, -ENOTDIR, NULL},
	/* links on the way */
	{"abs/deep", false, 0, "/d/e/deep"},
	{"abs/up/a", false, 0, "/d/a"},
	{"abs/up/a", true, 0, "/file"},
	{"abs/..", false, 0, "/d"},
	{"root/root/d", false, 0, "/d"},
	{"root", true, 0, "/"},
	{"d/a/x", true, -ENOTDIR, NULL},
	/* out of the image, and no way out of a circle */
	{"out", true, 0, "/d/e"},
	{"out/../../../out/deep", true, 0, "/d/e/deep"},
	{"loop", true, -ELOOP, NULL},
	{"loop", false, 0, "/loop"},
	{"loop/", false, -ELOOP, NULL},
	{"ping", true, -ELOOP, NULL},
	{"l02", true, 0, "/file"},
	{"l01", true, -ELOOP, NULL},
	{"l01", false, 0, "/l01"},
};

static void test_paths(void **state)
{
	const struct image *img = *state;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct resolved at;
		int r = resolve_path(img, cases[i].path, cases[i].follow, &at);

		if (r != cases[i].err)
			fail_msg("%s: %d", cases[i].path, r);
		if (r < 0)
			continue;

		_cleanup_free_ char *name = resolve_name(img, &at);

		assert_non_null(name);
		assert_string_equal(name, cases[i].name);
	}
}

/* As long as it likes, but within bounds. */
static void test_long_paths(void **state)
{
	const size_t len = 1u << 17;
	_cleanup_free_ char *path = malloc(len + 1);
	char name[LAYOUT_NAME_MAX + 2];
	struct resolved at;

	assert_non_null(path);
	memset(path, '/', len);
	path[len] = '\0';
	assert_int_equal(resolve_path(*state, path, true, &at), -ENAMETOOLONG);
	assert_int_equal(
		resolve_path(*state, path + len - 60000, true, &at), 0);

	memset(name, 'n', sizeof(name));
	name[LAYOUT_NAME_MAX + 1] = '\0';
	assert_int_equal(resolve_path(*state, name, true, &at), -ENAMETOOLONG);
	assert_int_equal(resolve_path(*state, name + 1, true, &at), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_long_paths),
	};

	return cmocka_run_group_tests_name(
		"resolve", tests, open_image, close_image);
}
