/* SPDX-License-Identifier: Apache-2.0 */
/* Processes and mounts of a filter; see processes.h. */
#include "fs/audit/processes.h"

#include <string.h>

#include "fs/audit/glob.h"
#include "fs/base/buf.h"
#include "fs/db/db.h"

#define BOOT_ID_MAX 64

/* ---- by name ---- */

static bool same_bytes(struct db_stmt *s, int column, const char *want)
{
	size_t len;
	const char *bytes = db_bytes(s, column, &len);

	return bytes && len == strlen(want) && memcmp(bytes, want, len) == 0;
}

static bool begins_with(struct db_stmt *s, int column, const char *want)
{
	size_t len, want_len = strlen(want);
	const char *bytes = db_bytes(s, column, &len);

	return bytes && len >= want_len && memcmp(bytes, want, want_len) == 0;
}

static bool matches(struct db_stmt *s, int column, const struct glob *glob)
{
	size_t len;
	const char *bytes = db_bytes(s, column, &len);

	return bytes && glob_match(glob, bytes, len);
}

int processes_like(struct db *db, const struct query_filter *f, struct ids *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	struct glob exe;
	int r = db_prepare(db, "SELECT id, comm, container, exe FROM proc", &s);

	glob_init(&exe, f->exe ? f->exe : "*");
	while (r >= 0 && (r = db_next(s)) > 0) {
		if (f->comm && !same_bytes(s, 1, f->comm))
			continue;
		if (f->container && !begins_with(s, 2, f->container))
			continue;
		if (f->exe && !matches(s, 3, &exe))
			continue;
		r = ids_add(ret, db_int(s, 0));
	}
	ids_sort(ret);
	return r;
}

int processes_of_pid(struct db *db, pid_t pid, struct ids *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, "SELECT id FROM proc WHERE tgid = ?1", &s);

	if (r < 0)
		return r;
	db_bind_int(s, pid);
	while (r >= 0 && (r = db_next(s)) > 0)
		r = ids_add(ret, db_int(s, 0));
	ids_sort(ret);
	return r;
}

/* ---- by descent ---- */

/* All rows of proc, those of one process side by side; family is a number for
 * each process. */
struct tree {
	struct row {
		int64_t id, parent;
		uint32_t family;
		bool has_parent;
	} * rows; /* owned; ordered by family, and then by id */
	struct link {
		uint32_t from, to; /* families: of a parent, of its child */
	} * links;		   /* owned; ordered by from */
	bool *in;		   /* for each family; owned */
	size_t row_count, link_count, families;
};

static void tree_done(struct tree *t)
{
	free(t->rows);
	free(t->links);
	free(t->in);
}

static int add_row(struct tree *t, const struct row *row)
{
	size_t n = t->row_count;

	/* At each power of two there is no more room. */
	if ((n & (n - 1)) == 0) {
		size_t room = n ? n * 2 : 1;
		struct row *rows;

		if (n == IDS_MAX)
			return -E2BIG;
		rows = reallocarray(t->rows, room, sizeof(*rows));
		if (!rows)
			return -ENOMEM;
		t->rows = rows;
	}
	t->rows[t->row_count++] = *row;
	return 0;
}

/* Columns 3 to 5 of the statement below say which process a row is of. */
struct process {
	char boot[BOOT_ID_MAX];
	size_t boot_len;
	int64_t pid, start;
};

static bool same_process(struct process *last, struct db_stmt *s)
{
	struct process now = {.pid = db_int(s, 4), .start = db_int(s, 5)};
	size_t len = 0;
	const void *boot = db_bytes(s, 3, &len);

	now.boot_len = len < BOOT_ID_MAX ? len : BOOT_ID_MAX;
	if (boot)
		memcpy(now.boot, boot, now.boot_len);

	bool same = now.pid == last->pid && now.start == last->start &&
		    now.boot_len == last->boot_len &&
		    memcmp(now.boot, last->boot, now.boot_len) == 0;

	*last = now;
	return same;
}

static int read_rows(struct tree *t, struct db *db)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	struct process last = {0};
	int r = db_prepare(db,
		"SELECT p.id, p.parent_id, p.tgid, m.boot_id, p.tgid,"
		" p.start_ticks FROM proc AS p"
		" LEFT JOIN mount AS m ON m.id = p.mount_id"
		" ORDER BY m.boot_id, p.tgid, p.start_ticks, p.id",
		&s);

	while (r >= 0 && (r = db_next(s)) > 0) {
		if (!same_process(&last, s) || t->families == 0)
			t->families++;

		const struct row row = {.id = db_int(s, 0),
			.parent = db_int(s, 1),
			.has_parent = !db_is_null(s, 1),
			.family = (uint32_t)t->families - 1};

		r = add_row(t, &row);
	}
	return r;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int compare_links(const void *a, const void *b)
{
	const struct link *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

/* Rows are in the order of their ids now. */
static int link_families(struct tree *t)
{
	qsort(t->rows, t->row_count, sizeof(*t->rows), compare_rows);
	t->links = calloc(t->row_count, sizeof(*t->links));
	if (!t->links)
		return -ENOMEM;
	for (size_t i = 0; i < t->row_count; i++) {
		const struct row *row = &t->rows[i];
		const struct row want = {.id = row->parent};
		const struct row *parent =
			!row->has_parent ? NULL
					 : bsearch(&want, t->rows, t->row_count,
						   sizeof(want), compare_rows);

		if (parent)
			t->links[t->link_count++] =
				(struct link){parent->family, row->family};
	}
	qsort(t->links, t->link_count, sizeof(*t->links), compare_links);
	return 0;
}

static size_t first_link(const struct tree *t, uint32_t from)
{
	size_t low = 0, high = t->link_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->links[middle].from < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Every family is entered once, so a ring in a forged file ends. */
static int descend(struct tree *t, const struct ids *roots)
{
	uint32_t *left = calloc(t->families, sizeof(*left));
	size_t count = 0;

	t->in = calloc(t->families, sizeof(*t->in));
	if (!left || !t->in) {
		free(left);
		return -ENOMEM;
	}
	for (size_t i = 0; i < t->row_count; i++) {
		uint32_t family = t->rows[i].family;

		if (!t->in[family] && ids_has(roots, t->rows[i].id)) {
			t->in[family] = true;
			left[count++] = family;
		}
	}
	while (count > 0) {
		uint32_t from = left[--count];

		for (size_t i = first_link(t, from);
			i < t->link_count && t->links[i].from == from; i++) {
			uint32_t to = t->links[i].to;

			if (!t->in[to]) {
				t->in[to] = true;
				left[count++] = to;
			}
		}
	}
	free(left);
	return 0;
}

static int find_tree(
	struct tree *t, struct db *db, const struct ids *roots, struct ids *ret)
{
	int r = read_rows(t, db);

	if (r < 0 || t->row_count == 0)
		return r;
	r = link_families(t);
	if (r == 0)
		r = descend(t, roots);
	for (size_t i = 0; r == 0 && i < t->row_count; i++)
		if (t->in[t->rows[i].family])
			r = ids_add(ret, t->rows[i].id);
	ids_sort(ret);
	return r;
}

int processes_of_tree(struct db *db, pid_t pid, struct ids *ret)
{
	struct ids roots = {0};
	struct tree t = {0};
	int r = processes_of_pid(db, pid, &roots);

	if (r == 0 && roots.count > 0)
		r = find_tree(&t, db, &roots, ret);
	tree_done(&t);
	ids_done(&roots);
	return r;
}

/* ---- mounts ---- */

/* The beginning of a boot's id, in any of the ways it is written. */
static bool is_boot(const char *want, const char *id, size_t len)
{
	size_t i = 0;

	for (; *want; want++) {
		if (*want == '-')
			continue;
		while (i < len && id[i] == '-')
			i++;
		if (i == len || (id[i] | 0x20) != (*want | 0x20))
			return false;
		i++;
	}
	return true;
}

/* Boots in the order of their newest mounts, last first; row N is boot -N. */
static int nth_boot(struct db *db, int64_t boot, struct ids *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db,
		"SELECT id FROM mount WHERE boot_id = (SELECT boot_id"
		" FROM mount WHERE boot_id IS NOT NULL GROUP BY boot_id"
		" ORDER BY max(id) DESC LIMIT 1 OFFSET ?1)",
		&s);

	if (r < 0)
		return r;
	db_bind_int(s, -boot);
	while (r >= 0 && (r = db_next(s)) > 0)
		r = ids_add(ret, db_int(s, 0));
	return r;
}

static int boots_by_id(struct db *db, const char *want, struct ids *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db, "SELECT id, boot_id FROM mount", &s);

	while (r >= 0 && (r = db_next(s)) > 0) {
		size_t len;
		const char *id = db_bytes(s, 1, &len);

		if (id && is_boot(want, id, len))
			r = ids_add(ret, db_int(s, 0));
	}
	return r;
}

int processes_mounts(
	struct db *db, const struct query_filter *f, struct ids *ret)
{
	int r = 0;

	/* Boots are counted backward; -INT64_MIN there is not. */
	if (f->boot_id)
		r = boots_by_id(db, f->boot_id, ret);
	else if (f->boot <= 0 && f->boot > INT64_MIN)
		r = nth_boot(db, f->boot, ret);
	ids_sort(ret);
	return r;
}
