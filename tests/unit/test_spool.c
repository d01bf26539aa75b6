/* SPDX-License-Identifier: Apache-2.0 */
/* Contents in the spool: each once, holes as holes, nothing shines through. */
#include "fs/tree/spool.h"

#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "tests/lib/workdir.h"
#include "tests/unit/unit.h"

static uint64_t put(
	struct spool *s, const char *text, uint64_t hole, struct digest *digest)
{
	uint64_t off = 0;

	spool_begin(s);
	assert_int_equal(spool_add(s, text, strlen(text), NULL), 0);
	assert_int_equal(spool_add_hole(s, hole, NULL), 0);
	assert_int_equal(spool_end(s, digest, &off, NULL), 0);
	return off;
}

static void test_contents(void **state)
{
	const struct workdir *dir = *state;
	_cleanup_(spool_free) struct spool *s = NULL;
	struct digest d, want;
	struct stat st;
	char bytes[32] = "";

	assert_int_equal(spool_new(dir->path, &s, NULL), 0);
	assert_int_equal(put(s, "one", 0, &d), 0);
	assert_int_equal(digest_of("one", 3, &want), 0);
	assert_true(digest_equal(&d, &want));
	assert_int_equal(put(s, "two", 0, &d), 3);
	assert_int_equal(put(s, "one", 0, &d), 0); /* taken back */
	/* The hole lies where "one" was for a moment. */
	assert_int_equal(put(s, "", 2, &d), 6);
	assert_int_equal(digest_of("\0\0", 2, &want), 0);
	assert_true(digest_equal(&d, &want));
	assert_int_equal(put(s, "two", 1 << 20, &d), 8);
	assert_int_equal(put(s, "", 0, &d), 8 + 3 + (1 << 20));
	assert_int_equal(put(s, "end", 0, &d), 8 + 3 + (1 << 20));

	_cleanup_close_ int fd = spool_take_fd(s);

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8 + 3 + (1 << 20) + 3);
	assert_int_equal(st.st_nlink, 0);
	assert_true(st.st_blocks < 64);
	assert_int_equal(io_pread(fd, bytes, 12, 0), 12);
	assert_memory_equal(bytes, "onetwo\0\0two\0", 12);
}

static void test_no_folder(void **state)
{
	struct spool *s = NULL;
	struct diag diag = {0};

	assert_int_equal(spool_new("/nowhere", &s, &diag), -ENOENT);
	assert_non_null(strstr(diag.text, "/nowhere"));
}

/* A hole that no file can have. */
static void test_too_big(void **state)
{
	const struct workdir *dir = *state;
	_cleanup_(spool_free) struct spool *s = NULL;

	assert_int_equal(spool_new(dir->path, &s, NULL), 0);
	spool_begin(s);
	assert_int_equal(spool_add(s, "x", 1, NULL), 0);
	assert_int_equal(spool_add_hole(s, INT64_MAX, NULL), -EFBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_contents, workdir_set_up, workdir_tear_down),
		cmocka_unit_test(test_no_folder),
		cmocka_unit_test_setup_teardown(
			test_too_big, workdir_set_up, workdir_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
