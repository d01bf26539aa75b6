/* SPDX-License-Identifier: Apache-2.0 */
/* The histogram of a folded record: no attempt is lost when spans double. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/ledger/times.h"

#define MS UINT64_C(1000000)

static uint64_t sum_of(const struct times *t)
{
	uint64_t sum = 0;

	for (int i = 0; i < TIMES_BUCKETS; i++)
		sum += t->count[i];
	return sum;
}

static void test_spans(void **state)
{
	struct times t;

	(void)state;
	times_init(&t);
	times_add(&t, 0);
	times_add(&t, MS - 1);
	times_add(&t, MS);
	times_add(&t, 32 * MS - 1);
	assert_int_equal(t.width, MS);
	assert_int_equal(t.count[0], 2);
	assert_int_equal(t.count[1], 1);
	assert_int_equal(t.count[31], 1);

	times_add(&t, 32 * MS); /* one too far: 2 ms each now */
	assert_int_equal(t.width, 2 * MS);
	assert_int_equal(t.count[0], 3);
	assert_int_equal(t.count[1], 0);
	assert_int_equal(t.count[15], 1);
	assert_int_equal(t.count[16], 1);
	assert_int_equal(sum_of(&t), 5);

	times_add(&t, 1000 * MS);
	assert_int_equal(t.width, 32 * MS);
	assert_int_equal(t.count[0], 4);
	assert_int_equal(t.count[1], 1);
	assert_int_equal(t.count[31], 1);
	assert_int_equal(sum_of(&t), 6);
}

static void test_far(void **state)
{
	struct times t;

	(void)state;
	times_init(&t);
	times_add(&t, 0);
	times_add(&t, INT64_MAX);
	assert_int_equal(sum_of(&t), 2);
	assert_true(t.width * TIMES_BUCKETS > INT64_MAX);
}

/* A count that is full stays full. */
static void test_full_count(void **state)
{
	struct times t;

	(void)state;
	times_init(&t);
	t.count[0] = t.count[1] = UINT32_MAX;
	times_add(&t, 0);
	assert_int_equal(t.count[0], UINT32_MAX);
	times_add(&t, 32 * MS);
	assert_int_equal(t.count[0], UINT32_MAX);
}

static void test_bytes(void **state)
{
	static const uint8_t head[] = {0x40, 0x42, 0x0f, 0, 0, 0, 0, 0, 1, 0, 0,
		0, 0x04, 0x03, 0x02, 0x01};
	uint8_t bytes[TIMES_LEN];
	struct times t;

	(void)state;
	times_init(&t);
	t.count[0] = 1;
	t.count[1] = 0x01020304;
	t.count[31] = 0xff;
	times_print(&t, bytes);
	assert_memory_equal(bytes, head, sizeof(head));
	assert_int_equal(bytes[TIMES_LEN - 4], 0xff);
	for (size_t i = sizeof(head); i < TIMES_LEN; i++)
		assert_true(bytes[i] == 0 || i == TIMES_LEN - 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_far),
		cmocka_unit_test(test_full_count),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
