/* SPDX-License-Identifier: Apache-2.0 */
/* What is printed: no name can forge a line, nothing is lost in JSON. */
#include "util/out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "tests/unit/unit.h"

/* Bytes with NULs, and their number. */
#define B(text) text, sizeof(text) - 1

static const struct {
	const char *bytes;
	size_t len;
	const char *shown;
	bool utf8;
} names[] = {
	{B(""), "", true},
	{B("plain name.txt"), "plain name.txt", true},
	{B("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
		"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", true},
	{B("a\nb\tc\rd\033[0m"), "a\\nb\\tc\\rd\\e[0m", true},
	{B("back\\slash"), "back\\\\slash", true},
	{B("\0\x01\x1f\x7f"), "\\x00\\x01\\x1f\\x7f", true},
	/* C1: CSI and the last one; the next is a no-break space */
	{B("\xc2\x9b"
	   "31m\xc2\x9f\xc2\xa0"),
		"\\xc2\\x9b31m\\xc2\\x9f\xc2\xa0", true},
	/* line and paragraph separator */
	{B("\xe2\x80\xa8\xe2\x80\xa9"), "\\xe2\\x80\\xa8\\xe2\\x80\\xa9", true},
	/* overrides, isolates, marks */
	{B("\xe2\x80\xae\xe2\x81\xa6"), "\\xe2\\x80\\xae\\xe2\\x81\\xa6", true},
	{B("\xe2\x80\x8f\xd8\x9c"), "\\xe2\\x80\\x8f\\xd8\\x9c", true},
	{B("\xe2\x81\xa5\xe2\x81\xaa"), "\xe2\x81\xa5\xe2\x81\xaa", true},
	/* not UTF-8: stray, cut, overlong, surrogate, too high */
	{B("a\xff"
	   "b\x80"),
		"a\\xffb\\x80", false},
	{B("\xc3"), "\\xc3", false},
	{B("\xe2\x82"), "\\xe2\\x82", false},
	{B("\xf0\x9f\x98"), "\\xf0\\x9f\\x98", false},
	{B("\xc0\xaf\xc1\xbf"), "\\xc0\\xaf\\xc1\\xbf", false},
	{B("\xe0\x80\xaf"), "\\xe0\\x80\\xaf", false},
	{B("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf", false},
	{B("\xed\xa0\x80"), "\\xed\\xa0\\x80", false},
	{B("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80", false},
	{B("\xf5\x80\x80\x80"), "\\xf5\\x80\\x80\\x80", false},
	{B("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf", true},
	/* good after bad */
	{B("\xe2\xc3\xa9"), "\\xe2\xc3\xa9", false},
};

static void test_names(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *text =
			out_name_string(names[i].bytes, names[i].len);
		char printed[128] = "";
		FILE *f = fmemopen(printed, sizeof(printed), "w");

		assert_non_null(text);
		assert_string_equal(text, names[i].shown);
		assert_non_null(f);
		out_name(f, names[i].bytes, names[i].len);
		assert_int_equal(fclose(f), 0);
		assert_string_equal(printed, names[i].shown);
		assert_int_equal(out_is_utf8(names[i].bytes, names[i].len),
			names[i].utf8);
	}
}

/* Every code point: shown as it is, or as escapes that are printable ASCII. */
static void test_every_character(void **state)
{
	for (uint32_t c = 0x80; c < 0x800; c++) {
		const char bytes[] = {
			(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
		_cleanup_free_ char *text = out_name_string(bytes, 2);
		bool as_is;

		assert_non_null(text);
		assert_true(out_is_utf8(bytes, 2));
		as_is = strlen(text) == 2 && memcmp(text, bytes, 2) == 0;
		assert_int_equal(as_is, c >= 0xa0 && c != 0x61c);
		for (char *s = text; !as_is && *s; s++)
			assert_true(*s > 0x20 && *s < 0x7f);
	}
}

static void test_base64(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} cases[] = {
		{B(""), ""},
		{B("f"), "Zg=="},
		{B("fo"), "Zm8="},
		{B("foo"), "Zm9v"},
		{B("foob"), "Zm9vYg=="},
		{B("fooba"), "Zm9vYmE="},
		{B("foobar"), "Zm9vYmFy"},
		{B("\xff\xfe\0\x80"), "//4AgA=="},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *j = out_json_base64(cases[i].bytes, cases[i].len);

		assert_non_null(j);
		assert_string_equal(json_string_value(j), cases[i].text);
		json_decref(j);
	}
}

/* The line that an object with this name gives; to be freed. */
static char *json_line(const char *bytes, size_t len)
{
	json_t *o = json_object();
	char *line = NULL;
	size_t size;
	FILE *f = open_memstream(&line, &size);

	assert_non_null(f);
	assert_int_equal(out_json_set_name(o, "path", bytes, len), 0);
	assert_int_equal(out_json_line(f, o), 0);
	assert_int_equal(fclose(f), 0);
	return line;
}

static void test_json_names(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *line;
	} cases[] = {
		{B("/a\\b"), "{\"path\":\"/a\\\\b\"}\n"},
		{B("/\xc3\xa9"), "{\"path\":\"/\\u00E9\"}\n"},
		{B("/\n\033"), "{\"path\":\"/\\n\\u001B\"}\n"},
		{B("/\xc2\x9b"), "{\"path\":\"/\\u009B\"}\n"},
		{B("/\xff"), "{\"path\":\"/\\\\xff\",\"path_raw\":\"L/8=\"}\n"},
		{B("\\xff\xff"), "{\"path\":\"\\\\\\\\xff\\\\xff\","
				 "\"path_raw\":\"XHhmZv8=\"}\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		_cleanup_free_ char *line =
			json_line(cases[i].bytes, cases[i].len);

		assert_string_equal(line, cases[i].line);
	}
}

/* What was printed, parsed again, is what went in. */
static void test_json_round_trip(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		_cleanup_free_ char *line =
			json_line(names[i].bytes, names[i].len);
		json_t *o = json_loads(line, JSON_ALLOW_NUL, NULL);
		json_t *path = json_object_get(o, "path");

		assert_non_null(path);
		assert_int_equal(
			json_object_get(o, "path_raw") == NULL, names[i].utf8);
		if (names[i].utf8) {
			assert_int_equal(
				json_string_length(path), names[i].len);
			assert_memory_equal(json_string_value(path),
				names[i].bytes, names[i].len);
		}
		json_decref(o);
	}
}

static void test_json_failures(void **state)
{
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	assert_int_equal(out_json_line(full, NULL), -ENOMEM);
	setbuf(full, NULL);
	assert_int_equal(out_json_line(full, json_object()), -ENOSPC);
	(void)fclose(full);
}

static void test_sizes(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0"},
		{1023, "1023"},
		{1024, "1.0K"},
		{4096, "4.0K"},
		{10188, "9.9K"},
		{10189, "10K"},
		{1047552, "1023K"},
		{1048063, "1023K"},
		{1048064, "1.0M"},
		{1048576, "1.0M"},
		{284710151, "272M"},
		{UINT64_C(5) << 30, "5.0G"},
		{UINT64_C(1) << 40, "1.0T"},
		{UINT64_C(3) << 50, "3.0P"},
		{UINT64_MAX, "16E"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[16];

		out_size(cases[i].bytes, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void test_times(void **state)
{
	static const struct {
		int64_t sec;
		uint32_t nsec;
		const char *text;
	} cases[] = {
		{0, 0, "1970-01-01T00:00:00.000000000Z"},
		{-1, 999999999, "1969-12-31T23:59:59.999999999Z"},
		{1700000000, 5, "2023-11-14T22:13:20.000000005Z"},
		{951782400, 0, "2000-02-29T00:00:00.000000000Z"},
		{-62167219200, 0, "0000-01-01T00:00:00.000000000Z"},
		{253402300799, 0, "9999-12-31T23:59:59.000000000Z"},
		{-62167219201, 0, "@-62167219201.000000000"},
		{253402300800, 1, "@253402300800.000000001"},
		{INT64_MAX, 999999999, "@9223372036854775807.999999999"},
		{INT64_MIN, UINT32_MAX, "@-9223372036854775808.4294967295"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[40];

		out_time(cases[i].sec, cases[i].nsec, text);
		assert_string_equal(text, cases[i].text);
	}
}

/* The tests run without a terminal: neither colour nor pager. */
static void test_no_terminal(void **state)
{
	assert_int_equal(setenv("TERM", "xterm", 1), 0);
	assert_int_equal(unsetenv("NO_COLOR"), 0);
	if (isatty(STDOUT_FILENO))
		skip();
	assert_false(out_color());
	out_pager_begin();
	assert_false(out_color());
	out_pager_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_every_character),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_json_names),
		cmocka_unit_test(test_json_round_trip),
		cmocka_unit_test(test_json_failures),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_no_terminal),
	};

	return cmocka_run_group_tests_name("out", tests, NULL, NULL);
}
