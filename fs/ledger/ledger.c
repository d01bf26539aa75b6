/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger as the mount sees it: attempts come in from many threads and go
 * out in transactions.
 *
 * There is no writer thread: waking one costs more than a commit. Callers queue
 * an entry that lies on their own stack. The one at the head of the queue
 * leads: it takes a batch from the head (its own entry first), writes it in one
 * transaction, wakes its followers and passes the lead to the new head. Nobody
 * leads twice, so nobody works for others without bound. Work on the database
 * (work.h) stands in the same queue, and is a batch of its own.
 *
 * Moves of an entry: QUEUED -> LEADING (it is at the head and nobody leads)
 * -> DONE, or QUEUED -> DONE (a leader took it into its batch).
 */
#include "fs/ledger/ledger.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "fs/ledger/budget.h"
#include "fs/ledger/claim.h"
#include "fs/ledger/clerk.h"
#include "fs/ledger/full.h"
#include "fs/ledger/start.h"
#include "fs/ledger/store.h"
#include "fs/ledger/work.h"
#include "fs/who/proc.h"

enum { BATCH = 256 };

enum entry_state { QUEUED, LEADING, DONE };

typedef int (*work_fn)(struct store *s, void *arg);

/* One call; on the caller's stack. It has an attempt, an event or work. */
struct entry {
	const struct ledger_attempt *attempt;
	const struct store_event *event;
	work_fn work;
	void *work_arg;
	struct proc *proc; /* of an attempt, or NULL */
	struct store_time at;
	struct store_effect effect; /* of an attempt; the leader's */

	int result; /* the leader's until DONE */

	enum entry_state state; /* this and what follows: ledger.lock */
	struct entry *next;
	pthread_cond_t moved; /* state has changed */
};

/* What could not be recorded since the last transaction that worked. */
struct lost {
	int64_t attempts, events;
	struct store_time first, last;
	int error;
};

struct ledger {
	struct claim claim;
	struct proc_table *procs; /* locks itself */
	struct budget *budget;	  /* locks itself */
	struct metrics *metrics;  /* atomic */
	struct clerk *clerk;	  /* sees to itself; NULL while opening */
	struct store *store;	  /* the leader's, as is what follows */
	struct full *full;
	struct lost lost;

	pthread_mutex_t lock; /* protects what follows */
	struct entry *head, *tail;
	bool led; /* somebody leads */
};

/* ---- transactions, by the leader ---- */

static void format_time(int64_t ns, char ret[32])
{
	time_t sec = (time_t)(ns / 1000000000);
	struct tm tm;

	if (!gmtime_r(&sec, &tm) ||
		strftime(ret, 32, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		(void)snprintf(ret, 32, "@%lld", (long long)sec);
}

static int store_lost(struct ledger *l)
{
	char first[32], last[32], reason[128], text[512];

	if (!l->lost.attempts && !l->lost.events)
		return 0;
	format_time(l->lost.first.real, first);
	format_time(l->lost.last.real, last);
	(void)snprintf(text, sizeof(text),
		"%lld attempts (answered with an error) and %lld events from "
		"%s to %s could not be recorded: %s",
		(long long)l->lost.attempts, (long long)l->lost.events, first,
		last, strerror_r(-l->lost.error, reason, sizeof(reason)));

	struct store_event e = {.kind = LEDGER_EVENT_LOST,
		.text = text,
		.count = l->lost.attempts + l->lost.events};
	struct store_time now = store_now();

	return store_event(l->store, &e, &now);
}

static int store_entry(struct ledger *l, struct entry *e)
{
	if (e->work)
		return e->work(l->store, e->work_arg);
	if (e->event)
		return store_event(l->store, e->event, &e->at);
	return store_attempt(l->store, e->attempt, &e->at, e->proc, &e->effect);
}

static void count_lost(struct ledger *l, const struct entry *e)
{
	if (!l->lost.attempts && !l->lost.events)
		l->lost.first = e->at;
	l->lost.last = e->at;
	if (e->attempt)
		l->lost.attempts++;
	else
		l->lost.events++;
	l->lost.error = e->result;
}

/* All of a batch, or nothing of it; without room, all but its attempts. */
static int try_batch(struct ledger *l, struct entry *batch, bool room)
{
	int r = store_begin(l->store);

	if (r == 0)
		r = store_lost(l);
	if (r == 0 && room)
		r = full_settle(l->full);
	for (struct entry *e = batch; r == 0 && e; e = e->next) {
		if (room || !e->attempt)
			r = store_entry(l, e);
	}
	if (r == 0)
		r = store_commit(l->store);
	if (r < 0) {
		store_abort(l->store);
		return r;
	}
	l->lost = (struct lost){0};
	if (room)
		full_settled(l->full);
	return 0;
}

/* What a batch comes to that could not be stored, or only in part. */
static void settle_rest(struct ledger *l, struct entry *batch, int error)
{
	for (struct entry *e = batch; e; e = e->next) {
		e->result = error;
		e->effect = (struct store_effect){0};
		if (e->attempt && (error == -ENOSPC || error == 0))
			e->result = full_take(l->full, e->attempt, &e->at);
	}

	int r = full_write(l->full);

	for (struct entry *e = batch; e; e = e->next) {
		if (r < 0 && e->attempt && e->result == 0)
			e->result = r;
		if (e->result < 0 && e->result != -EAGAIN && !e->work)
			count_lost(l, e);
	}
}

static bool has_attempts_only(const struct entry *batch)
{
	while (batch && batch->attempt)
		batch = batch->next;
	return !batch;
}

/*
 * A batch of nothing but repeats needs no transaction. False when there is more
 * in it, or something else to be written with it.
 */
static bool count_repeats(struct ledger *l, struct entry *batch)
{
	bool all = !l->lost.attempts && !l->lost.events &&
		   full_is_settled(l->full);

	for (struct entry *e = batch; all && e; e = e->next)
		all = e->attempt &&
		      store_repeat(l->store, e->attempt, &e->at, e->proc);
	if (!all || store_keep_repeats(l->store) < 0) {
		store_drop_repeats(l->store);
		return false;
	}
	for (struct entry *e = batch; e; e = e->next) {
		e->result = 0;
		e->effect = (struct store_effect){.folded = true};
	}
	return true;
}

/* Store a batch and say in each entry what became of it. */
static void write_batch(struct ledger *l, struct entry *batch)
{
	bool room = !batch->work && full_room(l->full) == 0;
	int r;

	if (!room && has_attempts_only(batch)) {
		settle_rest(l, batch, -ENOSPC);
		return;
	}
	if (room && count_repeats(l, batch))
		return;
	r = try_batch(l, batch, room);
	if (r == -ENOSPC && store_reclaim(l->store) == 0 && !batch->work)
		r = try_batch(l, batch, room);
	if (r == -ENOSPC && full_make_room(l->full) == 0 && !batch->work)
		r = try_batch(l, batch, room);
	if (r < 0 || !room)
		settle_rest(l, batch, r);
}

/* ---- the queue; all of these need the lock ---- */

static void enqueue(struct ledger *l, struct entry *e)
{
	e->next = NULL;
	if (l->tail)
		l->tail->next = e;
	else
		l->head = e;
	l->tail = e;
}

/* Cut up to BATCH entries off the head, or work alone. */
static struct entry *take_batch(struct ledger *l)
{
	struct entry *first = l->head, *last = first;

	for (int n = 1; n < BATCH && last->next; n++) {
		if (first->work || last->next->work)
			break;
		last = last->next;
	}
	l->head = last->next;
	if (!l->head)
		l->tail = NULL;
	last->next = NULL;
	return first;
}

static void finish_batch(struct entry *batch)
{
	while (batch) {
		/* The entry may be gone once its owner sees DONE, which it
		 * can't before we give up the lock. */
		struct entry *e = batch;

		batch = e->next;
		e->state = DONE;
		pthread_cond_signal(&e->moved);
	}
}

static void pass_lead(struct ledger *l)
{
	l->led = l->head != NULL;
	if (!l->head)
		return;
	l->head->state = LEADING;
	pthread_cond_signal(&l->head->moved);
}

static void lead(struct ledger *l)
{
	struct entry *batch = take_batch(l);

	pthread_mutex_unlock(&l->lock);

	write_batch(l, batch);

	pthread_mutex_lock(&l->lock);
	finish_batch(batch);
	pass_lead(l);
}

/* Without the lock: store an entry, or say why not. */
static int submit(struct ledger *l, struct entry *e)
{
	pthread_cond_init(&e->moved, NULL); /* cannot fail on Linux */
	pthread_mutex_lock(&l->lock);
	enqueue(l, e);
	e->state = l->led ? QUEUED : LEADING;
	l->led = true;
	while (e->state == QUEUED)
		pthread_cond_wait(&e->moved, &l->lock);
	if (e->state == LEADING)
		lead(l);
	pthread_mutex_unlock(&l->lock);
	pthread_cond_destroy(&e->moved);
	return e->result;
}

/* ---- the interface ---- */

static void tell_clerk(struct ledger *l, const struct entry *e, int result)
{
	const struct alert_attempt x = {
		.attempt = e->attempt,
		.proc = e->proc,
		.seq = e->effect.seq,
		.at = e->at,
	};

	if (result < 0) {
		if (result != -EAGAIN) /* that one comes again */
			metrics_add(&l->metrics->lost, 1);
		return;
	}
	if (e->effect.folded)
		metrics_add(&l->metrics->folded, 1);
	else if (e->effect.seq == 0)
		metrics_add(&l->metrics->gap, 1);
	clerk_attempt(l->clerk, &x, (uint64_t)(store_now().boot - e->at.boot));
}

int ledger_attempt(struct ledger *l, const struct ledger_attempt *a,
	uint64_t *ret_delay_ns)
{
	struct entry e = {.attempt = a, .at = store_now()};

	assert((unsigned)a->op < LEDGER_OP_COUNT && a->error > 0 && a->path &&
		a->rule);
	e.proc = proc_find(l->procs, a->tid);

	int r = submit(l, &e);
	uint64_t delay = budget_charge(
		l->budget, e.proc, e.effect.bytes, (uint64_t)store_now().boot);

	tell_clerk(l, &e, r);
	if (delay > 0) {
		metrics_add(&l->metrics->delayed, 1);
		metrics_add(&l->metrics->delayed_ns, delay);
	}
	proc_unref(e.proc);
	if (ret_delay_ns)
		*ret_delay_ns = delay;
	return r;
}

int ledger_event(struct ledger *l, enum ledger_event kind, const char *path,
	const char *text)
{
	struct store_event event = {
		.kind = kind, .path = path, .text = text, .count = 1};
	struct entry e = {.event = &event, .at = store_now()};
	int r = submit(l, &e);

	if (r == 0)
		metrics_add(&l->metrics->events[kind], 1);
	clerk_notice(l->clerk);
	return r;
}

bool ledger_is_halted(const struct ledger *l)
{
	return full_is_halted(l->full);
}

int ledger_work(struct ledger *l, work_fn fn, void *arg)
{
	struct entry e = {.work = fn, .work_arg = arg};

	return submit(l, &e);
}

/* What was created for nothing is removed again. */
static int open_store(struct ledger *l, const struct ledger_mount *mount,
	const struct ledger_options *opt, struct start *found,
	struct diag *diag)
{
	int r = start_check(l->claim.path, opt->recover, found, diag);
	const struct store_options store = {
		.fsync = opt->fsync,
		.mend = found->mend,
		.recover = opt->recover,
	};

	if (r == 0)
		r = store_open(l->claim.path, &store, &l->store, diag);
	if (r == 0) {
		r = claim_check(&l->claim, diag);
		if (r < 0)
			return r;
		r = full_open(l->claim.path, opt, l->store, &l->full, diag);
	}
	if (r == 0)
		r = store_start(l->store, mount, diag);
	if (r < 0) {
		full_close(take_ptr(l->full));
		store_close(take_ptr(l->store));
		claim_undo(&l->claim);
	}
	return r;
}

/* What needs no file. */
static int make_parts(struct ledger *l, const struct ledger_mount *mount,
	const struct ledger_options *opt, struct diag *diag)
{
	const struct proc_options procs = {
		.exe_digest = opt->exe_digest,
		.exe_digest_arg = opt->exe_digest_arg,
	};
	const struct budget_options budget = {
		.process_rate = opt->process_rate,
		.group_rate = opt->group_rate,
	};
	int r = budget_new(&budget, &l->budget);

	if (r == 0)
		r = proc_table_new(&procs, &l->procs);
	if (r == 0)
		r = metrics_new(mount, &l->metrics);
	return r < 0 ? diag_errno(diag, r, "ledger %s", l->claim.path) : 0;
}

/* The clerk before the store: what is wrong with its places is said before
 * anything is written. */
static int make_clerk(struct ledger *l, const struct ledger_mount *mount,
	const struct ledger_options *opt, struct diag *diag)
{
	const struct clerk_options clerk = {
		.ledger = l,
		.mount = mount,
		.ledger_options = opt,
		.pace = opt->pace,
		.metrics = l->metrics,
		.path = l->claim.path,
	};

	return clerk_new(&clerk, &l->clerk, diag);
}

int ledger_open(const char *path, const struct ledger_mount *mount,
	const struct ledger_options *opt, struct ledger **ret,
	struct diag *diag)
{
	_cleanup_(ledger_close) struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return diag_errno(diag, -ENOMEM, "ledger %s", path);
	l->claim.lock = -1;
	pthread_mutex_init(&l->lock, NULL); /* cannot fail on Linux */

	struct start found = {0};
	int r = claim_init(&l->claim, path, diag);

	if (r < 0)
		return r;
	r = make_parts(l, mount, opt, diag);
	if (r == 0)
		r = make_clerk(l, mount, opt, diag);
	if (r < 0)
		claim_undo(&l->claim);
	else
		r = open_store(l, mount, opt, &found, diag);
	if (r == 0)
		r = clerk_begin(l->clerk, l->store, &found, diag);
	start_done(&found);
	if (r < 0)
		return r;
	*ret = take_ptr(l);
	return 0;
}

/* Also the losses that no transaction could tell of any more. */
static void end_mount(struct ledger *l)
{
	struct store_event end = {.kind = LEDGER_EVENT_UNMOUNT,
		.text = "the mount ended",
		.count = 1};
	struct store_time now = store_now();
	int r = store_begin(l->store);

	if (r == 0)
		r = store_lost(l);
	if (r == 0)
		r = full_settle(l->full);
	if (r == 0)
		r = store_close_folds(l->store, now.boot, true);
	if (r == 0)
		r = store_event(l->store, &end, &now);
	if (r == 0)
		r = store_commit(l->store);
	/* A disk that is still full: the mount stays without an end, as after
	 * a crash. */
	if (r < 0) {
		store_abort(l->store);
		return;
	}
	l->lost = (struct lost){0};
	full_settled(l->full);
}

void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	if (l->clerk)
		clerk_stop(l->clerk);
	assert(!l->head && !l->led); /* no call is under way */
	if (l->store && store_mount_id(l->store))
		end_mount(l);
	if (l->clerk)
		clerk_finish(l->clerk);
	clerk_free(l->clerk);
	full_close(l->full);
	store_close(l->store);
	proc_table_free(l->procs);
	budget_free(l->budget);
	claim_done(&l->claim);
	metrics_free(l->metrics);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
