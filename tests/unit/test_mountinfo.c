/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of /proc/self/mountinfo, and what is mounted where. */
#include "fs/base/mountinfo.h"

#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

static const struct {
	const char *line;
	const char *dir, *fstype, *source;
	uint32_t major, minor;
} must_work[] = {
	{"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw\n",
		"/mnt2", "ext3", "/dev/root", 98, 0},
	/* no optional field, one, several; the last one without an end */
	{"36 35 0:48 / / rw - tmpfs tmpfs rw\n", "/", "tmpfs", "tmpfs", 0, 48},
	{"36 35 0:48 / /a rw shared:1 - fuse.stele /x/y.stele rw\n", "/a",
		"fuse.stele", "/x/y.stele", 0, 48},
	{"36 35 0:48 / /a rw shared:1 master:2 propagate_from:3 unbindable"
	 " - a b rw",
		"/a", "a", "b", 0, 48},
	{"36 35 0:48 / /a rw new:1 - a b", "/a", "a", "b", 0, 48},
	/* what the kernel escapes: space, tab, newline, '\\', '#' */
	{"1 2 3:4 / /a\\040b\\011c\\012d\\134e\\043f rw - fuse.x "
	 "so\\040me\\134 rw\n",
		"/a b\tc\nd\\e#f", "fuse.x", "so me\\", 3, 4},
	{"1 2 3:4 / /\\377\\000\\200x rw - a b rw\n", "/\xff", "a", "b", 3, 4},
	/* a backslash that escapes nothing */
	{"1 2 3:4 / /\\40\\4\\\\08\\477\\ rw - a b rw\n",
		"/\\40\\4\\\\08\\477\\", "a", "b", 3, 4},
	{"1 2 3:4 / /a\\ rw - a\\ b\\04 rw\n", "/a\\", "a\\", "b\\04", 3, 4},
	/* what looks like a dash */
	{"1 2 3:4 /- /a- rw x-y:- - - - rw\n", "/a-", "-", "-", 3, 4},
	/* the source may be empty: mount("", dir, "tmpfs", 0, NULL) */
	{"1 2 3:4 / /a rw - tmpfs  rw\n", "/a", "tmpfs", "", 3, 4},
	{"1 2 4294967295:4294967295 / /a rw - a b\n", "/a", "a", "b",
		UINT32_MAX, UINT32_MAX},
};

static void test_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(must_work); i++) {
		struct mountinfo m;
		int r = mountinfo_parse(must_work[i].line, &m);

		if (r < 0)
			fail_msg("%d: %s", r, must_work[i].line);
		assert_string_equal(m.dir, must_work[i].dir);
		assert_string_equal(m.fstype, must_work[i].fstype);
		assert_string_equal(m.source, must_work[i].source);
		assert_int_equal(m.major, must_work[i].major);
		assert_int_equal(m.minor, must_work[i].minor);
		mountinfo_done(&m);
	}
}

static const char *const must_fail[] = {
	"",
	"\n",
	" ",
	" - ",
	" - a b",
	"x",
	"36",
	"36 35 98:0",
	"36 35 98:0 / /a rw",
	"36 35 98:0 / /a rw shared:1 ext3 /dev/root rw\n",
	"36 35 98:0 / /a rw -",
	"36 35 98:0 / /a rw - ",
	"36 35 98:0 / /a rw - \n",
	"36 35 98:0 / /a rw - ext3",
	"36 35 98:0 / /a rw - ext3\n",
	"36 35 98:0 / /a rw -ext3 b\n",
	"36 35 98:0 / /a rw- ext3 b\n",
	"36 35 98 / /a rw - a b rw\n",
	"36 35 :0 / /a rw - a b rw\n",
	"36 35 98: / /a rw - a b rw\n",
	"a 35 98:0 / /a rw - a b rw\n",
	"36 a 98:0 / /a rw - a b rw\n",
	/* the dash comes too early */
	"36 35 98:0 - a b c d e f\n",
	"36 35 98:0 / - a b c d\n",
	"36 35 98:0 / /a - b c d\n",
	"36 35 98:0 /  /a rw - a b rw\n",
};

static void test_odd_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(must_fail); i++) {
		struct mountinfo m = {.major = 77};

		if (mountinfo_parse(must_fail[i], &m) != -EINVAL)
			fail_msg("taken: %s", must_fail[i]);
		assert_int_equal(m.major, 77);
		assert_null(m.dir);
	}
}

/* Each line, cut wherever it can be: no fault, and no half result. */
static void test_cut_lines(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(must_work); i++) {
		for (size_t n = 0; n <= strlen(must_work[i].line); n++) {
			_cleanup_free_ char *cut =
				strndup(must_work[i].line, n);
			struct mountinfo m;

			assert_non_null(cut);
			if (mountinfo_parse(cut, &m) == 0) {
				assert_non_null(m.dir);
				assert_non_null(m.fstype);
				assert_non_null(m.source);
				mountinfo_done(&m);
			}
		}
	}
}

/* In a child: its mounts are its own. A number other than 0 says what failed.
 */
static int run_alone(int (*run)(const struct scratch *s))
{
	struct scratch s;
	int status;

	assert_true(scratch_init(&s));

	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		if (!scratch_own_mounts() || chdir(s.path) < 0)
			_exit(255);
		_exit(run(&s));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	scratch_done(&s);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* Is that what is found at a path? */
static bool found(const char *path, const char *source)
{
	struct mountinfo m;
	int r = mountinfo_find(path, &m);
	bool same = r == 1 && source && strcmp(m.source, source) == 0;

	if (r == 1)
		mountinfo_done(&m);
	return source ? same : r == 0;
}

static int find_paths(const struct scratch *s)
{
	char dir[SCRATCH_PATH], dots[SCRATCH_PATH];
	struct mountinfo m;

	(void)scratch_name(s, "a b", dir);
	(void)scratch_name(s, "x/../a b/./", dots);
	if (mkdir("a b", 0755) < 0 || mkdir("x", 0755) < 0 ||
		symlink("a b", "link") < 0 || symlink(".", "here") < 0)
		return 2;
	if (!found("a b", NULL) || !found("link", NULL) || !found("x", NULL))
		return 3;
	if (mount("one\t", "a b", "tmpfs", 0, "size=64k") < 0)
		return 4;
	if (!found("a b", "one\t") || !found("a b/", "one\t") ||
		!found("a b//", "one\t") || !found("./a b", "one\t") ||
		!found(dir, "one\t") || !found(dots, "one\t") ||
		!found("link", "one\t") || !found("link/", "one\t") ||
		!found("here/a b", "one\t") || !found("here/link", "one\t") ||
		!found("x/../a b", "one\t") || !found("a b/.", "one\t"))
		return 5;
	if (!found("x", NULL) || !found("here", NULL))
		return 6;
	if (mountinfo_find("absent", &m) != -ENOENT ||
		mountinfo_find("absent/x", &m) != -ENOENT ||
		mountinfo_find("", &m) != -ENOENT ||
		mountinfo_find_absolute("a b", &m) != 0)
		return 7;
	return mountinfo_find_absolute("/", &m) == 1 ? 0 : 8;
}

static void test_find(void **state)
{
	if (geteuid() != 0)
		skip_because("mounting needs root");
	assert_int_equal(run_alone(find_paths), 0);
}

/* Of several mounts the one on top, in whatever order they were made. */
static int find_top(const struct scratch *s)
{
	if (mkdir("a", 0755) < 0 || mkdir("b", 0755) < 0)
		return 2;
	if (mount("moved", "b", "tmpfs", 0, "size=64k") < 0 ||
		mount("one", "a", "tmpfs", 0, "size=64k") < 0 ||
		mount("two", "a", "tmpfs", 0, "size=64k") < 0)
		return 3;
	if (!found("a", "two"))
		return 4;
	if (mount("b", "a", NULL, MS_MOVE, NULL) < 0)
		return 5;
	if (!found("a", "moved") || !found("b", NULL))
		return 6;
	if (umount("a") < 0 || !found("a", "two"))
		return 7;
	if (mount("", "a", "tmpfs", 0, "size=64k") < 0)
		return 8;
	return found("a", "") ? 0 : 9;
}

/* A mount over a folder hides those below it, but not what comes later. */
static int find_hidden(const struct scratch *s)
{
	if (mkdir("a", 0755) < 0 || mkdir("a/b", 0755) < 0)
		return 2;
	if (mount("below", "a/b", "tmpfs", 0, "size=64k") < 0 ||
		mount("over", "a", "tmpfs", 0, "size=64k") < 0 ||
		mkdir("a/b", 0755) < 0)
		return 3;
	if (!found("a", "over") || !found("a/b", NULL))
		return 4;
	if (mount("later", "a/b", "tmpfs", 0, "size=64k") < 0)
		return 5;
	if (!found("a", "over") || !found("a/b", "later"))
		return 6;
	if (umount("a/b") < 0 || umount("a") < 0 || !found("a/b", "below"))
		return 7;
	/* A root that is no mount: nothing is known of what is above. */
	if (chroot("a") < 0 || mkdir("/proc", 0755) < 0 || chdir("/") < 0 ||
		mount("proc", "/proc", "proc", 0, NULL) < 0)
		return 8;
	return found("/b", "below") && found("/proc", "proc") &&
			       found("/proc/sys", NULL) && found("/", NULL)
		       ? 0
		       : 9;
}

static void test_hidden(void **state)
{
	if (geteuid() != 0)
		skip_because("mounting needs root");
	assert_int_equal(run_alone(find_hidden), 0);
}

static void test_top(void **state)
{
	if (geteuid() != 0)
		skip_because("mounting needs root");
	assert_int_equal(run_alone(find_top), 0);
}

static void test_options(void **state)
{
	struct mountinfo m;

	assert_int_equal(
		mountinfo_parse("1 2 3:4 /sub\\040dir /a rw,nosuid shared:1 - "
				"fuse.x s ro,user_id=0,allow_other\n",
			&m),
		0);
	assert_string_equal(m.root, "/sub dir");
	assert_true(mountinfo_has(m.options, "rw"));
	assert_true(mountinfo_has(m.options, "nosuid"));
	assert_true(mountinfo_has(m.super, "allow_other"));
	assert_true(mountinfo_has(m.super, "ro"));
	assert_false(mountinfo_has(m.options, "ro"));
	assert_false(mountinfo_has(m.super, "allow"));
	assert_false(mountinfo_has(m.super, "user_id"));
	assert_false(mountinfo_has("", "ro"));
	assert_true(mountinfo_has(",,ro", "ro"));
	mountinfo_done(&m);
}

static void walk(const struct mountinfo_list *list, const char *path, int id)
{
	const struct mountinfo *m = mountinfo_walk(list, path);

	assert_non_null(m);
	assert_int_equal(m->id, id);
}

/* A table from a file, as that of another namespace. */
static void test_walk(void **state)
{
	static const char text[] = "20 1 8:1 / / rw - ext4 /dev/a rw\n"
				   "no line at all\n"
				   "31 30 0:9 / /a/b rw - tmpfs none rw\n"
				   "30 20 0:8 / /a/b rw - fuse.stele /i rw\n"
				   "33 32 0:7 / /c/d rw - fuse.stele /i rw\n"
				   "32 20 0:6 / /c rw - tmpfs none rw\n"
				   "34 20 0:5 / /c rw - tmpfs none rw\n";
	struct mountinfo_list list = {0};
	struct scratch s;
	char path[SCRATCH_PATH];

	assert_true(scratch_init(&s));
	(void)snprintf(path, sizeof(path), "%s/mountinfo", s.path);

	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
	assert_int_equal(mountinfo_read(path, &list), 0);
	assert_int_equal(list.count, 6);
	walk(&list, "/", 20);
	walk(&list, "/x", 20);
	walk(&list, "/a", 20);
	walk(&list, "/a/b", 31);
	walk(&list, "/a/b/c", 31);
	walk(&list, "/a/bc", 20);
	mountinfo_list_done(&list);
	assert_null(mountinfo_walk(&list, "/"));
	scratch_done(&s);
	assert_int_equal(mountinfo_read(path, &list), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_odd_lines),
		cmocka_unit_test(test_cut_lines),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_top),
		cmocka_unit_test(test_hidden),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
