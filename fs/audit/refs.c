/* SPDX-License-Identifier: Apache-2.0 */
/* Digests of the rows that records refer to; see refs.h. */
#include "fs/audit/refs.h"

#include <string.h>

enum {
	FIRST_ROWS = 64,
	NODES_KEPT = 4096, /* a power of two */
	SQL_MAX = 4096,
};

/* Rows of one table in the order of their ids. */
struct ref {
	int64_t id : 63;
	bool used : 1;
	struct digest digest;
};

struct ref_table {
	struct ref *rows; /* owned */
	size_t count, cap;
};

/* Programs go for the same files again and again. */
struct kept_node {
	bool is; /* else nothing is kept here */
	bool found;
	int64_t mount, ino;
	struct digest digest;
};

struct refs {
	struct db *db; /* borrowed */
	struct db_stmt *mount, *proc, *node;
	struct hasher *hasher;
	struct record record;
	struct ref_table mounts, procs;
	struct kept_node *nodes; /* NODES_KEPT of them */
};

/* ---- rows in memory ---- */

static int add(struct ref_table *t, int64_t id, const struct digest *d)
{
	if (t->count == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : FIRST_ROWS;
		struct ref *rows = reallocarray(t->rows, cap, sizeof(*rows));

		if (!rows)
			return -ENOMEM;
		t->rows = rows;
		t->cap = cap;
	}
	t->rows[t->count++] = (struct ref){.id = id, .digest = *d};
	return 0;
}

static struct ref *find(const struct ref_table *t, int64_t id)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->rows[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->count && t->rows[low].id == id ? &t->rows[low] : NULL;
}

static int give(const struct ref_table *t, int64_t id, struct digest *ret)
{
	struct ref *row = find(t, id);

	if (!row)
		return 0;
	row->used = true;
	*ret = row->digest;
	return 1;
}

/* ---- reading ---- */

static int prepare(
	struct refs *f, char table, const char *end, struct db_stmt **ret)
{
	static const char *const names[] = {
		['m'] = "mount", ['p'] = "proc", ['n'] = "node"};
	_cleanup_buf_ struct buf sql;
	int count;
	const char *const *columns = record_columns(table, &count);
	int r;

	buf_init(&sql, SQL_MAX);
	r = buf_printf(&sql, "SELECT %s", columns[0]);
	for (int i = 1; r == 0 && i < count; i++)
		r = buf_printf(&sql, ", %s", columns[i]);
	if (r == 0)
		r = buf_printf(
			&sql, " FROM %s %s", names[(unsigned char)table], end);
	if (r == 0)
		r = buf_add(&sql, "", 1);
	return r < 0 ? r : db_prepare(f->db, sql.data, ret);
}

/* Collect the row that s is at. 1; 0 when it can be no row of ours; -errno. */
static int collect(struct refs *f, char table, struct db_stmt *s)
{
	struct digest d;
	int count, r = 1;
	int64_t mount = db_int(s, table == 'p' ? 2 : 0);

	(void)record_columns(table, &count); /* only how many */
	record_read(&f->record, table, s, 0, count);
	if (table != 'm') {
		r = refs_mount(f, mount, &d);
		if (r > 0)
			record_refer(&f->record, &d);
	}
	if (table == 'p' && r > 0 && db_is_null(s, 1)) {
		record_refer(&f->record, NULL);
	} else if (table == 'p' && r > 0) {
		r = refs_proc(f, db_int(s, 1), &d);
		if (r > 0)
			record_refer(&f->record, &d);
	}
	if (r <= 0)
		return r;
	r = record_end(&f->record);
	return r == -EBADMSG || r == -E2BIG ? 0 : r < 0 ? r : 1;
}

static void digest_now(struct refs *f, struct digest *ret)
{
	hasher_run(f->hasher, f->record.bytes.data, f->record.bytes.len, ret);
}

/* The parent of a process was entered before it, so one pass suffices, and a
 * ring of parents finds no beginning. */
static int read_all(struct refs *f, char table, struct ref_table *to)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = prepare(f, table, "ORDER BY id", &s);

	while (r >= 0 && (r = db_next(s)) > 0) {
		struct digest d;

		r = collect(f, table, s);
		if (r > 0) {
			digest_now(f, &d);
			r = add(to, db_int(s, 0), &d);
		}
	}
	return r;
}

static int set_up(struct refs *f)
{
	int r = prepare(f, 'm', "WHERE id = ?", &f->mount);

	if (r == 0)
		r = prepare(f, 'p', "WHERE id = ?", &f->proc);
	if (r == 0)
		r = prepare(f, 'n', "WHERE mount_id = ? AND ino = ?", &f->node);
	if (r == 0)
		r = read_all(f, 'm', &f->mounts);
	if (r == 0)
		r = read_all(f, 'p', &f->procs);
	/* Only records count as use. */
	for (size_t i = 0; i < f->mounts.count; i++)
		f->mounts.rows[i].used = false;
	return r;
}

int refs_new(struct db *db, struct refs **ret)
{
	_cleanup_(refs_free) struct refs *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->db = db;
	record_init(&f->record);
	f->hasher = hasher_new();
	f->nodes = calloc(NODES_KEPT, sizeof(*f->nodes));
	if (!f->hasher || !f->nodes)
		return -ENOMEM;

	int r = set_up(f);

	if (r < 0)
		return r;
	*ret = take_ptr(f);
	return 0;
}

void refs_free(struct refs *f)
{
	if (!f)
		return;
	db_stmt_free(f->mount);
	db_stmt_free(f->proc);
	db_stmt_free(f->node);
	hasher_free(f->hasher);
	record_done(&f->record);
	free(f->mounts.rows);
	free(f->procs.rows);
	free(f->nodes);
	free(f);
}

/* ---- asking ---- */

int refs_mount(struct refs *f, int64_t id, struct digest *ret)
{
	return give(&f->mounts, id, ret);
}

int refs_proc(struct refs *f, int64_t id, struct digest *ret)
{
	return give(&f->procs, id, ret);
}

static int read_node(
	struct refs *f, int64_t mount, int64_t ino, struct digest *ret)
{
	int r;

	db_bind_int(f->node, mount);
	db_bind_int(f->node, ino);
	r = db_next(f->node);
	if (r > 0)
		r = collect(f, 'n', f->node);
	if (r > 0)
		digest_now(f, ret);
	db_rewind(f->node);
	return r;
}

int refs_node(struct refs *f, int64_t mount, int64_t ino, struct digest *ret)
{
	size_t at = ((uint64_t)ino + (uint64_t)mount * 31) % NODES_KEPT;
	struct kept_node *k = &f->nodes[at];

	if (!k->is || k->mount != mount || k->ino != ino) {
		struct digest d = {0};
		int r = read_node(f, mount, ino, &d);

		if (r < 0)
			return r;
		*k = (struct kept_node){true, r > 0, mount, ino, d};
	}
	if (k->found)
		*ret = k->digest;
	return k->found;
}

/* A node that is missing is none: not every target has one. */
int refs_complete(struct refs *f, struct record *record, char table,
	const struct refs_of *of)
{
	struct digest d;
	int r = refs_mount(f, of->mount, &d);

	if (r <= 0)
		return r;
	record_refer(record, &d);
	if (table == 'e')
		return 1;
	r = of->has_proc ? refs_proc(f, of->proc, &d) : 1;
	if (r <= 0)
		return r;
	record_refer(record, of->has_proc ? &d : NULL);
	r = of->has_ino ? refs_node(f, of->mount, of->ino, &d) : 0;
	if (r < 0)
		return r;
	record_refer(record, r > 0 ? &d : NULL);
	return 1;
}

int refs_bytes(struct refs *f, const struct refs_name *name, struct buf *ret,
	int64_t *ret_parent)
{
	struct db_stmt *s = name->table == 'm'	 ? f->mount
			    : name->table == 'p' ? f->proc
						 : f->node;
	int64_t parent = 0;
	int r;

	db_bind_int(s, name->id);
	if (name->table == 'n')
		db_bind_int(s, name->ino);
	r = db_next(s);
	if (r > 0 && name->table == 'p')
		parent = db_int(s, 1);
	if (r > 0)
		r = collect(f, name->table, s);
	db_rewind(s);
	if (r <= 0)
		return r;
	r = buf_add(ret, f->record.bytes.data, f->record.bytes.len);
	if (r < 0)
		return r;
	*ret_parent = parent;
	return 1;
}

static uint64_t unused(const struct ref_table *t)
{
	uint64_t count = 0;

	for (size_t i = 0; i < t->count; i++)
		count += !t->rows[i].used;
	return count;
}

uint64_t refs_unused(const struct refs *f)
{
	return unused(&f->mounts) + unused(&f->procs);
}
