/* SPDX-License-Identifier: Apache-2.0 */
/* Text on a page: no byte of a name becomes markup. */
#include "util/report_html.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"

static char *text_of(void (*print)(FILE *f, const void *arg), const void *arg)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	print(f, arg);
	assert_int_equal(fclose(f), 0);
	return text;
}

static void print_name(FILE *f, const void *arg)
{
	const char *name = arg;

	report_html_name(f, name, strlen(name));
}

static void print_number(FILE *f, const void *arg)
{
	report_html_number(f, *(const int64_t *)arg);
}

static void print_span(FILE *f, const void *arg)
{
	report_html_span(f, *(const int64_t *)arg);
}

static void print_time(FILE *f, const void *arg)
{
	report_html_time(f, *(const int64_t *)arg);
}

static void expect(
	void (*print)(FILE *, const void *), const void *arg, const char *want)
{
	char *text = text_of(print, arg);

	assert_string_equal(text, want);
	free(text);
}

static void test_names(void **state)
{
	expect(print_name, "<script>", "&lt;script&gt;");
	expect(print_name, "\"'&", "&quot;&#39;&amp;");
	expect(print_name, "a\nb\x1b", "a\\nb\\e");
	expect(print_name, "\xe2\x80\xae", "\\xe2\\x80\\xae");
	expect(print_name, "", "");
}

/* Every byte there is, alone and behind a "<". */
static void test_no_byte_is_markup(void **state)
{
	for (int c = 1; c < 256; c++) {
		const char name[] = {'<', (char)c, '\0'};
		char *text = text_of(print_name, name);

		assert_null(strpbrk(text, "<>\"'"));
		for (const char *p = text; *p; p++)
			assert_true((unsigned char)*p >= 0x20);
		free(text);
	}
}

static void test_numbers(void **state)
{
	const struct {
		int64_t n;
		const char *want;
	} cases[] = {{0, "0"}, {999, "999"}, {1000, "1,000"}, {-1000, "-1,000"},
		{-100, "-100"}, {1234567, "1,234,567"},
		{INT64_MIN, "-9,223,372,036,854,775,808"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(print_number, &cases[i].n, cases[i].want);
}

static void test_times(void **state)
{
	const int64_t none = 0, before = -1, far = INT64_MAX;

	expect(print_time, &none, "1970-01-01 00:00:00.000");
	expect(print_time, &before, "1969-12-31 23:59:59.999");
	expect(print_time, &far, "2262-04-11 23:47:16.854");
}

static void test_spans(void **state)
{
	const struct {
		int64_t ns;
		const char *want;
	} cases[] = {{0, "0 ms"}, {INT64_C(1500000000), "1 s"},
		{INT64_C(90000000000), "1 min 30 s"},
		{INT64_C(7200000000000), "2 h"},
		{INT64_C(90061000000000), "1 d 1 h"}};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		expect(print_span, &cases[i].ns, cases[i].want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_byte_is_markup),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_spans),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
