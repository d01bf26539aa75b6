/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Upper folders made by hand, also as no kernel would leave them, and what is
 * told of them. (tests/system/test_changes.py has what the kernel does leave.)
 * All with user.overlay.*, so that no right is needed.
 */
#include "fs/tree/changes.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "fs/base/buf.h"
#include "tests/lib/tree_same.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

struct scene {
	struct workdir *dir;
	struct image *img;
	struct changes_source src;
};

static void mark(const struct scene *s, const char *name, const char *what,
	const char *value)
{
	char attr[64];

	(void)snprintf(attr, sizeof(attr), "user.overlay.%s", what);
	assert_int_equal(lsetxattr(workdir_path(s->dir, name), attr, value,
				 strlen(value), 0),
		0);
}

static void whiteout(const struct scene *s, const char *name)
{
	assert_int_equal(
		mknod(workdir_path(s->dir, name), S_IFCHR | 0600, 0), 0);
}

/* The image: /d/{e/deep,f}, /file, /g, /h1 = /h2, and an empty upper. */
static int set_up(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	void *dir = NULL;
	struct image_node root;

	assert_non_null(s);
	if (workdir_set_up(&dir) < 0)
		return -1;
	s->dir = dir;
	workdir_folder(s->dir, "src");
	workdir_folder(s->dir, "src/d");
	workdir_folder(s->dir, "src/d/e");
	workdir_text(s->dir, "src/d/e/deep", "deep");
	workdir_text(s->dir, "src/d/f", "four");
	workdir_text(s->dir, "src/file", "text");
	workdir_folder(s->dir, "src/g");
	workdir_text(s->dir, "src/h1", "linked");
	assert_int_equal(
		linkat(s->dir->fd, "src/h1", s->dir->fd, "src/h2", 0), 0);

	struct tree *t = tree_of_folder(workdir_path(s->dir, "src"), NULL);

	s->img = image_of_tree(t, workdir_path(s->dir, "img"));
	tree_free(t);
	workdir_folder(s->dir, "up");
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

static int on_found(void *arg, const struct diff *d)
{
	static const char marks[] = "+-~>";
	struct buf *b = arg;
	int r = buf_printf(b, "%c%s", marks[d->kind], d->path);

	assert_int_equal(d->path_len, strlen(d->path));
	assert_true((d->kind == DIFF_ADDED) == !d->a);
	assert_true((d->kind == DIFF_REMOVED) == !d->b);
	assert_true((d->kind == DIFF_RENAMED) == !!d->from);
	if (r == 0 && d->from)
		r = buf_printf(b, "<%s", d->from);
	if (r == 0 && d->what)
		r = buf_printf(b, ":%x", d->what);
	return r < 0 ? r : buf_add(b, " ", 1);
}

static void told_is(const struct scene *s, const char *want)
{
	_cleanup_buf_ struct buf told = {.max = 1 << 24};
	const struct diff_hooks hooks = {.found = on_found, .arg = &told};
	struct diag diag = {0};
	int r = tree_changes(&s->src, DIFF_IGNORE_MTIME, &hooks, &diag);

	assert_string_equal(diag.text, "");
	assert_int_equal(r, 0);
	assert_int_equal(buf_add(&told, "", 1), 0);
	assert_string_equal(told.data, want);
}

static void refused(const struct scene *s, int want, const char *names)
{
	_cleanup_buf_ struct buf told = {.max = 1 << 24};
	const struct diff_hooks hooks = {.found = on_found, .arg = &told};
	struct diag diag = {0};

	assert_int_equal(
		tree_changes(&s->src, DIFF_IGNORE_MTIME, &hooks, &diag), want);
	assert_non_null(strstr(diag.text, names));
}

static void nothing_written_is_nothing_told(void **state)
{
	told_is(*state, "");
}

static void whiteouts_of_both_forms(void **state)
{
	struct scene *s = *state;

	whiteout(s, "up/d");
	workdir_text(s->dir, "up/file", "");
	mark(s, "up/file", "whiteout", "");
	whiteout(s, "up/never-there");
	told_is(s, "-/d -/d/e -/d/e/deep -/d/f -/file ");
}

static void in_a_plain_folder_nothing_is_a_mark(void **state)
{
	struct scene *s = *state;

	s->src.form = OVERLAY_NONE;
	workdir_folder(s->dir, "up/d");
	mark(s, "up/d", "redirect", "g");
	whiteout(s, "up/file");
	told_is(s, "~/d:40 -/d/e -/d/e/deep -/d/f ~/file:1 -/g -/h1 -/h2 ");
}

static void opaque_hides_what_was_there(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	workdir_text(s->dir, "up/d/f", "FOUR");
	told_is(s, "~/d/f:10 ");
	mark(s, "up/d", "opaque", "x"); /* may hold whiteouts, hides nothing */
	told_is(s, "~/d/f:10 ");
	mark(s, "up/d", "opaque", "y");
	told_is(s, "-/d/e -/d/e/deep ~/d/f:10 ");
}

/* The kernel marks only the topmost of new folders. */
static void below_what_is_opaque_nothing_shows(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	mark(s, "up/d", "opaque", "y");
	workdir_folder(s->dir, "up/d/e");
	told_is(s, "-/d/e/deep -/d/f ");
	mark(s, "up/d/e", "redirect", "e"); /* there is none below */
	told_is(s, "-/d/e/deep -/d/f ");
	mark(s, "up/d/e", "redirect", "/d/e"); /* it came back */
	told_is(s, "-/d/f ");
	mark(s, "up/d/e", "redirect", "/g");
	told_is(s, "-/d/e -/d/e/deep >/d/e</g -/d/f ");
}

/* What went away is not what a new folder of its name is compared with. */
static void a_new_tree_where_a_folder_was_moved_from(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	mark(s, "up/d", "opaque", "y");
	workdir_folder(s->dir, "up/d/e");
	workdir_folder(s->dir, "up/new");
	mark(s, "up/new", "redirect", "/d/e");
	told_is(s, "+/d/e -/d/f >/new</d/e ");
}

static void attributes_alone(void **state)
{
	struct scene *s = *state;

	workdir_text(s->dir, "up/file", "text");
	told_is(s, "");
	assert_int_equal(chmod(workdir_path(s->dir, "up/file"), 0600), 0);
	told_is(s, "~/file:2 ");
	mark(s, "up/file", "origin", "whatever");
	mark(s, "up/file", "nlink", "U+0");
	told_is(s, "~/file:2 ");
	mark(s, "up/file", "overlay.origin", "by a user of the mount");
	told_is(s, "~/file:42 ");
}

static void renamed_folders(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/a");
	mark(s, "up/a", "redirect", "d");
	whiteout(s, "up/a/e");
	whiteout(s, "up/d");
	workdir_folder(s->dir, "up/new");
	mark(s, "up/new", "opaque", "y");
	workdir_folder(s->dir, "up/new/e");
	mark(s, "up/new/e", "redirect", "/d/e");
	workdir_text(s->dir, "up/new/e/deep", "DEEP!");
	told_is(s, ">/a</d +/new >/new/e</d/e ~/new/e/deep:18 ");
}

static void a_renamed_folder_in_the_place_of_another(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	mark(s, "up/d", "redirect", "g");
	workdir_text(s->dir, "up/d/f", "new");
	whiteout(s, "up/g");
	told_is(s, "-/d -/d/e -/d/e/deep -/d/f >/d</g +/d/f ");
}

static void two_folders_that_changed_places(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	mark(s, "up/d", "redirect", "g");
	workdir_folder(s->dir, "up/g");
	mark(s, "up/g", "redirect", "d");
	told_is(s, ">/d</g >/g</d ");
}

static void redirects_that_lead_nowhere(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/n");
	mark(s, "up/n", "redirect", "/none/at/all");
	told_is(s, "+/n ");
	mark(s, "up/n", "redirect", "file"); /* is no folder */
	told_is(s, "+/n ");
	mark(s, "up/n", "redirect", "..");
	told_is(s, "+/n ");
	mark(s, "up/n", "redirect", "/d/../g");
	told_is(s, "+/n ");
}

static void a_redirect_into_itself_ends(void **state)
{
	struct scene *s = *state;

	workdir_folder(s->dir, "up/d");
	workdir_folder(s->dir, "up/d/e");
	mark(s, "up/d/e", "redirect", "/d");
	workdir_folder(s->dir, "up/d/e/e");
	mark(s, "up/d/e/e", "redirect", "/d");
	told_is(s, "-/d/e -/d/e/deep >/d/e</d "
		   "-/d/e/e -/d/e/e/deep >/d/e/e</d ");
}

static void broken_marks_are_refused(void **state)
{
	static const char *const bad[] = {
		"", "a/b", "/", "//d", "/d/", "/d//e"};
	struct scene *s = *state;

	workdir_folder(s->dir, "up/n");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		mark(s, "up/n", "redirect", bad[i]);
		refused(s, -EBADMSG, "/n");
	}
	assert_int_equal(lsetxattr(workdir_path(s->dir, "up/n"),
				 "user.overlay.redirect", "d\0e", 3, 0),
		0);
	refused(s, -EBADMSG, "/n");
	workdir_remove(s->dir, "up");
	workdir_text(s->dir, "up/file", "text");
	mark(s, "up/file", "metacopy", "");
	refused(s, -EBADMSG, "/file");
}

static void nothing_is_followed_and_nothing_waits(void **state)
{
	struct scene *s = *state;

	assert_int_equal(symlinkat("/etc", s->dir->fd, "up/d"), 0);
	assert_int_equal(mkfifoat(s->dir->fd, "up/file", 0600), 0);
	assert_int_equal(mkfifoat(s->dir->fd, "up/pipe", 0600), 0);
	told_is(s, "~/d:1 -/d/e -/d/e/deep -/d/f ~/file:1 +/pipe ");
}

/* Names that no path can name at once, and few descriptors. */
static void as_deep_as_one_likes(void **state)
{
	enum { DEPTH = 3000 };
	struct scene *s = *state;
	_cleanup_buf_ struct buf want = {.max = 1 << 26};
	_cleanup_buf_ struct buf path = {.max = 1 << 24};
	int fd = openat(s->dir->fd, "up", O_PATH);

	for (int i = 0; i < DEPTH; i++) {
		assert_int_equal(mkdirat(fd, "down", 0755), 0);

		int next = openat(fd, "down", O_PATH);

		assert_true(next >= 0);
		close(fd);
		fd = next;
		assert_int_equal(buf_add(&path, "/down", 5), 0);
		assert_int_equal(buf_add(&want, "+", 1), 0);
		assert_int_equal(buf_add(&want, path.data, path.len), 0);
		assert_int_equal(buf_add(&want, " ", 1), 0);
	}
	close(fd);
	assert_int_equal(buf_add(&want, "", 1), 0);

	_cleanup_buf_ struct buf told = {.max = 1 << 26};
	const struct diff_hooks hooks = {.found = on_found, .arg = &told};

	workdir_few_descriptors();
	assert_int_equal(
		tree_changes(&s->src, DIFF_IGNORE_MTIME, &hooks, NULL), 0);
	assert_int_equal(told.len, want.len - 1);
	assert_memory_equal(told.data, want.data, told.len);
}

static void names_of_one_file(void **state)
{
	struct scene *s = *state;
	int fd = s->dir->fd;

	workdir_text(s->dir, "up/h1", "linked");
	told_is(s, "~/h1:200 "); /* as with index=off: h2 is not its name now */
	assert_int_equal(linkat(fd, "up/h1", fd, "up/h2", 0), 0);
	told_is(s, "");
	assert_int_equal(linkat(fd, "up/h1", fd, "up/h3", 0), 0);
	told_is(s, "~/h1:200 ~/h2:200 +/h3 ");
}

static void a_name_is_told_that_only_the_index_has(void **state)
{
	struct scene *s = *state;
	struct image_node node;
	char name[128];

	assert_int_equal(image_walk(s->img, "/h1", &node), 0);
	(void)snprintf(name, sizeof(name),
		"index/00fb210081%032d00000000%02x00000000000000", 0, node.ino);
	workdir_folder(s->dir, "index");
	workdir_text(s->dir, name, "LINKED");
	workdir_text(s->dir, "index/#12", "in the making");
	whiteout(s, "up/h1");

	_cleanup_close_ int fd =
		openat(s->dir->fd, "index", O_RDONLY | O_DIRECTORY);

	s->src.index_fd = fd;
	told_is(s, "-/h1 ~/h2:210 ");
}

static void names_in_an_index(void **state)
{
#define HEAD "00fb21008100000000000000000000000000000000"
	static const struct {
		const char *name;
		uint32_t ino; /* 0: none */
	} cases[] = {
		{HEAD "000000002a00000000000000", 0x2a},
		{HEAD "00000000ffffffff00000000", 0xffffffff},
		{HEAD "010000002a00000000000000", 0},
		{HEAD "000000000000000000000000", 0},
		{HEAD "000000002A00000000000000", 0},
		{HEAD "000000002a000000000000", 0},
		{HEAD "000000002a0000000000000000", 0},
		{"00fb21000100000000000000000000000000000000"
		 "000000002a00000000000000",
			0},
		{"#12", 0},
		{"", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		uint32_t ino = 0;
		int r = overlay_index_ino(cases[i].name, &ino);

		assert_int_equal(r, cases[i].ino ? 0 : -EINVAL);
		assert_int_equal(ino, cases[i].ino);
	}
}

static void one_file(void **state)
{
	struct scene *s = *state;
	struct image_node node;

	assert_int_equal(image_walk(s->img, "/file", &node), 0);
	workdir_text(s->dir, "one", "TEXT");
	s->src.name = "one";
	s->src.form = OVERLAY_NONE;
	s->src.ino = node.ino;
	s->src.path = "/file";
	told_is(s, "~/file:10 ");
}

static void where_nothing_was_all_is_added(void **state)
{
	struct scene *s = *state;

	s->src.ino = 0;
	s->src.path = "/var/x";
	workdir_folder(s->dir, "up/d");
	workdir_text(s->dir, "up/d/f", "four");
	told_is(s, "+/var/x +/var/x/d +/var/x/d/f ");
}

static int stop(void *arg, const struct diff *d)
{
	return ++*(int *)arg == 2 ? -ECANCELED : 0;
}

static void the_hook_can_end_it(void **state)
{
	struct scene *s = *state;
	int told = 0;
	const struct diff_hooks hooks = {.found = stop, .arg = &told};

	whiteout(s, "up/d");
	assert_int_equal(tree_changes(&s->src, DIFF_IGNORE_MTIME, &hooks, NULL),
		-ECANCELED);
	assert_int_equal(told, 2);
	assert_int_equal(tree_changes(&s->src, 1 << 7, &hooks, NULL), -EINVAL);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_written_is_nothing_told),
		TEST(whiteouts_of_both_forms),
		TEST(in_a_plain_folder_nothing_is_a_mark),
		TEST(opaque_hides_what_was_there),
		TEST(below_what_is_opaque_nothing_shows),
		TEST(a_new_tree_where_a_folder_was_moved_from),
		TEST(attributes_alone), TEST(renamed_folders),
		TEST(a_renamed_folder_in_the_place_of_another),
		TEST(two_folders_that_changed_places),
		TEST(redirects_that_lead_nowhere),
		TEST(a_redirect_into_itself_ends),
		TEST(broken_marks_are_refused),
		TEST(nothing_is_followed_and_nothing_waits),
		TEST(names_of_one_file),
		TEST(a_name_is_told_that_only_the_index_has),
		cmocka_unit_test(names_in_an_index), TEST(one_file),
		TEST(where_nothing_was_all_is_added), TEST(the_hook_can_end_it),
		TEST(as_deep_as_one_likes), /* it takes descriptors away */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
