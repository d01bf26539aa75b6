/* SPDX-License-Identifier: Apache-2.0 */
/* Out of an image into a folder, and back again: nothing may differ. */
#include "fs/tree/extract.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fs/base/io.h"
#include "tests/lib/tree_same.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

static const struct extract_options all = {0};

static struct image *make_image(const struct workdir *s, const char *folder)
{
	_cleanup_(tree_free) struct tree *t =
		tree_of_folder(workdir_path(s, folder), NULL);

	return image_of_tree(t, workdir_path(s, "x.stele"));
}

static void must_extract(const struct workdir *s, const struct image *img,
	const char *to, const struct extract_options *opt)
{
	struct extract_result res;
	struct diag diag = {0};
	int r = extract(img, workdir_path(s, to), opt, &res, &diag);

	if (r < 0)
		fail_msg("%d: %s", r, diag.text);
	if (geteuid() == 0)
		assert_int_equal(res.owners + res.xattrs + res.devices, 0);
}

static void folders_are_same(
	const struct workdir *s, const char *a, const char *b, unsigned flags)
{
	_cleanup_(tree_free) struct tree *ta =
		tree_of_folder(workdir_path(s, a), NULL);
	_cleanup_(tree_free) struct tree *tb =
		tree_of_folder(workdir_path(s, b), NULL);

	trees_are_same(ta, tb, flags);
}

static void test_all_kinds(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	struct stat st;

	workdir_all_kinds(s, "a");
	img = make_image(s, "a");
	must_extract(s, img, "b", &all);
	folders_are_same(s, "a", "b", 0);
	/* Holes are holes. */
	assert_int_equal(fstatat(s->fd, "b/hole", &st, 0), 0);
	assert_int_equal(st.st_size, 30 << 20);
	assert_true(st.st_blocks < 100);
	assert_int_equal(fstatat(s->fd, "b/sparse", &st, 0), 0);
	assert_true(st.st_blocks < 100);
}

/* An inherited ACL is not in the image. */
static void test_default_acl(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	static const uint8_t acl[] = {2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255,
		255, 2, 0, 7, 0, 12, 0, 0, 0, 4, 0, 5, 0, 255, 255, 255, 255,
		16, 0, 7, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255,
		255};

	workdir_folder(s, "a");
	workdir_folder(s, "a/d");
	workdir_text(s, "a/d/f", "x");
	img = make_image(s, "a");
	workdir_folder(s, "b");
	assert_int_equal(
		setxattr(workdir_path(s, "b"), "system.posix_acl_default", acl,
			sizeof(acl), 0),
		0);
	must_extract(s, img, "b", &all);
	folders_are_same(s, "a", "b", 0);
}

static void test_some(void **state)
{
	const struct workdir *s = *state;
	static const char *const paths[] = {"/d/e", "//h/", "d/f"};
	const struct extract_options opt = {
		.paths = paths, .path_count = ARRAY_LEN(paths)};
	static const char *const wrong[] = {"/d/no"};
	const struct extract_options opt_wrong = {
		.paths = wrong, .path_count = 1};
	_cleanup_(image_free) struct image *img = NULL;
	struct extract_result res;
	struct diag diag = {0};

	workdir_folder(s, "a");
	workdir_folder(s, "a/d");
	workdir_folder(s, "a/d/e");
	workdir_text(s, "a/d/e/one", "1");
	workdir_text(s, "a/d/f", "2");
	workdir_text(s, "a/d/g", "3");
	workdir_text(s, "a/h", "4");
	workdir_text(s, "a/i", "5");
	img = make_image(s, "a");
	must_extract(s, img, "b", &opt);
	assert_int_equal(unlinkat(s->fd, "a/d/g", 0), 0);
	assert_int_equal(unlinkat(s->fd, "a/i", 0), 0);
	folders_are_same(s, "a", "b", DIFF_IGNORE_MTIME);
	assert_int_equal(
		extract(img, workdir_path(s, "c"), &opt_wrong, &res, &diag),
		-ESRCH);
	assert_non_null(strstr(diag.text, "/d/no"));
	assert_int_equal(faccessat(s->fd, "c", F_OK, 0), -1);
}

/* A second name of a file that is selected by one name only. */
static void test_some_links(void **state)
{
	const struct workdir *s = *state;
	static const char *const paths[] = {"/z"};
	const struct extract_options opt = {.paths = paths, .path_count = 1};
	_cleanup_(image_free) struct image *img = NULL;
	struct stat st;

	workdir_folder(s, "a");
	workdir_text(s, "a/first", "1");
	assert_int_equal(linkat(s->fd, "a/first", s->fd, "a/z", 0), 0);
	img = make_image(s, "a");
	must_extract(s, img, "b", &opt);
	assert_int_equal(fstatat(s->fd, "b/z", &st, 0), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, 1);
	assert_int_equal(faccessat(s->fd, "b/first", F_OK, 0), -1);
}

/* What is in the folder already is never followed, and never written to. */
static void test_overwrite(void **state)
{
	const struct workdir *s = *state;
	const struct extract_options over = {.overwrite = true};
	_cleanup_(image_free) struct image *img = NULL;
	struct extract_result res;
	struct diag diag = {0};
	struct stat st;

	workdir_folder(s, "a");
	workdir_folder(s, "a/d");
	workdir_text(s, "a/d/x", "new");
	workdir_text(s, "a/e", "new");
	workdir_text(s, "a/kept", "new");
	assert_int_equal(symlinkat("somewhere", s->fd, "a/l"), 0);
	img = make_image(s, "a");

	workdir_folder(s, "outside");
	workdir_text(s, "outside/x", "precious");
	workdir_folder(s, "b");
	workdir_folder(s, "b/more");
	assert_int_equal(symlinkat("../outside", s->fd, "b/d"), 0);
	assert_int_equal(symlinkat("../outside/x", s->fd, "b/e"), 0);
	assert_int_equal(linkat(s->fd, "outside/x", s->fd, "b/kept", 0), 0);
	assert_int_equal(extract(img, workdir_path(s, "b"), &all, &res, &diag),
		-ENOTEMPTY);
	assert_non_null(strstr(diag.text, "is not empty"));
	must_extract(s, img, "b", &over);
	assert_int_equal(fstatat(s->fd, "outside/x", &st, 0), 0);
	assert_int_equal(st.st_size, 8);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(unlinkat(s->fd, "b/more", AT_REMOVEDIR), 0);
	/* Once more over itself. */
	must_extract(s, img, "b", &over);
	folders_are_same(s, "a", "b", 0);
	/* A file cannot take a folder's place. */
	assert_int_equal(unlinkat(s->fd, "b/e", 0), 0);
	workdir_folder(s, "b/e");
	assert_int_equal(extract(img, workdir_path(s, "b"), &over, &res, &diag),
		-EISDIR);
}

static void test_deep(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(tree_free) struct tree *t = NULL, *back = NULL;
	_cleanup_(image_free) struct image *img = NULL;

	workdir_few_descriptors();
	assert_int_equal(tree_new(&t), 0);

	struct tree_node *n = tree_root(t);

	n->uid = getuid();
	n->gid = getgid();
	for (int i = 0; i < 1000; i++) {
		struct tree_node *d = tree_add_node(t, S_IFDIR | 0755);

		d->uid = getuid();
		d->gid = getgid();
		assert_int_equal(tree_add_entry(t, n, "folder", 6, d), 0);
		n = d;
	}
	assert_int_equal(tree_seal(t, NULL), 0);
	img = image_of_tree(t, workdir_path(s, "x.stele"));
	must_extract(s, img, "b", &all);
	back = tree_of_folder(workdir_path(s, "b"), NULL);
	trees_are_same(t, back, 0);
}

/* As nobody: what only root can do is left out, and counted. */
static int as_nobody(const struct workdir *s, const struct image *img)
{
	struct extract_result res;
	struct diag diag = {0};
	struct stat st;

	if (setgid(65534) < 0 || setuid(65534) < 0)
		return 1;
	if (extract(img, workdir_path(s, "home/b"), &all, &res, &diag) < 0)
		return 2;
	if (res.devices != 2 || res.xattrs != 2 || res.owners < 10)
		return 3;

	/* The set-id bits would now mean nobody. */
	if (stat(workdir_path(s, "home/b/folder/owned"), &st) < 0 ||
		st.st_uid != 65534 || (st.st_mode & 07777) != 0755)
		return 4;
	return 0;
}

static void test_nobody(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	int status;

	if (geteuid() != 0) {
		print_message("only root can become nobody\n");
		skip();
	}
	workdir_all_kinds(s, "a");
	img = make_image(s, "a");
	workdir_folder(s, "home");
	assert_int_equal(fchmodat(s->fd, "home", 0777, 0), 0);
	assert_int_equal(fchmod(s->fd, 0755), 0);

	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(as_nobody(s, img));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Damage in a content is found before the bytes are given out as good. */
static void test_damaged(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	struct extract_result res;
	struct diag diag = {0};

	workdir_folder(s, "a");
	workdir_text(s, "a/file", "some text that does not matter");
	image_free(make_image(s, "a"));

	_cleanup_close_ int fd = openat(s->fd, "x.stele", O_WRONLY | O_CLOEXEC);

	assert_int_equal(io_pwrite(fd, "!", 1, LAYOUT_SUPER_SIZE), 0);
	assert_int_equal(
		image_open_path(workdir_path(s, "x.stele"), &img, &diag), 0);
	assert_int_equal(extract(img, workdir_path(s, "b"), &all, &res, &diag),
		-EBADMSG);
	assert_non_null(strstr(diag.text, "damaged in /file"));
}

static void test_bad_folder(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(image_free) struct image *img = NULL;
	struct extract_result res;
	struct diag diag = {0};

	workdir_folder(s, "a");
	img = make_image(s, "a");
	assert_int_equal(
		extract(img, workdir_path(s, "no/b"), &all, &res, &diag),
		-ENOENT);
	assert_int_equal(
		extract(img, workdir_path(s, "x.stele"), &all, &res, &diag),
		-ENOTDIR);
	assert_non_null(strstr(diag.text, "x.stele"));
}

/* ---- the same tree by other ways ---- */

static const struct way {
	const char *name;
	const char *args[6];
	unsigned flags;
	bool attributes; /* are extended attributes in it */
} ways[] = {
	{"pax", {"--format=posix", "--sparse"}, 0, true},
	{"pax 0.0", {"--format=posix", "--sparse", "--sparse-version=0.0"}, 0,
		true},
	{"pax 0.1", {"--format=posix", "--sparse", "--sparse-version=0.1"}, 0,
		true},
	{"pax gzip", {"--format=posix", "--gzip"}, 0, true},
	/* No fractions of a second in these. */
	{"gnu", {"--format=gnu", "--sparse"}, DIFF_IGNORE_MTIME, false},
	{"oldgnu", {"--format=oldgnu", "--sparse"}, DIFF_IGNORE_MTIME, false},
};

static void remove_attributes(const struct workdir *s)
{
	static const char *const names[][2] = {
		{"same", "user.a=b%c"},
		{"same", "user.empty"},
		{"same", "system.posix_acl_access"},
		{"tmp", "system.posix_acl_default"},
		{"first", "trusted.t"},
		{"first", "security.capability"},
	};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char path[256];

		(void)snprintf(
			path, sizeof(path), "%s/a/%s", s->path, names[i][0]);
		(void)removexattr(path, names[i][1]); /* not there: fine */
	}
}

static void test_gnu_tar(void **state)
{
	const struct workdir *s = *state;

	workdir_all_kinds(s, "a");
	for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
		const struct way *w = &ways[i];
		const char *argv[16] = {"tar", "-C", workdir_path(s, "a"),
			"-cf", workdir_path(s, "x.tar"), "--numeric-owner"};
		_cleanup_(tree_free) struct tree *folder = NULL, *tar = NULL;
		size_t n = 6;

		if (w->attributes) {
			argv[n++] = "--xattrs";
			argv[n++] = "--xattrs-include=*";
			argv[n++] = "--acls";
		} else {
			remove_attributes(s);
		}
		for (size_t k = 0; w->args[k]; k++)
			argv[n++] = w->args[k];
		argv[n++] = ".";
		workdir_run(argv);
		folder = tree_of_folder(workdir_path(s, "a"), NULL);
		tar = tree_of_tar(workdir_path(s, "x.tar"), NULL);
		print_message("%s\n", w->name);
		trees_are_same(folder, tar, w->flags);
	}
}

/* Folder, image and archive give the same image, byte by byte. */
static void test_same_image(void **state)
{
	const struct workdir *s = *state;
	const char *const argv[] = {"tar", "-C", workdir_path(s, "a"), "-cf",
		workdir_path(s, "x.tar"), "--numeric-owner", "--format=posix",
		"--xattrs", "--xattrs-include=*", "--acls", ".", NULL};
	_cleanup_(tree_free) struct tree *tar = NULL;
	_cleanup_(image_free) struct image *one = NULL, *two = NULL;
	_cleanup_(image_free) struct image *three = NULL;
	struct image_summary a, b, c;

	workdir_all_kinds(s, "a");
	workdir_run(argv);
	tar = tree_of_tar(workdir_path(s, "x.tar"), NULL);
	one = make_image(s, "a");
	two = image_of_tree(tar, workdir_path(s, "y.stele"));
	must_extract(s, one, "b", &all);
	three = make_image(s, "b");
	image_summary(one, &a);
	image_summary(two, &b);
	image_summary(three, &c);
	assert_memory_equal(&a.image_id, &b.image_id, DIGEST_LEN);
	assert_memory_equal(&a.image_id, &c.image_id, DIGEST_LEN);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, workdir_set_up, workdir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_kinds),
		TEST(test_default_acl),
		TEST(test_some),
		TEST(test_some_links),
		TEST(test_overwrite),
		TEST(test_deep),
		TEST(test_nobody),
		TEST(test_damaged),
		TEST(test_bad_folder),
		TEST(test_gnu_tar),
		TEST(test_same_image),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
