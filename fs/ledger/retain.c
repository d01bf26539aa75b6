/* SPDX-License-Identifier: Apache-2.0 */
/* Removing the oldest segments; see retain.h. */
#include "fs/ledger/retain.h"

#include <inttypes.h>
#include <string.h>

#include "fs/db/db.h"
#include "fs/ledger/checkpoint.h"
#include "fs/ledger/claim.h"
#include "fs/ledger/start.h"
#include "fs/ledger/store_internal.h"
#include "fs/ledger/work.h"

#define TILES (RETAIN_SEGMENT / MERKLE_TILE)

/* One run keeps attempts waiting only so often. */
#define RUN_MAX 64

/* ---- which one ---- */

/* A statement about a range of records, or of tiles or rows. */
static int prepare(struct store *s, const char *sql, int64_t first,
	int64_t last, struct db_stmt **ret)
{
	int r = db_prepare(s->db, sql, ret);

	if (r == 0) {
		db_bind_int(*ret, first);
		db_bind_int(*ret, last);
	}
	return r;
}

/* The first number that a query gives for a range. */
static int ask(struct store *s, const char *sql, int64_t first, int64_t last,
	int64_t *ret)
{
	_cleanup_(db_stmt_free) struct db_stmt *stmt = NULL;
	int r = prepare(s, sql, first, last, &stmt);

	if (r == 0)
		r = db_next(stmt);
	if (r <= 0)
		return r < 0 ? r : -EBADMSG;
	*ret = db_int(stmt, 0);
	return 0;
}

/* The oldest record that is left; 0 for none. */
static int oldest(struct store *s, int64_t *ret)
{
	int64_t attempt, event;
	int r = db_exec_int(
		s->db, "SELECT coalesce(min(seq), 0) FROM attempt", &attempt);

	if (r == 0)
		r = db_exec_int(s->db,
			"SELECT coalesce(min(seq), 0) FROM event", &event);
	if (r == 0)
		*ret = !attempt || (event && event < attempt) ? event : attempt;
	return r;
}

/* Is the segment complete, anchored and old enough? Its records reach as far as
 * its latest one, whatever clock was wrong in between. */
static int may_go(struct store *s, int64_t before, const struct retain_done *d)
{
	int64_t anchored, tiles, latest;
	int r = db_exec_int(
		s->db, "SELECT coalesce(max(size), 0) FROM anchor", &anchored);

	if (r < 0 || anchored < d->last)
		return r;
	r = ask(s,
		"SELECT count(*) FROM tile WHERE n BETWEEN ? AND ?"
		" AND leaves IS NOT NULL",
		(d->first - 1) / MERKLE_TILE, d->last / MERKLE_TILE - 1,
		&tiles);
	if (r < 0 || tiles != TILES)
		return r;
	r = ask(s,
		"SELECT max(coalesce((SELECT max(max(t_real,"
		" coalesce(t_last, t_real))) FROM attempt"
		" WHERE seq BETWEEN ?1 AND ?2), 0),"
		" coalesce((SELECT max(t_real) FROM event"
		" WHERE seq BETWEEN ?1 AND ?2), 0))",
		d->first, d->last, &latest);
	return r < 0 ? r : latest < before;
}

/* What the records of the segment stood for. */
static int count(struct store *s, struct retain_done *d)
{
	int r = ask(s,
		"SELECT coalesce((SELECT sum(count) FROM attempt"
		" WHERE seq BETWEEN ?1 AND ?2), 0)"
		" + coalesce((SELECT sum(count) FROM event"
		" WHERE seq BETWEEN ?1 AND ?2 AND kind IN ('gap', 'prune')),"
		" 0)",
		d->first, d->last, &d->attempts);

	if (r == 0)
		r = ask(s,
			"SELECT count(*) FROM event WHERE seq BETWEEN ? AND ?",
			d->first, d->last, &d->events);
	if (r == 0)
		r = ask(s,
			"SELECT coalesce(sum(count), 0) FROM event"
			" WHERE seq BETWEEN ? AND ? AND kind = 'lost'",
			d->first, d->last, &d->lost);
	return r;
}

/* ---- away with it ---- */

static int change(struct store *s, const char *sql, int64_t first, int64_t last)
{
	_cleanup_(db_stmt_free) struct db_stmt *stmt = NULL;
	int r = prepare(s, sql, first, last, &stmt);

	return r < 0 ? r : db_run(stmt);
}

/*
 * Mounts begin one after another, so all rows of those before the mount of the
 * oldest record that is left are referred to by nothing. first is 0 in each:
 * row numbers are greater.
 */
static int remove_mounts(struct store *s, int64_t left)
{
	int64_t mount;
	int r = ask(s,
		"SELECT min(mount_id) FROM (SELECT mount_id FROM attempt"
		" WHERE seq BETWEEN ?1 AND ?2"
		" UNION ALL SELECT mount_id FROM event"
		" WHERE seq BETWEEN ?1 AND ?2)",
		left, left, &mount);

	if (r == 0)
		r = change(s,
			"DELETE FROM proc WHERE mount_id > ? AND mount_id < ?",
			0, mount);
	if (r == 0)
		r = change(s,
			"DELETE FROM node WHERE mount_id > ? AND mount_id < ?",
			0, mount);
	return r < 0 ? r
		     : change(s, "DELETE FROM mount WHERE id > ? AND id < ?", 0,
			       mount);
}

static int add_event(struct store *s, const struct retain_done *d)
{
	char text[256];
	const struct store_event e = {
		.kind = LEDGER_EVENT_PRUNE, .text = text, .count = d->attempts};
	const struct store_time now = store_now();

	(void)snprintf(text, sizeof(text),
		"{\"first\":%" PRId64 ",\"last\":%" PRId64
		",\"attempts\":%" PRId64 ",\"events\":%" PRId64
		",\"lost\":%" PRId64 "}",
		d->first, d->last, d->attempts, d->events, d->lost);
	return store_event(s, &e, &now);
}

int retain_segment(struct store *s, int64_t before, struct retain_done *ret)
{
	struct retain_done d = {0};
	int r = oldest(s, &d.first);

	if (r < 0 || d.first == 0)
		return r;
	d.first = (d.first - 1) / RETAIN_SEGMENT * RETAIN_SEGMENT + 1;
	d.last = d.first + RETAIN_SEGMENT - 1;
	r = may_go(s, before, &d);
	if (r <= 0)
		return r;
	r = count(s, &d);
	if (r == 0)
		r = change(s, "DELETE FROM attempt WHERE seq BETWEEN ? AND ?",
			d.first, d.last);
	if (r == 0)
		r = change(s, "DELETE FROM event WHERE seq BETWEEN ? AND ?",
			d.first, d.last);
	if (r == 0)
		r = change(s,
			"UPDATE tile SET leaves = NULL"
			" WHERE n BETWEEN ? AND ?",
			(d.first - 1) / MERKLE_TILE, d.last / MERKLE_TILE - 1);
	/* There is one at least: the event itself. */
	if (r == 0)
		r = add_event(s, &d);
	if (r == 0)
		r = remove_mounts(s, d.last + 1);
	if (r == 0)
		r = sweep_run(&s->sweep, s->db, d.last);
	if (r < 0)
		return r;
	*ret = d;
	return 1;
}

/* ---- all that are old ---- */

/* Pages that one transaction gives back: 4 MiB; the minutes share the rest. */
#define PAGES_MAX "1024"

static int shrink(struct store *s, void *arg)
{
	(void)arg;
	return db_exec(s->db, "PRAGMA incremental_vacuum(" PAGES_MAX ")");
}

struct run {
	int64_t before;
	int result;
	struct retain_done done;
};

static int remove_one(struct store *s, void *arg)
{
	struct run *run = arg;

	run->result = retain_segment(s, run->before, &run->done);
	return run->result < 0 ? run->result : 0;
}

int retain_run(struct ledger *l, int64_t before)
{
	struct run run = {.before = before};

	int n = 0, r = 0;

	for (; n < RUN_MAX; n++) {
		r = ledger_work(l, remove_one, &run);
		if (r < 0 || run.result == 0)
			break;
	}
	if (r == 0)
		r = ledger_work(l, shrink, NULL);
	return n ? n : r;
}

static int prune(struct store *s, int64_t before, struct retain_done *ret)
{
	for (;;) {
		struct retain_done d;
		int r = store_begin(s);

		if (r == 0)
			r = retain_segment(s, before, &d);
		if (r > 0) {
			int c = store_commit(s);

			r = c < 0 ? c : r;
		}
		if (r <= 0) {
			store_abort(s);
			return r;
		}
		if (!ret->first)
			ret->first = d.first;
		ret->last = d.last;
		ret->attempts += d.attempts;
		ret->events += d.events;
		ret->lost += d.lost;
	}
}

/*
 * Sign what was recorded of it, as the clerk of a mount does. In the middle of
 * a change of keys that is left to the next mount.
 */
static int sign_end(struct store *s, struct keyfile *key, struct diag *diag)
{
	_cleanup_buf_ struct buf text = {.max = NOTE_MAX + 1};
	const struct merkle *tree = store_tree(s);
	struct digest root;
	int r = key->has_next ? 0 : store_sync(s);

	if (r < 0 || key->has_next)
		return r;
	r = checkpoint_sign(tree, key, &text, &root);
	if (r == 0)
		r = checkpoint_add(s, tree->size, store_now().real, text.data);
	if (r == 0)
		r = store_sync(s);
	return r < 0 ? r : keyfile_remember(key, tree->size, &root, diag);
}

/* The events belong to the last mount that there was. */
static int resume_mount(struct store *s)
{
	int r = db_exec_int(
		s->db, "SELECT coalesce(max(id), 0) FROM mount", &s->mount);

	return r < 0 || !s->mount
		       ? r
		       : digests_mount(s->digests, s->mount, &s->mount_digest);
}

/* In a ledger that is whole. */
static int prune_and_sign(struct store *s, int64_t before, struct start *found,
	struct retain_done *ret, struct diag *diag)
{
	struct diag line = {0};
	int r = resume_mount(s);

	if (r == 0 && s->mount)
		r = prune(s, before, ret);
	if (r == 0 && ret->last && found->has_key)
		r = sign_end(s, &found->key, &line);
	if (r == 0)
		r = db_exec(s->db, "PRAGMA incremental_vacuum");
	if (r < 0)
		return diag_set(diag, r, "ledger %s: %s", s->path,
			line.text[0] ? line.text : db_error(s->db));
	return 0;
}

int retain_prune(const char *path, int64_t before, struct retain_done *ret,
	struct diag *diag)
{
	_cleanup_(store_close) struct store *s = NULL;
	struct retain_done sum = {0};
	struct claim claim = {.lock = -1};
	struct store_options opt = {0};
	struct start found = {0};
	int r = claim_init(&claim, path, diag);

	if (r < 0)
		return r;
	/* What is removed can't be looked at any more. */
	r = start_check(claim.path, false, &found, diag);
	opt.mend = found.mend;
	if (r == 0)
		r = store_open(claim.path, &opt, &s, diag);
	if (r == 0)
		r = prune_and_sign(s, before, &found, &sum, diag);
	start_done(&found);
	store_close(take_ptr(s));
	if (r < 0) {
		claim_undo(&claim);
		return r;
	}
	claim_done(&claim);
	*ret = sum;
	return 0;
}

/* ---- for readers ---- */

/* ,"NAME":123 at *at. */
static bool take_number(
	const char **at, const char *end, const char *head, int64_t *ret)
{
	size_t len = strlen(head);
	int64_t n = 0;

	if ((size_t)(end - *at) < len || memcmp(*at, head, len) != 0)
		return false;
	*at += len;
	if (*at == end || **at < '0' || **at > '9')
		return false;
	for (; *at < end && **at >= '0' && **at <= '9'; ++*at) {
		if (__builtin_mul_overflow(n, 10, &n) ||
			__builtin_add_overflow(n, **at - '0', &n))
			return false;
	}
	*ret = n;
	return true;
}

int retain_parse(const char *text, size_t len, struct retain_done *ret)
{
	const char *at = text, *end = text + len;
	struct retain_done d;

	if (!take_number(&at, end, "{\"first\":", &d.first) ||
		!take_number(&at, end, ",\"last\":", &d.last) ||
		!take_number(&at, end, ",\"attempts\":", &d.attempts) ||
		!take_number(&at, end, ",\"events\":", &d.events) ||
		!take_number(&at, end, ",\"lost\":", &d.lost) ||
		end - at != 1 || *at != '}' || d.first > d.last)
		return -EBADMSG;
	*ret = d;
	return 0;
}
