/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes and spans of time: what is understood, and what is not guessed at. */
#include "util/amount.h"

#include "tests/unit/unit.h"

static const struct {
	const char *text;
	uint64_t value;
} sizes[] = {
	{"0", 0},
	{"1", 1},
	{"0007", 7},
	{"18446744073709551615", UINT64_MAX},
	{"1K", 1024},
	{"512M", UINT64_C(512) << 20},
	{"2G", UINT64_C(2) << 30},
	{"16777215T", UINT64_C(16777215) << 40},
	{"0T", 0},
};

static const char *const no_sizes[] = {"", "K", "-1", "+1", " 1", "1 ", "1k",
	"1KB", "1KiB", "1.5M", "0x10", "1P", "1\n", "18446744073709551616",
	"16777216T", "99999999999999999999999"};

static const struct {
	const char *text;
	uint64_t value;
} spans[] = {
	{"0", 0},
	{"0s", 0},
	{"90s", 90},
	{"15m", 900},
	{"12h", 43200},
	{"30d", 2592000},
	{"2w", 1209600},
};

static const char *const no_spans[] = {"", "d", "7", "1y", "1M", "-1d", "1d2h",
	"1 d", "1.5h", "18446744073709551615w", "30500568904944w"};

static void test_sizes(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		uint64_t n = 99;

		assert_int_equal(amount_size(sizes[i].text, &n), 0);
		assert_int_equal(n, sizes[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(no_sizes); i++) {
		uint64_t n = 99;

		assert_int_equal(amount_size(no_sizes[i], &n), -EINVAL);
		assert_int_equal(n, 99);
	}
}

static void test_spans(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		uint64_t n = 99;

		assert_int_equal(amount_span(spans[i].text, &n), 0);
		assert_int_equal(n, spans[i].value);
	}
	for (size_t i = 0; i < ARRAY_LEN(no_spans); i++) {
		uint64_t n = 99;

		assert_int_equal(amount_span(no_spans[i], &n), -EINVAL);
		assert_int_equal(n, 99);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
