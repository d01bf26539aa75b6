/* SPDX-License-Identifier: Apache-2.0 */
/* Options: what is understood, what is refused, and in which words. */
#include "util/opt.h"

#include <string.h>
#include <sys/mman.h>

#include "fs/base/cleanup.h"
#include "fs/base/io.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/suggest.h"

/* Last: cmocka has a macro fail. */
#include "tests/unit/unit.h"

#define WORDS_MAX 12

struct values {
	bool follow, all, recursive;
	const char *output;
	struct opt_list exclude;
	int64_t level, offset;
};

static const struct opt options[] = {
	{"follow", 'f', OPT_FLAG, offsetof(struct values, follow), NULL,
		"follow", 0, 0},
	{"all", 'a', OPT_FLAG, offsetof(struct values, all), NULL, "all", 0, 0},
	{NULL, 'R', OPT_FLAG, offsetof(struct values, recursive), NULL,
		"recursive", 0, 0},
	{"output", 'o', OPT_STRING, offsetof(struct values, output), "FILE",
		"output", 0, 0},
	{"exclude", 'x', OPT_LIST, offsetof(struct values, exclude), "PATTERN",
		"exclude", 0, 0},
	{"level", 'l', OPT_NUMBER, offsetof(struct values, level), "N", "level",
		0, 22},
	{"offset", 0, OPT_NUMBER, offsetof(struct values, offset), "N",
		"offset", INT64_MIN, INT64_MAX},
	{0},
};

static int run_nothing(const struct command *self, int argc, char **argv)
{
	return EXIT_OK;
}

static const struct command command = {
	.name = "test",
	.operands = "[WORD...]",
	.summary = "test",
	.description = "Test.",
	.options = options,
	.run = run_nothing,
};

/* A parsed command line, and what was said about it. */
struct parsed {
	struct values v;
	char words[512];
	char *argv[WORDS_MAX + 2];
	int count, exit;
	char said[1024]; /* on standard error, or on output for --help */
};

/* Let fd write into memory; returns what it was before. */
static int capture(int fd, int *ret_memory)
{
	int saved = dup(fd);

	*ret_memory = memfd_create("said", MFD_CLOEXEC);
	assert_true(saved >= 0 && *ret_memory >= 0);
	assert_true(dup2(*ret_memory, fd) >= 0);
	return saved;
}

static void release(int fd, int saved, int memory, char *ret, size_t room)
{
	ssize_t n;

	assert_int_equal(fflush(NULL), 0);
	assert_true(dup2(saved, fd) >= 0);
	(void)close(saved);
	n = io_pread(memory, ret, room - 1, 0);
	assert_true(n >= 0);
	ret[n] = '\0';
	(void)close(memory);
}

/* Parse words that are separated by blanks; "''" is an empty one. */
static void parse_to(struct parsed *p, const char *words, int fd)
{
	int argc = 1, memory, saved;
	char *next = p->words;

	*p = (struct parsed){.exit = -1};
	assert_true(strlen(words) < sizeof(p->words));
	memcpy(p->words, words, strlen(words) + 1);
	p->argv[0] = (char *)(uintptr_t) "test";
	for (char *word; (word = strsep(&next, " "));) {
		assert_true(argc < WORDS_MAX);
		if (*word)
			p->argv[argc++] =
				strcmp(word, "''") == 0 ? word + 2 : word;
	}
	exit_set_command("test");
	assert_int_equal(fflush(NULL), 0);
	saved = capture(fd, &memory);
	p->count = opt_parse(&command, argc, p->argv, &p->v, &p->exit);
	release(fd, saved, memory, p->said, sizeof(p->said));
}

static void parse(struct parsed *p, const char *words)
{
	parse_to(p, words, STDERR_FILENO);
}

static void test_kinds(void **state)
{
	struct parsed p;

	parse(&p, "-fR --output=a -x 1 --exclude 2 -x3 -l22 --offset -5");
	assert_int_equal(p.count, 0);
	assert_true(p.v.follow && p.v.recursive && !p.v.all);
	assert_string_equal(p.v.output, "a");
	assert_int_equal(p.v.exclude.count, 3);
	assert_string_equal(p.v.exclude.items[0], "1");
	assert_string_equal(p.v.exclude.items[1], "2");
	assert_string_equal(p.v.exclude.items[2], "3");
	assert_int_equal(p.v.level, 22);
	assert_int_equal(p.v.offset, -5);
	assert_string_equal(p.said, "");
	opt_list_done(&p.v.exclude);
	assert_null(p.v.exclude.items);
	opt_list_done(&p.v.exclude);
}

static void test_values(void **state)
{
	static const struct {
		const char *words, *output;
	} good[] = {
		{"-o b", "b"},
		{"-ob", "b"},
		{"-o=b", "=b"},
		{"-fao b", "b"},
		{"-faob", "b"},
		{"-o -f", "-f"},
		{"-o --", "--"},
		{"-o --help", "--help"},
		{"--output b", "b"},
		{"--output=b", "b"},
		{"--output=", ""},
		{"--output ''", ""},
		{"--output=b=c", "b=c"},
		{"--output a --output b", "b"},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct parsed p;

		parse(&p, good[i].words);
		assert_int_equal(p.count, 0);
		assert_string_equal(p.v.output, good[i].output);
	}
}

static void test_operands(void **state)
{
	static const struct {
		const char *words;
		int count;
		const char *first, *second;
		bool follow;
	} good[] = {
		{"", 0, NULL, NULL, false},
		{"a b", 2, "a", "b", false},
		{"a -f b", 2, "a", "b", true},
		{"-f a b", 2, "a", "b", true},
		{"a b -f", 2, "a", "b", true},
		{"a -- -f", 2, "a", "-f", false},
		{"-- a --", 2, "a", "--", false},
		{"-f -- --help", 1, "--help", NULL, true},
		{"- -f", 1, "-", NULL, true},
		{"''", 1, "", NULL, false},
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct parsed p;

		parse(&p, good[i].words);
		assert_int_equal(p.count, good[i].count);
		assert_string_equal(p.argv[0], "test");
		if (good[i].first)
			assert_string_equal(p.argv[1], good[i].first);
		if (good[i].second)
			assert_string_equal(p.argv[2], good[i].second);
		assert_int_equal(p.v.follow, good[i].follow);
	}
}

static void test_numbers(void **state)
{
	static const struct {
		const char *words;
		int64_t offset;
	} good[] = {
		{"--offset 0", 0},
		{"--offset -0", 0},
		{"--offset 007", 7},
		{"--offset 9223372036854775807", INT64_MAX},
		{"--offset -9223372036854775808", INT64_MIN},
	};
	static const char *const bad[] = {"''", "-", "+1", "0x1", "1k", "1.0",
		"--1", "9223372036854775808", "-9223372036854775809",
		"99999999999999999999999"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct parsed p;

		parse(&p, good[i].words);
		assert_int_equal(p.count, 0);
		assert_int_equal(p.v.offset, good[i].offset);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct parsed p;
		char words[64];

		(void)snprintf(words, sizeof(words), "--offset %s", bad[i]);
		parse(&p, words);
		assert_int_equal(p.count, -1);
		assert_int_equal(p.exit, EXIT_USAGE);
	}
}

/* Each is one line that says what is wrong and what to try. */
static void test_misuse(void **state)
{
	static const struct {
		const char *words, *said;
	} bad[] = {
		{"--foo", "unknown option --foo"},
		{"--folow", "unknown option --folow (did you mean --follow?)"},
		{"--fol", "unknown option --fol (did you mean --follow?)"},
		{"--folow=1",
			"unknown option --folow (did you mean --follow?)"},
		{"--hepl", "unknown option --hepl (did you mean --help?)"},
		{"--=", "unknown option --"},
		{"-z", "unknown option -z"},
		{"-fz", "unknown option -z"},
		{"--follow=yes", "--follow takes no value"},
		{"--help=yes", "--help takes no value"},
		{"--output", "--output needs a value (FILE)"},
		{"-o", "--output needs a value (FILE)"},
		{"-fo", "--output needs a value (FILE)"},
		{"-l 23", "--level: '23' is no number from 0 to 22"},
		{"--level=-1", "--level: '-1' is no number from 0 to 22"},
		{"--level ''", "--level: '' is no number from 0 to 22"},
		{"-x 1 -x 2 --foo", "unknown option --foo"},
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct parsed p;
		char said[256];

		parse(&p, bad[i].words);
		(void)snprintf(said, sizeof(said),
			"stele test: %s; try 'stele test --help'\n",
			bad[i].said);
		assert_string_equal(p.said, said);
		assert_int_equal(p.count, -1);
		assert_int_equal(p.exit, EXIT_USAGE);
		assert_null(p.v.exclude.items);
	}
}

/* What a word holds must not end the line or speak to the terminal. */
static void test_misuse_is_printable(void **state)
{
	struct parsed p;

	parse(&p, "--a\nb\033[31m");
	assert_string_equal(p.said,
		"stele test: unknown option --a?b?[31m; try 'stele test "
		"--help'\n");
}

static void test_help(void **state)
{
	struct parsed p;

	parse_to(&p, "-f --help --foo", STDOUT_FILENO);
	assert_int_equal(p.count, -1);
	assert_int_equal(p.exit, EXIT_OK);
	assert_non_null(strstr(p.said, "usage: stele test [OPTION...] [WORD"));
	assert_non_null(strstr(p.said, "\n  -o, --output=FILE       output\n"));
	assert_non_null(
		strstr(p.said, "\n  -R                      recursive"));
	assert_non_null(strstr(p.said, "EXIT STATUS"));
}

static void test_suggest(void **state)
{
	static const struct {
		const char *typed, *best;
	} cases[] = {
		{"umount", "umount"},
		{"unmount", "umount"},
		{"mout", "mount"},
		{"mnt", NULL},
		{"verfiy", "verify"},
		{"ver", "verify"},
		{"sl", "ls"},
		{"x", NULL},
		{"", NULL},
		{"something-that-no-option-is-as-long-as", NULL},
		{"frobnicate", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct suggest s = {.typed = cases[i].typed};

		suggest_offer(&s, "mount");
		suggest_offer(&s, "umount");
		suggest_offer(&s, "verify");
		suggest_offer(&s, "ls");
		suggest_offer(&s, "a-word-that-is-longer-than-any-word-is");
		if (cases[i].best)
			assert_string_equal(s.best, cases[i].best);
		else
			assert_null(s.best);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_operands),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_misuse),
		cmocka_unit_test(test_misuse_is_printable),
		cmocka_unit_test(test_help),
		cmocka_unit_test(test_suggest),
	};

	return cmocka_run_group_tests_name("opt", tests, NULL, NULL);
}
