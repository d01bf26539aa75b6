/* SPDX-License-Identifier: Apache-2.0 */
/* stele log report: a page to send. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fs/audit/attest.h"
#include "fs/image/writer_file.h"
#include "util/cmd.h"
#include "util/exit.h"
#include "util/log_filter.h"
#include "util/log_known.h"
#include "util/report.h"
#include "util/where.h"

enum { DEFAULT_ROWS = 1000, MAX_ROWS = 100000 };

struct report_values {
	bool force;
	const char *output;
	struct log_known known;
	int64_t rows;

	struct log_filter which;
	struct query_filter filter;
	struct report report;
	char origin[NOTE_ORIGIN_MAX + 1];
};

static const struct opt options[] = {
	{
		.name = "output",
		.letter = 'o',
		.kind = OPT_STRING,
		.offset = offsetof(struct report_values, output),
		.value = "FILE.html",
		.help = "where the page goes; must be given",
	},
	{
		.name = "force",
		.letter = 'f',
		.kind = OPT_FLAG,
		.offset = offsetof(struct report_values, force),
		.help = "replace a file that is there",
	},
	LOG_FILTER_OPTIONS(struct report_values, which),
	{
		.name = "rows",
		.kind = OPT_NUMBER,
		.offset = offsetof(struct report_values, rows),
		.value = "N",
		.help = "list at most so many different attempts (1000)",
		.min = 1,
		.max = MAX_ROWS,
	},
	{
		.name = "public-key",
		.letter = 'k',
		.kind = OPT_STRING,
		.offset = offsetof(struct report_values, known.public_key),
		.value = "KEY|FILE",
		.help = "the first key of the ledger, to verify it by",
	},
	{
		.name = "expect",
		.kind = OPT_LIST,
		.offset = offsetof(struct report_values, known.expects),
		.value = "FILE|LINE",
		.help = "checkpoints from elsewhere, to verify it by",
	},
	{0},
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t); /* cannot fail for this clock */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* One option as it could have been given; nothing when it was not. */
static void print_option(FILE *f, const struct opt *o, const void *at)
{
	const struct opt_list *list = at;

	switch (o->kind) {
	case OPT_FLAG:
		if (*(const bool *)at)
			fprintf(f, " --%s", o->name);
		break;
	case OPT_STRING:
		if (*(const char *const *)at)
			fprintf(f, " --%s=%s", o->name,
				*(const char *const *)at);
		break;
	case OPT_LIST:
		for (size_t i = 0; i < list->count; i++)
			fprintf(f, " --%s=%s", o->name, list->items[i]);
		break;
	case OPT_NUMBER: break;
	}
}

static void print_number(
	FILE *f, const struct opt *o, int64_t number, int64_t none)
{
	if (number != none)
		fprintf(f, " --%s=%" PRId64, o->name, number);
}

/* Which records were asked for, in the words of the command line; "" for all.
 * To be freed. */
static char *filters_text(const struct report_values *v)
{
	static const struct log_filter none = LOG_FILTER_INIT;
	const size_t from = offsetof(struct report_values, which);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	for (const struct opt *o = options; f && o->name; o++) {
		size_t at = o->offset - from;

		if (o->offset < from || at >= sizeof(v->which))
			continue;
		if (o->kind == OPT_NUMBER)
			print_number(f, o,
				*(const int64_t *)((const char *)&v->which +
						   at),
				*(const int64_t *)((const char *)&none + at));
		else
			print_option(f, o, (const char *)&v->which + at);
	}
	if (f && fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}

static int verify(struct report_values *v, const char *path, struct diag *diag)
{
	struct verify_options opt;
	int r = log_known_read(&v->known, diag);

	if (r < 0)
		return r;
	if (log_known_options(&v->known, path, &opt) < 0)
		return diag_set(diag, -ENOMEM, "out of memory");
	return report_verify(path, &opt, &v->report.integrity, diag);
}

static int collect(struct report_values *v, const char *path,
	struct report_options *opt, struct diag *diag)
{
	_cleanup_(attest_close) struct attest *a = NULL;
	_cleanup_(query_close) struct query *q = NULL;
	int r = query_open(path, &q, diag);

	if (r == 0)
		r = attest_open(path, &a, diag);
	if (r < 0)
		return r;
	(void)snprintf(v->origin, sizeof(v->origin), "%s", attest_origin(a));
	r = report_collect(q, opt, &v->report);
	return r < 0 ? diag_set(diag, r, "reading the ledger: %s",
			       query_error(q))
		     : 0;
}

static int write_page(struct report_values *v, struct diag *diag)
{
	_cleanup_(writer_file_free) struct writer_file *file = NULL;
	int r = writer_file_new(v->output, &file, diag), fd;
	FILE *f;

	if (r < 0)
		return r;
	fd = fcntl(writer_file_fd(file), F_DUPFD_CLOEXEC, 3);
	f = fd < 0 ? NULL : fdopen(fd, "w");
	if (!f)
		return diag_errno(diag, -errno, "writing %s", v->output);
	r = report_page(f, &v->report);
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r < 0)
		return diag_errno(diag, r, "writing %s", v->output);
	return writer_file_publish(file, diag);
}

/* Looked at before the work; who else makes a file of that name meanwhile,
 * loses it. */
static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static int report(struct report_values *v, const char *operand)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_free_ char *filters = filters_text(v);
	struct report_options opt = {.filter = &v->filter,
		.filters = filters,
		.origin = v->origin,
		.rows = (size_t)v->rows,
		.now = now_ns()};
	struct diag diag = {0};
	int r = where_ledger_operand(operand, &path, &diag);

	if (r == 0 && is_there(v->output) && !v->force)
		return fail(EXIT_SYSTEM,
			"%s is there already; choose another name, or replace "
			"it with --force",
			v->output);
	if (!filters)
		return fail(EXIT_SYSTEM, "out of memory");
	/* Mounts that came and went belong to the picture, where any event
	 * does. */
	if (v->filter.events && v->which.ops.count == 0)
		v->filter.events = ~0u;
	opt.ledger = path;
	if (r == 0)
		r = collect(v, path, &opt, &diag);
	if (r == 0)
		r = verify(v, path, &diag);
	if (r == 0)
		r = write_page(v, &diag);
	if (r == -EINVAL)
		return fail(EXIT_USAGE, "%s", diag.text);
	return r < 0 ? fail_diag(r, &diag) : EXIT_OK;
}

static int run(const struct command *self, int argc, char **argv)
{
	struct report_values v = {
		.which = LOG_FILTER_INIT, .rows = DEFAULT_ROWS};
	int code, n = opt_parse(self, argc, argv, &v, &code);

	if (n < 0)
		return code;
	log_known_init(&v.known);
	if (n != 1)
		code = opt_misuse(self, "give one mount point or ledger");
	else if (!v.output)
		code = opt_misuse(self, "give the file to write with --output");
	else
		code = log_filter_parse(&v.which, &v.filter);
	if (code == EXIT_OK)
		code = report(&v, argv[1]);
	report_done(&v.report);
	log_known_done(&v.known);
	log_filter_done(&v.which);
	return code;
}

static const struct example examples[] = {
	{"stele log report -o incident.html /mnt",
		"everything that was refused, on one page"},
	{0},
};

const struct command cmd_log_report = {
	.name = "log report",
	.operands = "MOUNTPOINT|FILE",
	.summary = "write a page about refused writes, to send to others",
	.description =
		"Writes one HTML page: what was tried how often, when, by "
		"which programs and users, the processes with those that "
		"started them, damage and gaps, and whether the ledger is "
		"intact, as 'stele log verify' judges it.\n"
		"\n"
		"The page needs nothing but itself: it loads nothing, and can "
		"be read without its script, by paper and in the dark. Names "
		"in it can't become markup. It is written whole or not at "
		"all.\n"
		"\n" LOG_FILTER_HELP,
	.options = options,
	.examples = examples,
	.complete = OPERAND_MOUNT,
	.run = run,
};
