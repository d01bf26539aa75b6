/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `stele diff`. */
#include "util/diff_text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/base/io.h"
#include "tests/lib/tree_same.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"
#include "util/diff_print.h"

/* What print writes to standard output. */
static void prints(int (*print)(const struct diff *), const struct diff *d,
	const char *want)
{
	char text[1024];
	int saved = dup(STDOUT_FILENO), fd = memfd_create("out", MFD_CLOEXEC);

	assert_int_equal(fflush(stdout), 0);
	assert_true(saved >= 0 && fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);

	int r = print(d);

	assert_int_equal(fflush(stdout), 0);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);

	ssize_t n = io_pread(fd, text, sizeof(text) - 1, 0);

	close(fd);
	assert_int_equal(r, 0);
	assert_true(n >= 0);
	text[n] = '\0';
	assert_string_equal(text, want);
}

static const struct tree_node before = {.mode = S_IFDIR | 0755};
static const struct tree_node after = {.mode = S_IFDIR | 0700, .uid = 7};

#define NODE(mode, uid)                                           \
	"{\"type\":\"folder\",\"mode\":\"" mode "\",\"uid\":" uid \
	",\"gid\":0,\"size\":0,\"mtime\":\"1970-01-01T00:00:00.000000000Z\"}"

static void a_rename_says_where_from(void **state)
{
	struct diff d = {
		.kind = DIFF_RENAMED,
		.path = "/new\n",
		.path_len = 5,
		.from = "/old place",
		.a = &before,
		.b = &before,
	};

	prints(diff_text_print, &d, "> /new\\n  renamed from /old place\n");
	prints(diff_json_print, &d,
		"{\"change\":\"renamed\",\"path\":\"/new\\n\",\"from\":"
		"\"/old place\",\"what\":[],\"a\":" NODE(
			"0755", "0") ",\"b\":" NODE("0755", "0") "}\n");
}

static void a_rename_says_what_else_changed(void **state)
{
	struct diff d = {
		.kind = DIFF_RENAMED,
		.what = DIFF_MODE | DIFF_OWNER,
		.path = "/n",
		.path_len = 2,
		.from = "/o",
		.a = &before,
		.b = &after,
	};

	prints(diff_text_print, &d,
		"> /n  renamed from /o, mode 0755 -> 0700, "
		"owner 0:0 -> 7:0\n");
}

static void one_side_alone(void **state)
{
	struct diff d = {
		.kind = DIFF_ADDED, .path = "/n", .path_len = 2, .b = &after};

	prints(diff_text_print, &d, "+ /n\n");
	prints(diff_json_print, &d,
		"{\"change\":\"added\",\"path\":\"/n\",\"b\":" NODE(
			"0700", "7") "}\n");
}

/* ---- what was written ---- */

/* The image has /d/f and /t; the mount an overlay at / and a tmpfs at /t. */
struct written {
	struct workdir *dir;
	struct image *img;
	struct changes_source src[2];
	struct diff_print how;
};

static struct written written; /* for what prints, which takes no more */
static int code;

static int print_written(const struct diff *d)
{
	code = diff_print_changes(&written.how, written.src, 2);
	return 0;
}

static int set_up(void **state)
{
	void *dir = NULL;

	if (workdir_set_up(&dir) < 0)
		return -1;
	written = (struct written){.dir = dir};
	workdir_folder(dir, "src");
	workdir_folder(dir, "src/d");
	workdir_text(dir, "src/d/f", "text");
	workdir_folder(dir, "src/t");

	struct tree *t = tree_of_folder(workdir_path(dir, "src"), NULL);

	written.img = image_of_tree(t, workdir_path(dir, "img"));
	tree_free(t);
	workdir_folder(dir, "up");
	workdir_folder(dir, "up/e");
	workdir_folder(dir, "tmp");
	workdir_text(dir, "tmp/new", "new");
	for (int i = 0; i < 2; i++) {
		struct image_node node;
		const char *path = i ? "/t" : "/";

		assert_int_equal(image_walk(written.img, path, &node), 0);
		written.src[i] = (struct changes_source){
			.dir_fd = written.dir->fd,
			.name = i ? "tmp" : "up",
			.form = i ? OVERLAY_NONE : OVERLAY_USER,
			.index_fd = -1,
			.img = written.img,
			.ino = node.ino,
			.path = path,
		};
	}
	return 0;
}

static int tear_down(void **state)
{
	void *dir = written.dir;

	image_free(written.img);
	return workdir_tear_down(&dir);
}

static void paths_of_one_mount_are_one_list(void **state)
{
	written.how = (struct diff_print){.ignore_mtime = true};
	assert_int_equal(setxattr(workdir_path(written.dir, "up/e"),
				 "user.overlay.redirect", "d", 1, 0),
		0);
	assert_int_equal(
		mknod(workdir_path(written.dir, "up/d"), S_IFCHR, 0), 0);
	prints(print_written, NULL, "> /e  renamed from /d\n+ /t/new\n");
	assert_int_equal(code, 1);
	written.how = (struct diff_print){.quiet = true};
	prints(print_written, NULL, "");
	assert_int_equal(code, 1);
}

static void nothing_written_ends_well(void **state)
{
	written.how = (struct diff_print){.ignore_mtime = true};
	workdir_remove(written.dir, "up");
	workdir_remove(written.dir, "tmp");
	prints(print_written, NULL, "");
	assert_int_equal(code, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rename_says_where_from),
		cmocka_unit_test(a_rename_says_what_else_changed),
		cmocka_unit_test(one_side_alone),
		cmocka_unit_test_setup_teardown(
			paths_of_one_mount_are_one_list, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			nothing_written_ends_well, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
