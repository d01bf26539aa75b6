/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8: the first and last of each length, and all that is nearly one. */
#include <string.h>

#include "fs/base/utf8.h"
#include "tests/unit/unit.h"

static const struct {
	const char *bytes;
	uint32_t c;
} good[] = {
	{"\x01", 1},
	{"\x7f", 0x7f},
	{"\xc2\x80", 0x80},
	{"\xdf\xbf", 0x7ff},
	{"\xe0\xa0\x80", 0x800},
	{"\xed\x9f\xbf", 0xd7ff},
	{"\xee\x80\x80", 0xe000},
	{"\xef\xbf\xbf", 0xffff},
	{"\xf0\x90\x80\x80", 0x10000},
	{"\xf4\x8f\xbf\xbf", 0x10ffff},
};

static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf",
	"\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf", "\xe0\xa0",
	"\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf0\x90\x80",
	"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xfe", "\xff"};

static void test_the_ends_of_each_length(void **state)
{
	char all[64] = "";

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t len = strlen(good[i].bytes);
		uint32_t c = 0;

		assert_int_equal(utf8_decode(good[i].bytes, len, &c), len);
		assert_int_equal(c, good[i].c);
		memcpy(all + strlen(all), good[i].bytes, len);
		/* A byte less is none; what follows does not matter. */
		if (len > 1)
			assert_int_equal(
				utf8_decode(good[i].bytes, len - 1, &c), 0);
		assert_int_equal(utf8_decode(good[i].bytes, len + 1, &c), len);
	}
	assert_true(utf8_is_valid(all, strlen(all)));
	assert_true(utf8_is_valid("", 0));
	assert_true(utf8_is_valid("\0", 1));
}

static void test_what_is_none(void **state)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char text[8] = "a";
		uint32_t c = 7;

		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &c), 0);
		assert_int_equal(c, 7);
		memcpy(text + 1, bad[i], strlen(bad[i]));
		assert_false(utf8_is_valid(text, strlen(text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_ends_of_each_length),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
