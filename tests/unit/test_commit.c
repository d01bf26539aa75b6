/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is read of an image for a commit, and what only is copied; and what no
 * upper folder that the system test makes has. (That a commit is what a build
 * makes of the merged tree: tests/system/test_changes.py.)
 */
#include "fs/commit/commit.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/base/io.h"
#include "tests/lib/prng.h"
#include "tests/lib/tree_same.h"
#include "tests/unit/unit.h"

#define FRAME 4096u
#define LARGE (40 * FRAME)

struct scene {
	struct workdir *dir;
	struct image *img;
	struct changes_source src;
	struct pack_options opt;
};

static void noise(const struct scene *s, const char *name, size_t len)
{
	static uint8_t bytes[LARGE];
	struct prng prng = {len};

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)('a' + prng_below(&prng, 16));
	workdir_file(s->dir, name, bytes, len);
}

static void pack_folder(
	const struct scene *s, const char *folder, const char *image)
{
	struct pack_result result;
	struct diag diag = {0};
	struct tree *t = tree_of_folder(workdir_path(s->dir, folder), NULL);

	assert_int_equal(
		pack(t, workdir_path(s->dir, image), &s->opt, &result, &diag),
		0);
	tree_free(t);
}

static void open_image(struct scene *s)
{
	struct image_node root;
	struct diag diag;

	image_free(s->img);
	s->img = NULL;
	assert_int_equal(
		image_open_path(workdir_path(s->dir, "img"), &s->img, &diag),
		0);
	assert_int_equal(image_walk(s->img, "/", &root), 0);
	s->src = (struct changes_source){
		.dir_fd = s->dir->fd,
		.name = "up",
		.form = OVERLAY_USER,
		.index_fd = -1,
		.img = s->img,
		.ino = root.ino,
		.path = "/",
	};
}

/* /large, /d/{a,b,c}, which share a frame, and an empty upper of "/". */
static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	void *dir = NULL;

	assert_non_null(s);
	if (workdir_set_up(&dir) < 0)
		return -1;
	s->dir = dir;
	s->opt = (struct pack_options){
		.level = 3, .jobs = 2, .frame_size = FRAME};
	workdir_folder(s->dir, "src");
	workdir_folder(s->dir, "src/d");
	noise(s, "src/large", LARGE);
	noise(s, "src/d/a", 1000);
	noise(s, "src/d/b", 1100);
	noise(s, "src/d/c", 1200);
	pack_folder(s, "src", "img");
	open_image(s);
	workdir_folder(s->dir, "up");
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct scene *s = *state;
	void *dir = s->dir;

	image_free(s->img);
	free(s);
	return workdir_tear_down(&dir);
}

static int make(const struct scene *s, struct diag *diag)
{
	struct pack_result result;

	return commit_changes(s->img, &s->src, 1, workdir_path(s->dir, "new"),
		&s->opt, &result, diag);
}

static void is_made(const struct scene *s)
{
	struct diag diag = {0};

	if (make(s, &diag) < 0)
		fail_msg("%s", diag.text);
}

static void images_are_equal(
	const struct scene *s, const char *a, const char *b)
{
	workdir_run((const char *const[]){
		"cmp", workdir_path(s->dir, a), workdir_path(s->dir, b), NULL});
}

/* Let the upper folder have the time of the image's root. */
static void same_time(const struct scene *s)
{
	workdir_run((const char *const[]){"touch", "-r",
		workdir_path(s->dir, "src"), workdir_path(s->dir, "up"), NULL});
}

/* Change a stored byte of a frame. */
static void damage(struct scene *s, uint32_t index)
{
	struct image_stored info;
	uint8_t stored[FRAME], byte;
	uint64_t off = LAYOUT_SUPER_SIZE + 20;
	int fd = openat(s->dir->fd, "img", O_RDWR);

	assert_true(fd >= 0);
	for (uint32_t i = 0; i < index; i++) {
		assert_int_equal(
			image_frame_stored(s->img, i, stored, &info), 0);
		off += info.len;
	}
	assert_int_equal(io_pread(fd, &byte, 1, off), 1);
	byte ^= 1;
	assert_int_equal(io_pwrite(fd, &byte, 1, off), 0);
	close(fd);
	open_image(s);
}

/* Where the bytes of a file begin. */
static uint32_t frame_of(const struct scene *s, const char *path)
{
	struct image_node node;
	struct image_object obj;

	assert_int_equal(image_walk(s->img, path, &node), 0);
	assert_int_equal(image_object(s->img, node.data, &obj), 0);
	return obj.frame;
}

static void nothing_written_makes_the_same_image(void **state)
{
	struct scene *s = *state;

	same_time(s);
	is_made(s);
	images_are_equal(s, "img", "new");
}

/* A broken frame is copied as it is, and found by whoever reads it. (The first
 * one would be made again to see how the image was made.) */
static void large_contents_are_not_looked_at(void **state)
{
	struct scene *s = *state;

	damage(s, frame_of(s, "/large") + 1);
	same_time(s);
	is_made(s);
	images_are_equal(s, "img", "new");
	workdir_text(s->dir, "up/new", "new");
	is_made(s);
}

static void shared_frames_are_read_only_where_they_change(void **state)
{
	struct scene *s = *state;
	struct diag diag = {0};

	damage(s, frame_of(s, "/d/a"));
	same_time(s);
	is_made(s);
	images_are_equal(s, "img", "new");
	workdir_text(s->dir, "up/new.x", "in a frame of its own, or the last");
	assert_int_equal(make(s, &diag), -EBADMSG);
	assert_non_null(strstr(diag.text, "frame"));
}

static void another_level_makes_all_again(void **state)
{
	struct scene *s = *state;

	same_time(s);
	s->opt.level = 0;
	is_made(s);
	pack_folder(s, "src", "raw");
	images_are_equal(s, "raw", "new");
}

static void another_frame_size_is_refused(void **state)
{
	struct scene *s = *state;
	struct diag diag = {0};

	s->opt.frame_size = 2 * FRAME;
	assert_int_equal(make(s, &diag), -EINVAL);
	assert_non_null(strstr(diag.text, "frames"));
	assert_int_not_equal(access(workdir_path(s->dir, "new"), F_OK), 0);
}

static void a_path_that_the_image_lacks(void **state)
{
	struct scene *s = *state;
	_cleanup_(image_free) struct image *made = NULL;
	struct image_node node;
	struct diag diag = {0};

	s->src.ino = 0;
	s->src.form = OVERLAY_NONE;
	s->src.path = "/d/var";
	workdir_text(s->dir, "up/f", "file");
	is_made(s);
	assert_int_equal(
		image_open_path(workdir_path(s->dir, "new"), &made, &diag), 0);
	assert_int_equal(image_walk(made, "/d/var/f", &node), 0);
	assert_int_equal(node.size, 4);
	s->src.path = "/none/var";
	assert_int_equal(make(s, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "/none/var"));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_written_makes_the_same_image),
		TEST(large_contents_are_not_looked_at),
		TEST(shared_frames_are_read_only_where_they_change),
		TEST(another_level_makes_all_again),
		TEST(another_frame_size_is_refused),
		TEST(a_path_that_the_image_lacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
