/* SPDX-License-Identifier: Apache-2.0 */
/* The words of -o and their options: what they set, and what is refused. */
#include "util/mount_words.h"

#include <string.h>
#include <sys/mman.h>

#include "fs/base/io.h"
#include "util/cmd.h"
#include "util/exit.h"

/* Last: cmocka has a macro fail. */
#include "tests/unit/unit.h"

#define MIB (UINT64_C(1) << 20)

static const struct command command = {.name = "mount"};

/* One parse, and what was said on standard error. */
struct parsed {
	struct mount_words words;
	struct mount_options opt;
	int code;
	char said[512];
};

static void parse(struct parsed *p, const struct mount_values *v)
{
	int saved = dup(STDERR_FILENO);
	int memory = memfd_create("said", MFD_CLOEXEC);

	*p = (struct parsed){0};
	exit_set_command("mount");
	assert_true(saved >= 0 && memory >= 0);
	assert_true(dup2(memory, STDERR_FILENO) >= 0);
	p->code = mount_words_parse(&command, v, &p->words, &p->opt);
	assert_int_equal(fflush(NULL), 0);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	(void)close(saved);
	assert_true(io_pread(memory, p->said, sizeof(p->said) - 1, 0) >= 0);
	(void)close(memory);
}

/* -o once for each of words, which end with NULL. */
static void parse_words(struct parsed *p, const char *const *words)
{
	const char *items[8];
	struct mount_values v = {.options = {.items = items}};

	while (words[v.options.count]) {
		assert_true(v.options.count < ARRAY_LEN(items));
		items[v.options.count] = words[v.options.count];
		v.options.count++;
	}
	parse(p, &v);
}

static void done(struct parsed *p)
{
	mount_words_done(&p->words);
	mount_words_done(&p->words); /* twice is allowed */
}

static void test_nothing_said(void **state)
{
	const struct mount_values v = {0};
	struct parsed p;

	parse(&p, &v);
	assert_int_equal(p.code, EXIT_OK);
	assert_string_equal(p.opt.text, "");
	assert_int_equal(p.opt.ledger_options.on_full, LEDGER_AGGREGATE);
	assert_int_equal(p.opt.ledger_options.process_rate, 4 * MIB);
	assert_int_equal(p.opt.ledger_options.group_rate, 16 * MIB);
	assert_int_equal(p.opt.ledger_options.max_bytes, 0);
	assert_int_equal(p.opt.ledger_options.keep_seconds, 0);
	assert_null(p.opt.ledger_options.anchors);
	assert_null(p.opt.ledger_options.alerts);
	assert_null(p.opt.ledger_options.metrics);
	assert_null(p.opt.label);
	assert_null(p.words.ledger);
	done(&p);
}

static void test_all_words(void **state)
{
	const char *const words[] = {
		"rw,noexec,threads=3,cache=5,label=web \xc3\xa9",
		"on_full=rotate,ledger_max=10M,ledger_keep=2d,budget=1M:3M,"
		"recover,durability=fsync",
		"anchor=syslog,anchor=file:/a,alert=exec:/b,metrics=unix:/c,"
		"ledger=/d",
		NULL};
	struct parsed p;

	parse_words(&p, words);

	const struct ledger_options *l = &p.opt.ledger_options;

	assert_int_equal(p.code, EXIT_OK);
	assert_true(p.opt.noexec && l->recover && l->fsync);
	assert_int_equal(p.opt.threads, 3);
	assert_int_equal(p.opt.cache_bytes, 5 * MIB);
	assert_string_equal(p.opt.label, "web \xc3\xa9");
	assert_int_equal(l->on_full, LEDGER_ROTATE);
	assert_int_equal(l->max_bytes, 10 * MIB);
	assert_int_equal(l->keep_seconds, 2 * 86400);
	assert_int_equal(l->process_rate, MIB);
	assert_int_equal(l->group_rate, 3 * MIB);
	assert_string_equal(l->anchors[0], "syslog");
	assert_string_equal(l->anchors[1], "file:/a");
	assert_null(l->anchors[2]);
	assert_string_equal(l->alerts[0], "exec:/b");
	assert_null(l->alerts[1]);
	assert_string_equal(l->metrics, "unix:/c");
	assert_string_equal(p.words.ledger, "/d");
	assert_int_equal(strncmp(p.opt.text, words[0], strlen(words[0])), 0);
	done(&p);
}

/* Options win over words, may hold commas, and are part of what is recorded. */
static void test_options(void **state)
{
	const char *words[] = {"on_full=halt,ledger=/x,ledger_max=5M"};
	const char *anchors[] = {"stdout", "file:/a,b"};
	const char *alerts[] = {"exec:/c"};
	const struct mount_values v = {
		.options = {.items = words, .count = 1},
		.ledger = "/y,z",
		.ledger_max = "7M",
		.on_full = "block",
		.metrics = "file:/m",
		.anchors = {.items = anchors, .count = 2},
		.alerts = {.items = alerts, .count = 1},
		.recover = true,
		.foreground = true,
	};
	struct parsed p;

	parse(&p, &v);

	const struct ledger_options *l = &p.opt.ledger_options;

	assert_int_equal(p.code, EXIT_OK);
	assert_int_equal(l->on_full, LEDGER_BLOCK);
	assert_int_equal(l->max_bytes, 7 * MIB);
	assert_string_equal(p.words.ledger, "/y,z");
	assert_string_equal(l->anchors[1], "file:/a,b");
	assert_null(l->anchors[2]);
	assert_string_equal(l->metrics, "file:/m");
	assert_true(l->recover);
	assert_string_equal(p.opt.text,
		"on_full=halt,ledger=/x,ledger_max=5M,ledger=/y,z,"
		"ledger_max=7M,on_full=block,metrics=file:/m,anchor=stdout,"
		"anchor=file:/a,b,alert=exec:/c,recover");
	done(&p);
}

static void test_budgets(void **state)
{
	static const struct {
		const char *word;
		uint64_t process, group;
	} cases[] = {
		{"budget=0", 0, 0},
		{"budget=0:0", 0, 0},
		{"budget=1K", 1024, 4096},
		{"budget=1K:0", 1024, 0},
		{"budget=0:2M", 0, 2 * MIB},
		{"budget=16777215T", UINT64_C(16777215) << 40, UINT64_MAX},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const words[] = {cases[i].word, NULL};
		struct parsed p;

		parse_words(&p, words);
		assert_int_equal(p.code, EXIT_OK);
		assert_int_equal(
			p.opt.ledger_options.process_rate, cases[i].process);
		assert_int_equal(
			p.opt.ledger_options.group_rate, cases[i].group);
		done(&p);
	}
}

/* Each with a part of what must be said; always one line, and no mount. */
static void test_refused(void **state)
{
	static const char long_label[] =
		"label="
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aaaaaa";
	static const struct {
		const char *word, *says;
	} cases[] = {
		{"ro", "immutable without it"},
		{"dev", "never usable"},
		{"bogus", "'bogus'"},
		{"bogus=1", "'bogus=1'"},
		{"on_full", "'on_full'"},
		{"=x", "'=x'"},
		{"on_full=", "-o on_full=: not aggregate"},
		{"on_full=stop", "'stop'"},
		{"ledger_max=12X", "'12X'"},
		{"ledger_max=1000", "full from the start"},
		{"ledger_keep=7", "'7'"},
		{"budget=fast", "'fast'"},
		{"budget=1M:", "'1M:'"},
		{"budget=1M:2M:3M", "'1M:2M:3M'"},
		{"budget=-1", "'-1'"},
		{"label=", "1 to 255"},
		{long_label, "1 to 255"},
		{"label=\xff", "UTF-8"},
		{"anchor=", "file:PATH"},
		{"anchor=file:a", "'file:a'"},
		{"anchor=http://x", "'http://x'"},
		{"anchor=syslogd", "'syslogd'"},
		{"anchor=stdout", "--foreground"},
		{"alert=file:/a", "'file:/a'"},
		{"alert=exec:a", "'exec:a'"},
		{"metrics=/a", "'/a'"},
		{"threads=0", "'0'"},
		{"cache=1M", "'1M'"},
		{"id=12", "'12'"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *const words[] = {cases[i].word, NULL};
		struct parsed p;

		parse_words(&p, words);
		assert_int_equal(p.code, EXIT_USAGE);
		if (!strstr(p.said, cases[i].says))
			fail_msg("%s: %s", cases[i].word, p.said);
		assert_ptr_equal(
			strchr(p.said, '\n'), p.said + strlen(p.said) - 1);
		done(&p);
	}
}

static void test_options_name_themselves(void **state)
{
	const struct mount_values on_full = {.on_full = "stop"};
	const struct mount_values max = {.ledger_max = "big"};
	struct parsed p;

	parse(&p, &on_full);
	assert_int_equal(p.code, EXIT_USAGE);
	assert_non_null(strstr(p.said, "--on-full: not"));
	done(&p);
	parse(&p, &max);
	assert_int_equal(p.code, EXIT_USAGE);
	assert_non_null(strstr(p.said, "--ledger-max: not"));
	done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_said),
		cmocka_unit_test(test_all_words),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_budgets),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_options_name_themselves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
