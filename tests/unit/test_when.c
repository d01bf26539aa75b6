/* SPDX-License-Identifier: Apache-2.0 */
/* Moments as people type them. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/when.h"

#define SECOND INT64_C(1000000000)
/* 2026-11-22 03:17:05.5 UTC, which is 04:17 where the tests are. */
#define NOW (INT64_C(1795317425) * SECOND + 500000000)

static const struct {
	const char *text;
	int64_t want;
} must_work[] = {
	{"now", NOW},
	{"today", INT64_C(1795302000) * SECOND},
	{"yesterday", INT64_C(1795215600) * SECOND},
	{"@0", 0},
	{"@1795317425", INT64_C(1795317425) * SECOND},
	{"@1.5", SECOND * 3 / 2},
	{"@1.0000000019", SECOND + 1},
	{"-2h", NOW - 7200 * SECOND},
	{"-1h30m", NOW - 5400 * SECOND},
	{"- 1 hour 30 minutes", NOW - 5400 * SECOND},
	{"10m ago", NOW - 600 * SECOND},
	{"2 hours ago", NOW - 7200 * SECOND},
	{"1 day ago", NOW - 86400 * SECOND},
	{"-1w", NOW - 604800 * SECOND},
	{"-0s", NOW},
	{"2026-11-22T03:17:05Z", INT64_C(1795317425) * SECOND},
	{"2026-11-22t03:17:05z", INT64_C(1795317425) * SECOND},
	{"2026-11-22T03:17:05.25Z", INT64_C(1795317425) * SECOND + SECOND / 4},
	{"2026-11-22T05:17:05+02:00", INT64_C(1795317425) * SECOND},
	{"2026-11-21T22:47:05-0430", INT64_C(1795317425) * SECOND},
	{"2026-11-22 04:17:05", INT64_C(1795317425) * SECOND},
	{"2026-11-22 04:17", INT64_C(1795317420) * SECOND},
	{"2026-11-22 04:17Z", INT64_C(1795321020) * SECOND},
	{"2026-11-22", INT64_C(1795302000) * SECOND},
	{"04:17", INT64_C(1795317420) * SECOND},
	{"04:17:05.125", INT64_C(1795317425) * SECOND + SECOND / 8},
	{"2024-02-29", INT64_C(1709161200) * SECOND},
	{"1969-12-31T23:59:59Z", -SECOND},
};

static const char *const must_fail[] = {
	"",
	" ",
	"soon",
	"2h",
	"10m",
	"ago",
	"-",
	"-h",
	"-2",
	"-2x",
	"-2h3",
	"-2h ag",
	"2 hours agoo",
	"@",
	"@-1",
	"@1x",
	"@99999999999999999999",
	"@999999999999999999",
	"2026",
	"2026-11",
	"2026-11-22T",
	"2026-11-22 3",
	"2026-13-01",
	"2026-00-10",
	"2026-11-00",
	"2026-02-30",
	"2026-11-31Z",
	"2026-11-22 24:00",
	"2026-11-22 12:60",
	"2026-11-22 12:00:61",
	"2026-11-22T12:00:00+",
	"2026-11-22T12:00:00+1",
	"2026-11-22T12:00:00+25:00",
	"2026-11-22T12:00:00Zx",
	"26-11-22",
	"12:3",
	"12:30:",
	"12:30x",
	"-9999999999w",
	"9999999999w ago",
	"todayx",
	"tomorrow",
	"now ",
	"2026-11-22T12:00:00\n",
};

static void test_work(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(must_work) / sizeof(*must_work); i++) {
		int64_t got = 0;
		int r = when_parse(must_work[i].text, NOW, &got);

		if (r != 0 || got != must_work[i].want)
			print_error("'%s': %d, %lld, want %lld\n",
				must_work[i].text, r, (long long)got,
				(long long)must_work[i].want);
		assert_int_equal(r, 0);
		assert_int_equal(got, must_work[i].want);
	}
}

static void test_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(must_fail) / sizeof(*must_fail); i++) {
		int64_t got = 7;
		int r = when_parse(must_fail[i], NOW, &got);

		if (r != -EINVAL || got != 7)
			print_error("'%s' is taken for %lld\n", must_fail[i],
				(long long)got);
		assert_int_equal(r, -EINVAL);
		assert_int_equal(got, 7);
	}
}

static int set_zone(void **state)
{
	(void)state;
	/* One hour east of Greenwich, all year. */
	if (setenv("TZ", "XXX-1", 1) < 0)
		return -1;
	tzset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_work),
		cmocka_unit_test(test_fail),
	};

	return cmocka_run_group_tests(tests, set_zone, NULL);
}
