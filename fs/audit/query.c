/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a ledger; see query.h. */
#include "fs/audit/query.h"

#include <assert.h>
#include <string.h>

#include "fs/audit/fetch.h"
#include "fs/audit/find.h"
#include "fs/audit/match.h"
#include "fs/audit/pending.h"
#include "fs/audit/reader.h"
#include "fs/db/db.h"

enum {
	BATCH_ROWS = 256,
	BATCH_BYTES = 4 << 20, /* a batch ends when it has this much */
};

struct query {
	struct db *db;
	struct db_stmt *ancestors, *version;
	struct db_stmt *record[QUERY_FOLD]; /* of attempts, and of events */

	struct match match;
	struct find find;
	enum query_order order;
	int64_t end;   /* number of the newest record that is looked at */
	int64_t left;  /* records still to be given; < 0: all */
	int64_t known; /* grows with the processes that there are */
	int64_t seen_version;

	struct query_row *rows[BATCH_ROWS]; /* owned */
	size_t row_count, row_next;

	/* As they were at the start; given from begin to end. */
	struct pending pending;
	size_t pending_begin, pending_end;
};

/* ---- opening ---- */

static int prepare(struct query *q)
{
	int r = db_prepare(q->db, QUERY_SQL_ANCESTORS, &q->ancestors);

	if (r == 0)
		r = db_prepare(q->db, QUERY_SQL_VERSION, &q->version);
	return r;
}

int query_open(const char *path, struct query **ret, struct diag *diag)
{
	_cleanup_(query_close) struct query *q = calloc(1, sizeof(*q));
	int r = q ? reader_open(path, &q->db, diag) : -ENOMEM;

	if (!q)
		return diag_errno(diag, r, "reading the ledger %s", path);
	if (r < 0)
		return r;
	r = prepare(q);
	if (r < 0)
		return diag_set(diag, r, "reading the ledger %s: %s", path,
			db_error(q->db));
	*ret = take_ptr(q);
	return 0;
}

static void drop_rows(struct query *q)
{
	while (q->row_count > 0)
		free(q->rows[--q->row_count]);
	q->row_next = 0;
}

/* Let go of the filter and of all that was found. */
static void stop(struct query *q)
{
	drop_rows(q);
	pending_done(&q->pending);
	find_done(&q->find);
	match_done(&q->match);
	for (int i = 0; i < QUERY_FOLD; i++)
		db_stmt_free(take_ptr(q->record[i]));
	q->pending_begin = q->pending_end = 0;
}

void query_close(struct query *q)
{
	if (!q)
		return;
	stop(q);
	db_stmt_free(q->ancestors);
	db_stmt_free(q->version);
	db_close(q->db);
	free(q);
}

const char *query_error(struct query *q)
{
	return *q->match.diag.text ? q->match.diag.text : db_error(q->db);
}

/* ---- running ---- */

/* fn in a reading transaction: all that it sees is of one moment. */
static int at_one_moment(struct query *q, int (*fn)(struct query *q))
{
	int r = db_exec(q->db, "BEGIN");

	if (r == 0)
		r = fn(q);
	if (r >= 0) {
		int end = db_exec(q->db, "COMMIT");

		r = end < 0 ? end : r;
	}
	if (r < 0)
		db_rollback(q->db);
	return r;
}

static int read_version(struct query *q, int64_t *ret)
{
	int r = db_next(q->version);

	if (r >= 0)
		*ret = db_int(q->version, 0);
	db_rewind(q->version);
	return r < 0 ? r : 0;
}

/* Look up the processes of the filter again when there are new ones. */
static int look_up(struct query *q)
{
	int64_t known;
	int r = db_exec_int(q->db,
		"SELECT coalesce((SELECT max(id) FROM proc), 0)"
		" + coalesce((SELECT max(id) FROM mount), 0)",
		&known);

	if (r < 0 || known == q->known)
		return r;
	q->known = known;
	return match_look_up(&q->match, q->db);
}

/* Everything that must be of one moment; see query.h. */
static int look(struct query *q)
{
	int r = db_exec_int(q->db, QUERY_SQL_NEWEST, &q->end);

	if (r == 0 && q->end == INT64_MAX)
		q->end--; /* nobody has as many, and it must end somewhere */
	if (r == 0)
		r = look_up(q);
	if (r == 0)
		r = pending_read(&q->pending, q->db, &q->match);
	return r;
}

/* The number before that of the first of the last records that match. */
static int skip_to_last(struct query *q, int64_t last, int64_t *ret_after)
{
	enum query_table table;
	int64_t seq = q->end + 1;
	int r = last > 0 ? find_begin(&q->find, QUERY_BACKWARD, 0, q->end + 1)
			 : 0;

	while (r == 0 && last > 0) {
		r = find_next(&q->find, &seq, &table);
		if (r == FIND_FOUND)
			last--;
		if (r < 0 || r == FIND_END)
			break;
		r = 0;
	}
	*ret_after = seq - 1;
	return r;
}

/* Of the last ones, open records are the very last. */
static void take_pending(struct query *q, int64_t *last)
{
	size_t count = q->pending.count;

	if (*last >= 0 && (uint64_t)*last < count)
		count = (size_t)*last;
	q->pending_begin = q->pending.count - count;
	q->pending_end = q->pending.count;
	if (*last >= 0)
		*last -= (int64_t)count;
}

int query_start(struct query *q, const struct query_filter *filter,
	enum query_order order, int64_t last)
{
	int64_t after = 0;

	stop(q);
	q->order = order;
	q->known = -1;

	int r = match_init(&q->match, filter);

	for (int i = 0; r == 0 && i < QUERY_FOLD; i++)
		r = fetch_prepare(q->db, i, filter->only, &q->record[i]);
	/* Before the end is looked up: what comes in between is then new. */
	if (r == 0)
		r = read_version(q, &q->seen_version);
	if (r == 0)
		r = at_one_moment(q, look);
	if (r == 0)
		r = find_init(&q->find, q->db, &q->match, q->end + 1);
	if (r < 0)
		return r;
	take_pending(q, &last);
	q->left = last;
	if (last >= 0 && order == QUERY_FORWARD) {
		q->left = -1;
		r = skip_to_last(q, last, &after);
	}
	return r < 0 ? r : find_begin(&q->find, order, after, q->end + 1);
}

static int look_for_more(struct query *q)
{
	int r = db_exec_int(q->db, QUERY_SQL_NEWEST, &q->end);

	return r < 0 ? r : look_up(q);
}

int query_more(struct query *q)
{
	int64_t version, end = q->end;

	assert(q->order == QUERY_FORWARD && q->match.filter.closed);

	int r = read_version(q, &version);

	if (r < 0 || version == q->seen_version)
		return r;
	r = at_one_moment(q, look_for_more);
	if (r < 0)
		return r;
	q->seen_version = version;
	if (q->end <= end || q->end == INT64_MAX) {
		q->end = end;
		return 0;
	}
	r = find_begin(&q->find, QUERY_FORWARD, end, q->end + 1);
	return r < 0 ? r : 1;
}

/* ---- rows ---- */

/* A batch of rows: what find_next gave last, or -errno. */
static int fill(struct query *q)
{
	enum query_table table;
	size_t bytes = 0;
	int64_t seq;
	int r = FIND_FOUND;

	while (q->row_count < BATCH_ROWS && bytes < BATCH_BYTES &&
		q->left != 0) {
		r = find_next(&q->find, &seq, &table);
		if (r != FIND_FOUND)
			return r;
		r = fetch_record(q->record[table], seq, NULL,
			&q->rows[q->row_count], &bytes);
		if (r < 0)
			return r;
		/* 0: retention has removed it meanwhile. */
		q->row_count += (size_t)r;
		if (q->left > 0)
			q->left -= r;
	}
	return q->left == 0 ? FIND_END : FIND_FOUND;
}

static bool next_pending(struct query *q, const struct query_row **ret)
{
	if (q->pending_begin == q->pending_end)
		return false;
	*ret = q->order == QUERY_FORWARD ? q->pending.rows[q->pending_begin++]
					 : q->pending.rows[--q->pending_end];
	return true;
}

int query_next(struct query *q, const struct query_row **ret)
{
	if (q->order == QUERY_BACKWARD && next_pending(q, ret))
		return 1;
	if (q->row_next == q->row_count) {
		int r;

		drop_rows(q);
		do
			r = at_one_moment(q, fill);
		while (r > 0 && q->row_count == 0);
		if (r < 0)
			return r;
		if (q->row_count == 0)
			return q->order == QUERY_FORWARD &&
			       next_pending(q, ret);
	}
	*ret = q->rows[q->row_next++];
	return 1;
}

/* ---- targets ---- */

struct visit {
	const struct match *match;
	int (*fn)(void *arg, const struct query_target *t);
	void *arg;
	bool stopped; /* by fn */
};

static int visit_name(void *arg, const struct names_entry *e)
{
	struct visit *v = arg;
	const struct query_target t = {
		.path = {.bytes = e->path, .len = e->len},
		.path2 = {.null = !e->path2, .bytes = e->path2, .len = e->len2},
		.count = e->count,
		.first = e->t_first,
		.last = e->t_last,
	};

	if (v->match->by_path &&
		!match_target(v->match, e->path, e->len, e->path2, e->len2))
		return 0;

	int r = v->fn(v->arg, &t);

	v->stopped = r != 0;
	return r;
}

int query_targets(struct query *q, const struct query_row *row,
	int (*fn)(void *arg, const struct query_target *t), void *arg)
{
	const struct query_cell *cell = row->cell;
	struct visit v = {&q->match, fn, arg, false};

	if (row->names.null) {
		const struct query_target t = {
			.path = cell[QUERY_PATH],
			.path2 = cell[QUERY_PATH2],
			.count = cell[QUERY_COUNT].number,
			.first = cell[QUERY_T_REAL].number,
			.last = cell[cell[QUERY_T_LAST].null ? QUERY_T_REAL
							     : QUERY_T_LAST]
					.number,
		};

		return fn(arg, &t);
	}

	int r = names_read(q->match.names, row->names.bytes, row->names.len,
		cell[QUERY_T_REAL].number, visit_name, &v);

	return r == -EBADMSG && !v.stopped
		       ? match_malformed(&q->match, cell[QUERY_SEQ].number)
		       : r;
}

int query_ancestors(struct query *q, int64_t proc_id,
	int (*fn)(void *arg, const struct query_ancestor *a), void *arg)
{
	struct db_stmt *s = q->ancestors;
	int r;

	db_bind_int(s, proc_id);
	while ((r = db_next(s)) > 0) {
		struct query_ancestor a = {.pid = db_int(s, 0)};

		fetch_cell(s, 1, QUERY_NAME, &a.comm);
		fetch_cell(s, 2, QUERY_NAME, &a.exe);
		fetch_cell(s, 3, QUERY_DIGEST, &a.exe_digest);
		fetch_cell(s, 4, QUERY_NAME, &a.cmdline);
		fetch_cell(s, 5, QUERY_TIME, &a.start_real);
		r = fn(arg, &a);
		if (r != 0)
			break;
	}
	db_rewind(s);
	return r;
}
