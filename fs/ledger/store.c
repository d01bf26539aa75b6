/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a ledger for writing, and its transactions; see store.h. */
#include "fs/ledger/store.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "fs/ledger/schema.h"
#include "fs/ledger/store_internal.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t); /* cannot fail for these clocks */
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct store_time store_now(void)
{
	return (struct store_time){
		clock_ns(CLOCK_REALTIME), clock_ns(CLOCK_BOOTTIME)};
}

/* ---- opening ---- */

static int sql_failed(
	struct store *s, int r, const char *path, struct diag *diag)
{
	return diag_set(diag, r, "ledger %s: %s", path, db_error(s->db));
}

/*
 * WAL: one write(2) a commit, and readers are never in the way. NORMAL: that
 * write is all that a commit does, so what is committed survives our death but
 * a power failure may take the last ones; FULL adds an fsync. A checkpoint
 * every 32 MiB instead of 4: it moves each page once, however often the log has
 * it, and small commits write the same page again and again.
 */
static int configure(
	struct store *s, bool fsync, const char *path, struct diag *diag)
{
	_cleanup_(db_stmt_free) struct db_stmt *mode = NULL;
	size_t len;
	int r = db_prepare(s->db, "PRAGMA journal_mode = WAL", &mode);

	if (r == 0)
		r = db_next(mode);
	if (r < 0)
		return sql_failed(s, r, path, diag);

	const char *got = r ? db_bytes(mode, 0, &len) : NULL;

	if (!got || len != 3 || memcmp(got, "wal", 3) != 0)
		return diag_set(diag, -EOPNOTSUPP,
			"ledger %s: its filesystem has no shared memory "
			"mappings, which the log needs; give a file on a local "
			"disk",
			path);
	db_rewind(mode);
	r = db_exec(s->db, fsync ? "PRAGMA synchronous = FULL"
				 : "PRAGMA synchronous = NORMAL");
	if (r == 0)
		r = db_exec(s->db, "PRAGMA wal_autocheckpoint = 8192;"
				   "PRAGMA journal_size_limit = 67108864;"
				   "PRAGMA temp_store = MEMORY");
	return r < 0 ? sql_failed(s, r, path, diag) : 0;
}

/* Ours alone: closing it drops no lock of SQLite's, which are in other files.
 */
static int open_wal(struct store *s, const char *path, struct diag *diag)
{
	char name[PATH_MAX];

	if (snprintf(name, sizeof(name), "%s-wal", path) >= (int)sizeof(name))
		return diag_errno(diag, -ENAMETOOLONG, "ledger %s", path);
	s->wal = open(name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	return s->wal < 0 ? diag_errno(diag, -errno, "opening %s", name) : 0;
}

static int prepare(struct store *s)
{
	int r = db_prepare(s->db, "BEGIN IMMEDIATE", &s->begin);

	if (r == 0)
		r = db_prepare(s->db, "COMMIT", &s->commit);
	if (r == 0)
		r = digests_new(s->db, &s->digests);
	if (r == 0)
		r = sealing_new(s->db, &s->sealing);
	if (r == 0)
		r = rows_prepare(s);
	if (r == 0)
		r = folding_prepare(s);
	if (r == 0)
		r = db_exec_int(s->db, "SELECT coalesce(max(id), 0) FROM proc",
			&s->last_proc);
	sweep_init(&s->sweep, s->last_proc);
	return r;
}

/* In a transaction, since tiles may have to be made. */
static int load_tree(struct store *s, const char *path, struct diag *diag)
{
	struct diag why = {0};
	int r = store_begin(s);

	if (r < 0)
		return sql_failed(s, r, path, diag);
	r = sealing_load(s->sealing, s->digests, s->mend, &why);
	if (r < 0) {
		store_abort(s);
		return diag_set(diag, r, "ledger %s: %s", path, why.text);
	}
	r = store_commit(s);
	if (r < 0) {
		(void)sql_failed(s, r, path, diag);
		store_abort(s);
	}
	return r;
}

static int store_new(
	const char *path, const struct store_options *opt, struct store **ret)
{
	_cleanup_(store_close) struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->wal = -1;
	s->mend = opt->mend;
	s->recover = opt->recover;
	s->path = strdup(path);
	record_init(&s->record);
	s->hasher = hasher_new();
	if (!s->path || !s->hasher)
		return -ENOMEM;
	*ret = take_ptr(s);
	return 0;
}

int store_open(const char *path, const struct store_options *opt,
	struct store **ret, struct diag *diag)
{
	_cleanup_(store_close) struct store *s = NULL;
	int r = store_new(path, opt, &s);

	if (r < 0)
		return diag_errno(diag, r, "ledger %s", path);
	r = db_open(path, 0, &s->db, diag);
	if (r == 0)
		r = schema_check(s->db, path, diag);
	if (r == -ENODATA)
		r = schema_create(s->db, path, diag);
	/* After the tables: so they, and what tells a ledger from another
	 * file, are in the file itself and not only in its log. */
	if (r == 0)
		r = configure(s, opt->fsync, path, diag);
	if (r < 0)
		return r;
	r = prepare(s);
	if (r < 0)
		return sql_failed(s, r, path, diag);
	s->fsync = opt->fsync;
	r = load_tree(s, path, diag);
	if (r == 0)
		r = open_wal(s, path, diag);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	assert(s->fresh_count == 0);
	db_stmt_free(s->begin);
	db_stmt_free(s->commit);
	rows_done(s);
	folding_done(s);
	tally_close(s->tally);
	sweep_done(&s->sweep);
	sealing_free(s->sealing);
	digests_free(s->digests);
	db_close(s->db);
	if (s->wal >= 0)
		(void)close(s->wal); /* nothing was written through it */
	record_done(&s->record);
	hasher_free(s->hasher);
	free(s->path);
	free(s);
}

/* ---- the start of a mount ---- */

static int add_mount(struct store *s, const struct ledger_mount *m)
{
	char id[DIGEST_HEX_LEN + 1];
	struct diag line; /* one line, whatever the mount point is called */
	const struct store_event begin = {
		.kind = LEDGER_EVENT_MOUNT, .text = line.text, .count = 1};
	const struct store_time now = store_now();
	int r = store_begin(s);

	digest_hex(&m->image_id, id);
	(void)diag_set(&line, -ECANCELED, "mounted image %s at %s", id,
		m->mount_point ? m->mount_point : "(not said)");
	if (r == 0)
		r = rows_add_mount(s, m);
	if (r == 0)
		r = store_event(s, &begin, &now);
	if (r == 0 && s->recover)
		r = left_drop(s);
	return r < 0 ? r : store_commit(s);
}

int store_start(
	struct store *s, const struct ledger_mount *mount, struct diag *diag)
{
	struct diag why = {0};
	int r = left_close(s, &why);

	if (r == 0) {
		r = add_mount(s, mount);
		if (r < 0) {
			(void)diag_set(&why, r, "%s", db_error(s->db));
			store_abort(s);
		}
	}
	/* Where each attempt is synced, counting ahead saves nothing. */
	if (s->fsync)
		tally_close(take_ptr(s->tally));
	return r < 0 ? diag_set(diag, r, "ledger %s: %s", s->path, why.text)
		     : 0;
}

/* ---- transactions ---- */

int store_begin(struct store *s)
{
	assert(s->fresh_count == 0);
	s->last_proc_now = s->last_proc;
	return db_run(s->begin);
}

int store_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc,
	struct store_effect *ret)
{
	struct store_effect effect = {0};
	int r = proc ? rows_add_proc(s, proc, &effect.bytes) : 0;

	if (r == 0 && folding_is_flood(s, proc, at))
		r = folding_add(s, a, at, proc, &effect.bytes);
	effect.folded = r > 0;
	effect.seq = r > 0 ? 0 : sealing_next(s->sealing);
	if (r == 0)
		r = rows_add_attempt(s, a, at, proc, &effect.bytes);
	if (r < 0)
		return r;
	*ret = effect;
	return 0;
}

int store_event(struct store *s, const struct store_event *e,
	const struct store_time *at)
{
	return rows_add_event(s, e, at);
}

int store_commit(struct store *s)
{
	int r = folding_flush(s);

	if (r == 0)
		r = db_run(s->commit);
	if (r < 0)
		return r;
	sealing_commit(s->sealing);
	folds_commit(&s->folds);
	folding_flushed(s);
	rows_commit_procs(s);
	return 0;
}

bool store_repeat(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc)
{
	return s->tally && folding_repeat(s, a, at, proc);
}

int store_keep_repeats(struct store *s)
{
	int r = folding_tally(s);

	if (r == 0)
		folds_commit(&s->folds);
	return r;
}

void store_drop_repeats(struct store *s)
{
	folds_abort(&s->folds);
}

void store_abort(struct store *s)
{
	db_rollback(s->db);
	sealing_abort(s->sealing);
	folds_abort(&s->folds);
	rows_abort_procs(s);
	digests_forget(s->digests);
}

int store_close_folds(struct store *s, int64_t boot, bool all)
{
	return folding_close_due(s, boot, all);
}

unsigned store_open_folds(const struct store *s)
{
	return s->folds.count;
}

int store_reclaim(struct store *s)
{
	int64_t busy = 1;
	int r = db_exec_int(s->db, "PRAGMA wal_checkpoint(RESTART)", &busy);

	if (r == 0 && busy)
		r = -EBUSY;
	return r;
}

/* ---- for others ---- */

struct db *store_db(struct store *s)
{
	return s->db;
}

int64_t store_mount_id(const struct store *s)
{
	return s->mount;
}

const struct merkle *store_tree(const struct store *s)
{
	return sealing_tree(s->sealing);
}

int store_root_at(struct store *s, uint64_t size, struct digest *ret)
{
	return sealing_root_at(s->sealing, size, ret);
}

int store_sync(const struct store *s)
{
	return fdatasync(s->wal) < 0 ? -errno : 0;
}
