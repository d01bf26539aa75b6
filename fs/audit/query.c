/* SPDX-License-Identifier: Apache-2.0 */
/* Readers of a ledger; see query.h. */
#include "fs/audit/query.h"

#include <assert.h>
#include <string.h>

#include "fs/audit/query_sql.h"
#include "fs/audit/reader.h"
#include "fs/base/buf.h"
#include "fs/db/db.h"

enum {
	BATCH_ROWS = 256,
	BATCH_BYTES = 4 << 20, /* a batch ends when it has this much */
};

struct query {
	struct db *db;
	struct db_stmt *forward, *backward, *nth, *ancestors, *version;
	struct query_filter filter;
	enum query_order order;
	char *under, *below;   /* filter.under without and with a last '/' */
	int64_t after, before; /* what is left: after < seq < before */
	int64_t seen_version;

	/* Each row is one block of memory, its bytes behind it. */
	struct query_row *rows[BATCH_ROWS];
	size_t row_count, row_next;
};

/* ---- opening ---- */

static int prepare(struct query *q)
{
	const struct {
		struct db_stmt **ret;
		int (*text)(struct buf *);
	} all[] = {
		{&q->forward, query_sql_forward},
		{&q->backward, query_sql_backward},
		{&q->nth, query_sql_nth},
		{&q->ancestors, query_sql_ancestors},
		{&q->version, query_sql_version},
	};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++) {
		_cleanup_buf_ struct buf sql;

		buf_init(&sql, QUERY_SQL_MAX);
		r = all[i].text(&sql);
		if (r == 0)
			r = buf_add(&sql, "", 1);
		if (r == 0)
			r = db_prepare(q->db, sql.data, all[i].ret);
	}
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

void query_close(struct query *q)
{
	if (!q)
		return;
	drop_rows(q);
	db_stmt_free(q->forward);
	db_stmt_free(q->backward);
	db_stmt_free(q->nth);
	db_stmt_free(q->ancestors);
	db_stmt_free(q->version);
	db_close(q->db);
	free(q->under);
	free(q->below);
	free(q);
}

const char *query_error(struct query *q)
{
	return db_error(q->db);
}

/* ---- running ---- */

/* "/etc/" and "/etc" are the same folder; "/" holds everything. */
static int set_under(struct query *q, const char *under)
{
	free(take_ptr(q->under));
	free(take_ptr(q->below));
	if (!under)
		return 0;

	size_t len = strlen(under);

	while (len > 0 && under[len - 1] == '/')
		len--;
	if (asprintf(&q->under, "%.*s", (int)len, under) < 0) {
		q->under = NULL;
		return -ENOMEM;
	}
	if (asprintf(&q->below, "%s/", q->under) < 0) {
		q->below = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* In the order of enum query_sql_parameter. */
static void bind(struct query *q, struct db_stmt *s, int64_t limit)
{
	const struct query_filter *f = &q->filter;
	bool any = !f->ops && !f->events;
	bool of_process = f->pid || f->has_uid || f->comm;
	uint64_t events = any && !of_process ? ~0ull : f->events;

	db_bind_int(s, q->after);
	db_bind_int(s, q->before);
	db_bind_int(s, f->since);
	db_bind_int(s, f->until ? f->until : INT64_MAX);
	db_bind_text(s, f->path);
	db_bind_bytes(s, q->under, q->under ? strlen(q->under) : 0);
	db_bind_bytes(s, q->below, q->below ? strlen(q->below) : 0);
	db_bind_int(s, any ? -1 : (int64_t)f->ops);
	db_bind_int(s, (int64_t)events);
	if (f->pid)
		db_bind_int(s, f->pid);
	else
		db_bind_null(s);
	if (f->has_uid)
		db_bind_int(s, f->uid);
	else
		db_bind_null(s);
	db_bind_bytes(s, f->comm, f->comm ? strlen(f->comm) : 0);
	db_bind_int(s, limit);
}

static int newest(struct query *q, int64_t *ret)
{
	return db_exec_int(q->db, QUERY_SQL_NEWEST, ret);
}

static int read_version(struct query *q, int64_t *ret)
{
	int r = db_next(q->version);

	if (r >= 0)
		*ret = db_int(q->version, 0);
	db_rewind(q->version);
	return r < 0 ? r : 0;
}

/* Leave out all but the last ones that match. */
static int skip_to_last(struct query *q, int64_t last)
{
	bind(q, q->nth, last);

	int r = db_next(q->nth);

	/* None matches, or none is wanted: what is there is passed over. */
	if (r > 0 && db_is_null(q->nth, 0))
		q->after = q->before - 1;
	else if (r > 0)
		q->after = db_int(q->nth, 0) - 1;
	db_rewind(q->nth);
	return r < 0 ? r : 0;
}

int query_start(struct query *q, const struct query_filter *filter,
	enum query_order order, int64_t last)
{
	int64_t end = 0;

	drop_rows(q);
	q->filter = *filter;
	q->order = order;

	int r = set_under(q, filter->under);

	/* Before the end is looked up: what comes in between is then new. */
	if (r == 0)
		r = read_version(q, &q->seen_version);
	if (r == 0)
		r = newest(q, &end);
	if (r < 0)
		return r;
	q->after = 0;
	q->before = end < INT64_MAX ? end + 1 : end;
	return last < 0 ? 0 : skip_to_last(q, last);
}

int query_more(struct query *q)
{
	int64_t version, end;

	assert(q->order == QUERY_FORWARD);

	int r = read_version(q, &version);

	if (r < 0 || version == q->seen_version)
		return r;
	r = newest(q, &end);
	if (r < 0)
		return r;
	q->seen_version = version;
	if (end < q->before || end == INT64_MAX)
		return 0;
	q->before = end + 1;
	return 1;
}

/* ---- rows ---- */

static void get_cell(struct db_stmt *s, int column, enum query_kind kind,
	struct query_cell *ret)
{
	*ret = (struct query_cell){.null = db_is_null(s, column)};
	if (ret->null)
		return;
	if (kind == QUERY_NUMBER || kind == QUERY_FLAG || kind == QUERY_TIME)
		ret->number = db_int(s, column);
	else
		ret->bytes = db_bytes(s, column, &ret->len);
}

/* Copy the row that the statement is at. Its length is SQLite's to bound. */
static int keep_row(struct query *q, struct db_stmt *s, size_t *ret_bytes)
{
	struct query_row borrowed;
	size_t bytes = 0;

	for (int i = 0; i < QUERY_COLUMNS; i++) {
		get_cell(s, i, query_columns[i].kind, &borrowed.cell[i]);
		bytes += borrowed.cell[i].len;
	}

	struct query_row *row = malloc(sizeof(*row) + bytes);

	if (!row)
		return -ENOMEM;

	char *to = (char *)(row + 1);

	*row = borrowed;
	for (int i = 0; i < QUERY_COLUMNS; i++) {
		struct query_cell *c = &row->cell[i];

		if (!c->bytes)
			continue;
		c->bytes = memcpy(to, c->bytes, c->len);
		to += c->len;
	}
	q->rows[q->row_count++] = row;
	*ret_bytes += bytes;
	return 0;
}

static int fill(struct query *q)
{
	struct db_stmt *s =
		q->order == QUERY_FORWARD ? q->forward : q->backward;
	size_t bytes = 0;
	int r;

	drop_rows(q);
	bind(q, s, BATCH_ROWS);
	while ((r = db_next(s)) > 0) {
		r = keep_row(q, s, &bytes);
		if (r < 0 || q->row_count == BATCH_ROWS || bytes > BATCH_BYTES)
			break;
	}
	db_rewind(s);
	return r;
}

int query_next(struct query *q, const struct query_row **ret)
{
	if (q->row_next == q->row_count) {
		int r = fill(q);

		if (r < 0)
			return r;
		if (q->row_count == 0) {
			/* Nothing up to here matches: go on from here. */
			if (q->order == QUERY_FORWARD)
				q->after = q->before - 1;
			return 0;
		}
	}

	const struct query_row *row = q->rows[q->row_next++];
	int64_t seq = row->cell[QUERY_SEQ].number;

	/* A damaged tree of pages can lead back to where we were. */
	if (seq <= q->after || seq >= q->before)
		return -EBADMSG;
	if (q->order == QUERY_FORWARD)
		q->after = seq;
	else
		q->before = seq;
	*ret = row;
	return 1;
}

int query_ancestors(struct query *q, int64_t proc_id,
	int (*fn)(void *arg, const struct query_ancestor *a), void *arg)
{
	struct db_stmt *s = q->ancestors;
	int r;

	db_bind_int(s, proc_id);
	while ((r = db_next(s)) > 0) {
		struct query_ancestor a = {.pid = db_int(s, 0)};

		get_cell(s, 1, QUERY_NAME, &a.comm);
		get_cell(s, 2, QUERY_NAME, &a.exe);
		get_cell(s, 3, QUERY_DIGEST, &a.exe_digest);
		get_cell(s, 4, QUERY_NAME, &a.cmdline);
		get_cell(s, 5, QUERY_TIME, &a.start_real);
		r = fn(arg, &a);
		if (r != 0)
			break;
	}
	db_rewind(s);
	return r;
}
