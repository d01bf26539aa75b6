/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods: which attempts are folded, and the rows of open folds. A fold is a
 * row of table fold, and, once it has more than one target, a row of fold_name
 * for each. They follow the folds in memory (fold.h) at the end of each
 * transaction, so what was answered is in the file; closing reads them back,
 * whether the fold is ours or was left behind by a writer that died.
 */
#include "fs/ledger/store_internal.h"

#include <string.h>

/* An attempt takes up 5 ms of its process. Who is more than a second ahead of
 * the clock is a flood; up to two seconds are counted, so that a flood that
 * goes on stays one, and one that ends soon is none. */
#define ATTEMPT_NS (INT64_C(1000000000) / 200)
#define FLOOD_NS INT64_C(1000000000)
#define AHEAD_MAX_NS INT64_C(2000000000)

/* Targets whose folds are closed in one call, lest attempts wait too long; the
 * rest is due the next time. */
#define CLOSE_TARGETS 16384

/* The columns of table fold behind its id are those of table attempt behind
 * its number, but for the last one, names. */
#define SHARED                                                          \
	"mount_id, t_real, t_boot, op, errno, rule, dac_denied, path, " \
	"path2, ino, parent_ino, flags, mode, size, off, new_uid, "     \
	"new_gid, atime, mtime, xattr, caller_visible, tid, uid, gid, " \
	"proc_id, count, t_last, times, targets"

int folding_prepare(struct store *s)
{
	const struct {
		struct db_stmt **ret;
		const char *sql;
	} all[] = {
		{&s->add_fold, "INSERT INTO fold VALUES(?,?,?,?,?,?,?,?,?,?,"
			       "?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"},
		{&s->update_fold, "UPDATE fold SET path = ?, path2 = ?,"
				  " ino = ?, parent_ino = ?, count = ?,"
				  " t_last = ?, times = ?, targets = ?"
				  " WHERE id = ?"},
		{&s->drop_fold, "DELETE FROM fold WHERE id = ?"},
		{&s->close_fold, "INSERT INTO attempt SELECT ?, " SHARED ", ?"
				 " FROM fold WHERE id = ?"},
		{&s->start_of_fold, "SELECT t_real FROM fold WHERE id = ?"},
		{&s->add_name, "INSERT INTO fold_name"
			       " VALUES(?,?,?,?,?,?,?,?,?)"},
		{&s->update_name, "UPDATE fold_name SET count = ?, t_last = ?"
				  " WHERE fold_id = ? AND n = ?"},
		{&s->drop_names, "DELETE FROM fold_name WHERE fold_id = ?"},
		{&s->read_names, "SELECT path, path2, ino, parent_ino, count,"
				 " t_first, t_last FROM fold_name"
				 " WHERE fold_id = ? ORDER BY n"},
	};
	int r = names_packer_new(&s->packer);

	for (size_t i = 0; r == 0 && i < ARRAY_LEN(all); i++)
		r = db_prepare(s->db, all[i].sql, all[i].ret);
	return r < 0 ? r
		     : db_exec_int(s->db,
			       "SELECT coalesce(max(id), 0) FROM fold",
			       &s->folds.last_id);
}

void folding_done(struct store *s)
{
	db_stmt_free(s->add_fold);
	db_stmt_free(s->update_fold);
	db_stmt_free(s->drop_fold);
	db_stmt_free(s->close_fold);
	db_stmt_free(s->start_of_fold);
	db_stmt_free(s->add_name);
	db_stmt_free(s->update_name);
	db_stmt_free(s->drop_names);
	db_stmt_free(s->read_names);
	names_packer_free(s->packer);
	folds_done(&s->folds);
}

static int64_t *busy_of(struct store *s, struct proc *proc)
{
	return proc ? &proc->busy_until : &s->busy_until;
}

/* How far ahead a process is after one attempt more. */
static int64_t busy_after(int64_t busy, const struct store_time *at)
{
	int64_t most = at->boot + AHEAD_MAX_NS;
	int64_t next = (busy < at->boot ? at->boot : busy) + ATTEMPT_NS;

	return next < most ? next : most;
}

bool folding_is_flood(
	struct store *s, struct proc *proc, const struct store_time *at)
{
	int64_t *busy = busy_of(s, proc);

	*busy = busy_after(*busy, at);
	return *busy - at->boot > FLOOD_NS;
}

bool folding_repeat(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc)
{
	int64_t *busy = busy_of(s, proc);
	int64_t next = busy_after(*busy, at);
	struct fold_key key;
	struct fold *f;
	bool is_new;

	if (next - at->boot <= FLOOD_NS || (proc && !proc->row) ||
		at->boot - s->flushed > TALLY_LAG_NS)
		return false;
	fold_key_of(a, at, proc ? proc->row : 0, &key);
	f = folds_find(&s->folds, &key);
	if (!f || !f->stored || !fold_takes(f, a, at) || !fold_repeats(f, a) ||
		folds_add(&s->folds, f, a, at, &is_new) < 0)
		return false;
	*busy = next;
	return true;
}

int folding_tally(struct store *s)
{
	int r = 0;

	for (struct fold *f = s->folds.touched; r == 0 && f;
		f = f->next_touched) {
		struct tally_mark mark = {.fold = f->id,
			.count = f->now.count,
			.t_last = f->now.t_last};

		times_print(&f->now.times, mark.times);
		r = tally_put(s->tally, folds_slot(&s->folds, f), &mark);
		f->ahead |= r == 0;
	}
	return r;
}

/* ---- the rows of an open fold ---- */

static void bind_if(struct db_stmt *s, bool given, int64_t value)
{
	if (given)
		db_bind_int(s, value);
	else
		db_bind_null(s);
}

static struct attempt_row row_of(
	const struct store *s, const struct fold *f, uint8_t times[TIMES_LEN])
{
	bool one = f->now.targets == 1;
	struct attempt_row row = {
		.mount = s->mount,
		.proc = f->proc_id,
		.at = f->first,
		.what = &f->what,
		.path2 = one ? fold_path2(f, 0) : NULL,
		.has_ino = one && f->has_node,
		.has_parent_ino = one && f->what.ino_is_parent,
		.count = f->now.count,
		.targets = f->now.targets,
		.t_last = f->now.t_last,
		.times = f->now.count > 1 ? times : NULL,
	};

	row.path = fold_place(f, &row.path_len);
	times_print(&f->now.times, times);
	return row;
}

static int write_fold(struct store *s, const struct fold *f)
{
	uint8_t times[TIMES_LEN];
	const struct attempt_row row = row_of(s, f, times);
	struct db_stmt *u = s->update_fold;

	if (!f->stored) {
		/* It has no canonical bytes, but its values are bound alike. */
		record_begin(&s->record, s->add_fold, 'f');
		record_int(&s->record, f->id);
		rows_put_attempt(&s->record, &row);
		return db_run(s->add_fold);
	}
	db_bind_bytes(u, row.path, row.path_len);
	db_bind_bytes(u, row.path2, row.path2 ? strlen(row.path2) : 0);
	bind_if(u, row.has_ino, (int64_t)f->what.ino);
	bind_if(u, row.has_parent_ino, (int64_t)f->what.ino);
	db_bind_int(u, row.count);
	bind_if(u, row.count > 1, row.t_last);
	db_bind_bytes(u, row.times, TIMES_LEN);
	db_bind_int(u, row.targets);
	db_bind_int(u, f->id);
	return db_run(u);
}

static int add_name(struct store *s, const struct fold *f, uint32_t n)
{
	const struct fold_target *t = &f->targets[n];
	struct db_stmt *add = s->add_name;
	size_t len;
	const char *path = fold_path(f, n, &len), *path2 = fold_path2(f, n);

	db_bind_int(add, f->id);
	db_bind_int(add, n);
	db_bind_bytes(add, path, len);
	db_bind_bytes(add, path2, path2 ? strlen(path2) : 0);
	bind_if(add, !t->ino_is_parent, (int64_t)t->ino);
	bind_if(add, t->ino_is_parent, (int64_t)t->ino);
	db_bind_int(add, t->count);
	db_bind_int(add, t->t_first);
	db_bind_int(add, t->t_last);
	return db_run(add);
}

static int update_name(struct store *s, const struct fold *f, uint32_t n)
{
	const struct fold_target *t = &f->targets[n];

	db_bind_int(s->update_name, t->count);
	db_bind_int(s->update_name, t->t_last);
	db_bind_int(s->update_name, f->id);
	db_bind_int(s->update_name, n);
	return db_run(s->update_name);
}

static int flush(struct store *s, const struct fold *f)
{
	int r = write_fold(s, f);

	if (f->now.targets == 1)
		return r; /* the fold's row says it all */
	for (uint32_t n = f->dirty; r == 0 && n;
		n = f->targets[n - 1].next_dirty) {
		if (n - 1 < f->rows)
			r = update_name(s, f, n - 1);
	}
	for (uint32_t n = f->rows; r == 0 && n < f->now.targets; n++)
		r = add_name(s, f, n);
	return r;
}

int folding_flush(struct store *s)
{
	int r = 0;

	for (struct fold *f = s->folds.touched; r == 0 && f;
		f = f->next_touched) {
		if (!f->closed)
			r = flush(s, f);
	}
	for (unsigned i = 0; r == 0 && i < s->folds.count; i++) {
		if (s->folds.open[i]->ahead && !s->folds.open[i]->touched)
			r = write_fold(s, s->folds.open[i]);
	}
	return r;
}

void folding_flushed(struct store *s)
{
	for (unsigned i = 0; i < s->folds.count; i++)
		s->folds.open[i]->ahead = false;
	s->flushed = store_now().boot;
}

/* ---- into folds ---- */

/* A new fold; of too many, the one that was quiet for longest ends. */
static int open_fold(struct store *s, const struct fold_key *key,
	const struct ledger_attempt *a, const struct store_time *at,
	struct proc *proc)
{
	struct fold *f = NULL;
	int r = 0;

	if (s->folds.count == FOLD_MAX)
		r = folding_close(s, folds_oldest(&s->folds));
	if (r == 0)
		r = folds_open(&s->folds, key, a, at, &f);
	if (f && proc)
		f->proc = proc_ref(proc);
	return r;
}

int folding_add(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc, uint64_t *bytes)
{
	struct fold_key key;
	struct fold *f;
	struct digest node;
	bool is_new = true;
	int r = 0;

	fold_key_of(a, at, proc ? proc->row : 0, &key);
	f = folds_find(&s->folds, &key);
	if (f && !fold_takes(f, a, at)) {
		r = folding_close(s, f);
		f = NULL;
	}
	if (r < 0 || (!f && !folds_met(&s->folds, &key)))
		return r;
	if (f) {
		r = folds_add(&s->folds, f, a, at, &is_new);
	} else {
		if (a->node && !a->ino_is_parent)
			r = rows_add_node(s, a, &node, bytes);
		if (r == 0)
			r = open_fold(s, &key, a, at, proc);
	}
	if (r < 0)
		return r;
	if (is_new)
		*bytes += strlen(a->path) + (a->path2 ? strlen(a->path2) : 0);
	while (r == 0 && s->folds.bytes > FOLD_BYTES_MAX)
		r = folding_close(s, folds_oldest(&s->folds));
	return r < 0 ? r : 1;
}

/* ---- from folds to records ---- */

/* A number of fold_name that a writer has put there. */
static bool number_at(struct db_stmt *s, int column, int64_t *ret)
{
	*ret = db_int(s, column);
	return db_type(s, column) == DB_INT;
}

/* The row that read_names stands on. */
static int pack_name(struct store *s)
{
	struct db_stmt *from = s->read_names;
	struct names_entry e = {0};
	int64_t ino = 0;

	e.path = db_bytes(from, 0, &e.len);
	e.path2 = db_bytes(from, 1, &e.len2);
	e.ino_is_parent = number_at(from, 3, &ino);
	if (!e.path || !number_at(from, 4, &e.count) ||
		!number_at(from, 5, &e.t_first) ||
		!number_at(from, 6, &e.t_last))
		return -EBADMSG;
	if (!e.ino_is_parent)
		(void)number_at(from, 2, &ino);
	e.ino = (uint64_t)ino;

	int r = names_add(s->packer, &e);

	return r == -E2BIG ? -EBADMSG : r;
}

/* The targets of a fold as one blob; none (NULL) when it has but one. */
static int pack_names(struct store *s, int64_t id, int64_t t_real,
	const void **ret, size_t *ret_len)
{
	int r, count = 0;

	names_begin(s->packer, t_real);
	db_bind_int(s->read_names, id);
	while ((r = db_next(s->read_names)) > 0) {
		r = pack_name(s);
		if (r < 0)
			break;
		count++;
	}
	db_rewind(s->read_names);
	*ret = NULL;
	*ret_len = 0;
	return r < 0 || !count ? r : names_end(s->packer, ret, ret_len);
}

/* The moment that times of targets are told from. */
static int start_of(struct store *s, int64_t id, int64_t *ret)
{
	db_bind_int(s->start_of_fold, id);

	int r = db_next(s->start_of_fold);

	if (r == 0)
		r = -EBADMSG;
	if (r > 0)
		r = number_at(s->start_of_fold, 0, ret) ? 0 : -EBADMSG;
	db_rewind(s->start_of_fold);
	return r;
}

static int run_for(struct db_stmt *stmt, int64_t id)
{
	db_bind_int(stmt, id);
	return db_run(stmt);
}

int folding_close_row(struct store *s, int64_t id)
{
	int64_t seq = sealing_next(s->sealing), t_real;
	const void *names;
	struct digest leaf;
	size_t len;
	int r = start_of(s, id, &t_real);

	if (r == 0)
		r = pack_names(s, id, t_real, &names, &len);
	if (r < 0)
		return r;
	db_bind_int(s->close_fold, seq);
	db_bind_bytes(s->close_fold, names, len);
	db_bind_int(s->close_fold, id);
	r = db_run(s->close_fold);
	if (r == 0)
		r = digests_leaf(s->digests, seq, &leaf);
	if (r == 0)
		r = sealing_add(s->sealing, &leaf);
	if (r == 0)
		r = run_for(s->drop_names, id);
	return r < 0 ? r : run_for(s->drop_fold, id);
}

int folding_close(struct store *s, struct fold *f)
{
	int r = f->touched || !f->stored || f->ahead ? flush(s, f) : 0;

	sweep_use(f->proc, sealing_next(s->sealing));
	if (r == 0)
		r = folding_close_row(s, f->id);
	if (r == 0)
		folds_close(&s->folds, f);
	return r;
}

int folding_close_due(struct store *s, int64_t boot, bool all)
{
	uint32_t targets = 0;
	struct fold *f;
	int r = 0;

	while (r == 0 && (all || targets < CLOSE_TARGETS) &&
		(f = all ? folds_oldest(&s->folds)
			 : folds_due(&s->folds, boot))) {
		targets += f->now.targets;
		r = folding_close(s, f);
	}
	return r;
}
