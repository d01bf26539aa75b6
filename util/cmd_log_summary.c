/* SPDX-License-Identifier: Apache-2.0 */
/* stele log summary: who tries to write most, where, and when. */
#include <stdio.h>
#include <time.h>

#include "util/cmd.h"
#include "util/exit.h"
#include "util/log_filter.h"
#include "util/log_summary.h"
#include "util/out.h"
#include "util/when.h"
#include "util/where.h"

enum { OVERVIEW_TOP = 5, OVERVIEW_HOURS = 12, TABLE_TOP = 20 };

#define MAX_TOP 1000000

struct summary_values {
	bool json;
	struct log_filter which;
	const char *by, *new_since;
	int64_t top;

	struct summary_options opt;
	enum summary_by table;
};

static const struct opt options[] = {
	{
		.name = "by",
		.letter = 'B',
		.kind = OPT_STRING,
		.offset = offsetof(struct summary_values, by),
		.value = "path|exe|comm|container|uid|op|rule|hour|process",
		.help = "one table of these, with all that is known of each",
	},
	{
		.name = "new-since",
		.letter = 'N',
		.kind = OPT_STRING,
		.offset = offsetof(struct summary_values, new_since),
		.value = "TIME",
		.help = "only what has no attempt before TIME",
	},
	{
		.name = "top",
		.letter = 'n',
		.kind = OPT_NUMBER,
		.offset = offsetof(struct summary_values, top),
		.value = "N",
		.help = "so many lines of a table; 20 when not given, 5 in "
			"the overview",
		.min = 1,
		.max = MAX_TOP,
	},
	LOG_FILTER_OPTIONS(struct summary_values, which),
	{
		.name = "json",
		.letter = 'j',
		.kind = OPT_FLAG,
		.offset = offsetof(struct summary_values, json),
		.help = "JSON lines: the totals, then each group",
	},
	{0},
};

static int set_by(struct summary_values *v)
{
	char names[128];
	size_t len = 0;

	v->opt.by = (1u << SUMMARY_COUNT) - 1;
	if (!v->by)
		return EXIT_OK;
	if (log_summary_parse(v->by, &v->table) == 0) {
		v->opt.by = 1u << v->table;
		return EXIT_OK;
	}
	for (int i = 0; i < SUMMARY_COUNT; i++)
		len += (size_t)snprintf(names + len, sizeof(names) - len,
			"%s%s", i ? ", " : "",
			log_summary_name((enum summary_by)i));
	return fail(EXIT_USAGE, "--by '%s' is not one of %s", v->by, names);
}

static int set_new_since(struct summary_values *v)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* cannot fail for this clock */
	if (!v->new_since || when_parse(v->new_since,
				     (int64_t)t.tv_sec * 1000000000 + t.tv_nsec,
				     &v->opt.new_since) == 0)
		return EXIT_OK;
	return fail(EXIT_USAGE,
		"--new-since '%s' is not a time; give one of %s", v->new_since,
		WHEN_FORMS);
}

static int set_options(struct summary_values *v)
{
	int code = log_filter_parse(&v->which, &v->opt.filter);

	if (code == EXIT_OK)
		code = set_by(v);
	if (code == EXIT_OK)
		code = set_new_since(v);
	v->opt.top = v->top > 0 ? (size_t)v->top
		     : v->by	? TABLE_TOP
				: OVERVIEW_TOP;
	v->opt.hours = v->top > 0 ? (size_t)v->top
		       : v->by	  ? TABLE_TOP
				  : OVERVIEW_HOURS;
	return code;
}

static int print(const struct summary_values *v, const struct summary *s)
{
	bool color;
	int r;

	if (v->json) {
		r = log_summary_json(s, v->opt.by);
		if (r == -ENOMEM)
			return fail(EXIT_SYSTEM, "out of memory");
	} else {
		out_pager_begin();
		color = out_color();
		if (v->by)
			log_summary_table(s, v->table, color);
		else
			log_summary_overview(s, color);
		out_pager_end();
	}
	return summary_totals(s)->attempts ? EXIT_OK : EXIT_NO;
}

static int summarize(struct summary_values *v, const char *operand)
{
	_cleanup_(query_close) struct query *q = NULL;
	_cleanup_(summary_free) struct summary *s = NULL;
	_cleanup_free_ char *path = NULL;
	struct diag diag = {0};
	int r = where_ledger_operand(operand, &path, &diag);

	if (r == 0)
		r = query_open(path, &q, &diag);
	if (r < 0)
		return fail_diag(r, &diag);
	r = summary_new(q, &v->opt, &s);
	if (r < 0)
		return fail(exit_code_of(r), "reading the ledger: %s",
			query_error(q));
	return print(v, s);
}

static int run(const struct command *self, int argc, char **argv)
{
	struct summary_values v = {.which = LOG_FILTER_INIT};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	if (n != 1)
		code = opt_misuse(self, "give one mount point or ledger");
	else
		code = set_options(&v);
	if (code == EXIT_OK)
		code = summarize(&v, argv[1]);
	log_filter_done(&v.which);
	return code;
}

static const struct example examples[] = {
	{"stele log summary /mnt", "an overview on one screen"},
	{"stele log summary /mnt --by path --since today -n 50",
		"the 50 paths that were tried most today"},
	{"stele log summary /mnt --by exe --new-since yesterday",
		"programs that never tried before yesterday"},
	{0},
};

const struct command cmd_log_summary = {
	.name = "log summary",
	.operands = "MOUNTPOINT|FILE",
	.summary = "count refused writes by path, program, user, hour",
	.description =
		"Counts the attempts of a ledger. Without --by: how many, "
		"from when to when, the five largest groups of each kind, and "
		"the last twelve hours with attempts. With --by: one table, "
		"the largest groups first, with how many paths they tried and "
		"when first and last; hours in their order.\n"
		"\n"
		"With --new-since, only groups that are new since TIME: with "
		"all attempts before it looked at, whatever --since says.\n"
		"\n" LOG_FILTER_HELP "\n"
		"\n"
		"The exit code is 1 when no attempt matches.",
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
