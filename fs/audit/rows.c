/* SPDX-License-Identifier: Apache-2.0 */
/* Records in the order of their numbers; see rows.h. */
#include "fs/audit/rows.h"

#include <string.h>

#include "fs/ledger/record.h"
#include "fs/seal/merkle.h"

enum { SQL_MAX = 4096 };

/* One of the two tables, at the row that comes next in it. */
struct cursor {
	char table;
	int columns;
	struct db_stmt *stmt;
	bool at_row; /* else it is at its end */
	/* Columns that are looked at, beside the canonical bytes. */
	int mount, t_real, t_boot, count, proc, ino, kind, text;
};

struct rows {
	struct digests *digests; /* borrowed */
	struct hasher *hasher;
	struct record record;
	struct cursor attempt, event;
	struct cursor *given; /* whose row was given last, or NULL */
};

static int column(const struct cursor *c, const char *name)
{
	int count;
	const char *const *names = record_columns(c->table, &count);

	for (int i = 0; i < count; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1; /* a table lacks what only the other one has */
}

static int prepare(struct db *db, struct cursor *c, char table)
{
	_cleanup_buf_ struct buf sql;
	int r = 0;

	c->table = table;

	const char *const *names = record_columns(table, &c->columns);

	buf_init(&sql, SQL_MAX);
	for (int i = 0; r == 0 && i < c->columns; i++)
		r = buf_printf(&sql, "%s %s", i ? "," : "SELECT", names[i]);
	if (r == 0)
		r = buf_printf(&sql, " FROM %s WHERE seq >= ? ORDER BY seq",
			table == 'a' ? "attempt" : "event");
	if (r == 0)
		r = buf_add(&sql, "", 1);
	c->mount = column(c, "mount_id");
	c->t_real = column(c, "t_real");
	c->t_boot = column(c, "t_boot");
	c->count = column(c, "count");
	c->proc = column(c, "proc_id");
	c->ino = column(c, "ino");
	c->kind = column(c, "kind");
	c->text = column(c, "text");
	return r < 0 ? r : db_prepare(db, sql.data, &c->stmt);
}

int rows_new(struct db *db, struct digests *digests, struct rows **ret)
{
	_cleanup_(rows_free) struct rows *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->digests = digests;
	record_init(&r->record);
	r->hasher = hasher_new();

	int e = r->hasher ? prepare(db, &r->attempt, 'a') : -ENOMEM;

	if (e == 0)
		e = prepare(db, &r->event, 'e');
	if (e < 0)
		return e;
	*ret = take_ptr(r);
	return 0;
}

void rows_free(struct rows *r)
{
	if (!r)
		return;
	db_stmt_free(r->attempt.stmt);
	db_stmt_free(r->event.stmt);
	hasher_free(r->hasher);
	record_done(&r->record);
	free(r);
}

static int step(struct cursor *c)
{
	int r = db_next(c->stmt);

	c->at_row = r > 0;
	return r < 0 ? r : 0;
}

static int start(struct cursor *c, int64_t seq)
{
	db_rewind(c->stmt);
	db_bind_int(c->stmt, seq);
	return step(c);
}

int rows_start(struct rows *r, int64_t seq)
{
	int e = start(&r->attempt, seq);

	r->given = NULL;
	return e < 0 ? e : start(&r->event, seq);
}

static void get_bytes(
	struct db_stmt *s, int at, const char **ret, size_t *ret_len)
{
	*ret_len = 0;
	*ret = db_bytes(s, at, ret_len);
	if (!*ret)
		*ret = "";
}

static struct row get(const struct cursor *c)
{
	struct db_stmt *s = c->stmt;
	struct row row = {
		.seq = db_int(s, 0),
		.table = c->table,
		.t_real = db_int(s, c->t_real),
		.t_boot = db_int(s, c->t_boot),
		.count = db_int(s, c->count),
		.refers.mount = db_int(s, c->mount),
	};

	if (c->table == 'a') {
		row.refers.proc = db_int(s, c->proc);
		row.refers.ino = db_int(s, c->ino);
	} else {
		get_bytes(s, c->kind, &row.kind, &row.kind_len);
		get_bytes(s, c->text, &row.text, &row.text_len);
	}
	return row;
}

/* Behind the columns, the digests of what the row refers to. */
static int refer(struct rows *r, char table, const struct row_refers *to)
{
	struct digest d;
	int e = digests_mount(r->digests, to->mount, &d);

	if (e < 0)
		return e;
	record_refer(&r->record, &d);
	if (table == 'e')
		return 0;
	if (to->proc)
		e = digests_proc(r->digests, to->proc, &d);
	if (e < 0)
		return e;
	record_refer(&r->record, to->proc ? &d : NULL);
	if (to->ino)
		e = digests_node(r->digests, to->mount, to->ino, &d);
	if (e < 0)
		return e;
	record_refer(&r->record, to->ino ? &d : NULL);
	return 0;
}

/* The leaf of a row. 0 or -errno; what can be no record of ours has none. */
static int hash(struct rows *r, const struct cursor *c, struct row *row)
{
	int e;

	record_read(&r->record, c->table, c->stmt, 0, c->columns);
	e = refer(r, c->table, &row->refers);
	if (e == 0)
		e = record_end(&r->record);
	if (e == -EBADMSG || e == -ENOENT || e == -E2BIG)
		return 0;
	if (e < 0)
		return e;
	merkle_leaf(r->hasher, r->record.bytes.data, r->record.bytes.len,
		&row->leaf);
	row->possible = true;
	return 0;
}

int rows_next(struct rows *r, struct row *ret)
{
	struct cursor *a = &r->attempt, *e = &r->event, *c;
	int error = r->given ? step(r->given) : 0;
	struct row row;

	r->given = NULL;
	if (error < 0)
		return error;
	if (!a->at_row && !e->at_row)
		return 0;
	if (a->at_row && e->at_row)
		c = db_int(a->stmt, 0) <= db_int(e->stmt, 0) ? a : e;
	else
		c = a->at_row ? a : e;
	row = get(c);
	error = hash(r, c, &row);
	if (error < 0)
		return error;
	r->given = c;
	*ret = row;
	return 1;
}

const struct buf *rows_bytes(const struct rows *r)
{
	return &r->record.bytes;
}
