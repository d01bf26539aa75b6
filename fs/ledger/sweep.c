/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of processes that nothing refers to; see sweep.h. */
#include "fs/ledger/sweep.h"

/* Records, from the first one of a process on, in which it is kept without a
 * thought: most live no longer. */
#define SPAN 4096

/* Look for those that are gone after so many have come. */
#define TIDY_EVERY 1024

/* Of those that were used for long; 4 MiB. With more of them what came so far
 * stays until the mount goes. */
#define OLD_MAX (256u << 10)

void sweep_init(struct sweep *w, int64_t last_row)
{
	*w = (struct sweep){
		.tidy_at = TIDY_EVERY, .floor = last_row, .looked = last_row};
}

void sweep_done(struct sweep *w)
{
	for (size_t i = 0; i < w->count; i++)
		proc_unref(w->known[i]);
	free(w->known);
	free(w->old);
	*w = (struct sweep){0};
}

/* ---- what is remembered ---- */

void sweep_use(struct proc *p, int64_t seq)
{
	if (p && p->used < seq)
		p->used = seq;
}

void sweep_new(struct proc *p, int64_t seq)
{
	p->first = p->used = seq;
	/* Its row refers to that of its parent, as long as it stays. */
	sweep_use(p->parent, seq + SPAN);
}

static bool grow(void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room ? *room * 2 : 256;
	void *p;

	if (count < *room)
		return true;
	p = reallocarray(*array, more, size);
	if (!p)
		return false;
	*array = p;
	*room = more;
	return true;
}

static void add_old(struct sweep *w, const struct proc *p)
{
	void *array = w->old;

	if (p->used <= p->first + SPAN || p->row <= w->floor)
		return;
	if (w->old_count == OLD_MAX ||
		!grow(&array, w->old_count, &w->old_room, sizeof(*w->old))) {
		w->floor = p->row;
		return;
	}
	w->old = array;
	w->old[w->old_count++] = (struct sweep_old){p->row, p->used};
}

/* Forget processes that only we know: nobody can find them any more. */
static void tidy(struct sweep *w)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->count; i++) {
		struct proc *p = w->known[i];

		if (atomic_load(&p->refs) > 1) {
			w->known[kept++] = p;
			continue;
		}
		add_old(w, p);
		proc_unref(p);
	}
	w->count = kept;
	w->tidy_at = kept + TIDY_EVERY;
}

void sweep_enter(struct sweep *w, struct proc *p)
{
	void *array = w->known;

	if (w->count >= w->tidy_at)
		tidy(w);
	array = w->known;
	if (!grow(&array, w->count, &w->room, sizeof(struct proc *))) {
		w->floor = p->row; /* it is never looked at */
		return;
	}
	w->known = array;
	w->known[w->count++] = proc_ref(p);
}

/* Those whose last record is gone, or which stay anyway, need no place. */
static void drop_old(struct sweep *w, int64_t last)
{
	size_t kept = 0;

	for (size_t i = 0; i < w->old_count; i++) {
		if (w->old[i].used > last && w->old[i].row > w->floor)
			w->old[kept++] = w->old[i];
	}
	w->old_count = kept;
}

/* ---- what goes ---- */

static int keep_one(struct db_stmt *add, int64_t row)
{
	db_bind_int(add, row);
	return db_run(add);
}

/* What is remembered or open, and all that are above those. */
static int keep(struct sweep *w, struct db *db)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	int r = db_exec(db,
		"CREATE TEMP TABLE IF NOT EXISTS kept(id INTEGER PRIMARY KEY);"
		"DELETE FROM kept;"
		"INSERT OR IGNORE INTO kept SELECT proc_id FROM fold"
		" WHERE proc_id IS NOT NULL");

	if (r == 0)
		r = db_prepare(
			db, "INSERT OR IGNORE INTO temp.kept VALUES(?)", &add);
	for (size_t i = 0; r == 0 && i < w->count; i++)
		r = keep_one(add, w->known[i]->row);
	for (size_t i = 0; r == 0 && i < w->old_count; i++)
		r = keep_one(add, w->old[i].row);
	return r < 0 ? r
		     : db_exec(db,
			       "WITH RECURSIVE up(id) AS ("
			       "SELECT id FROM temp.kept UNION"
			       " SELECT parent_id FROM up JOIN proc USING (id)"
			       " WHERE parent_id IS NOT NULL)"
			       " INSERT OR IGNORE INTO temp.kept"
			       " SELECT id FROM up");
}

/* Rows come in the order of their first records. */
static int look(struct sweep *w, struct db *db, int64_t last)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(db,
		"SELECT id, first_seq FROM proc WHERE id > ? ORDER BY id", &s);

	if (r < 0)
		return r;
	db_bind_int(s, w->looked);
	while ((r = db_next(s)) > 0 && db_int(s, 1) <= last - SPAN)
		w->looked = db_int(s, 0);
	return r < 0 ? r : 0;
}

int sweep_run(struct sweep *w, struct db *db, int64_t last)
{
	_cleanup_(db_stmt_free) struct db_stmt *drop = NULL;
	int r;

	tidy(w);
	drop_old(w, last);
	r = look(w, db, last);
	if (r < 0 || w->looked <= w->floor)
		return r;
	r = keep(w, db);
	if (r == 0)
		r = db_prepare(db,
			"DELETE FROM proc WHERE id > ? AND id <= ?"
			" AND id NOT IN (SELECT id FROM temp.kept)",
			&drop);
	if (r < 0)
		return r;
	db_bind_int(drop, w->floor);
	db_bind_int(drop, w->looked);
	return db_run(drop);
}
