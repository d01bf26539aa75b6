/* SPDX-License-Identifier: Apache-2.0 */
/* Counts that are ahead of the database: what is put is there, what is not ours
 * says nothing. */
#include "fs/ledger/tally.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/base/io.h"
#include "tests/lib/scratch.h"
#include "tests/unit/unit.h"

struct place {
	struct scratch scratch;
	char ledger[SCRATCH_PATH];
	char file[SCRATCH_PATH];
};

static struct place place;

static int set_up(void **state)
{
	assert_true(scratch_init(&place.scratch));
	(void)scratch_name(&place.scratch, "l", place.ledger);
	(void)scratch_name(&place.scratch, "l-tally", place.file);
	*state = &place;
	return 0;
}

static int tear_down(void **state)
{
	scratch_done(&place.scratch);
	return 0;
}

static struct tally *open_tally(struct tally_mark left[TALLY_SLOTS])
{
	struct tally *t = NULL;
	struct diag diag = {0};

	if (tally_open(place.ledger, &t, left, &diag) < 0)
		fail_msg("%s", diag.text);
	return t;
}

static struct tally_mark mark_of(int64_t fold)
{
	struct tally_mark m = {
		.fold = fold, .count = fold * 1000, .t_last = -fold};

	memset(m.times, (int)fold, sizeof(m.times));
	return m;
}

static void same_mark(const struct tally_mark *got, int64_t fold)
{
	struct tally_mark want = mark_of(fold);

	assert_int_equal(got->fold, want.fold);
	assert_int_equal(got->count, want.count);
	assert_int_equal(got->t_last, want.t_last);
	assert_memory_equal(got->times, want.times, sizeof(want.times));
}

static void test_put_and_find(void **state)
{
	struct tally_mark left[TALLY_SLOTS], mark;
	struct tally *t = open_tally(left);

	for (unsigned i = 0; i < TALLY_SLOTS; i++) {
		assert_int_equal(left[i].fold, 0);
		mark = mark_of(i + 1);
		assert_int_equal(tally_put(t, i, &mark), 0);
	}
	mark = mark_of(7777);
	assert_int_equal(tally_put(t, 3, &mark), 0);
	/* A reader, and who opens it after a death. */
	assert_int_equal(tally_read(place.ledger, left), 0);
	same_mark(&left[3], 7777);
	same_mark(&left[TALLY_SLOTS - 1], TALLY_SLOTS);
	tally_close(t);
	t = open_tally(left);
	same_mark(&left[0], 1);
	same_mark(&left[3], 7777);
	assert_int_equal(tally_clear(t), 0);
	tally_close(t);
	t = open_tally(left);
	for (unsigned i = 0; i < TALLY_SLOTS; i++)
		assert_int_equal(left[i].fold, 0);
	tally_close(t);
}

static void test_no_file(void **state)
{
	struct tally_mark left[TALLY_SLOTS] = {{1, 1, 1, {0}}};

	assert_int_equal(tally_read(place.ledger, left), 0);
	assert_int_equal(left[0].fold, 0);
}

/* A write that a power failure tore, or a stranger's bytes. */
static void test_every_damaged_byte(void **state)
{
	struct tally_mark left[TALLY_SLOTS], mark = mark_of(5);
	struct tally *t = open_tally(left);
	uint8_t all[TALLY_SLOT];
	int fd;

	assert_int_equal(tally_put(t, 0, &mark), 0);
	tally_close(t);
	fd = open(place.file, O_RDWR);
	assert_true(fd >= 0);
	memset(all, 0, sizeof(all));
	assert_true(io_pread(fd, all, sizeof(all), 0) > 0);
	for (size_t i = 0; i < 8 + 3 * 8 + TIMES_LEN; i++) {
		uint8_t bad = all[i] ^ 0x40;

		assert_int_equal(pwrite(fd, &bad, 1, (off_t)i), 1);
		assert_int_equal(tally_read(place.ledger, left), 0);
		assert_int_equal(left[0].fold, 0);
		assert_int_equal(pwrite(fd, &all[i], 1, (off_t)i), 1);
	}
	assert_int_equal(tally_read(place.ledger, left), 0);
	same_mark(&left[0], 5);
	/* Cut anywhere, it holds what is whole. */
	for (off_t len = 0; len < TALLY_SLOT; len++) {
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(tally_read(place.ledger, left), 0);
		assert_true(!left[0].fold || left[0].fold == 5);
	}
	assert_int_equal(close(fd), 0);
}

static void test_not_ours(void **state)
{
	struct tally_mark left[TALLY_SLOTS];
	struct tally *t = NULL;
	struct diag diag = {0};

	assert_int_equal(symlink("elsewhere", place.file), 0);
	assert_int_equal(tally_open(place.ledger, &t, left, &diag), -EPERM);
	assert_non_null(strstr(diag.text, "remove it"));
	assert_int_equal(unlink(place.file), 0);
	assert_int_equal(mkfifo(place.file, 0600), 0);
	assert_int_equal(tally_open(place.ledger, &t, left, &diag), -EPERM);
	assert_null(t);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_put_and_find),
		TEST(test_no_file),
		TEST(test_every_damaged_byte),
		TEST(test_not_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
