/* SPDX-License-Identifier: Apache-2.0 */
/* Folders become trees, whatever is in them; changes do not go unseen. */
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "fs/tree/build.h"
#include "tests/lib/tree_same.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

static bool is_root(void)
{
	return geteuid() == 0;
}

/* Try to scan; the line of the error in diag. */
static int scan(const char *path, struct diag *diag)
{
	const struct tree_options opt = {0};
	struct tree *t = NULL;
	int r = tree_scan(path, &opt, &t, diag);

	tree_free(t);
	return r;
}

static void test_all_kinds(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(tree_free) struct tree *t = NULL;

	workdir_all_kinds(s, "all");
	t = tree_of_folder(workdir_path(s, "all"), NULL);

	const struct tree_node *first = tree_at(t, "first");
	const struct tree_node *same = tree_at(t, "same");
	const struct tree_node *tmp = tree_at(t, "tmp");
	struct stat st;

	assert_int_equal(
		fstatat(s->fd, "all/first", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_ptr_equal(first, tree_at(t, "folder/second"));
	assert_ptr_not_equal(first, same);
	assert_int_equal(first->nlink, 2);
	assert_int_equal(first->size, 11);
	assert_int_equal(first->mtime, st.st_mtim.tv_sec);
	assert_int_equal(first->mtime_nsec, st.st_mtim.tv_nsec);
	assert_int_equal(first->content, TREE_CONTENT_PATH);
	assert_int_equal(tree_at(t, "empty")->content, TREE_CONTENT_NONE);
	assert_ptr_equal(tree_at(t, "link"), tree_at(t, "link2"));
	assert_string_equal(tree_at(t, "dangling")->target, "/nowhere/\xff");
	assert_non_null(tree_at(t, "n\xff\xc3\xa9\ne\xcc\x81"));
	assert_int_equal(tree_at(t, "fifo")->mode & S_IFMT, S_IFIFO);
	assert_int_equal(tree_at(t, "folder/closed")->mode, S_IFDIR | 0500);
	assert_int_equal(same->xattr_count, 3);
	assert_string_equal(same->xattrs[0].name, "system.posix_acl_access");
	assert_string_equal(same->xattrs[1].name, "user.a=b%c");
	assert_memory_equal(same->xattrs[1].value, "x\ny", 3);
	assert_int_equal(same->xattrs[2].value_len, 0);
	assert_int_equal(tmp->mode, S_IFDIR | 01777);
	assert_string_equal(tmp->xattrs[0].name, "system.posix_acl_default");
	if (!is_root())
		return;
	assert_int_equal(tree_at(t, "char")->major, 5);
	assert_int_equal(tree_at(t, "char")->minor, 1);
	assert_int_equal(tree_at(t, "block")->minor, 70000);
	assert_int_equal(tree_at(t, "folder/owned")->uid, 4000000000);
	assert_int_equal(tree_at(t, "folder/owned")->mode, S_IFREG | 06755);
	assert_int_equal(tree_at(t, "folder")->mtime, -300000000);
	assert_int_equal(tree_at(t, "folder")->mtime_nsec, 123456789);
	assert_string_equal(first->xattrs[0].name, "security.capability");
	assert_string_equal(first->xattrs[1].name, "trusted.t");
}

static void test_socket(void **state)
{
	const struct workdir *s = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	_cleanup_(tree_free) struct tree *t = NULL;

	(void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/sock", s->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	t = tree_of_folder(s->path, NULL);
	assert_int_equal(tree_at(t, "sock")->mode & S_IFMT, S_IFSOCK);
}

/* Deeper than the descriptors that we leave ourselves, and PATH_MAX, would
 * allow; and its file opened. (Deeper still takes the file system long.) */
static void test_deep(void **state)
{
	const struct workdir *s = *state;
	_cleanup_close_ int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
	_cleanup_(tree_free) struct tree *t = NULL;
	struct tree_node *n;

	workdir_few_descriptors();
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(mkdirat(fd, "ten-bytes!", 0755), 0);

		int next = openat(fd, "ten-bytes!", O_PATH | O_CLOEXEC);

		assert_true(next >= 0);
		close_cleanup(&fd);
		fd = next;
	}

	int f = openat(fd, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	assert_int_equal(write(f, "deep", 4), 4);
	close_cleanup(&f);
	t = tree_of_folder(s->path, NULL);
	assert_int_equal(tree_node_count(t), 1002);
	n = tree_node(t, 1002);

	uint64_t off;

	assert_int_equal(tree_open(t, n, &f, &off, NULL), 0);
	assert_int_equal(tree_recheck(t, n, f, NULL), 0);
	close_cleanup(&f);
}

/* 100,000 names, of 20 files: making so many files would take longer. */
static void test_many(void **state)
{
	const struct workdir *s = *state;
	_cleanup_(tree_free) struct tree *t = NULL;
	char name[32], first[32];

	for (int i = 0; i < 100000; i++) {
		(void)snprintf(name, sizeof(name), "%d", i);
		(void)snprintf(first, sizeof(first), "%d", i % 20);
		if (i < 20)
			workdir_text(s, name, "");
		else
			assert_int_equal(
				linkat(s->fd, first, s->fd, name, 0), 0);
	}
	t = tree_of_folder(s->path, NULL);
	assert_int_equal(tree_entry_count(t), 100000);
	assert_int_equal(tree_node_count(t), 21);
	for (uint32_t i = 1; i < 100000; i++)
		assert_true(strcmp(tree_root(t)->entries[i - 1].name,
				    tree_root(t)->entries[i].name) < 0);
}

static void test_exclude(void **state)
{
	const struct workdir *s = *state;
	static const struct {
		const char *pattern;
		const char *left; /* what is there, in order */
	} cases[] = {
		{"x", " .h a a/b a/b.o a/b/c a/b/c/b.o"},
		{"b.o", " .h a a/b a/b/c"},
		{"*.o", " .h a a/b a/b/c"},
		{"/*.o", " .h a a/b a/b.o a/b/c a/b/c/b.o"},
		{"/a", " .h"},
		{"/b", " .h a a/b a/b.o a/b/c a/b/c/b.o"},
		{"a/", " .h"},
		{"b", " .h a a/b.o"},
		{"b/c", " .h a a/b a/b.o"},
		{"/a/b", " .h a a/b.o"},
		{"/a/*", " .h a"},
		{"/b/c", " .h a a/b a/b.o a/b/c a/b/c/b.o"},
		{"a*c", " .h a a/b a/b.o a/b/c a/b/c/b.o"},
		{"?h", " a a/b a/b.o a/b/c a/b/c/b.o"},
		{"[!a]*", " a"},
		{"*", ""},
	};

	workdir_folder(s, "a");
	workdir_folder(s, "a/b");
	workdir_folder(s, "a/b/c");
	workdir_text(s, "a/b.o", "");
	workdir_text(s, "a/b/c/b.o", "");
	workdir_text(s, ".h", "");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct tree_options opt = {
			.exclude = &cases[i].pattern, .exclude_count = 1};
		_cleanup_(tree_free) struct tree *t =
			tree_of_folder(s->path, &opt);
		const char *all[] = {
			".h", "a", "a/b", "a/b.o", "a/b/c", "a/b/c/b.o"};
		char got[256] = "";

		for (size_t k = 0; k < ARRAY_LEN(all); k++) {
			size_t len = strlen(got);

			if (tree_at(t, all[k]))
				(void)snprintf(got + len, sizeof(got) - len,
					" %s", all[k]);
		}
		if (strcmp(got, cases[i].left) != 0)
			fail_msg("%s: want \"%s\", got \"%s\"",
				cases[i].pattern, cases[i].left, got);
	}

	const char *nothing = "//";
	const struct tree_options opt = {
		.exclude = &nothing, .exclude_count = 1};
	struct tree *t = NULL;
	struct diag diag = {0};

	assert_int_equal(tree_scan(s->path, &opt, &t, &diag), -EINVAL);
}

static void test_options(void **state)
{
	const struct workdir *s = *state;
	const struct tree_options opt = {
		.set_uid = true,
		.uid = 5,
		.set_gid = true,
		.gid = 6,
		.clamp_mtime = true,
		.mtime = 1000,
	};
	const struct timespec times[] = {
		{.tv_nsec = UTIME_OMIT}, {.tv_sec = 999, .tv_nsec = 5}};
	_cleanup_(tree_free) struct tree *t = NULL;

	workdir_text(s, "old", "x");
	assert_int_equal(utimensat(s->fd, "old", times, 0), 0);
	t = tree_of_folder(s->path, &opt);
	assert_int_equal(tree_root(t)->uid, 5);
	assert_int_equal(tree_root(t)->mtime, 1000);
	assert_int_equal(tree_root(t)->mtime_nsec, 0);
	assert_int_equal(tree_at(t, "old")->gid, 6);
	assert_int_equal(tree_at(t, "old")->mtime, 999);
	assert_int_equal(tree_at(t, "old")->mtime_nsec, 5);

	/* A clamped time does not hide that the file is the same. */
	const struct timespec later[] = {
		{.tv_nsec = UTIME_OMIT}, {.tv_sec = 2000}};
	_cleanup_(tree_free) struct tree *again = NULL;
	uint64_t off;
	int fd;

	assert_int_equal(utimensat(s->fd, "old", later, 0), 0);
	again = tree_of_folder(s->path, &opt);
	assert_int_equal(
		tree_open(again, tree_at(again, "old"), &fd, &off, NULL), 0);
	close_cleanup(&fd);
}

/* In namespaces of our own, so that nothing stays mounted. */
static int in_mounts(const struct workdir *s)
{
	const struct tree_options stay = {.one_file_system = true};

	if (unshare(CLONE_NEWNS) < 0 ||
		mount("", "/", "", MS_REC | MS_PRIVATE, NULL) < 0 ||
		mount("t", workdir_path(s, "m"), "tmpfs", 0, "mode=0711") < 0 ||
		mount(workdir_path(s, "file"), workdir_path(s, "bound"), "",
			MS_BIND, NULL) < 0)
		return 77;

	/* s->fd leads to the mounts that everybody else sees. */
	int fd = open(workdir_path(s, "m/inside"),
		O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0)
		return 4;
	close_cleanup(&fd);

	_cleanup_(tree_free) struct tree *all = tree_of_folder(s->path, NULL);
	_cleanup_(tree_free) struct tree *one = tree_of_folder(s->path, &stay);

	if (!tree_at(all, "m/inside") || !tree_at(all, "bound"))
		return 1;
	if (!tree_at(one, "m") || tree_at(one, "m")->entry_count ||
		tree_at(one, "m")->mode != (S_IFDIR | 0711))
		return 2;
	return tree_at(one, "bound") ? 3 : 0;
}

static void test_mounts(void **state)
{
	const struct workdir *s = *state;
	int status;

	workdir_folder(s, "m");
	workdir_text(s, "file", "x");
	workdir_text(s, "bound", "");

	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_mounts(s));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("mounting is not allowed here\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_bad_sources(void **state)
{
	const struct workdir *s = *state;
	struct diag diag = {0};

	workdir_text(s, "file", "x");
	assert_int_equal(scan(workdir_path(s, "file"), &diag), -ENOTDIR);
	assert_non_null(strstr(diag.text, "file is not a folder"));
	assert_int_equal(scan(workdir_path(s, "no"), &diag), -ENOENT);
	/* The folder itself may be behind a link. */
	workdir_folder(s, "d");
	assert_int_equal(symlinkat("d", s->fd, "l"), 0);
	assert_int_equal(scan(workdir_path(s, "l"), &diag), 0);
}

/* As nobody, where a folder may not be read. */
static void test_unreadable(void **state)
{
	const struct workdir *s = *state;
	struct diag diag = {0};
	int status;

	if (!is_root()) {
		print_message("only root can become nobody\n");
		skip();
	}
	workdir_folder(s, "d");
	workdir_folder(s, "d/secret");
	assert_int_equal(fchmodat(s->fd, "d/secret", 0700, 0), 0);
	assert_int_equal(fchmod(s->fd, 0755), 0);

	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(1);
		if (scan(workdir_path(s, "d"), &diag) != -EACCES)
			_exit(2);
		_exit(strstr(diag.text, "/d/secret") ? 0 : 3);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* What happens to a file after the scan is seen when it is opened or after it
 * was read, and never waits for the other end of a FIFO. */
static void test_changes(void **state)
{
	const struct workdir *s = *state;
	static const char *const names[] = {"written", "longer", "replaced",
		"gone", "link", "fifo", "d/moved", "e/linked", "touched"};
	_cleanup_(tree_free) struct tree *t = NULL;
	uint64_t off;
	int fd;

	workdir_folder(s, "d");
	workdir_folder(s, "e");
	workdir_text(s, "fine", "text");
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		workdir_text(s, names[i], "text");
	t = tree_of_folder(s->path, NULL);

	workdir_text(s, "written", "TEXT");
	workdir_text(s, "longer", "text and more");
	workdir_text(s, "new", "text");
	assert_int_equal(renameat(s->fd, "new", s->fd, "replaced"), 0);
	assert_int_equal(unlinkat(s->fd, "gone", 0), 0);
	assert_int_equal(unlinkat(s->fd, "link", 0), 0);
	assert_int_equal(symlinkat("fine", s->fd, "link"), 0);
	assert_int_equal(unlinkat(s->fd, "fifo", 0), 0);
	assert_int_equal(mknodat(s->fd, "fifo", S_IFIFO | 0644, 0), 0);
	assert_int_equal(renameat(s->fd, "d", s->fd, "d2"), 0);
	assert_int_equal(renameat(s->fd, "e", s->fd, "e2"), 0);
	assert_int_equal(symlinkat("e2", s->fd, "e"), 0); /* the same file! */
	assert_int_equal(utimensat(s->fd, "touched", NULL, 0), 0);

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct diag diag = {0};
		int r = tree_open(t, tree_at(t, names[i]), &fd, &off, &diag);

		if (r != -ESTALE || !strstr(diag.text, names[i]))
			fail_msg("%s: %d %s", names[i], r, diag.text);
	}
	assert_int_equal(tree_open(t, tree_at(t, "fine"), &fd, &off, NULL), 0);
	assert_int_equal(tree_recheck(t, tree_at(t, "fine"), fd, NULL), 0);
	workdir_text(s, "fine", "else");
	assert_int_equal(
		tree_recheck(t, tree_at(t, "fine"), fd, NULL), -ESTALE);
	close_cleanup(&fd);
}

/* Called by the scan between two folders: takes the next one away. */
static void on_progress(void *arg, uint64_t entries, uint64_t bytes)
{
	const struct workdir *s = arg;

	(void)unlinkat(s->fd, "z", AT_REMOVEDIR);
	(void)mkdirat(s->fd, "z", 0700);
}

static void test_change_while_scanning(void **state)
{
	struct workdir *s = *state;
	const struct tree_options opt = {.progress = on_progress, .arg = s};
	struct tree *t = NULL;
	struct diag diag = {0};
	char name[16];

	workdir_folder(s, "z");
	for (int i = 0; i < 600; i++) { /* progress comes every 256 entries */
		(void)snprintf(name, sizeof(name), "%d", i);
		workdir_text(s, name, "");
	}
	assert_int_equal(tree_scan(s->path, &opt, &t, &diag), -ESTALE);
	assert_non_null(strstr(diag.text, "changed while it was read"));
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, workdir_set_up, workdir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_kinds),
		TEST(test_socket),
		TEST(test_deep),
		TEST(test_many),
		TEST(test_exclude),
		TEST(test_options),
		TEST(test_mounts),
		TEST(test_bad_sources),
		TEST(test_unreadable),
		TEST(test_changes),
		TEST(test_change_while_scanning),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
