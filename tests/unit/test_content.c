/* SPDX-License-Identifier: Apache-2.0 */
/* Making and removing what writable paths begin with, and going through it. */
#include "fs/upper/content.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "fs/upper/walk.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

static mode_t mode_of(const struct workdir *w, const char *name)
{
	struct stat st;

	return lstat(workdir_path(w, name), &st) < 0 ? 0 : st.st_mode;
}

static void test_points_are_made_with_all_on_the_way(void **state)
{
	const struct workdir *w = *state;

	assert_int_equal(content_make_point(w->fd, "/a/b/c", false), 0);
	assert_int_equal(content_make_point(w->fd, "/a/b/file", true), 0);
	assert_int_equal(content_make_point(w->fd, "/a", false), 0);
	assert_int_equal(content_make_point(w->fd, "/a/b/file", true), 0);
	assert_true(S_ISDIR(mode_of(w, "a/b/c")));
	assert_true(S_ISREG(mode_of(w, "a/b/file")));
	assert_int_equal(
		content_make_point(w->fd, "/a/b/file/x", false), -ENOTDIR);
	assert_int_equal(
		content_make_point(w->fd, "/a/b/file", false), -ENOTDIR);
}

/* Whoever wrote there before may have left a link to anywhere. */
static void test_links_are_not_followed(void **state)
{
	const struct workdir *w = *state;

	workdir_folder(w, "in");
	workdir_folder(w, "out");
	assert_int_equal(symlinkat("../out", w->fd, "in/link"), 0);
	assert_int_equal(symlinkat("/etc", w->fd, "in/far"), 0);
	assert_int_equal(symlinkat("/nowhere", w->fd, "in/dangling"), 0);

	int in = content_open_below(w->fd, "/in", O_PATH);

	assert_true(in >= 0);
	assert_int_equal(content_make_point(in, "/link/x", false), -ELOOP);
	assert_int_equal(content_make_point(in, "/link", false), -ELOOP);
	assert_int_equal(content_make_point(in, "/far/x", true), -ELOOP);
	assert_int_equal(content_make_point(in, "/dangling", true), -ELOOP);
	assert_int_equal(content_open_below(in, "/link", O_PATH), -ELOOP);
	assert_int_equal(content_open_below(in, "/../out", O_PATH), -EXDEV);
	assert_int_equal(mode_of(w, "out/x"), 0);
	(void)close(in);
}

static void test_remove_takes_all_however_deep(void **state)
{
	const struct workdir *w = *state;
	int at = dup(w->fd);

	/* Deeper than a path can name. */
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdirat(at, "d", 0700), 0);
		assert_int_equal(symlinkat("d", at, "l"), 0);

		int next = openat(at, "d", O_RDONLY | O_DIRECTORY);

		assert_true(next >= 0);
		(void)close(at);
		at = next;
	}
	(void)close(at);
	workdir_text(w, "file", "x");
	assert_int_equal(content_remove(w->fd, "d"), 0);
	assert_int_equal(content_remove(w->fd, "file"), 0);
	assert_int_equal(content_remove(w->fd, "l"), 0);
	assert_int_equal(content_remove(w->fd, "not there"), 0);
	assert_int_equal(mode_of(w, "d"), 0);
	assert_int_equal(mode_of(w, "l"), 0);
	assert_int_equal(mode_of(w, "file"), 0);
}

/* What a link leads to is not removed with it. */
static void test_remove_stays_inside(void **state)
{
	const struct workdir *w = *state;

	workdir_folder(w, "keep");
	workdir_text(w, "keep/file", "x");
	workdir_folder(w, "go");
	assert_int_equal(symlinkat("../keep", w->fd, "go/link"), 0);
	assert_int_equal(content_remove(w->fd, "go"), 0);
	assert_true(S_ISREG(mode_of(w, "keep/file")));
	assert_int_equal(mode_of(w, "go"), 0);
}

/* A walk_fn: that folders come before what is in them, and how many. */
static int count(void *arg, const char *path, int fd, const struct stat *st)
{
	struct buf *seen = arg;
	const char *slash = strrchr(path, '/');

	if (slash) {
		/* "/a/b" was preceded by "/a\n". */
		_cleanup_buf_ struct buf parent = {.max = 256};

		assert_int_equal(buf_printf(&parent, "%.*s\n",
					 (int)(slash - path), path),
			0);
		assert_non_null(
			memmem(seen->data, seen->len, parent.data, parent.len));
	}
	if (strcmp(path, "/stop") == 0)
		return -EXFULL;
	return buf_printf(seen, "%s\n", path);
}

static void test_walk_sees_all_folders_first(void **state)
{
	const struct workdir *w = *state;
	_cleanup_buf_ struct buf seen = {.max = 65536};
	int lines = 0;

	workdir_folder(w, "a");
	workdir_folder(w, "a/b");
	workdir_text(w, "a/b/c", "");
	workdir_text(w, "x", "");
	assert_int_equal(symlinkat("a", w->fd, "link"), 0);
	assert_int_equal(walk_upper(w->fd, count, &seen), 0);
	for (size_t i = 0; i < seen.len; i++)
		lines += seen.data[i] == '\n';
	assert_int_equal(lines, 6);
	workdir_text(w, "stop", "");
	buf_reset(&seen);
	assert_int_equal(walk_upper(w->fd, count, &seen), -EXFULL);
}

#define CONTENT_TEST(f) \
	cmocka_unit_test_setup_teardown(f, workdir_set_up, workdir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CONTENT_TEST(test_points_are_made_with_all_on_the_way),
		CONTENT_TEST(test_links_are_not_followed),
		CONTENT_TEST(test_remove_takes_all_however_deep),
		CONTENT_TEST(test_remove_stays_inside),
		CONTENT_TEST(test_walk_sees_all_folders_first),
	};

	return cmocka_run_group_tests_name("content", tests, NULL, NULL);
}
