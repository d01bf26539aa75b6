/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When there is no room; see full.h.
 *
 * Size is judged by the pages that hold something: what rotation frees SQLite
 * uses again, so a ledger that rotates stays as large as it is. The log beside
 * the file has an allowance, after which it is written back and begins anew.
 */
#include "fs/ledger/full.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/db/db.h"
#include "fs/ledger/gap.h"
#include "fs/ledger/retain.h"

#define RETRY_NS INT64_C(1000000000)

/* The part of max_bytes that attempts leave to the log and to events. */
#define RESERVE_PART 8

/* Segments that one batch may have to wait for. */
#define ROTATE_MAX 4

/* The text of a gap: its filter in base64, two paths in two forms each. */
#define TEXT_MAX (128u << 10)

struct full {
	enum ledger_on_full action;
	uint64_t max_bytes; /* 0: no limit */
	struct store *store;
	struct gap *gap;
	char *wal; /* its path */
	struct db_stmt *pages, *free_pages;
	int64_t page_size;

	int64_t retry_at; /* CLOCK_BOOTTIME; before it there is no room */
	bool told_damage; /* of the gap's file */
	bool told_halt;
	atomic_bool halted;

	/* The open transaction tells of: */
	bool settles_gap, settles_damage, settles_halt;
};

/* ---- opening ---- */

/* The number of the last gap that is in the ledger; 0 for none. */
static int last_gap(struct db *db, uint64_t *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *find = NULL;
	int r = db_prepare(db,
		"SELECT text FROM event WHERE kind = 'gap'"
		" ORDER BY seq DESC LIMIT 1",
		&find);

	if (r == 0)
		r = db_next(find);
	if (r < 0)
		return r;

	size_t len = 0;
	const char *text = r ? db_bytes(find, 0, &len) : NULL;

	*ret = text ? gap_number_of(text, len) : 0;
	return 0;
}

static int prepare(struct full *f, struct db *db)
{
	int r = db_exec_int(db, "PRAGMA page_size", &f->page_size);

	if (r == 0)
		r = db_prepare(db, "PRAGMA page_count", &f->pages);
	if (r == 0)
		r = db_prepare(db, "PRAGMA freelist_count", &f->free_pages);
	return r;
}

/* The log is written back when it has used up half of the reserve. */
static int limit_log(const struct full *f, struct db *db)
{
	uint64_t bytes = f->max_bytes / RESERVE_PART / 2;
	uint64_t pages = bytes / (uint64_t)f->page_size;
	char sql[128];

	if (!f->max_bytes || pages >= 8192)
		return 0; /* as the store has it */
	(void)snprintf(sql, sizeof(sql),
		"PRAGMA wal_autocheckpoint = %llu;"
		"PRAGMA journal_size_limit = %llu",
		(unsigned long long)(pages ? pages : 1),
		(unsigned long long)bytes);
	return db_exec(db, sql);
}

int full_open(const char *path, const struct ledger_options *opt,
	struct store *s, struct full **ret, struct diag *diag)
{
	_cleanup_(full_close) struct full *f = calloc(1, sizeof(*f));
	struct db *db = store_db(s);
	uint64_t last = 0;

	if (!f)
		return diag_errno(diag, -ENOMEM, "ledger %s", path);
	f->action = opt->on_full;
	f->max_bytes = opt->max_bytes;
	f->store = s;
	if (asprintf(&f->wal, "%s-wal", path) < 0) {
		f->wal = NULL;
		return diag_errno(diag, -ENOMEM, "ledger %s", path);
	}

	int r = prepare(f, db);

	if (r == 0)
		r = limit_log(f, db);
	if (r == 0)
		r = last_gap(db, &last);
	if (r < 0)
		return diag_set(diag, r, "ledger %s: %s", path, db_error(db));
	r = gap_open(path, last, opt->fsync, &f->gap, diag);
	if (r < 0)
		return r;
	*ret = take_ptr(f);
	return 0;
}

void full_close(struct full *f)
{
	if (!f)
		return;
	db_stmt_free(f->pages);
	db_stmt_free(f->free_pages);
	gap_close(f->gap);
	free(f->wal);
	free(f);
}

/* ---- is there room? ---- */

static int no_room(struct full *f)
{
	f->retry_at = store_now().boot + RETRY_NS;
	return -ENOSPC;
}

static int number_of(struct db_stmt *s, int64_t *ret)
{
	int r = db_next(s);

	if (r > 0)
		*ret = db_int(s, 0);
	db_rewind(s);
	return r > 0 ? 0 : r < 0 ? r : -EBADMSG;
}

static uint64_t log_size(const struct full *f)
{
	struct stat st;

	return stat(f->wal, &st) < 0 ? 0 : (uint64_t)st.st_size;
}

/* A log that some reader held back for long, and that is now free. */
static void cut_log(struct full *f)
{
	int64_t busy;

	(void)!db_exec_int(store_db(f->store),
		"PRAGMA wal_checkpoint(TRUNCATE)", &busy); /* size tells */
}

/* 1: too large; 0; or -errno. */
static int is_over(struct full *f)
{
	uint64_t reserve = f->max_bytes / RESERVE_PART;
	int64_t pages, unused;
	int r = number_of(f->pages, &pages);

	if (r == 0)
		r = number_of(f->free_pages, &unused);
	if (r < 0)
		return r;

	uint64_t held = (uint64_t)((pages - unused) * f->page_size);
	uint64_t file = (uint64_t)(pages * f->page_size);

	if (held >= f->max_bytes - reserve)
		return 1;
	if (log_size(f) <= reserve || file + log_size(f) <= f->max_bytes)
		return 0;
	cut_log(f);
	return file + log_size(f) > f->max_bytes;
}

/* Remove a segment: 1; 0 when none may go; -errno. */
static int rotate(struct full *f)
{
	struct retain_done done;
	int r = store_begin(f->store);

	if (r == 0)
		r = retain_segment(f->store, INT64_MAX, &done);
	if (r > 0) {
		int c = store_commit(f->store);

		r = c < 0 ? c : r;
	}
	if (r <= 0)
		store_abort(f->store);
	return r;
}

int full_room(struct full *f)
{
	if (store_now().boot < f->retry_at)
		return -ENOSPC;
	if (!f->max_bytes)
		return 0;

	int r = is_over(f);

	for (int n = 0; r > 0 && n < ROTATE_MAX; n++) {
		if (f->action != LEDGER_ROTATE || rotate(f) <= 0)
			break;
		r = is_over(f);
	}
	/* What can't be asked now the transaction will tell. */
	return r > 0 ? no_room(f) : 0;
}

int full_make_room(struct full *f)
{
	if (f->action == LEDGER_ROTATE && rotate(f) > 0)
		return 0;
	return no_room(f);
}

/* ---- telling of it ---- */

static int add_event(
	struct full *f, enum ledger_event kind, const char *text, int64_t count)
{
	const struct store_event e = {
		.kind = kind, .text = text, .count = count};
	const struct store_time now = store_now();

	return store_event(f->store, &e, &now);
}

static int settle_gap(struct full *f)
{
	_cleanup_buf_ struct buf text = {.max = TEXT_MAX};
	int r = gap_describe(f->gap, &text);

	if (r == 0)
		r = buf_add(&text, "", 1);
	if (r == 0)
		r = add_event(f, LEDGER_EVENT_GAP, text.data,
			(int64_t)gap_count(f->gap));
	f->settles_gap = r == 0;
	return r;
}

int full_settle(struct full *f)
{
	int r = 0;

	f->settles_gap = f->settles_damage = f->settles_halt = false;
	if (gap_count(f->gap))
		r = settle_gap(f);
	if (r == 0 && gap_was_damaged(f->gap) && !f->told_damage) {
		r = add_event(f, LEDGER_EVENT_ALARM,
			"the file that counts attempts while the ledger is "
			"full (-gap) was damaged; what it counted is lost",
			1);
		f->settles_damage = r == 0;
	}
	if (r == 0 && full_is_halted(f) && !f->told_halt) {
		r = add_event(f, LEDGER_EVENT_ALARM,
			"the ledger was full, and from then on everything was "
			"answered with an error (on_full=halt)",
			1);
		f->settles_halt = r == 0;
	}
	return r;
}

void full_settled(struct full *f)
{
	/* If this fails the file keeps the number of a gap that is in the
	 * ledger, and whoever opens it next gives that up. */
	if (f->settles_gap)
		(void)!gap_next(f->gap);
	f->told_damage |= f->settles_damage;
	f->told_halt |= f->settles_halt;
	f->settles_gap = f->settles_damage = f->settles_halt = false;
}

/* ---- attempts without room ---- */

int full_take(struct full *f, const struct ledger_attempt *a,
	const struct store_time *at)
{
	switch (f->action) {
	case LEDGER_BLOCK: return -EAGAIN;
	case LEDGER_HALT: atomic_store(&f->halted, true); return -EIO;
	case LEDGER_AGGREGATE:
	case LEDGER_ROTATE: break;
	}
	gap_add(f->gap, a, at);
	return 0;
}

int full_write(struct full *f)
{
	return gap_write(f->gap);
}

bool full_is_settled(const struct full *f)
{
	return !gap_count(f->gap) &&
	       (!gap_was_damaged(f->gap) || f->told_damage) &&
	       (!full_is_halted(f) || f->told_halt);
}

bool full_is_halted(const struct full *f)
{
	return atomic_load(&f->halted);
}
