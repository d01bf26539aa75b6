/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts in groups; see summary.h. */
#include "fs/audit/summary.h"

#include <assert.h>
#include <string.h>

#include "fs/audit/groups.h"
#include "fs/audit/pairs.h"
#include "fs/codec/digest.h"

#define HOUR_NS INT64_C(3600000000000)

/* Of all groups together; what one record adds may go beyond. */
#define BYTES_MAX ((size_t)256 << 20)

#define KEY_MAX (1u << 22)

struct summary {
	struct summary_options opt;
	struct groups groups[SUMMARY_COUNT];
	struct pairs pairs; /* of a group and a path in it */
	struct buf bytes;   /* of the group that is looked for */
	struct summary_totals totals;
	struct summary_table tables[SUMMARY_COUNT];
	struct summary_group *given[SUMMARY_COUNT]; /* owned; in the tables */

	/* The record that is being added. */
	struct group *of_row[SUMMARY_COUNT]; /* the same for all targets */
	bool counts; /* false: only to know what is not new */
	int64_t row_count, row_first, row_last;
};

/* ---- keys ---- */

enum { CELL_HEAD = 9 }; /* null or not, and the length or the number */

static int put_cell(struct buf *b, const struct query_cell *c)
{
	char head[CELL_HEAD] = {(char)!c->null};
	uint64_t n = c->bytes ? c->len : (uint64_t)c->number;
	int r;

	memcpy(head + 1, &n, sizeof(n));
	r = buf_add(b, head, sizeof(head));
	return r < 0 || !c->bytes ? r : buf_add(b, c->bytes, c->len);
}

/* The other way: cells point into the bytes of the group. */
static const char *get_bytes(const char *at, struct query_cell *ret)
{
	uint64_t len;

	memcpy(&len, at + 1, sizeof(len));
	*ret = (struct query_cell){.null = !*at, .len = len};
	if (!ret->null)
		ret->bytes = at + CELL_HEAD;
	return at + CELL_HEAD + (ret->null ? 0 : len);
}

static const char *get_number(const char *at, struct query_cell *ret)
{
	*ret = (struct query_cell){.null = !*at};
	memcpy(&ret->number, at + 1, sizeof(ret->number));
	return at + CELL_HEAD;
}

/* What makes a group: columns of a record; then those that go along. The path
 * and the hour are those of a target. */
struct shape {
	int keys[4], key_count;
	int more[4], more_count;
};

static const struct shape shapes[SUMMARY_COUNT] = {
	[SUMMARY_PROGRAM] = {{QUERY_EXE, QUERY_EXE_DIGEST}, 2, {0}, 0},
	[SUMMARY_COMM] = {{QUERY_COMM}, 1, {0}, 0},
	[SUMMARY_CONTAINER] = {{QUERY_CONTAINER}, 1, {0}, 0},
	[SUMMARY_UID] = {{QUERY_UID}, 1, {0}, 0},
	[SUMMARY_OP] = {{QUERY_OP}, 1, {0}, 0},
	[SUMMARY_RULE] = {{QUERY_RULE}, 1, {0}, 0},
	[SUMMARY_PROCESS] = {{QUERY_PID, QUERY_START_TICKS, QUERY_EXEC_STAMP,
				     QUERY_BOOT_ID},
		4, {QUERY_COMM, QUERY_EXE, QUERY_EXE_DIGEST, QUERY_START_REAL},
		4},
};

static bool wants(const struct summary *s, int by)
{
	return s->opt.by >> by & 1;
}

static int get_group(struct summary *s, int by, const struct query_cell *cell,
	struct group **ret)
{
	const struct shape *shape = &shapes[by];
	size_t key_len;
	int r = 0;

	buf_reset(&s->bytes);
	for (int i = 0; r == 0 && i < shape->key_count; i++)
		r = put_cell(&s->bytes, &cell[shape->keys[i]]);
	key_len = s->bytes.len;
	for (int i = 0; r == 0 && i < shape->more_count; i++)
		r = put_cell(&s->bytes, &cell[shape->more[i]]);
	if (r == 0)
		r = groups_get(&s->groups[by], &s->bytes, key_len, ret);
	return r;
}

static int get_group_of(struct summary *s, int by, const struct query_cell *key,
	struct group **ret)
{
	int r;

	buf_reset(&s->bytes);
	r = put_cell(&s->bytes, key);
	return r < 0 ? r
		     : groups_get(&s->groups[by], &s->bytes, s->bytes.len, ret);
}

/* ---- adding ---- */

static void add_count(int64_t *to, int64_t count)
{
	/* Only a forged ledger has as many. */
	if (count > 0 && __builtin_add_overflow(*to, count, to))
		*to = INT64_MAX;
}

/* path: a hash of the target's. Two tables can have groups of one key. */
static int add_to_group(struct summary *s, enum summary_by by, struct group *g,
	const struct query_target *t, uint64_t path)
{
	int r = 0;

	if (g->seen > t->first)
		g->seen = t->first;
	if (!s->counts)
		return 0;
	add_count(&g->count, t->count);
	if (g->first > t->first)
		g->first = t->first;
	if (g->last < t->last)
		g->last = t->last;
	if (by == SUMMARY_PATH)
		g->paths = 1;
	else if (!g->more_paths)
		r = pairs_add(&s->pairs, g->hash + by, path);
	g->paths += r > 0;
	g->more_paths = by != SUMMARY_PATH && (g->more_paths || r == -E2BIG);
	return r == -ENOMEM ? r : 0;
}

static int64_t hour_of(int64_t t)
{
	int64_t hour = t / HOUR_NS - (t % HOUR_NS < 0);

	/* The first hour that there is began before there were numbers. */
	return hour < INT64_MIN / HOUR_NS ? INT64_MIN : hour * HOUR_NS;
}

static int add_target(void *arg, const struct query_target *t)
{
	const struct query_cell hour = {.number = hour_of(t->first)};
	struct summary *s = arg;
	uint64_t path = checksum(t->path.bytes, t->path.len);
	struct group *g;
	int r = 0;

	if (wants(s, SUMMARY_PATH)) {
		r = get_group_of(s, SUMMARY_PATH, &t->path, &g);
		if (r == 0)
			r = add_to_group(s, SUMMARY_PATH, g, t, path);
	}
	if (r == 0 && wants(s, SUMMARY_HOUR)) {
		r = get_group_of(s, SUMMARY_HOUR, &hour, &g);
		if (r == 0)
			r = add_to_group(s, SUMMARY_HOUR, g, t, path);
	}
	for (int by = 0; r == 0 && by < SUMMARY_COUNT; by++)
		if (s->of_row[by])
			r = add_to_group(s, by, s->of_row[by], t, path);
	add_count(&s->row_count, t->count);
	if (s->row_first > t->first)
		s->row_first = t->first;
	if (s->row_last < t->last)
		s->row_last = t->last;
	return r;
}

static void add_event(struct summary *s, const struct query_cell *cell)
{
	static const struct {
		enum ledger_event kind;
		size_t total;
	} kinds[] = {
		{LEDGER_EVENT_LOST, offsetof(struct summary_totals, lost)},
		{LEDGER_EVENT_GAP, offsetof(struct summary_totals, gap)},
		{LEDGER_EVENT_DAMAGE, offsetof(struct summary_totals, damage)},
	};
	const struct query_cell *op = &cell[QUERY_OP];

	for (size_t i = 0; s->counts && i < ARRAY_LEN(kinds); i++) {
		const char *name = ledger_event_name(kinds[i].kind);

		if (op->bytes && op->len == strlen(name) &&
			memcmp(op->bytes, name, op->len) == 0)
			add_count((int64_t *)(void *)((char *)&s->totals +
						      kinds[i].total),
				cell[QUERY_COUNT].number);
	}
}

/* Make room between records: while one is added, groups stay where they are. */
static int forget_some(struct summary *s)
{
	struct groups *largest = &s->groups[0];
	size_t bytes = 0;

	for (int by = 0; by < SUMMARY_COUNT; by++) {
		struct groups *g = &s->groups[by];

		if (g->count > GROUPS_MAX)
			return groups_forget(g);
		bytes += g->bytes;
		if (largest->bytes < g->bytes)
			largest = g;
	}
	return bytes > BYTES_MAX ? groups_forget(largest) : 0;
}

static int64_t end_of(const struct query_cell *cell)
{
	return cell[cell[QUERY_T_LAST].null ? QUERY_T_REAL : QUERY_T_LAST]
		.number;
}

static int add_row(
	struct summary *s, struct query *q, const struct query_row *row)
{
	const struct query_cell *cell = row->cell;
	int r = forget_some(s);

	s->counts = !s->opt.filter.since || end_of(cell) >= s->opt.filter.since;
	s->row_count = 0;
	s->row_first = INT64_MAX;
	s->row_last = INT64_MIN;
	if (!cell[QUERY_TEXT_OF_EVENT].null) {
		add_event(s, cell);
		return r;
	}
	for (int by = 0; r == 0 && by < SUMMARY_COUNT; by++) {
		s->of_row[by] = NULL;
		if (!wants(s, by) || shapes[by].key_count == 0)
			continue;
		r = get_group(s, by, cell, &s->of_row[by]);
		if (r == 0)
			s->of_row[by]->proc_id = cell[QUERY_PROC_ID].number;
	}
	if (r == 0)
		r = query_targets(q, row, add_target, s);
	if (r < 0 || !s->counts || s->row_count == 0)
		return r;
	add_count(&s->totals.attempts, s->row_count);
	if (s->totals.records++ == 0 || s->totals.first > s->row_first)
		s->totals.first = s->row_first;
	if (s->totals.records == 1 || s->totals.last < s->row_last)
		s->totals.last = s->row_last;
	return 0;
}

/* ---- what is given ---- */

static void fill_group(
	enum summary_by by, const struct group *g, struct summary_group *ret)
{
	const char *at = g->bytes;
	struct query_cell skip;

	*ret = (struct summary_group){
		.count = g->count,
		.first = g->first,
		.last = g->last,
		.paths = g->paths,
		.more_paths = g->more_paths,
		.exe.null = true,
		.exe_digest.null = true,
		.comm.null = true,
		.start_real.null = true,
	};
	if (by == SUMMARY_UID || by == SUMMARY_HOUR || by == SUMMARY_PROCESS)
		at = get_number(at, &ret->key);
	else
		at = get_bytes(at, &ret->key);
	if (by == SUMMARY_PROGRAM) {
		ret->exe = ret->key;
		(void)get_bytes(at, &ret->exe_digest);
	}
	if (by != SUMMARY_PROCESS)
		return;
	at = get_number(at, &skip);
	at = get_number(at, &skip);
	at = get_bytes(at, &skip);
	at = get_bytes(at, &ret->comm);
	at = get_bytes(at, &ret->exe);
	at = get_bytes(at, &ret->exe_digest);
	(void)get_number(at, &ret->start_real);
	ret->proc_id = g->proc_id;
}

static bool is_given(const struct summary *s, const struct group *g)
{
	return g->count > 0 && g->seen >= s->opt.new_since;
}

static int by_time(const void *a, const void *b)
{
	const struct summary_group *x = a, *y = b;

	return (x->key.number > y->key.number) -
	       (x->key.number < y->key.number);
}

static int fill_table(struct summary *s, enum summary_by by)
{
	struct groups *from = &s->groups[by];
	_cleanup_free_ struct group **all = groups_sorted(from);
	size_t top = by == SUMMARY_HOUR ? from->count : s->opt.top, n = 0;
	struct summary_group *groups;
	int64_t distinct = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < from->count; i++)
		distinct += is_given(s, all[i]);
	if (top > (size_t)distinct)
		top = (size_t)distinct;
	groups = calloc(top + 1, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < from->count && n < top; i++)
		if (is_given(s, all[i]))
			fill_group(by, all[i], &groups[n++]);
	if (by == SUMMARY_HOUR) {
		qsort(groups, n, sizeof(*groups), by_time);
		top = n < s->opt.hours ? n : s->opt.hours;
		memmove(groups, groups + n - top, top * sizeof(*groups));
		n = top;
	}
	s->given[by] = groups;
	s->tables[by] = (struct summary_table){
		.groups = groups,
		.count = n,
		.distinct = distinct,
		.forgotten = from->forgotten,
	};
	if (from->forgotten && (uint64_t)distinct < from->most)
		s->tables[by].distinct = (int64_t)from->most;
	return 0;
}

static void choose(uint64_t only[2], int column)
{
	only[column / 64] |= UINT64_C(1) << column % 64;
}

/* What keys are made of, and QUERY_OP, which tells events. */
static void choose_columns(const struct summary *s, uint64_t only[2])
{
	only[0] = only[1] = 0;
	choose(only, QUERY_OP);
	choose(only, QUERY_PROC_ID);
	for (int by = 0; by < SUMMARY_COUNT; by++) {
		const struct shape *shape = &shapes[by];

		for (int i = 0; wants(s, by) && i < shape->key_count; i++)
			choose(only, shape->keys[i]);
		for (int i = 0; wants(s, by) && i < shape->more_count; i++)
			choose(only, shape->more[i]);
	}
}

static int read_all(struct summary *s, struct query *q)
{
	struct query_filter filter = s->opt.filter;
	const struct query_row *row;
	int r;

	/* What was there before decides what is new. */
	filter.closed = false;
	choose_columns(s, filter.only);
	if (s->opt.new_since)
		filter.since = 0;
	r = query_start(q, &filter, QUERY_FORWARD, -1);
	while (r >= 0 && (r = query_next(q, &row)) > 0)
		r = add_row(s, q, row);
	return r;
}

int summary_new(struct query *q, const struct summary_options *opt,
	struct summary **ret)
{
	_cleanup_(summary_free) struct summary *s = calloc(1, sizeof(*s));
	int r;

	assert(opt->top > 0);
	if (!s)
		return -ENOMEM;
	s->opt = *opt;
	buf_init(&s->bytes, KEY_MAX);
	r = read_all(s, q);
	for (int by = 0; r == 0 && by < SUMMARY_COUNT; by++)
		if (wants(s, by))
			r = fill_table(s, by);
	pairs_done(&s->pairs);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void summary_free(struct summary *s)
{
	if (!s)
		return;
	for (int by = 0; by < SUMMARY_COUNT; by++) {
		groups_done(&s->groups[by]);
		free(s->given[by]);
	}
	pairs_done(&s->pairs);
	buf_done(&s->bytes);
	free(s);
}

const struct summary_table *summary_table(
	const struct summary *s, enum summary_by by)
{
	assert(by < SUMMARY_COUNT);
	return &s->tables[by];
}

const struct summary_totals *summary_totals(const struct summary *s)
{
	return &s->totals;
}
