/* SPDX-License-Identifier: Apache-2.0 */
/* Which records pass; see find.h. */
#include "fs/audit/find.h"

#include <inttypes.h>
#include <string.h>

/* A range of this many records is gone through without a look at paths. */
#define FEW_RECORDS 50000

/* ---- the plan ---- */

/* The numbers of the first and the last record that the times let pass. */
static int plan_times(struct find *f)
{
	const struct query_filter *filter = &f->match->filter;
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(f->db,
		"SELECT min(seq), max(seq) FROM attempt INDEXED BY attempt_time"
		" WHERE coalesce(t_last, t_real) >= ?1 AND t_real <= ?2",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, filter->since);
	db_bind_int(s, filter->until ? filter->until : INT64_MAX);
	r = db_next(s);
	if (r <= 0)
		return r;
	if (db_is_null(s, 0)) {
		f->last = 0; /* none */
		return 0;
	}
	if (f->first < db_int(s, 0))
		f->first = db_int(s, 0);
	if (f->last > db_int(s, 1))
		f->last = db_int(s, 1);
	return 0;
}

/* -E2BIG when there are too many to look at each. */
static int add_candidate(struct find *f, int64_t seq)
{
	if (seq < f->first || seq > f->last)
		return 0;
	if (f->candidates.count == FIND_CANDIDATES)
		return -E2BIG;
	return ids_add(&f->candidates, seq);
}

/* The smallest bytes that are larger than all that begin with prefix; empty
 * when there are none. */
static int end_of_prefix(const char *prefix, size_t len, struct buf *ret)
{
	while (len > 0 && (unsigned char)prefix[len - 1] == 0xff)
		len--;
	if (len == 0)
		return 0;

	int r = buf_add(ret, prefix, len);

	if (r == 0)
		ret->data[len - 1]++;
	return r;
}

/* Look at the paths in an index, or at those with the right beginning. Both
 * are blobs; numbers and texts, which only a forged file has, come before.
 * SQLite finds the run in half the time that giving us each path takes. */
static int prepare_index(struct find *f, const char *column, const char *index,
	const struct buf *end, struct db_stmt **ret)
{
	_cleanup_buf_ struct buf sql;
	int r;

	buf_init(&sql, QUERY_SQL_MAX);
	r = buf_printf(&sql,
		"SELECT %s, seq FROM attempt INDEXED BY %s WHERE %s IS NOT NULL"
		" AND (length(?2) = 0 OR instr(%s, ?2)) AND %s >= ?1",
		column, index, column, column, column);
	if (r == 0 && end->len > 0)
		r = buf_printf(&sql, " AND %s < ?3", column);
	if (r == 0)
		r = buf_add(&sql, "", 1);
	return r < 0 ? r : db_prepare(f->db, sql.data, ret);
}

static int plan_index(struct find *f, const char *column, const char *index)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	_cleanup_buf_ struct buf end;
	struct match_bytes want = match_bytes(f->match);
	int r;

	buf_init(&end, want.prefix_len + 1);
	r = end_of_prefix(want.prefix, want.prefix_len, &end);
	if (r == 0)
		r = prepare_index(f, column, index, &end, &s);
	if (r < 0)
		return r;
	db_bind_bytes(s, want.prefix, want.prefix_len);
	db_bind_bytes(s, want.run, want.run_len);
	if (end.len > 0)
		db_bind_bytes(s, end.data, end.len);
	while (r >= 0 && (r = db_next(s)) > 0) {
		size_t len;
		const char *path = db_bytes(s, 0, &len);

		if (match_half(f->match, path, len))
			r = add_candidate(f, db_int(s, 1));
	}
	return r;
}

static int plan_names(struct find *f)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(f->db,
		"SELECT seq, t_real, op, path, names FROM attempt"
		" INDEXED BY attempt_names"
		" WHERE names IS NOT NULL AND seq >= ?1 AND seq <= ?2",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, f->first);
	db_bind_int(s, f->last);
	while (r >= 0 && (r = db_next(s)) > 0) {
		struct match_names n = {
			.seq = db_int(s, 0),
			.t_real = db_int(s, 1),
			.op = db_int(s, 2),
		};

		n.path = db_bytes(s, 3, &n.len);
		n.names = db_bytes(s, 4, &n.names_len);
		if (n.path && n.names)
			r = match_names(f->match, &n);
		if (r > 0)
			r = add_candidate(f, n.seq);
	}
	return r;
}

static int plan_paths(struct find *f)
{
	int r = plan_index(f, "path", "attempt_path");

	if (r == 0)
		r = plan_index(f, "path2", "attempt_path2");
	if (r == 0)
		r = plan_names(f);
	f->by_candidates = r == 0;
	ids_sort(&f->candidates);
	if (r == -E2BIG) {
		ids_done(&f->candidates);
		return 0;
	}
	return r;
}

int find_init(struct find *f, struct db *db, struct match *m, int64_t before)
{
	int r = 0;

	*f = (struct find){
		.db = db,
		.match = m,
		.streams = {{.table = QUERY_ATTEMPT}, {.table = QUERY_EVENT}},
		.planned = before,
		.first = 1,
		.last = before - 1,
	};
	if (!match_wants(m, QUERY_ATTEMPT))
		return 0;
	if (m->filter.since)
		r = plan_times(f);
	if (r == 0 && m->by_path && f->last - f->first > FEW_RECORDS)
		r = plan_paths(f);
	return r;
}

static void drop_scans(struct find *f)
{
	for (size_t i = 0; i < ARRAY_LEN(f->streams); i++) {
		db_stmt_free(f->streams[i].scan);
		f->streams[i].scan = NULL;
	}
}

void find_done(struct find *f)
{
	drop_scans(f);
	ids_done(&f->candidates);
	*f = (struct find){0};
}

/* ---- going through ---- */

static int begin_stream(
	struct find *f, struct find_stream *s, int64_t after, int64_t before)
{
	s->count = s->next = 0;
	s->after = after;
	s->before = before;
	if (!match_wants(f->match, s->table))
		s->before = s->after;
	if (s->scan)
		return 0;
	return match_prepare(f->match, f->db, s->table, f->order, &s->scan);
}

int find_begin(
	struct find *f, enum query_order order, int64_t after, int64_t before)
{
	int64_t first = after, last = before;

	if (order != f->order)
		drop_scans(f);
	f->order = order;
	if (before <= f->planned) {
		if (first < f->first - 1)
			first = f->first - 1;
		if (last > f->last + 1)
			last = f->last + 1;
	} else {
		f->by_candidates = false;
	}

	int r = begin_stream(f, &f->streams[0], first, last);

	return r < 0 ? r : begin_stream(f, &f->streams[1], after, before);
}

static bool is_done(const struct find_stream *s)
{
	return s->after >= s->before - 1;
}

/* Everything up to this number was looked at. */
static void pass(const struct find *f, struct find_stream *s, int64_t seq)
{
	if (f->order == QUERY_FORWARD)
		s->after = seq;
	else
		s->before = seq;
}

/* Look at the rows between two numbers; *looks is how many still may be. 0
 * when all of them were. */
static int scan(struct find *f, struct find_stream *s, int64_t after,
	int64_t before, size_t *looks)
{
	int r;

	match_bind(f->match, s->table, s->scan, after, before);
	while ((r = db_next(s->scan)) > 0) {
		int64_t seq = match_seq(s->scan);

		/* A damaged tree of pages can lead back to where we were. */
		r = seq > s->after && seq < s->before
			    ? match_row(f->match, s->scan, s->table)
			    : diag_set(&f->match->diag, -EBADMSG,
				      "records are out of order: the ledger is "
				      "damaged");
		if (r < 0)
			break;
		if (r > 0)
			s->seqs[s->count++] = seq;
		pass(f, s, seq);
		if (s->count == FIND_BATCH || --*looks == 0) {
			r = 1;
			break;
		}
	}
	db_rewind(s->scan);
	return r;
}

/* The next candidate of what is left; false when there is none. */
static bool next_candidate(
	const struct find *f, const struct find_stream *s, int64_t *ret)
{
	const struct ids *c = &f->candidates;
	size_t at;

	if (f->order == QUERY_FORWARD) {
		at = ids_from(c, s->after + 1);
	} else {
		at = ids_from(c, s->before);
		if (at == 0)
			return false;
		at--;
	}
	if (at == c->count || c->items[at] <= s->after ||
		c->items[at] >= s->before)
		return false;
	*ret = c->items[at];
	return true;
}

static int scan_candidates(struct find *f, struct find_stream *s, size_t *looks)
{
	int64_t seq;

	while (next_candidate(f, s, &seq)) {
		int r = scan(f, s, seq - 1, seq + 1, looks);

		if (r != 0)
			return r;
		pass(f, s, seq); /* it may have been removed meanwhile */
		if (--*looks == 0)
			return 1;
	}
	return 0;
}

/* Look for more; the stream is done when there are none. */
static int refill(struct find *f, struct find_stream *s)
{
	size_t looks = FIND_LOOKS;
	int r;

	s->count = s->next = 0;
	if (f->by_candidates && s->table == QUERY_ATTEMPT)
		r = scan_candidates(f, s, &looks);
	else
		r = scan(f, s, s->after, s->before, &looks);
	if (r == 0)
		s->after = s->before; /* all of it */
	return r < 0 ? r : 0;
}

int find_next(struct find *f, int64_t *ret_seq, enum query_table *ret)
{
	struct find_stream *best = NULL;

	for (size_t i = 0; i < ARRAY_LEN(f->streams); i++) {
		struct find_stream *s = &f->streams[i];

		if (s->next == s->count && !is_done(s)) {
			int r = refill(f, s);

			if (r < 0)
				return r;
			if (s->count == 0 && !is_done(s))
				return FIND_AGAIN;
		}
		if (s->next == s->count)
			continue;
		if (!best || (s->seqs[s->next] < best->seqs[best->next]) ==
				     (f->order == QUERY_FORWARD))
			best = s;
	}
	if (!best)
		return FIND_END;
	*ret_seq = best->seqs[best->next++];
	*ret = best->table;
	return FIND_FOUND;
}
