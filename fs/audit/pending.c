/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are still being counted; see pending.h. */
#include "fs/audit/pending.h"

#include <inttypes.h>
#include <string.h>

#include "fs/audit/fetch.h"
#include "fs/ledger/tally.h"

struct reader {
	struct pending *pending;
	struct match *match;
	struct db_stmt *record, *targets;
	struct names_packer *packer;
	struct tally_mark *marks; /* TALLY_SLOTS of them */
};

/* What is known of the targets of one record. */
struct targets {
	size_t count;
	struct buf path, path2; /* of the first one */
	bool has_path2;
	size_t common; /* bytes of path: the folder of all */
};

#define SQL_TARGETS                                                   \
	"SELECT path, path2, ino, parent_ino, count, t_first, t_last" \
	", (SELECT t_real FROM fold WHERE id = ?1)"                   \
	" FROM fold_name WHERE fold_id = ?1 ORDER BY n"

static int too_much(struct match *m)
{
	return diag_set(&m->diag, -E2BIG,
		"the ledger has more open records than a mount ever makes: it "
		"was not written by one");
}

static int malformed(struct match *m, int64_t id)
{
	return diag_set(&m->diag, -EBADMSG,
		"the targets of open record %" PRId64 " are malformed: the "
		"ledger is damaged",
		id);
}

/* ---- targets ---- */

static bool is_end(char c)
{
	return c == '\0' || c == '/';
}

/* How much of a folder leads to another path as well. */
static size_t common_with(
	const char *folder, size_t len, const char *path, size_t path_len)
{
	size_t same = 0;

	while (same < len && same < path_len && path[same] == folder[same])
		same++;
	while (same > 0 && !(is_end(same < len ? folder[same] : '\0') &&
				   is_end(same < path_len ? path[same] : '\0')))
		same--;
	return same;
}

static int keep_first(struct targets *t, const struct names_entry *e)
{
	int r = buf_add(&t->path, e->path, e->len);

	t->common = e->len;
	t->has_path2 = e->path2;
	if (r == 0 && e->path2)
		r = buf_add(&t->path2, e->path2, e->len2);
	return r;
}

static int add_target(struct reader *r, struct targets *t)
{
	struct db_stmt *s = r->targets;
	struct names_entry e = {.ino_is_parent = db_is_null(s, 2),
		.ino = (uint64_t)db_int(s, db_is_null(s, 2) ? 3 : 2),
		.count = db_int(s, 4),
		.t_first = db_int(s, 5),
		.t_last = db_int(s, 6)};

	e.path = db_bytes(s, 0, &e.len);
	e.path2 = db_bytes(s, 1, &e.len2);
	if (!e.path)
		return -EBADMSG;

	int error = 0;

	if (t->count++ == 0) {
		names_begin(r->packer, db_int(s, 7));
		error = keep_first(t, &e);
	}
	if (error == 0)
		error = names_add(r->packer, &e);
	if (error == 0)
		t->common = common_with(t->path.data ? t->path.data : "",
			t->common, e.path, e.len);
	return error == -E2BIG ? -EBADMSG : error;
}

/* -EBADMSG: they could not be those of one record. */
static int read_targets(struct reader *r, int64_t id, struct targets *t)
{
	int error;

	t->count = 0;
	buf_reset(&t->path);
	buf_reset(&t->path2);
	db_bind_int(r->targets, id);
	while ((error = db_next(r->targets)) > 0) {
		error = add_target(r, t);
		if (error < 0)
			break;
	}
	db_rewind(r->targets);
	return error;
}

/* ---- records ---- */

/* What the record's columns would say if it were closed. */
static int as_closed(
	struct reader *r, const struct targets *t, struct fetch_targets *ret)
{
	bool many = t->count > 1;
	const void *names = NULL;
	size_t len = 0;
	int error = many ? names_end(r->packer, &names, &len) : 0;

	*ret = (struct fetch_targets){
		.path = {.bytes = t->path.data ? t->path.data : "",
			.len = many ? t->common : t->path.len},
		.path2 = {.null = many || !t->has_path2,
			.bytes = t->path2.data,
			.len = t->path2.len},
		.names = {.null = !many, .bytes = names, .len = len},
	};
	if (ret->path2.null)
		ret->path2 = (struct query_cell){.null = true};
	return error;
}

/* 1 or 0, as match_row. */
static int match_targets(
	struct match *m, int64_t id, const struct query_row *row)
{
	const struct query_cell *path = &row->cell[QUERY_PATH];
	const struct query_cell *path2 = &row->cell[QUERY_PATH2];
	const struct match_names n = {
		.seq = id,
		.t_real = row->cell[QUERY_T_REAL].number,
		.op = -1,
		.path = path->bytes,
		.len = path->len,
		.names = row->names.bytes,
		.names_len = row->names.len,
	};

	if (!m->by_path)
		return 1;
	if (!row->names.null)
		return match_names(m, &n);
	return match_target(
		m, path->bytes, path->len, path2->bytes, path2->len);
}

/*
 * What was counted since the row was written. The marks are read after the
 * snapshot: they may be of a later moment, and never of a fold that was closed
 * in the snapshot.
 */
static void catch_up(
	const struct tally_mark *marks, int64_t id, struct query_row *row)
{
	struct query_cell *count = &row->cell[QUERY_COUNT];
	struct query_cell *last = &row->cell[QUERY_T_LAST];
	struct query_cell *times = &row->cell[QUERY_TIMES];

	for (size_t i = 0; i < TALLY_SLOTS; i++) {
		if (marks[i].fold != id || marks[i].count <= count->number)
			continue;
		*count = (struct query_cell){.number = marks[i].count};
		*last = (struct query_cell){.number = marks[i].t_last};
		*times = (struct query_cell){
			.bytes = (const char *)marks[i].times,
			.len = TIMES_LEN};
	}
}

static int keep(struct pending *p, struct query_row *row)
{
	struct query_row **rows =
		reallocarray(p->rows, p->count + 1, sizeof(*rows));

	if (!rows)
		return -ENOMEM;
	p->rows = rows;
	p->rows[p->count++] = row;
	return 0;
}

static int add_record(struct reader *r, int64_t id, struct targets *t)
{
	_cleanup_free_ struct query_row *row = NULL;
	struct fetch_targets closed;
	size_t bytes = 0;
	int error = read_targets(r, id, t);

	if (error == 0 && t->count > 0)
		error = as_closed(r, t, &closed);
	if (error == 0)
		error = fetch_record(
			r->record, id, t->count ? &closed : NULL, &row, &bytes);
	if (error > 0 && row->cell[QUERY_PATH].null)
		error = -EBADMSG;
	if (error == -EBADMSG)
		return malformed(r->match, id);
	if (error > 0)
		error = match_targets(r->match, id, row);
	if (error <= 0)
		return error;
	if (!t->count)
		catch_up(r->marks, id, row);
	r->pending->bytes += bytes;
	if (r->pending->bytes > PENDING_BYTES_MAX)
		return too_much(r->match);
	error = keep(r->pending, row);
	if (error == 0)
		row = NULL; /* it has another owner now */
	return error;
}

static int add_records(struct reader *r, const struct ids *ids)
{
	struct targets t = {0};
	int error = 0;

	buf_init(&t.path, NAMES_RAW_MAX);
	buf_init(&t.path2, NAMES_RAW_MAX);
	for (size_t i = 0; error == 0 && i < ids->count; i++)
		error = add_record(r, ids->items[i], &t);
	buf_done(&t.path);
	buf_done(&t.path2);
	return error;
}

static int find_ids(struct match *m, struct db *db, struct ids *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = match_prepare(m, db, QUERY_FOLD, QUERY_FORWARD, &s);

	if (r < 0)
		return r;
	match_bind(m, QUERY_FOLD, s, INT64_MIN, INT64_MAX);
	while (r >= 0 && (r = db_next(s)) > 0) {
		r = match_row(m, s, QUERY_FOLD);
		if (r > 0)
			r = ret->count < PENDING_MAX
				    ? ids_add(ret, match_seq(s))
				    : too_much(m);
	}
	return r;
}

/* What it needs of the writer's other file, for as long as the rows live. */
static int read_marks(struct pending *p, struct db *db)
{
	p->marks = calloc(TALLY_SLOTS, sizeof(*p->marks));
	return p->marks ? tally_read(db_path(db), p->marks) : -ENOMEM;
}

int pending_read(struct pending *p, struct db *db, struct match *m)
{
	struct reader r = {.pending = p, .match = m};
	struct ids ids = {0};
	int error = match_wants(m, QUERY_FOLD) ? find_ids(m, db, &ids) : 0;

	if (error == 0 && ids.count > 0)
		error = read_marks(p, db);
	r.marks = p->marks;

	if (error == 0 && ids.count > 0)
		error = fetch_prepare(
			db, QUERY_FOLD, m->filter.only, &r.record);
	if (error == 0 && ids.count > 0)
		error = db_prepare(db, SQL_TARGETS, &r.targets);
	if (error == 0 && ids.count > 0)
		error = names_packer_new(&r.packer);
	if (error == 0)
		error = add_records(&r, &ids);
	db_stmt_free(r.record);
	db_stmt_free(r.targets);
	names_packer_free(r.packer);
	ids_done(&ids);
	return error;
}

void pending_done(struct pending *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->rows[i]);
	free(p->rows);
	free(p->marks);
	*p = (struct pending){0};
}
