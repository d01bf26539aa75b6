/* SPDX-License-Identifier: Apache-2.0 */
/* Folds that a dead writer left open; see store_internal.h. */
#include <inttypes.h>

#include "fs/base/json.h"
#include "fs/ledger/store_internal.h"

#define TEXT_MAX (32u << 10) /* of the record of one that is dropped */
#define SHOWN_MAX 4096	     /* bytes of its path */

static int close_one(struct store *s, int64_t id)
{
	int r = store_begin(s);

	if (r == 0)
		r = folding_close_row(s, id);
	if (r == 0)
		r = store_commit(s);
	if (r < 0)
		store_abort(s);
	return r;
}

static int close_all(struct store *s, struct diag *why)
{
	_cleanup_(db_stmt_free) struct db_stmt *next = NULL;
	int64_t id = INT64_MIN;
	int r = db_prepare(s->db,
		"SELECT id FROM fold WHERE id > ? ORDER BY id LIMIT 1", &next);

	while (r == 0) {
		db_bind_int(next, id);
		r = db_next(next);
		if (r <= 0)
			break;
		id = db_int(next, 0);
		db_rewind(next);
		r = close_one(s, id);
		if (r != -EBADMSG)
			continue;
		if (!s->recover)
			return diag_set(why, r,
				"the open record %" PRId64 " that the last "
				"mount left behind is damaged; go on without "
				"it with --recover",
				id);
		r = 0; /* left_drop sees to it */
	}
	return r < 0 ? diag_set(why, r, "%s", db_error(s->db)) : 0;
}

/* What a dead writer had counted, but not told the database yet. */
static int apply_marks(struct store *s, const struct tally_mark *left)
{
	_cleanup_(db_stmt_free) struct db_stmt *set = NULL;
	int r = db_prepare(s->db,
		"UPDATE fold SET count = ?2, t_last = ?3, times = ?4"
		" WHERE id = ?1 AND targets = 1 AND count < ?2",
		&set);

	for (size_t i = 0; r == 0 && i < TALLY_SLOTS; i++) {
		if (!left[i].fold)
			continue;
		db_bind_int(set, left[i].fold);
		db_bind_int(set, left[i].count);
		db_bind_int(set, left[i].t_last);
		db_bind_bytes(set, left[i].times, TIMES_LEN);
		r = db_run(set);
	}
	return r;
}

int left_close(struct store *s, struct diag *why)
{
	_cleanup_free_ struct tally_mark *left =
		calloc(TALLY_SLOTS, sizeof(*left));
	int r = left ? tally_open(s->path, &s->tally, left, why) : -ENOMEM;

	if (r < 0)
		return r;
	r = store_begin(s);
	if (r == 0)
		r = apply_marks(s, left);
	if (r == 0)
		r = store_commit(s);
	if (r < 0) {
		(void)diag_set(why, r, "%s", db_error(s->db));
		store_abort(s);
		return r;
	}
	r = close_all(s, why);
	if (r == 0)
		r = tally_clear(s->tally);
	return r < 0 && !why->text[0] ? diag_errno(why, r, "%s-tally", s->path)
				      : r;
}

/* ---- what can't become a record ---- */

/* Columns of the statement in left_drop. */
enum { ID, COUNT, TARGETS, PATH };

static void add_number(
	struct json *j, const char *name, struct db_stmt *s, int column)
{
	if (db_type(s, column) == DB_INT)
		json_int(j, name, db_int(s, column));
	else
		json_none(j, name);
}

static int tell(struct store *s, struct db_stmt *fold)
{
	_cleanup_buf_ struct buf text;
	const struct store_time now = store_now();
	struct store_event e = {.kind = LEDGER_EVENT_RECOVERY, .count = 1};
	struct json j;
	size_t len = 0;
	const void *path = db_bytes(fold, PATH, &len);
	int r;

	buf_init(&text, TEXT_MAX);
	json_begin(&j, &text);
	json_text(&j, "what", "fold");
	json_text(&j, "found",
		"a record that was still open was damaged and could not be "
		"kept");
	json_int(&j, "fold", db_int(fold, ID));
	add_number(&j, "attempts", fold, COUNT);
	add_number(&j, "targets", fold, TARGETS);
	json_bytes(&j, "path", path, len < SHOWN_MAX ? len : SHOWN_MAX);
	r = json_end(&j);
	if (r == 0)
		r = buf_add(&text, "", 1);
	e.text = text.data;
	return r < 0 ? r : store_event(s, &e, &now);
}

int left_drop(struct store *s)
{
	_cleanup_(db_stmt_free) struct db_stmt *all = NULL;
	int r = db_prepare(s->db,
		"SELECT id, count, targets, path FROM fold ORDER BY id", &all);

	while (r >= 0 && (r = db_next(all)) > 0)
		r = tell(s, all);
	if (r < 0)
		return r;
	/* The statement holds the table. Names may be there without a fold. */
	db_rewind(all);
	r = db_exec(s->db, "DELETE FROM fold_name");
	return r < 0 ? r : db_exec(s->db, "DELETE FROM fold");
}
