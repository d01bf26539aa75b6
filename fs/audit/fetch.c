/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of rows; see fetch.h. */
#include "fs/audit/fetch.h"

#include <string.h>

int fetch_prepare(struct db *db, enum query_table table, const uint64_t only[2],
	struct db_stmt **ret)
{
	_cleanup_buf_ struct buf sql;

	buf_init(&sql, QUERY_SQL_MAX);

	int r = query_sql_record(&sql, table, only);

	return r < 0 ? r : db_prepare(db, sql.data, ret);
}

void fetch_cell(struct db_stmt *s, int column, enum query_kind kind,
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

static char *move_bytes(struct query_cell *c, char *to)
{
	if (!c->bytes)
		return to;
	c->bytes = memcpy(to, c->bytes, c->len);
	return to + c->len;
}

/* The row that the statement is at, with the statement's bytes. */
static size_t borrow(struct db_stmt *s, const struct fetch_targets *instead,
	struct query_row *ret)
{
	size_t len = 0;

	for (int i = 0; i < QUERY_COLUMNS; i++)
		fetch_cell(s, i, query_columns[i].kind, &ret->cell[i]);
	fetch_cell(s, QUERY_COLUMNS, QUERY_BLOB, &ret->names);
	if (instead) {
		ret->cell[QUERY_PATH] = instead->path;
		ret->cell[QUERY_PATH2] = instead->path2;
		ret->names = instead->names;
	}
	for (int i = 0; i < QUERY_COLUMNS; i++)
		len += ret->cell[i].len;
	return len + ret->names.len;
}

/* SQLite bounds how long a row is. */
static int copy(struct db_stmt *s, const struct fetch_targets *instead,
	struct query_row **ret, size_t *bytes)
{
	struct query_row borrowed;
	size_t len = sizeof(borrowed) + borrow(s, instead, &borrowed);
	struct query_row *row = malloc(len);

	if (!row)
		return -ENOMEM;

	char *to = (char *)(row + 1);

	*row = borrowed;
	for (int i = 0; i < QUERY_COLUMNS; i++)
		to = move_bytes(&row->cell[i], to);
	(void)move_bytes(&row->names, to);
	*ret = row;
	*bytes += len;
	return 1;
}

int fetch_record(struct db_stmt *s, int64_t seq,
	const struct fetch_targets *instead, struct query_row **ret,
	size_t *bytes)
{
	db_bind_int(s, seq);

	int r = db_next(s);

	if (r > 0)
		r = copy(s, instead, ret, bytes);
	db_rewind(s);
	return r;
}
