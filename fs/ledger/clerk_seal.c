/* SPDX-License-Identifier: Apache-2.0 */
/* Checkpoints, and the keys that sign them; see clerk.h for the order. */
#include <assert.h>
#include <string.h>

#include "fs/db/db.h"
#include "fs/ledger/checkpoint.h"
#include "fs/ledger/clerk_internal.h"
#include "fs/ledger/work.h"

static int fail(struct clerk *c, int r, const char *what, struct diag *diag)
{
	struct diag line = {0};

	metrics_add(&c->metrics->seal_failed, 1);
	if (diag && diag->text[0])
		clerk_alarm(c, what, diag->text);
	else {
		(void)diag_errno(&line, r, "%s", what);
		clerk_alarm(c, what, line.text);
	}
	return r;
}

/* ---- changes of keys ---- */

int clerk_add_epoch(struct store *s, const struct clerk_epoch *e)
{
	_cleanup_(db_stmt_free) struct db_stmt *add = NULL;
	char key[NOTE_KEY_MAX];
	int r = db_prepare(
		store_db(s), "INSERT INTO epoch VALUES(?, ?, ?, ?)", &add);

	if (r == 0)
		r = note_key_print(e->key, key);
	if (r < 0)
		return r;
	db_bind_int(add, (int64_t)e->number);
	db_bind_text(add, key);
	db_bind_int(add, (int64_t)e->size);
	db_bind_text(add, e->note ? e->note->data : NULL);
	return db_run(add);
}

void clerk_epoch_began(struct clerk *c, uint64_t size)
{
	c->epoch_size = size;
	c->epoch_boot = clerk_now(c).boot;
	c->epoch_attempts = metrics_attempts(c->metrics);
	atomic_store(&c->metrics->key_number, c->key.number);
}

/* What goes into one transaction with a change of keys. */
struct change {
	struct clerk_epoch epoch;
	int (*extra)(struct store *s, void *arg);
	void *arg;
};

static int store_change(struct store *s, void *arg)
{
	const struct change *change = arg;
	int r = clerk_add_epoch(s, &change->epoch);

	return r == 0 && change->extra ? change->extra(s, change->arg) : r;
}

static int make_note(
	const struct note *n, const struct keyfile *k, struct buf *ret)
{
	int r = note_make(n, k->seed, ret);

	return r < 0 ? r : buf_add(ret, "", 1);
}

/* The note is in the ledger. Only when it can't be lost any more is the next
 * key the one; until that is done nothing can be signed. */
static int finish_change(struct clerk *c)
{
	struct diag diag = {0};
	int r = store_sync(c->store);

	if (r < 0)
		return fail(c, r, "change of keys", NULL);
	r = keyfile_advance(&c->key, &diag);
	if (r < 0)
		return fail(c, r, "key file", &diag);
	c->changing = false;
	clerk_epoch_began(c, c->changed_at);
	return 0;
}

int clerk_hand_over(struct clerk *c, const struct alert_checkpoint *at,
	int (*extra)(struct store *s, void *arg), void *arg)
{
	_cleanup_buf_ struct buf text = {.max = NOTE_MAX + 1};
	struct diag diag = {0};
	int r = keyfile_prepare(&c->key, &diag);

	if (r < 0)
		return fail(c, r, "key file", &diag);

	struct note note = {.kind = NOTE_NEXT_KEY,
		.size = at->size,
		.root = at->root,
		.number = c->key.number + 1,
		.next = c->key.next};
	struct change change = {
		.epoch = {.number = note.number,
			.key = &c->key.next,
			.size = at->size,
			.note = &text},
		.extra = extra,
		.arg = arg,
	};

	memcpy(note.origin, c->key.origin, sizeof(note.origin));
	r = make_note(&note, &c->key, &text);
	if (r == 0)
		r = ledger_work(c->ledger, store_change, &change);
	if (r < 0)
		return fail(c, r, "change of keys", NULL);
	c->changing = true;
	c->changed_at = at->size;
	return finish_change(c);
}

/*
 * A key that is stolen signs only what comes after its epoch began, so epochs
 * are short while attempts come; while there are only signs of life, a long one
 * does no harm and saves rows.
 */
static bool is_over(const struct clerk *c, const struct store_time *now)
{
	uint64_t records = c->last.size - c->epoch_size;
	int64_t age = now->boot - c->epoch_boot;
	bool used = metrics_attempts(c->metrics) > c->epoch_attempts;

	return records >= c->pace.epoch_records ||
	       (used && age >= c->pace.epoch) ||
	       (records > 0 && age >= c->pace.epoch_longest);
}

/* ---- checkpoints ---- */

struct checkpoint {
	struct merkle tree;
	int64_t real;
	const char *note;
};

static int take_tree(struct store *s, void *arg)
{
	struct checkpoint *p = arg;

	p->tree = *store_tree(s);
	return 0;
}

static int store_checkpoint(struct store *s, void *arg)
{
	const struct checkpoint *p = arg;

	return checkpoint_add(s, p->tree.size, p->real, p->note);
}

/* Sign what is on disk already, and put the signature there as well. */
static int make_checkpoint(
	struct clerk *c, struct checkpoint *p, struct buf *text)
{
	struct digest root;
	int r = store_sync(c->store);

	if (r == 0)
		r = checkpoint_sign(&p->tree, &c->key, text, &root);
	if (r < 0)
		return r;
	p->note = text->data;
	r = ledger_work(c->ledger, store_checkpoint, p);
	if (r == 0)
		r = store_sync(c->store);
	if (r == 0)
		c->last = (struct alert_checkpoint){p->tree.size, root};
	return r;
}

static void publish(struct clerk *c, const struct checkpoint *p)
{
	struct metrics *m = c->metrics;
	struct diag diag = {0};
	int r = keyfile_remember(&c->key, c->last.size, &c->last.root, &diag);

	/* It is in the ledger all the same, and shall be known. */
	if (r < 0)
		(void)fail(c, r, "key file", &diag);
	atomic_store(&m->records, c->last.size);
	atomic_store(&m->checkpoint_size, c->last.size);
	atomic_store(&m->checkpoint_time, p->real);
	anchors_put(c->anchors, p->note, strlen(p->note), c->last.size);
}

int clerk_seal(struct clerk *c, const struct store_time *now)
{
	struct checkpoint p = {.real = now->real};
	_cleanup_buf_ struct buf text = {.max = NOTE_MAX + 1};
	int r = c->changing ? finish_change(c) : 0;

	c->last_boot = now->boot;
	if (r < 0)
		return r;
	r = ledger_work(c->ledger, take_tree, &p);
	if (r == 0 && p.tree.size == c->last.size)
		return 0;
	if (r == 0)
		r = make_checkpoint(c, &p, &text);
	if (r < 0)
		return fail(c, r, "checkpoint", NULL);
	publish(c, &p);
	return is_over(c, now) ? clerk_hand_over(c, &c->last, NULL, NULL) : 0;
}
