/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 against the vectors of RFC 4648, and what is not quite it. */
#include <string.h>

#include "fs/base/base64.h"
#include "tests/unit/unit.h"

/* On the heap and no longer than it is, so that reading past it is seen. */
static char *exact(const char *text, size_t len)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	if (len)
		memcpy(copy, text, len);
	return copy;
}

static const struct {
	const char *bytes, *text;
} known[] = {
	/* RFC 4648, section 10. */
	{"", ""},
	{"f", "Zg=="},
	{"fo", "Zm8="},
	{"foo", "Zm9v"},
	{"foob", "Zm9vYg=="},
	{"fooba", "Zm9vYmE="},
	{"foobar", "Zm9vYmFy"},
	{"\xfb\xef\xbe\xff\xff\xff", "++++////"},
};

static const char *const not_base64[] = {"Z", "Zg", "Zg=", "Zg===", "Zm9", "=",
	"==", "====", "Z===", "Zh==", "Zm9=", "Zm8=Zm8=", "Zg==Zg==", "Zm9v\n",
	"Zm9v ", " Zm9v", "Zm-v", "Zm_v", "Zm\xc3v", "Zg=A",
	"A=A=", "Zm9vZg=", "Zm9vZ==="};

static void test_there_and_back(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		size_t len = strlen(known[i].bytes), n = strlen(known[i].text);
		_cleanup_free_ char *copy = exact(known[i].text, n);
		_cleanup_buf_ struct buf b = {.max = 8};
		char raw[8];

		assert_int_equal(base64_add(&b, known[i].bytes, len), 0);
		assert_int_equal(b.len, n);
		if (n)
			assert_memory_equal(b.data, known[i].text, n);
		b.len = 0;
		assert_int_equal(base64_parse(copy, n, &b), 0);
		assert_int_equal(b.len, len);
		if (n)
			assert_memory_equal(b.data, known[i].bytes, len);
		assert_int_equal(base64_read(copy, n, raw, len), len);
		if (len)
			assert_int_equal(
				base64_read(copy, n, raw, len - 1), -E2BIG);
		b.max = b.len;
		assert_int_equal(base64_add(&b, "x", 1), -E2BIG);
		assert_int_equal(base64_parse("Zg==", 4, &b), -E2BIG);
		assert_int_equal(b.len, len);
	}
}

static void test_only_one_way_to_write(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(not_base64); i++) {
		_cleanup_buf_ struct buf b = {.max = 64};
		size_t n = strlen(not_base64[i]);
		_cleanup_free_ char *copy = exact(not_base64[i], n);

		assert_int_equal(base64_parse(copy, n, &b), -EBADMSG);
		assert_int_equal(b.len, 0);
	}
}

/* Whatever is read is written the same way again: four characters of which one
 * is any byte. */
static void test_reading_undoes_writing(void **state)
{
	static const char *const quads[] = {"Zg==", "Zm8=", "Zm9v"};

	for (size_t q = 0; q < ARRAY_LEN(quads); q++)
		for (int at = 0; at < 4; at++)
			for (int c = 0; c < 256; c++) {
				char text[4], again[4], raw[3];
				ssize_t n;

				memcpy(text, quads[q], 4);
				text[at] = (char)c;
				n = base64_read(text, 4, raw, sizeof(raw));
				if (n < 0) {
					assert_int_equal(n, -EBADMSG);
					continue;
				}
				base64_write(raw, (size_t)n, again);
				assert_memory_equal(text, again, 4);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_only_one_way_to_write),
		cmocka_unit_test(test_reading_undoes_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
