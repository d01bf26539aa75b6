/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of names: SQLite's, but for bytes that are no characters. */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/audit/glob.h"
#include "fs/base/cleanup.h"
#include "tests/lib/prng.h"
#include "tests/unit/query_kit.h"

static bool match(const char *pattern, const char *text, size_t len)
{
	struct glob g;

	glob_init(&g, pattern);
	return glob_match(&g, text, len);
}

/* Text of these pieces; the same for a pattern and for what it is to match, so
 * that they often do. */
static void make_text(struct prng *p, char ret[64])
{
	static const char *const pieces[] = {"a", "b", "*", "?", "[", "]", "^",
		"-", "[ab]", "[^a]", "[a-c]", "[]a]", "/", "\xc3\xa9",
		"\xe2\x82\xac", "\xf0\x9f\x90\xa7", "[\xc3\xa0-\xc3\xbf]",
		"aab"};
	size_t len = 0;

	for (uint64_t n = prng_below(p, 8); n > 0; n--) {
		const char *piece = pieces[prng_below(p, ARRAY_LEN(pieces))];

		memcpy(ret + len, piece, strlen(piece));
		len += strlen(piece);
	}
	ret[len] = '\0';
}

static bool sqlite_match(
	struct db_stmt *s, const char *pattern, const char *text)
{
	db_bind_text(s, text);
	db_bind_text(s, pattern);
	assert_int_equal(db_next(s), 1);

	bool yes = db_int(s, 0);

	db_rewind(s);
	return yes;
}

static void test_patterns_are_those_of_sqlite(void **state)
{
	const struct made *m = *state;
	struct db_stmt *s = NULL;
	struct prng p = {4711};
	int matched = 0;

	print_message("seed %d\n", 4711);
	assert_int_equal(db_prepare(m->db, "SELECT ?1 GLOB ?2", &s), 0);
	for (int i = 0; i < 200000; i++) {
		char text[64], pattern[64];

		make_text(&p, text);
		make_text(&p, pattern);

		bool want = sqlite_match(s, pattern, text);

		if (match(pattern, text, strlen(text)) != want)
			fail_msg("'%s' and '%s': not %d", pattern, text, want);
		matched += want;
	}
	/* Else the texts would be too much unlike the patterns. */
	assert_true(matched > 1000);
	db_stmt_free(s);
}

static void test_bytes_that_are_no_characters(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool want;
	} cases[] = {
		{"\xff", "\xff", true},
		{"\xff", "\xfe", false},
		{"a?b",
			"a\xff"
			"b",
			true},
		{"a?b",
			"a\xe2\x82"
			"b",
			false},
		{"*\x82\xac", "\xe2\x82\xac", false},
		{"*\x82\xac", "x\x82\xac", true},
		{"*\xc3*", "\xc3\xa9", false},
		{"*\xc3*", "\xc3x\xa9", true},
		{"[\xff]", "\xff", true},
		{"\xed\xa0\x80", "\xed\xa0\x80", true},
		{"*[", "[", false},
		{"[]", "]", false},
		{"", "", true},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++)
		if (match(cases[i].pattern, cases[i].text,
			    strlen(cases[i].text)) != cases[i].want)
			fail_msg("case %zu", i);
	assert_true(match("a*", "a\0b", 3));
}

/* Stars that each match at many places cost no more than their product. */
static void test_many_stars_end(void **state)
{
	enum { LEN = 4000 };
	char pattern[2 * 200 + 2], text[LEN];

	for (int i = 0; i < 200; i++)
		memcpy(pattern + 2 * i, "*a", 2);
	memcpy(pattern + 400, "b", 2);
	memset(text, 'a', LEN);
	assert_false(match(pattern, text, LEN));
	text[LEN - 1] = 'b';
	assert_true(match(pattern, text, LEN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			test_patterns_are_those_of_sqlite, made_set_up,
			made_tear_down),
		cmocka_unit_test(test_bytes_that_are_no_characters),
		cmocka_unit_test(test_many_stars_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
