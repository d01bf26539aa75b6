/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that any parser takes, whatever the names. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/base/json.h"

struct text_case {
	const char *bytes;
	size_t len;
	const char *want;
};

#define TEXT(bytes, want)                       \
	{                                       \
		bytes, sizeof(bytes) - 1, want, \
	}

static void check_bytes(const char *bytes, size_t len, const char *want)
{
	_cleanup_buf_ struct buf out;
	struct json j;

	buf_init(&out, 4096);
	json_begin(&j, &out);
	json_bytes(&j, "a", bytes, len);
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal(out.data, want);
}

static void test_text(void **state)
{
	static const struct text_case cases[] = {
		TEXT("", "{\"a\":\"\"}"),
		TEXT("plain ~", "{\"a\":\"plain ~\"}"),
		TEXT("\"\\/\n\t\r", "{\"a\":\"\\\"\\\\/\\n\\t\\u000d\"}"),
		TEXT("\0\x1b\x7f", "{\"a\":\"\\u0000\\u001b\\u007f\"}"),
		TEXT("\xc3\xa9", "{\"a\":\"\\u00e9\"}"),
		TEXT("\xc2\x9b", "{\"a\":\"\\u009b\"}"),
		TEXT("\xe2\x82\xac", "{\"a\":\"\\u20ac\"}"),
		TEXT("\xf0\x9f\x98\x80", "{\"a\":\"\\ud83d\\ude00\"}"),
		TEXT("\xf4\x8f\xbf\xbf", "{\"a\":\"\\udbff\\udfff\"}"),
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_bytes(cases[i].bytes, cases[i].len, cases[i].want);
}

static void test_no_utf8(void **state)
{
	static const struct text_case cases[] = {
		TEXT("\xff", "{\"a\":\"\\ufffd\",\"a_raw\":\"/w==\"}"),
		TEXT("a\x80", "{\"a\":\"a\\ufffd\",\"a_raw\":\"YYA=\"}"),
		TEXT("\xc3", "{\"a\":\"\\ufffd\",\"a_raw\":\"ww==\"}"),
		/* longer than needed: a hidden '/', a hidden NUL */
		TEXT("\xc0\xaf",
			"{\"a\":\"\\ufffd\\ufffd\",\"a_raw\":\"wK8=\"}"),
		TEXT("\xe0\x80\x80", "{\"a\":\"\\ufffd\\ufffd\\ufffd\","
				     "\"a_raw\":\"4ICA\"}"),
		/* half of a pair, and beyond the last character */
		TEXT("\xed\xa0\x80", "{\"a\":\"\\ufffd\\ufffd\\ufffd\","
				     "\"a_raw\":\"7aCA\"}"),
		TEXT("\xf4\x90\x80\x80",
			"{\"a\":\"\\ufffd\\ufffd\\ufffd\\ufffd\","
			"\"a_raw\":\"9JCAgA==\"}"),
		TEXT("\xc3(", "{\"a\":\"\\ufffd(\",\"a_raw\":\"wyg=\"}"),
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		check_bytes(cases[i].bytes, cases[i].len, cases[i].want);
}

static void test_values(void **state)
{
	_cleanup_buf_ struct buf out;
	struct json j;

	buf_init(&out, 4096);
	json_begin(&j, &out);
	json_int(&j, "least", INT64_MIN);
	json_text(&j, "none", NULL);
	json_open(&j, "inner");
	json_bool(&j, "yes", true);
	json_none(&j, "nothing");
	json_close(&j);
	json_open(&j, "empty");
	json_close(&j);
	json_text(&j, "last", "x");
	assert_int_equal(json_end(&j), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal(out.data,
		"{\"least\":-9223372036854775808,\"none\":null,"
		"\"inner\":{\"yes\":true,\"nothing\":null},\"empty\":{},"
		"\"last\":\"x\"}");
}

static void test_a_failure_is_kept(void **state)
{
	_cleanup_buf_ struct buf out;
	struct json j;

	for (size_t max = 0; max < 20; max++) {
		buf_init(&out, max);
		json_begin(&j, &out);
		json_text(&j, "a", "some\xff");
		json_int(&j, "b", 1);
		assert_int_equal(json_end(&j), -E2BIG);
		assert_true(out.len <= max);
		buf_done(&out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_no_utf8),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_a_failure_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
