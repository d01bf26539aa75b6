/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The records that no signature covers: what a writer that died left, or what
 * somebody left who removed checkpoints? See verify_internal.h.
 *
 * A writer may die between any two of its steps, also right after it has
 * recorded its end, and so may the next one, and the one after that, each
 * before its first checkpoint. So neither an end, nor the time between two
 * mounts, nor a machine that slept says anything. What does: a mount signs its
 * beginning before it answers anybody, and while it lives every few seconds.
 */
#include "fs/audit/verify_internal.h"

/* As long as a mount that works never takes to sign. */
#define UNSIGNED_SPAN_NS (INT64_C(120) * 1000000000)

/* It gives a sign of life every minute. When there is none for longer, it did
 * not run, and so could not sign. */
#define PAUSE_NS (INT64_C(120) * 1000000000)

#define NOWHERE (&(struct verify_about){0})

static void add_time(struct verify_unsigned *u, int64_t boot)
{
	int64_t passed;

	if (boot <= u->latest)
		return; /* a fold is recorded when it ends */
	if (!__builtin_sub_overflow(boot, u->latest, &passed) &&
		passed <= PAUSE_NS)
		u->span += passed;
	u->latest = boot;
	if (u->span > u->longest)
		u->longest = u->span;
}

void verify_unsigned_add(struct verify *v, const struct row *row)
{
	struct verify_unsigned *u = &v->open;

	if (v->tree.size == v->sealed)
		*u = (struct verify_unsigned){0};
	/* That is also made of a ledger at rest, by stele log prune. */
	if (verify_is_event(row, LEDGER_EVENT_PRUNE))
		return;
	if (u->mount != row->refers.mount) {
		u->mount = row->refers.mount;
		u->begins = false;
		u->span = 0;
		u->latest = row->t_boot;
	}
	if (verify_is_event(row, LEDGER_EVENT_MOUNT))
		u->begins = true;
	if (row->table == 'a' && u->begins && !u->answered)
		u->answered = (uint64_t)row->seq;
	add_time(u, row->t_boot);
}

static void tell(struct verify *v, uint64_t end, uint64_t count)
{
	const struct verify_unsigned *u = &v->open;
	const struct verify_about about = {
		.first = end - count + 1,
		.last = end,
		.has_checkpoint = v->has_sealed,
		.checkpoint = v->sealed,
	};
	unsigned long long last = count;

	if (u->answered)
		verify_find(v, VERIFY_NOT_SIGNED, &about,
			"the last %llu records are not signed, though the "
			"mount that made record %llu signs before it answers: "
			"checkpoints were removed",
			last, (unsigned long long)u->answered);
	else if (u->longest > UNSIGNED_SPAN_NS)
		verify_find(v, VERIFY_NOT_SIGNED, &about,
			"the last %llu records are not signed, and a mount "
			"worked for %lld s meanwhile: checkpoints were removed "
			"or could not be made",
			last, (long long)u->longest / 1000000000);
	else if (!v->ret->writer)
		verify_find(v, VERIFY_CRASHED, &about,
			"the writer is gone, and the last %llu records after "
			"its last checkpoint are not signed",
			last);
}

/* Attempts in records that are not closed; they have no leaf. */
static int read_folds(struct verify *v)
{
	int64_t attempts = 0, wrong = 0;
	int r = db_exec_int(
		v->db, "SELECT coalesce(sum(count), 0) FROM fold", &attempts);

	if (r == 0)
		r = db_exec_int(v->db,
			"SELECT count(*) FROM fold AS f WHERE"
			" f.targets IS NOT (SELECT max(count(*), 1) FROM"
			" fold_name AS n WHERE n.fold_id = f.id) OR"
			" f.count IS NOT (SELECT coalesce(sum(n.count),"
			" f.count) FROM fold_name AS n WHERE n.fold_id = f.id)",
			&wrong);
	if (r < 0)
		return r;
	if (wrong > 0)
		verify_find(v, VERIFY_EDITED, NOWHERE,
			"%lld of the records that are still open do not add "
			"up: they were changed",
			(long long)wrong);
	v->ret->open_attempts = attempts > 0 ? (uint64_t)attempts : 0;
	return 0;
}

static void judge(struct verify *v, uint64_t end)
{
	uint64_t count = end > v->sealed ? end - v->sealed : 0;

	if (v->ret->epochs == 0) {
		if (end > 0 && !v->unborn)
			verify_find(v, VERIFY_NOT_SIGNED, NOWHERE,
				"the ledger has no key: nothing in it is "
				"signed");
		else if (end > 0 && !v->ret->writer)
			verify_find(v, VERIFY_CRASHED, NOWHERE,
				"the writer was gone before it had a key and "
				"answered anybody");
		return;
	}
	if (!v->trusted)
		return; /* that was told */
	if (count > 0)
		tell(v, end, count);
	else if (!v->ret->writer && v->ret->open_attempts > 0)
		verify_find(v, VERIFY_CRASHED, NOWHERE,
			"the writer is gone without an end; %llu attempts in "
			"records that it had not closed are not signed",
			(unsigned long long)v->ret->open_attempts);
}

int verify_unsigned_end(struct verify *v)
{
	int r = read_folds(v);

	if (r == 0)
		judge(v, v->tree.size);
	return r;
}
