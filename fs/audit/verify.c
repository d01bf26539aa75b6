/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over all records of a ledger; see verify.h. */
#include "fs/audit/verify.h"

#include <string.h>

#include "fs/audit/reader.h"
#include "fs/audit/verify_internal.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/retain.h"
#include "fs/ledger/schema.h"

enum {
	PROGRESS_EVERY = 1024,
	MISSING_MAX = 65536, /* as many as a mount goes on behind */
};

/* A clock that is only adjusted goes at most a tenth wrong; see clerk_events.c.
 */
#define CLOCK_STEP_NS INT64_C(1000000000)
#define CLOCK_SLEW 8

static int read_failed(struct verify *v, int r)
{
	return diag_set(v->diag, r, "reading the ledger %s: %s", v->path,
		r == -ENOMEM ? "out of memory" : db_error(v->db));
}

/* ---- before the walk ---- */

/* SQLite's own structure: an index that leaves records out would hide them from
 * a reader, and no signature covers it. */
static int check_database(struct verify *v)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	const char *text;
	size_t len = 0;
	int r = db_prepare(v->db, "PRAGMA integrity_check(1)", &s);

	if (r == 0)
		r = db_next(s);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	text = db_bytes(s, 0, &len);
	if (text && len == 2 && memcmp(text, "ok", 2) == 0)
		return 0;
	return diag_set(v->diag, -EBADMSG,
		"%s is damaged as a database (%.*s); it can't be judged",
		v->path, (int)(len < 400 ? len : 400), text ? text : "");
}

/* The names that readers show for numbers. */
static int check_ops(struct verify *v)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	int r = db_prepare(v->db, "SELECT op, name FROM op ORDER BY op", &s);
	int64_t op = 0;

	while (r >= 0 && (r = db_next(s)) > 0) {
		size_t len = 0;
		const char *name = db_bytes(s, 1, &len);
		const char *want =
			op < LEDGER_OP_COUNT ? ledger_op_name(op) : "";

		if (db_int(s, 0) != op++ || db_type(s, 1) != DB_TEXT ||
			len != strlen(want) || memcmp(name, want, len) != 0)
			break;
	}
	if (r < 0)
		return r;
	if (r > 0 || op != LEDGER_OP_COUNT)
		verify_find(v, VERIFY_EDITED, &(struct verify_about){0},
			"the names of operations (table op) were changed");
	return 0;
}

static int read_origin(struct verify *v)
{
	_cleanup_(db_stmt_free) struct db_stmt *s = NULL;
	const char *text = NULL;
	size_t len = 0;
	int r = db_prepare(
		v->db, "SELECT value FROM meta WHERE key = 'origin'", &s);

	if (r == 0)
		r = db_next(s);
	if (r > 0 && db_type(s, 0) == DB_TEXT)
		text = db_bytes(s, 0, &len);
	if (text && len <= NOTE_ORIGIN_MAX && !memchr(text, '\0', len))
		memcpy(v->ret->origin, text, len); /* zeroed before */
	if (r >= 0)
		r = schema_is_unborn(v->db, &v->unborn);
	/* A ledger whose public key is known has had one. */
	v->unborn = v->unborn && !v->opt->key;
	if (r >= 0 && !v->unborn && !note_is_origin(v->ret->origin)) {
		v->ret->origin[0] = '\0';
		verify_find(v, VERIFY_NOT_SIGNED, &(struct verify_about){0},
			"the ledger does not say its name (meta.origin)");
	}
	return r < 0 ? r : 0;
}

/* Find the nearest record on a side of a number. */
#define BESIDE(sign, order)                                              \
	"SELECT t_real FROM ("                                           \
	"SELECT * FROM (SELECT seq, t_real FROM attempt WHERE seq " sign \
	" ? ORDER BY seq " order " LIMIT 1) UNION ALL "                  \
	"SELECT * FROM (SELECT seq, t_real FROM event WHERE seq " sign   \
	" ? ORDER BY seq " order " LIMIT 1)) ORDER BY seq " order " LIMIT 1"

static int begin(struct verify *v)
{
	int64_t attempts = 0, events = 0;
	int r = db_exec(v->db, "BEGIN");

	if (r == 0)
		r = check_database(v);
	if (r == 0)
		r = db_prepare(v->db,
			"SELECT root, leaves FROM tile WHERE n = ?",
			&v->tile_stmt);
	if (r == 0)
		r = db_prepare(v->db, BESIDE("<", "DESC"), &v->before_stmt);
	if (r == 0)
		r = db_prepare(v->db, BESIDE(">", "ASC"), &v->after_stmt);
	if (r == 0)
		r = db_exec_int(
			v->db, "SELECT max(seq) FROM attempt", &attempts);
	if (r == 0)
		r = db_exec_int(v->db, "SELECT max(seq) FROM event", &events);
	if (r == 0)
		r = digests_new(v->db, &v->digests);
	if (r == 0)
		r = rows_new(v->db, v->digests, &v->rows);
	if (r == 0)
		r = read_origin(v);
	if (r == 0)
		r = check_ops(v);
	if (r == 0)
		r = verify_seal_begin(v);
	v->progress_total = (uint64_t)(attempts > events ? attempts : events);
	return r;
}

/* ---- the walk ---- */

static int next_row(struct verify *v)
{
	int r = rows_next(v->rows, &v->row);

	v->has_row = r > 0;
	return r < 0 ? r : 0;
}

bool verify_is_event(const struct row *row, enum ledger_event kind)
{
	const char *name = ledger_event_name(kind);

	return row->table == 'e' && row->kind_len == strlen(name) &&
	       memcmp(row->kind, name, row->kind_len) == 0;
}

static void note(struct verify *v, const char *what, const char *more, int len)
{
	const struct verify_about about = {
		.first = (uint64_t)v->row.seq,
		.last = (uint64_t)v->row.seq,
	};

	verify_find(v, VERIFY_NOTE, &about, "record %lld, %s%.*s",
		(long long)v->row.seq, what, len, more);
}

/* What the text of a recovery says was found: a string in a JSON object, shown
 * as it is up to its end or the first escape. */
static void note_recovery(struct verify *v)
{
	static const char key[] = "\"found\":\"";
	const struct row *row = &v->row;
	const char *text =
		memmem(row->text, row->text_len, key, sizeof(key) - 1);
	const char *end = row->text + row->text_len;
	int len = 0;

	if (text)
		text += sizeof(key) - 1;
	while (text && text + len < end && !strchr("\"\\", text[len]))
		len++;
	note(v,
		"recovery: a mount went on behind another that did not end in "
		"order: ",
		text ? text : "", len < 400 ? len : 400);
}

/* What an investigator wants to know even when nothing is wrong. */
static void note_event(struct verify *v)
{
	char count[64];
	int len;

	if (verify_is_event(&v->row, LEDGER_EVENT_CLOCK))
		note(v, "clock: the mount saw that the wall clock was set", "",
			0);
	if (verify_is_event(&v->row, LEDGER_EVENT_RECOVERY))
		note_recovery(v);
	if (!verify_is_event(&v->row, LEDGER_EVENT_GAP))
		return;
	len = snprintf(count, sizeof(count), "%lld attempts were only counted",
		(long long)v->row.count);
	note(v, "gap: the ledger was full, ", count, len);
}

static void note_prune(struct verify *v)
{
	const struct row *row = &v->row;
	struct retain_done done;
	char text[128];
	int len;

	if (!verify_is_event(row, LEDGER_EVENT_PRUNE) ||
		retain_parse(row->text, row->text_len, &done) < 0)
		return;
	if (done.last > v->pruned_to)
		v->pruned_to = done.last;
	if (done.attempts > 0)
		v->ret->removed_attempts += (uint64_t)done.attempts;
	len = snprintf(text, sizeof(text),
		"records %lld to %lld, of %lld attempts, were removed",
		(long long)done.first, (long long)done.last,
		(long long)done.attempts);
	note(v, "prune: ", text, len);
}

/* Both clocks of a record are read together; how far they are apart changes
 * only when the wall clock is set. */
static void note_clock(struct verify *v)
{
	const struct row *a = &v->last, *b = &v->row;
	int64_t before, after, change, passed;

	if (a->seq == 0 || a->refers.mount != b->refers.mount ||
		__builtin_sub_overflow(a->t_real, a->t_boot, &before) ||
		__builtin_sub_overflow(b->t_real, b->t_boot, &after) ||
		__builtin_sub_overflow(after, before, &change) ||
		__builtin_sub_overflow(b->t_boot, a->t_boot, &passed))
		return;
	passed = CLOCK_STEP_NS + (passed > 0 ? passed / CLOCK_SLEW : 0);
	if (change < passed && change > -passed)
		return;
	verify_find(v, VERIFY_NOTE,
		&(struct verify_about){
			.first = (uint64_t)b->seq,
			.last = (uint64_t)b->seq,
		},
		"the wall clock was set %s by %lld s before record %lld",
		change < 0 ? "back" : "forward",
		(long long)llabs(change / 1000000000), (long long)b->seq);
}

static int take_row(struct verify *v)
{
	const struct row *row = &v->row;

	verify_unsigned_add(v, row);
	if (row->table == 'a' && row->count > 0)
		v->ret->attempts += (uint64_t)row->count;
	note_clock(v);
	if (row->table == 'e') {
		note_event(v);
		note_prune(v);
	}
	verify_tree_add(v, row->possible ? &row->leaf : NULL);
	v->last = *row;
	v->last.kind = v->last.text = NULL;
	return next_row(v);
}

/* A row whose number is taken, or can't be. */
static int take_forged(struct verify *v, const char *why)
{
	bool number = v->row.seq > 0;

	verify_find(v, VERIFY_EDITED,
		&(struct verify_about){
			.first = number ? (uint64_t)v->row.seq : 0,
			.last = number ? (uint64_t)v->row.seq : 0,
		},
		"record %lld: put in: %s", (long long)v->row.seq, why);
	return next_row(v);
}

/* The tile at hand has no leaves: no row may be there either. */
static int take_removed(struct verify *v)
{
	uint64_t end = v->tree.size + MERKLE_TILE;

	if ((uint64_t)v->row.seq <= end)
		return take_forged(v, "what was there has been removed");
	if (v->ret->removed == 0)
		v->removed_first = v->tree.size + 1;
	v->removed_last = end;
	v->ret->removed += MERKLE_TILE;
	verify_tree_add_removed(v);
	return 0;
}

/* One step forward: 1; 0 at the end of the records; -errno. */
static int step(struct verify *v)
{
	uint64_t next = v->tree.size + 1;
	int r = verify_tree_load(v);

	if (r < 0 || !v->has_row)
		return r;
	if (v->row.seq < (int64_t)next)
		r = take_forged(v, v->row.seq > 0
					   ? "this number is there already"
					   : "no record has such a number");
	else if (v->tree.tile.state == VERIFY_TILE_REMOVED)
		r = take_removed(v);
	else if (v->row.seq == (int64_t)next)
		r = take_row(v);
	else if (v->tree.tile.state == VERIFY_TILE_FULL ||
		 (uint64_t)v->row.seq - next <= MISSING_MAX)
		verify_tree_add(v, NULL);
	else
		verify_tree_skip(v, (uint64_t)v->row.seq - 1);
	return r < 0 ? r : 1;
}

static int walk(struct verify *v)
{
	const struct verify_hooks *h = v->hooks;
	uint64_t told = 0;
	int r = rows_start(v->rows, INT64_MIN);

	if (r == 0)
		r = next_row(v);
	if (r == 0)
		r = verify_seal_reach(v);
	if (r < 0)
		return r;
	while ((r = step(v)) > 0) {
		r = verify_seal_reach(v);
		if (r < 0)
			return r;
		if (h->progress && v->tree.size - told >= PROGRESS_EVERY) {
			told = v->tree.size;
			h->progress(h->arg, told, v->progress_total);
		}
	}
	v->ret->records = v->tree.size;
	return r;
}

/* ---- all of it ---- */

static void done(struct verify *v)
{
	db_stmt_free(v->tile_stmt);
	db_stmt_free(v->before_stmt);
	db_stmt_free(v->after_stmt);
	db_stmt_free(v->checkpoint.stmt);
	db_stmt_free(v->epoch.stmt);
	rows_free(v->rows);
	digests_free(v->digests);
	if (v->db)
		db_rollback(v->db);
	db_close(v->db);
	hasher_free(v->hasher);
	keyfile_done(&v->keyfile);
}

static int run(struct verify *v)
{
	int r;

	/* Before the transaction: what it remembers was in the ledger then. */
	r = verify_keyfile(v);
	if (r < 0)
		return r;
	v->ret->writer = verify_writer(v->path);
	r = reader_open(v->path, &v->db, v->diag);
	if (r < 0)
		return r;
	r = begin(v);
	/* A mount that begins just now takes over what another left. */
	v->ret->writer = v->ret->writer || verify_writer(v->path);
	if (r == 0)
		r = walk(v);
	if (r == 0)
		r = verify_end(v);
	return r < 0 && !v->diag->text[0] ? read_failed(v, r) : r;
}

int verify_ledger(const char *path, const struct verify_options *opt,
	const struct verify_hooks *hooks, struct verify_result *ret,
	struct diag *diag)
{
	struct verify *v = calloc(1, sizeof(*v));
	struct diag text = {0};
	struct verify_result result = {0};
	int r;

	if (!v)
		return diag_errno(diag, -ENOMEM, "reading the ledger %s", path);
	*v = (struct verify){
		.path = path,
		.opt = opt,
		.hooks = hooks,
		.ret = &result,
		.diag = &text,
		.hasher = hasher_new(),
	};
	result.key_given = opt->key;
	if (opt->key && note_key_print(opt->key, result.key) < 0)
		result.key[0] = '\0'; /* only shown */
	if (opt->expect)
		expect_sort(opt->expect);
	verify_tree_begin(v);
	r = v->hasher
		    ? run(v)
		    : diag_errno(&text, -ENOMEM, "reading the ledger %s", path);
	done(v);
	free(v);
	if (r == 0)
		*ret = result;
	else if (diag)
		*diag = text;
	return r < 0 ? r : 0;
}
