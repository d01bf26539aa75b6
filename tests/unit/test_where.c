/* SPDX-License-Identifier: Apache-2.0 */
/* Where the ledger of a mount point is, and how it gets there. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/scratch.h"
#include "util/where.h"

static int set_up(void **state)
{
	struct scratch *s = calloc(1, sizeof(*s));

	if (!s || !scratch_init(s) || setenv("STELE_STATE", s->path, 1) < 0) {
		free(s);
		return -1;
	}
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	scratch_done(*state);
	free(*state);
	return 0;
}

/* All that a mount which succeeds does. */
static int settle(const char *mount_point, const char *custom, char **ret,
	struct diag *diag)
{
	struct where_plan p;
	int r = where_ledger_plan(mount_point, custom, &p, diag);

	if (r < 0)
		return r;
	r = where_ledger_clear(&p, diag);
	if (r == 0)
		r = where_ledger_link(&p, diag);
	if (r == 0)
		*ret = take_ptr(p.file);
	where_plan_done(&p);
	return r;
}

/* Names as systemd-escape --path gives them; none of these paths exists. */
static const struct {
	const char *mount_point, *name;
} names[] = {
	{"/", "-"},
	{"/no/app", "no-app"},
	{"/no//app/", "no-app"},
	{"/no/./x/../app", "no-app"},
	{"/../no", "no"},
	{"/no/a-b", "no-a\\x2db"},
	{"/no/a b\\c", "no-a\\x20b\\x5cc"},
	{"/no/A.9_:z", "no-A.9_:z"},
	{"/.no/.x", "\\x2eno-.x"},
	{"/no/\xc3\xa9\n", "no-\\xc3\\xa9\\x0a"},
};

static void test_names(void **state)
{
	const struct scratch *s = *state;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *path = NULL;
		struct diag diag = {0};
		char want[SCRATCH_PATH];

		(void)snprintf(want, sizeof(want), "%s/ledgers/%s.ledger",
			s->path, names[i].name);
		assert_int_equal(
			settle(names[i].mount_point, NULL, &path, &diag), 0);
		assert_string_equal(path, want);
	}
}

static void test_long_names(void **state)
{
	char a[1024], b[1024];
	_cleanup_free_ char *path_a = NULL;
	_cleanup_free_ char *path_b = NULL;
	struct diag diag;

	(void)state;
	memset(a, 'x', sizeof(a));
	a[0] = '/';
	for (size_t i = 200; i < sizeof(a); i += 200)
		a[i] = '/';
	a[sizeof(a) - 1] = '\0';
	memcpy(b, a, sizeof(a));
	b[sizeof(b) - 2] = 'y';
	assert_int_equal(settle(a, NULL, &path_a, &diag), 0);
	assert_int_equal(settle(b, NULL, &path_b, &diag), 0);
	assert_string_not_equal(path_a, path_b);
	/* With "-journal" behind it, it is still a name. */
	assert_true(strlen(strrchr(path_a, '/')) < NAME_MAX - 16);
	assert_non_null(strchr(path_a, '@'));
}

static void test_links(void **state)
{
	const struct scratch *s = *state;
	char dir[SCRATCH_PATH], link[SCRATCH_PATH];
	_cleanup_free_ char *by_dir = NULL;
	_cleanup_free_ char *by_link = NULL;
	_cleanup_free_ char *by_here = NULL;
	struct diag diag;

	assert_int_equal(mkdir(scratch_name(s, "real", dir), 0700), 0);
	assert_int_equal(symlink("real", scratch_name(s, "link", link)), 0);
	assert_int_equal(settle(dir, NULL, &by_dir, &diag), 0);
	assert_int_equal(settle(link, NULL, &by_link, &diag), 0);
	assert_string_equal(by_dir, by_link);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(settle(".", NULL, &by_here, &diag), 0);
	assert_string_equal(by_dir, by_here);
	assert_int_equal(chdir("/"), 0);
}

static void test_missing(void **state)
{
	struct diag diag = {0};
	char *path = NULL;

	(void)state;
	assert_int_equal(where_ledger("/no/app", &path, &diag), -ENOENT);
	assert_null(path);
	assert_non_null(strstr(diag.text, "/no/app has no ledger"));
	assert_non_null(strstr(diag.text, "no-app.ledger"));
	assert_int_equal(where_ledger("", &path, &diag), -ENOENT);
}

static void test_private(void **state)
{
	const struct scratch *s = *state;
	_cleanup_free_ char *path = NULL;
	char deep[SCRATCH_PATH], folder[SCRATCH_PATH];
	struct diag diag;
	struct stat st;
	mode_t old = umask(0);

	assert_int_equal(
		setenv("STELE_STATE", scratch_name(s, "a/b", deep), 1), 0);
	assert_int_equal(settle("/x", NULL, &path, &diag), 0);
	umask(old);
	assert_int_equal(stat(scratch_name(s, "a/b/ledgers", folder), &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
	assert_int_equal(stat(deep, &st), 0);
	assert_int_equal(st.st_mode, S_IFDIR | 0700);
}

/* A file of the user's own is found through the mount point, and leaves the
 * place again when the next mount does not name it. */
static void test_custom(void **state)
{
	const struct scratch *s = *state;
	char file[SCRATCH_PATH], other[SCRATCH_PATH], place[SCRATCH_PATH];
	struct diag diag = {0};
	char *path = NULL;

	assert_true(scratch_write(s, "mine", "", 0));
	assert_true(scratch_write(s, "other", "", 0));
	scratch_name(s, "mine", file);
	scratch_name(s, "other", other);
	scratch_name(s, "ledgers/no-app.ledger", place);
	for (int i = 0; i < 2; i++) {
		const char *custom = i ? other : file;

		assert_int_equal(settle("/no/app", custom, &path, &diag), 0);
		assert_string_equal(path, custom);
		free(path);
		assert_int_equal(where_ledger("/no/app", &path, &diag), 0);
		assert_string_equal(path, custom);
		free(path);
	}

	/* A mount that fails has only planned. */
	struct where_plan plan;

	assert_int_equal(where_ledger_plan("/no/app", NULL, &plan, &diag), 0);
	where_plan_done(&plan);
	assert_int_equal(where_ledger_plan("/no/app", file, &plan, &diag), 0);
	where_plan_done(&plan);
	assert_int_equal(where_ledger("/no/app", &path, &diag), 0);
	assert_string_equal(path, other);
	free(path);

	assert_int_equal(settle("/no/app", NULL, &path, &diag), 0);
	assert_string_equal(path, place);
	free(path);
	assert_int_equal(access(place, F_OK), -1);

	/* What was recorded there is not hidden behind a link. */
	assert_true(scratch_write(s, "ledgers/no-app.ledger", "x", 1));
	assert_int_equal(settle("/no/app", file, &path, &diag), -EEXIST);
	assert_non_null(strstr(diag.text, place));
	assert_int_equal(settle("/no/app", place, &path, &diag), 0);
	assert_string_equal(path, place);
	free(path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_long_names),
		TEST(test_links),
		TEST(test_missing),
		TEST(test_private),
		TEST(test_custom),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
