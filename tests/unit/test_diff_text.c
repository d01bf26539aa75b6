/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of `stele diff`. */
#include "util/diff_text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "tests/unit/unit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rename_says_where_from),
		cmocka_unit_test(a_rename_says_what_else_changed),
		cmocka_unit_test(one_side_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
