/* SPDX-License-Identifier: Apache-2.0 */
/* Collecting what is in a report, in one pass; see report.h. */
#include "util/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/base/cleanup.h"
#include "fs/codec/digest.h"
#include "util/report_html.h"

/* ---- the timeline ---- */

#define SECOND INT64_C(1000000000)

/* Widths of a bar that people can read off. */
static const int64_t widths[] = {SECOND / 100, SECOND / 50, SECOND / 20,
	SECOND / 10, SECOND / 5, SECOND / 2, SECOND, 2 * SECOND, 5 * SECOND,
	10 * SECOND, 20 * SECOND, 30 * SECOND, 60 * SECOND, 120 * SECOND,
	300 * SECOND, 600 * SECOND, 1200 * SECOND, 1800 * SECOND, 3600 * SECOND,
	7200 * SECOND, 14400 * SECOND, 21600 * SECOND, 43200 * SECOND,
	86400 * SECOND, 172800 * SECOND, 604800 * SECOND, 2592000 * SECOND};

/* Times from here to there: a forged ledger may have any, and what is far off
 * goes to the nearest bar. */
#define TIME_MAX (INT64_MAX / 4)

static int64_t bounded(int64_t ns)
{
	return ns > TIME_MAX ? TIME_MAX : ns < -TIME_MAX ? -TIME_MAX : ns;
}

static int timeline_init(
	struct report_timeline *t, const struct summary_totals *totals)
{
	int64_t first = bounded(totals->first), last = bounded(totals->last);
	int64_t span = last > first ? last - first : 0;
	size_t i = 0;

	while (i < ARRAY_LEN(widths) - 1 && span / widths[i] >= REPORT_BARS)
		i++;
	t->width = widths[i];
	while (span / t->width >= REPORT_BARS)
		t->width *= 2;
	t->start = first - (first % t->width + t->width) % t->width;
	t->count = (size_t)((first + span - t->start) / t->width) + 1;
	/* Few bars in the middle say more than few broad ones. */
	if (t->count < REPORT_BARS / 2) {
		t->start -=
			(int64_t)(REPORT_BARS / 2 - t->count) / 2 * t->width;
		t->count = REPORT_BARS / 2;
	}
	t->bars = calloc(t->count, sizeof(*t->bars));
	return t->bars ? 0 : -ENOMEM;
}

static size_t bar_of(const struct report_timeline *t, int64_t ns)
{
	int64_t off = bounded(ns) - t->start;
	size_t i = off < 0 ? 0 : (size_t)(off / t->width);

	return i < t->count ? i : t->count - 1;
}

/* Attempts that share a record are taken to have come evenly. */
static void timeline_add(struct report_timeline *t, const struct log_record *r)
{
	size_t first = bar_of(t, r->first), last = bar_of(t, r->end);
	int64_t bars, rest = r->count;

	if (last < first)
		last = first;
	bars = (int64_t)(last - first) + 1;
	for (size_t i = first; i <= last; i++) {
		int64_t share = rest / (bars - (int64_t)(i - first));

		t->bars[i].count[r->class] += share;
		rest -= share;
	}
}

static void timeline_finish(struct report_timeline *t)
{
	for (size_t i = 0; i < t->count; i++) {
		int64_t sum = 0;

		for (int c = 0; c < LOG_CLASSES; c++)
			sum += t->bars[i].count[c];
		if (sum > t->tallest)
			t->tallest = sum;
	}
}

/* ---- attempts ---- */

static int print_listed(void *arg, const struct query_target *t)
{
	FILE *f = arg;

	fputs("<li>", f);
	report_html_name(f, t->path.bytes, t->path.len);
	if (!t->path2.null) {
		fputs(" \xe2\x86\x92 ", f);
		report_html_name(f, t->path2.bytes, t->path2.len);
	}
	if (t->count > 1)
		fprintf(f, " \xc3\x97%" PRId64, t->count);
	fputs("</li>", f);
	return 0;
}

/* So many and no more. */
struct listing {
	FILE *f;
	int left;
};

static int print_some(void *arg, const struct query_target *t)
{
	struct listing *l = arg;

	if (l->left == 0)
		return 1;
	l->left--;
	return print_listed(l->f, t);
}

static int print_targets(
	FILE *f, struct query *q, const struct query_row *row, int64_t targets)
{
	struct listing l = {.f = f, .left = REPORT_NAMES};
	int r;

	fputs("<details><summary>", f);
	report_html_cell(f, &row->cell[QUERY_PATH]);
	fputs(" <small>", f);
	report_html_count(f, targets, "name", "names");
	fputs("</small></summary><ul>", f);
	r = query_targets(q, row, print_some, &l);
	if (targets > REPORT_NAMES) {
		fputs("<li>\xe2\x80\xa6 and ", f);
		report_html_number(f, targets - REPORT_NAMES);
		fputs(" more</li>", f);
	}
	fputs("</ul></details>", f);
	return r < 0 ? r : 0;
}

static int print_paths(FILE *f, struct query *q, const struct query_row *row,
	const struct log_record *r)
{
	const struct query_cell *path2 = &row->cell[QUERY_PATH2];

	if (r->targets > 1)
		return print_targets(f, q, row, r->targets);
	report_html_cell(f, &row->cell[QUERY_PATH]);
	if (!path2->null) {
		fputs(" <span class=\"to\">\xe2\x86\x92</span> ", f);
		report_html_name(f, path2->bytes, path2->len);
	}
	return 0;
}

/* The cells of an attempt but for its time and count. */
static int print_attempt(FILE *f, struct query *q, const struct query_row *row,
	const struct log_record *r)
{
	const struct query_cell *cell = row->cell,
				*container = &cell[QUERY_CONTAINER];
	int code;

	fprintf(f,
		"<td><i class=\"dot k-%s\"></i>%s</td><td>%s</td>"
		"<td class=\"path\">",
		log_record_class_name(r->class), r->op,
		r->error ? r->error : "?");
	code = print_paths(f, q, row, r);
	fputs("</td><td class=\"who\" title=\"", f);
	report_html_cell(f, &cell[QUERY_EXE]);
	fputs("\">", f);
	report_html_cell(f, &cell[QUERY_COMM]);
	if (!cell[QUERY_PID].null)
		fprintf(f, " <span class=\"pid\">%" PRId64 "</span>",
			cell[QUERY_PID].number);
	fprintf(f, "</td><td class=\"num\">%" PRId64 "</td><td class=\"id\">",
		cell[QUERY_UID].number);
	if (container->null)
		fputs("\xe2\x80\x93", f);
	else
		report_html_name(f, container->bytes,
			container->len < 12 ? container->len : 12);
	fputs("</td><td>", f);
	report_html_cell(f, &cell[QUERY_RULE]);
	fputs("</td>", f);
	return code;
}

static int index_init(struct report *r)
{
	r->rows = calloc(r->opt->rows, sizeof(*r->rows));
	r->index_size = 1024;
	while (r->index_size < r->opt->rows * 2)
		r->index_size *= 2;
	r->row_index = calloc(r->index_size, sizeof(*r->row_index));
	return r->rows && r->row_index ? 0 : -ENOMEM;
}

/* Where the row with these cells is, or would be. */
static uint32_t *index_find(
	const struct report *r, const char *cells, size_t len)
{
	size_t i = checksum(cells, len) & (r->index_size - 1);

	for (; r->row_index[i]; i = (i + 1) & (r->index_size - 1)) {
		const struct report_row *row = &r->rows[r->row_index[i] - 1];

		if (row->len == len && memcmp(row->cells_html, cells, len) == 0)
			break;
	}
	return &r->row_index[i];
}

/* Takes cells over. */
static void add_row(struct report *r, const struct query_row *row,
	const struct log_record *record, struct report_row *new)
{
	uint32_t *slot = index_find(r, new->cells_html, new->len);

	if (*slot) {
		struct report_row *same = &r->rows[*slot - 1];

		same->count += record->count;
		if (record->end > same->last)
			same->last = record->end;
		free(new->cells_html);
		return;
	}
	if (r->row_count == r->opt->rows) {
		r->rows_left++;
		r->attempts_left += record->count;
		free(new->cells_html);
		return;
	}
	new->class = record->class;
	new->seq = row->cell[QUERY_SEQ].number;
	new->first = record->first;
	new->last = record->end;
	new->count = record->count;
	r->rows[r->row_count++] = *new;
	*slot = (uint32_t)r->row_count;
}

static int add_attempt(struct report *r, struct query *q,
	const struct query_row *row, const struct log_record *record)
{
	struct report_row new = {0};
	FILE *f = open_memstream(&new.cells_html, &new.len);
	int code;

	if (!f)
		return -ENOMEM;
	code = print_attempt(f, q, row, record);
	if (fclose(f) != 0)
		code = -ENOMEM;
	if (code < 0) {
		free(new.cells_html);
		return code;
	}
	add_row(r, row, record, &new);
	timeline_add(&r->timeline, record);
	return report_tree_add(r->tree, row, record->count);
}

/* ---- events and mounts ---- */

static int add_event(struct report *r, const struct query_row *row,
	const struct log_record *record)
{
	const struct query_cell *path = &row->cell[QUERY_PATH];
	struct report_event e = {.level = record->level,
		.time = record->first,
		.count = record->count};
	size_t len;
	FILE *f;

	if (strcmp(record->op, "heartbeat") == 0) {
		r->heartbeats++;
		return 0;
	}
	if (r->event_count == REPORT_EVENTS) {
		r->events_left++;
		return 0;
	}
	f = open_memstream(&e.cells_html, &len);
	if (!f)
		return -ENOMEM;
	fprintf(f, "<td><b>%s</b></td><td class=\"path\">", record->op);
	report_html_cell(f, path);
	fputs("</td><td class=\"text\">", f);
	report_html_cell(f, &row->cell[QUERY_TEXT_OF_EVENT]);
	fputs("</td>", f);
	if (fclose(f) != 0) {
		free(e.cells_html);
		return -ENOMEM;
	}
	r->events[r->event_count++] = e;
	return 0;
}

static void print_mount(FILE *f, const struct query_cell *cell)
{
	static const struct {
		const char *title;
		enum query_column column;
	} facts[] = {
		{"Mount point", QUERY_MOUNT_POINT},
		{"Label", QUERY_LABEL},
		{"Image file", QUERY_IMAGE_PATH},
		{"Image id", QUERY_IMAGE_ID},
		{"Tree id", QUERY_TREE_ID},
		{"Policy", QUERY_POLICY_DIGEST},
		{"Options", QUERY_MOUNT_OPTIONS},
		{"Host", QUERY_HOST},
		{"Machine id", QUERY_MACHINE_ID},
		{"Boot id", QUERY_BOOT_ID},
		{"Version of stele", QUERY_MOUNT_VERSION},
	};

	for (size_t i = 0; i < ARRAY_LEN(facts); i++) {
		const struct query_cell *c = &cell[facts[i].column];

		if (c->null || !c->len)
			continue;
		fprintf(f, "<tr><th>%s</th><td>", facts[i].title);
		if (query_columns[facts[i].column].kind == QUERY_DIGEST)
			report_html_digest(f, c);
		else
			report_html_cell(f, c);
		fputs("</td></tr>\n", f);
	}
	if (!cell[QUERY_MOUNT_STARTED].null) {
		fputs("<tr><th>Mounted</th><td>", f);
		report_html_time(f, cell[QUERY_MOUNT_STARTED].number);
		fputs(" UTC</td></tr>\n", f);
	}
}

/* Where it was, in a few words for the top of the page. */
static int set_place(struct report *r, const struct query_cell *cell)
{
	const struct query_cell *point = &cell[QUERY_MOUNT_POINT];
	size_t len;
	FILE *f = open_memstream(&r->place_html, &len);

	if (!f)
		return -ENOMEM;
	fputs("Host <b>", f);
	report_html_cell(f, &cell[QUERY_HOST]);
	fputs("</b>, image <code>", f);
	report_html_digest(f, &cell[QUERY_IMAGE_ID]);
	fputs("</code>", f);
	if (!cell[QUERY_LABEL].null) {
		fputs(", label <b>", f);
		report_html_cell(f, &cell[QUERY_LABEL]);
		fputs("</b>", f);
	}
	if (fclose(f) != 0)
		return -ENOMEM;
	if (point->null)
		return 0;
	r->title = strndup(point->bytes, point->len);
	return r->title ? 0 : -ENOMEM;
}

static int add_mount(struct report *r, const struct query_row *row)
{
	int64_t id = row->cell[QUERY_MOUNT_ID].number;
	struct report_mount *m = &r->mounts[r->mount_count];
	size_t len;
	FILE *f;

	/* Mostly the last one. */
	for (size_t i = r->mount_count; i-- > 0;) {
		if (r->mounts[i].id == id)
			return 0;
	}
	if (r->mount_count == REPORT_MOUNTS) {
		r->mounts_left = 1;
		return 0;
	}
	f = open_memstream(&m->html, &len);
	if (!f)
		return -ENOMEM;
	print_mount(f, row->cell);
	if (fclose(f) != 0) {
		free(m->html);
		m->html = NULL;
		return -ENOMEM;
	}
	m->id = id;
	r->mount_count++;
	return r->mount_count == 1 ? set_place(r, row->cell) : 0;
}

/* ---- the pass ---- */

static int add(struct report *r, struct query *q, const struct query_row *row)
{
	struct log_record record;
	int code = add_mount(r, row);

	if (code == 0)
		code = log_record_read(row, &record);
	if (code < 0)
		return code;
	code = record.class == LOG_EVENT ? add_event(r, row, &record)
					 : add_attempt(r, q, row, &record);
	log_record_done(&record);
	return code;
}

static int summarize(struct query *q, struct report *r)
{
	const struct summary_options opt = {
		.filter = *r->opt->filter,
		.by = 1u << SUMMARY_PATH | 1u << SUMMARY_PROGRAM |
		      1u << SUMMARY_UID | 1u << SUMMARY_OP |
		      1u << SUMMARY_CONTAINER,
		.top = REPORT_TOP,
		.hours = 1,
	};

	return summary_new(q, &opt, &r->summary);
}

int report_collect(
	struct query *q, const struct report_options *opt, struct report *ret)
{
	struct log_ancestors ancestors = {0};
	const struct query_row *row;
	int r;

	*ret = (struct report){.opt = opt};
	r = summarize(q, ret);
	if (r < 0)
		return r;
	ret->tree = report_tree_new(q, &ancestors);
	ret->events = calloc(REPORT_EVENTS, sizeof(*ret->events));
	if (!ret->tree || !ret->events)
		r = -ENOMEM;
	if (r == 0)
		r = index_init(ret);
	if (r == 0)
		r = timeline_init(&ret->timeline, summary_totals(ret->summary));
	if (r == 0)
		r = query_start(q, opt->filter, QUERY_FORWARD, -1);
	while (r == 0 && (r = query_next(q, &row)) > 0)
		r = add(ret, q, row);
	timeline_finish(&ret->timeline);
	log_ancestors_done(&ancestors);
	return r;
}

void report_done(struct report *r)
{
	for (size_t i = 0; i < r->row_count; i++)
		free(r->rows[i].cells_html);
	for (size_t i = 0; i < r->event_count; i++)
		free(r->events[i].cells_html);
	for (size_t i = 0; i < r->mount_count; i++)
		free(r->mounts[i].html);
	free(r->rows);
	free(r->row_index);
	free(r->events);
	free(r->timeline.bars);
	free(r->title);
	free(r->place_html);
	free(r->integrity.detail_html);
	report_tree_free(r->tree);
	summary_free(r->summary);
	*r = (struct report){0};
}
