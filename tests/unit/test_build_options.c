/* SPDX-License-Identifier: Apache-2.0 */
/* What `stele build` reads from its command line. */
#include "util/build_options.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tests/unit/unit.h"

#define BAD INT64_MIN

static void test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t want;
	} cases[] = {
		{"@0", 0},
		{"@-1", -1},
		{"@1769903999", 1769903999},
		{"1970-01-01", 0},
		{"2026-01-31T23:59:59", 1769903999},
		{"2026-01-31 23:59:59Z", 1769903999},
		{"2024-02-29", 1709164800},
		{"1969-12-31T23:59:59", -1},
		{"", BAD},
		{"@", BAD},
		{"@1x", BAD},
		{"@9999999999999999999", BAD},
		{"2026", BAD},
		{"2026-1-1", BAD},
		{"2026-13-01", BAD},
		{"2026-02-29", BAD},
		{"2026-04-31", BAD},
		{"2026-01-31T24:00:00", BAD},
		{"2026-01-31T23:59", BAD},
		{"2026-01-31T23:59:60", BAD},
		{"2026-01-31T23:59:59+01:00", BAD},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t got = BAD;
		int r = build_parse_time(cases[i].text, &got);

		if (cases[i].want == BAD ? r != -EINVAL
					 : r != 0 || got != cases[i].want)
			fail_msg("%s: %d %" PRId64, cases[i].text, r, got);
	}
}

static void test_owner(void **state)
{
	static const struct {
		const char *text;
		int want;
		bool has_uid, has_gid;
		uint32_t uid, gid;
	} cases[] = {
		{"0", 0, true, false, 0, 0},
		{"0:0", 0, true, true, 0, 0},
		{":7", 0, false, true, 0, 7},
		{"4294967294:5", 0, true, true, 4294967294, 5},
		{"4294967295", -EINVAL, false, false, 0, 0},
		{"", -EINVAL, false, false, 0, 0},
		{":", -EINVAL, false, false, 0, 0},
		{"1:", -EINVAL, false, false, 0, 0},
		{"root", -EINVAL, false, false, 0, 0},
		{"1:2:3", -EINVAL, false, false, 0, 0},
		{"-1", -EINVAL, false, false, 0, 0},
		{"12345678901", -EINVAL, false, false, 0, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tree_options o = {0};
		int r = build_parse_owner(cases[i].text, &o);

		if (r != cases[i].want || o.set_uid != cases[i].has_uid ||
			o.set_gid != cases[i].has_gid ||
			o.uid != cases[i].uid || o.gid != cases[i].gid)
			fail_msg(
				"%s: %d %u:%u", cases[i].text, r, o.uid, o.gid);
	}
}

static void test_size(void **state)
{
	static const struct {
		const char *text;
		uint32_t want; /* 0: wrong */
	} cases[] = {
		{"4096", 4096},
		{"4K", 4096},
		{"64k", 65536},
		{"1M", 1 << 20},
		{"1048576", 1 << 20},
		{"2M", 0},
		{"2K", 0},
		{"5000", 0},
		{"96K", 0},
		{"", 0},
		{"K", 0},
		{"64KB", 0},
		{"4097152K", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t got = 0;
		int r = build_parse_size(cases[i].text, &got);

		if (got != cases[i].want || (r == 0) != (got != 0))
			fail_msg("%s: %d %u", cases[i].text, r, got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
