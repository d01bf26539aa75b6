/* SPDX-License-Identifier: Apache-2.0 */
/* Two trees, one change, and what is told of it. */
#include "fs/tree/diff.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/buf.h"
#include "tests/lib/tree_same.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

/* ---- trees by hand: attributes ---- */

struct change {
	const char *name;
	void (*apply)(struct tree *t);
	unsigned flags;
	const char *told; /* "+ /path", "- /path" or "~ /path BITS" each */
};

static struct tree_node *add(
	struct tree *t, struct tree_node *dir, const char *name, uint32_t mode)
{
	struct tree_node *n = tree_add_node(t, mode);

	assert_non_null(n);
	assert_int_equal(tree_add_entry(t, dir, name, strlen(name), n), 0);
	return n;
}

static void set_content(struct tree_node *n, const char *text)
{
	n->size = strlen(text);
	n->has_digest = true;
	assert_int_equal(digest_of(text, n->size, &n->digest), 0);
}

/* /d/{f,x}, /h1 = /h2, /h3 = /h4, /link, /dev */
static struct tree *make_base(void)
{
	struct tree *t = NULL;

	assert_int_equal(tree_new(&t), 0);

	struct tree_node *root = tree_root(t);
	struct tree_node *d = add(t, root, "d", S_IFDIR | 0755);
	struct tree_node *f = add(t, d, "f", S_IFREG | 0644);
	struct tree_node *h = add(t, root, "h1", S_IFREG | 0644);
	struct tree_node *l = add(t, root, "link", S_IFLNK | 0777);
	struct tree_node *dev = add(t, root, "dev", S_IFCHR | 0644);

	add(t, d, "x", S_IFIFO | 0644);
	set_content(f, "text");
	set_content(h, "");
	assert_int_equal(tree_add_entry(t, root, "h2", 2, h), 0);
	h = add(t, root, "h3", S_IFREG | 0644);
	set_content(h, "");
	assert_int_equal(tree_add_entry(t, root, "h4", 2, h), 0);
	assert_int_equal(tree_set_target(t, l, "to", 2), 0);
	assert_int_equal(tree_set_xattr(t, f, "user.a", 6, "1", 1), 0);
	dev->major = 5;
	return t;
}

static struct tree_node *node(struct tree *t, const char *path)
{
	return tree_at(t, path);
}

static void nothing(struct tree *t)
{
}

static void mode(struct tree *t)
{
	node(t, "d/f")->mode |= S_ISUID;
}

static void owner(struct tree *t)
{
	node(t, "d")->gid = 1;
}

static void nanosecond(struct tree *t)
{
	node(t, "d/x")->mtime_nsec = 1;
}

static void root_mode(struct tree *t)
{
	tree_root(t)->mode = S_IFDIR | 0700;
}

static void content(struct tree *t)
{
	set_content(node(t, "d/f"), "TEXT");
}

static void size(struct tree *t)
{
	set_content(node(t, "d/f"), "text and more");
}

static void xattr_value(struct tree *t)
{
	assert_int_equal(
		tree_set_xattr(t, node(t, "d/f"), "user.a", 6, "2", 1), 0);
}

static void xattr_name(struct tree *t)
{
	assert_int_equal(
		tree_set_xattr(t, node(t, "d/f"), "user.b", 6, "1", 1), 0);
}

static void target(struct tree *t)
{
	assert_int_equal(tree_set_target(t, node(t, "link"), "ti", 2), 0);
}

static void device(struct tree *t)
{
	node(t, "dev")->minor = 1;
}

static void type(struct tree *t)
{
	struct tree_node *d = tree_add_node(t, S_IFDIR | 0644);

	tree_find(t, node(t, "d"), "x", 1)->node = d;
	add(t, d, "below", S_IFIFO);
}

static void added(struct tree *t)
{
	add(t, add(t, tree_root(t), "a", S_IFDIR), "b", S_IFIFO);
}

static void removed(struct tree *t)
{
	assert_int_equal(tree_remove_entry(t, tree_root(t), "d", 1), 0);
}

static void unlinked(struct tree *t)
{
	struct tree_node *n = tree_add_node(t, S_IFREG | 0644);

	set_content(n, "");
	tree_find(t, tree_root(t), "h2", 2)->node = n;
}

/* The same numbers of names, in other sets. */
static void relinked(struct tree *t)
{
	struct tree_node *h1 = node(t, "h1"), *h3 = node(t, "h3");

	tree_find(t, tree_root(t), "h2", 2)->node = h3;
	tree_find(t, tree_root(t), "h3", 2)->node = h1;
}

static const struct change changes[] = {
	{"nothing", nothing, 0, ""},
	{"mode", mode, 0, "~ /d/f 2\n"},
	{"owner", owner, 0, "~ /d 4\n"},
	{"owner", owner, DIFF_IGNORE_OWNER, ""},
	{"mtime", nanosecond, 0, "~ /d/x 20\n"},
	{"mtime", nanosecond, DIFF_IGNORE_MTIME, ""},
	{"root", root_mode, 0, "~ / 2\n"},
	{"content", content, 0, "~ /d/f 10\n"},
	{"size", size, 0, "~ /d/f 18\n"},
	{"xattr value", xattr_value, 0, "~ /d/f 40\n"},
	{"xattr name", xattr_name, 0, "~ /d/f 40\n"},
	{"target", target, 0, "~ /link 80\n"},
	{"device", device, 0, "~ /dev 100\n"},
	{"type", type, 0, "~ /d/x 1\n+ /d/x/below\n"},
	{"added", added, 0, "+ /a\n+ /a/b\n"},
	{"removed", removed, 0, "- /d\n- /d/f\n- /d/x\n"},
	{"unlinked", unlinked, 0, "~ /h1 200\n~ /h2 200\n"},
	{"relinked", relinked, 0, "~ /h2 200\n~ /h3 200\n"},
};

static int on_found(void *arg, const struct diff *d)
{
	struct buf *b = arg;
	int r;

	assert_int_equal(d->path_len, strlen(d->path));
	assert_true((d->kind == DIFF_ADDED) == !d->a);
	assert_true((d->kind == DIFF_REMOVED) == !d->b);
	if (d->kind == DIFF_CHANGED)
		r = buf_printf(b, "~ %s %x\n", d->path, d->what);
	else
		r = buf_printf(b, "%c %s\n", d->kind == DIFF_ADDED ? '+' : '-',
			d->path);
	assert_int_equal(r, 0);
	return 0;
}

/* Compare, both ways, and give what is told in the first. */
static void told_is(struct tree *a, struct tree *b, unsigned flags,
	const char *name, const char *want)
{
	_cleanup_buf_ struct buf there = {.max = 1 << 20};
	_cleanup_buf_ struct buf back = {.max = 1 << 20};
	struct diff_hooks hooks = {.found = on_found, .arg = &there};
	struct diag diag = {0};

	assert_int_equal(tree_diff(a, b, flags, &hooks, &diag), 0);
	assert_int_equal(buf_add(&there, "", 1), 0);
	if (strcmp(there.data, want) != 0)
		fail_msg("%s: want\n%sgot\n%s", name, want, there.data);
	hooks.arg = &back;
	assert_int_equal(tree_diff(b, a, flags, &hooks, &diag), 0);
	assert_int_equal(buf_add(&back, "", 1), 0);
	assert_int_equal(!*there.data, !*back.data);
}

static void test_changes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
		_cleanup_(tree_free) struct tree *a = make_base();
		_cleanup_(tree_free) struct tree *b = make_base();

		changes[i].apply(b);
		assert_int_equal(tree_seal(a, NULL), 0);
		assert_int_equal(tree_seal(b, NULL), 0);
		told_is(a, b, changes[i].flags, changes[i].name,
			changes[i].told);
	}
}

static int on_found_stop(void *arg, const struct diff *d)
{
	int *calls = arg;

	(*calls)++;
	return -ECANCELED;
}

static void test_stop(void **state)
{
	_cleanup_(tree_free) struct tree *a = make_base();
	_cleanup_(tree_free) struct tree *b = make_base();
	int calls = 0;
	const struct diff_hooks hooks = {.found = on_found_stop, .arg = &calls};

	removed(b);
	assert_int_equal(tree_seal(a, NULL), 0);
	assert_int_equal(tree_seal(b, NULL), 0);
	assert_int_equal(tree_diff(a, b, 0, &hooks, NULL), -ECANCELED);
	assert_int_equal(calls, 1);
	assert_int_equal(tree_diff(a, b, 4, &hooks, NULL), -EINVAL);
}

static void test_deep(void **state)
{
	_cleanup_(tree_free) struct tree *a = NULL, *b = NULL;
	struct tree **both[] = {&a, &b};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(tree_new(both[i]), 0);

		struct tree_node *n = tree_root(*both[i]);

		for (int k = 0; k < 100000; k++)
			n = add(*both[i], n, "d", S_IFDIR | 0755);
		assert_int_equal(tree_seal(*both[i], NULL), 0);
	}
	told_is(a, b, 0, "deep", "");
}

/* ---- folders: contents are read ---- */

static void test_folders(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(tree_free) struct tree *a = NULL, *b = NULL, *c = NULL;
	_cleanup_free_ char *large = calloc(1, 1 << 20);

	memset(large, 'x', 1 << 20);
	workdir_all_kinds(s, "a");
	workdir_file(s, "a/large", large, 1 << 20);
	workdir_run((const char *const[]){
		"cp", "-a", workdir_path(s, "a"), workdir_path(s, "b"), NULL});
	a = tree_of_folder(workdir_path(s, "a"), NULL);
	b = tree_of_folder(workdir_path(s, "b"), NULL);
	told_is(a, b, 0, "copy", "");

	/* The last byte; then the same time again. */
	struct stat st;

	large[(1 << 20) - 1] = 'y';
	assert_int_equal(fstatat(s->fd, "b/large", &st, 0), 0);
	workdir_file(s, "b/large", large, 1 << 20);

	const struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, st.st_mtim};

	assert_int_equal(utimensat(s->fd, "b/large", times, 0), 0);
	c = tree_of_folder(workdir_path(s, "b"), NULL);
	told_is(a, c, 0, "last byte", "~ /large 10\n");

	/* The tree b is of a folder that is not any more. */
	const struct diff_hooks hooks = {.found = on_found};
	struct diag diag = {0};

	assert_int_equal(tree_diff(a, b, 0, &hooks, &diag), -ESTALE);
	assert_non_null(strstr(diag.text, "/large"));
}

/* Digests of an image on one side, files on the other. */
static void test_image(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(tree_free) struct tree *a = NULL, *b = NULL, *c = NULL;
	_cleanup_(image_free) struct image *img = NULL;

	workdir_all_kinds(s, "a");
	a = tree_of_folder(workdir_path(s, "a"), NULL);
	img = image_of_tree(a, workdir_path(s, "x.stele"));
	assert_int_equal(tree_from_image(img, &b, NULL), 0);
	assert_int_equal(tree_seal(b, NULL), 0);
	told_is(a, b, 0, "image", "");
	workdir_text(s, "a/same", "HARD LINKS\n");
	c = tree_of_folder(workdir_path(s, "a"), NULL);
	told_is(b, c, DIFF_IGNORE_MTIME, "same size", "~ /same 10\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_deep),
		cmocka_unit_test_setup_teardown(
			test_folders, workdir_set_up, workdir_tear_down),
		cmocka_unit_test_setup_teardown(
			test_image, workdir_set_up, workdir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
