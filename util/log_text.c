/* SPDX-License-Identifier: Apache-2.0 */
/* The formats short and wide: a line for each record; see log_text.h. */
#include "util/log_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/log_map.h"
#include "util/log_out.h"
#include "util/log_record.h"
#include "util/out.h"

#define BOLD "\033[1m"
#define DIM "\033[2m"
#define RED "\033[31m"
#define YELLOW "\033[33m"
#define CYAN "\033[36m"
#define PLAIN "\033[0m"

/* Widths: a time with milliseconds, the first twelve digits of a container's
 * id, a pid of 4 million, a comm of the kernel, the longest op, and nearly
 * every errno. */
enum {
	TIME_WIDTH = 23,
	CONTAINER_WIDTH = 12,
	UID_WIDTH = 6,
	PID_WIDTH = 7,
	COMM_WIDTH = 15,
	OP_WIDTH = 15,
	ERROR_WIDTH = 6,
};

static const char *style(bool color, const char *sequence)
{
	return color ? sequence : "";
}

static void format_time(int64_t ns, char ret[40])
{
	uint32_t rest;
	int64_t sec = out_time_split(ns, &rest);
	time_t when = (time_t)sec;
	struct tm tm;
	size_t len;

	if (!localtime_r(&when, &tm)) {
		(void)snprintf(ret, 40, "@%" PRId64, sec);
		return;
	}
	len = strftime(ret, 40, "%Y-%m-%d %H:%M:%S", &tm);
	(void)snprintf(
		ret + len, 40 - len, ".%03u", (unsigned)(rest / 1000000));
}

/* Escaped and padded; the padding counts bytes, as comm seldom has others. */
static void print_padded(
	FILE *f, const struct query_cell *c, size_t most, int width)
{
	size_t len = c->len < most ? c->len : most;
	char *text = c->null ? NULL : out_name_string(c->bytes, len);

	fprintf(f, "%-*s ", width, text ? text : "-");
	free(text);
}

static void print_number(FILE *f, const struct query_cell *c, int width)
{
	char number[24] = "-";

	if (!c->null)
		(void)snprintf(number, sizeof(number), "%" PRId64, c->number);
	fprintf(f, "%*s ", width, number);
}

static void print_error(FILE *f, const struct log_record *r,
	const struct query_cell *c, bool color)
{
	char number[24] = "-";

	if (!c->null)
		(void)snprintf(number, sizeof(number), "%" PRId64, c->number);
	fprintf(f, "%s%-*s%s ", style(color && !c->null, RED), ERROR_WIDTH,
		r->error ? r->error : number, style(color && !c->null, PLAIN));
}

static void print_cell(FILE *f, const struct query_cell *c)
{
	if (!c->null)
		out_name(f, c->bytes, c->len);
}

/* "/etc/passwd", "/a -> /b", "/tmp (512 names)", "/file: frame 3 ..." */
static void print_path(
	FILE *f, const struct query_row *row, const struct log_record *r)
{
	const struct query_cell *path = &row->cell[QUERY_PATH],
				*path2 = &row->cell[QUERY_PATH2],
				*text = &row->cell[QUERY_TEXT_OF_EVENT];

	print_cell(f, path);
	if (r->targets > 1)
		fprintf(f, " (%" PRId64 " names)", r->targets);
	if (!path2->null) {
		fputs(" -> ", f);
		print_cell(f, path2);
	}
	if (!text->null) {
		fputs(path->null ? "" : ": ", f);
		print_cell(f, text);
	}
}

static void print_tail_cell(
	FILE *f, const char *name, const struct query_cell *c)
{
	if (c->null || !c->len)
		return;
	fprintf(f, " %s=", name);
	out_name(f, c->bytes, c->len);
}

static int print_wide_tail(
	FILE *f, struct log_out *o, const struct query_row *row)
{
	const struct log_ancestor_list *list;
	int r = log_ancestors_get(&o->ancestors, o->query, row, &list);

	print_tail_cell(f, "exe", &row->cell[QUERY_EXE]);
	print_tail_cell(f, "cwd", &row->cell[QUERY_CWD]);
	if (r == 0 && list->count) {
		fputs(" by=", f);
		log_ancestors_print(f, list);
	}
	return r;
}

static bool is_wide(const struct log_out *o)
{
	return o->format == &log_out_wide;
}

/* Everything between the time and the count. */
static void print_head(FILE *f, struct log_out *o, const struct query_row *row,
	const struct log_record *r)
{
	const struct query_cell *cell = row->cell;
	bool event = r->class == LOG_EVENT;
	const char *color = r->level == LOG_BAD		   ? RED
			    : event && r->level == LOG_ODD ? YELLOW
							   : CYAN;

	if (is_wide(o)) {
		print_padded(f, &cell[QUERY_CONTAINER], CONTAINER_WIDTH,
			CONTAINER_WIDTH);
		print_number(f, &cell[QUERY_UID], UID_WIDTH);
	}
	print_number(f, &cell[QUERY_PID], PID_WIDTH);
	print_padded(f, &cell[QUERY_COMM], SIZE_MAX, COMM_WIDTH);
	fputs(style(o->color, color), f);
	print_padded(f, &cell[QUERY_OP], SIZE_MAX, OP_WIDTH);
	fputs(style(o->color, PLAIN), f);
	print_error(f, r, &cell[QUERY_ERRNO], o->color);
	print_path(f, row, r);
}

/* Everything behind the count. */
static int print_tail(FILE *f, struct log_out *o, const struct query_row *row)
{
	const struct query_cell *rule = &row->cell[QUERY_RULE];
	int r = 0;

	fprintf(f, " %s", style(o->color, DIM));
	if (rule->null)
		putc('-', f);
	print_cell(f, rule);
	if (is_wide(o))
		r = print_wide_tail(f, o, row);
	fputs(style(o->color, PLAIN), f);
	return r;
}

/* The line of a row in *ret, to be freed. */
static int make_line(struct log_out *o, const struct query_row *row,
	const struct log_record *record, struct log_text *ret)
{
	struct log_text t = {.time = record->first,
		.last = record->end,
		.count = record->count};
	size_t len;
	FILE *f = open_memstream(&t.line, &len);
	int r;

	if (!f)
		return -ENOMEM;
	print_head(f, o, row, record);
	(void)fflush(f); /* its failure shows below */
	t.tail_at = len;
	r = print_tail(f, o, row);
	if (fclose(f) != 0)
		r = -ENOMEM;
	if (r < 0)
		free(t.line);
	else
		*ret = t;
	return r;
}

static int flush(struct log_out *o)
{
	struct log_text *t = &o->text;
	char time[40];

	if (!t->line)
		return 0;
	format_time(t->time, time);
	printf("%s%-*s%s %.*s", style(o->color, DIM), TIME_WIDTH, time,
		style(o->color, PLAIN), (int)t->tail_at, t->line);
	if (t->count > 1)
		printf(" %s×%" PRId64 "%s", style(o->color, BOLD), t->count,
			style(o->color, PLAIN));
	puts(t->line + t->tail_at);
	free(t->line);
	*t = (struct log_text){0};
	return ferror(stdout) ? -EIO : 0;
}

static int print_row(struct log_out *o, const struct query_row *row)
{
	struct log_text *held = &o->text, now;
	struct log_record record;
	int r = log_record_read(row, &record);

	if (r < 0)
		return r;
	r = make_line(o, row, &record, &now);
	log_record_done(&record);
	if (r < 0)
		return r;
	if (held->line && strcmp(held->line, now.line) == 0 &&
		!__builtin_add_overflow(held->count, now.count, &held->count)) {
		free(now.line);
		return 0;
	}
	r = flush(o);
	*held = now;
	return r;
}

static int begin(struct log_out *o)
{
	if (!o->titles)
		return 0;
	printf("%s%-*s ", style(o->color, BOLD), TIME_WIDTH, "TIME");
	if (is_wide(o))
		printf("%-*s %*s ", CONTAINER_WIDTH, "CONTAINER", UID_WIDTH,
			"UID");
	printf("%*s %-*s %-*s %-*s PATH RULE%s%s\n", PID_WIDTH, "PID",
		COMM_WIDTH, "COMM", OP_WIDTH, "OP", ERROR_WIDTH, "ERR",
		is_wide(o) ? " EXE CWD ANCESTORS" : "", style(o->color, PLAIN));
	return 0;
}

const struct log_format log_out_short = {
	.name = "short",
	.what = "a line for each record: TIME PID COMM OP ERR PATH RULE",
	.for_people = true,
	.begin = begin,
	.row = print_row,
	.flush = flush,
};

const struct log_format log_out_wide = {
	.name = "wide",
	.what = "the same with container, user, program, folder, ancestors",
	.for_people = true,
	.begin = begin,
	.row = print_row,
	.flush = flush,
};
