/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a ledger counts for those who watch it, and the text that OpenMetrics
 * has for that. Counters only grow, from 0 at each start of the mount; the
 * ledger itself is what is complete.
 *
 * Every function is thread-safe. Counting costs an atomic addition.
 */
#ifndef FS_LEDGER_METRICS_H
#define FS_LEDGER_METRICS_H

#include <stdatomic.h>

#include "fs/base/buf.h"
#include "fs/ledger/ledger.h"

#define METRICS_RULES 64	 /* told apart; the rest is "(other)" */
#define METRICS_PLACES 16	 /* anchors told apart; more are not shown */
#define METRICS_MAX (256u << 10) /* bytes of the text */

typedef _Atomic uint64_t metrics_count;

struct metrics_rule {
	_Atomic(char *) name; /* owned; NULL: this one and the rest are free */
	metrics_count ops[LEDGER_OP_COUNT];
};

/* A place that checkpoints are anchored in. */
struct metrics_place {
	const char *name;   /* as given; borrowed */
	metrics_count done; /* checkpoints */
	metrics_count failed;
	_Atomic int64_t last; /* CLOCK_REALTIME, ns; 0: none yet */
};

struct metrics {
	struct metrics_rule rules[METRICS_RULES]; /* attempts */
	metrics_count other[LEDGER_OP_COUNT];	  /* of rules beyond these */
	metrics_count folded; /* attempts that share a record with others */
	metrics_count delayed, delayed_ns;
	metrics_count gap;  /* attempts that were only counted */
	metrics_count lost; /* attempts answered with an error */
	metrics_count events[LEDGER_EVENT_COUNT];
	metrics_count alerts_sent, alerts_failed;
	metrics_count alerts_suppressed; /* by the rate limit */
	metrics_count alerts_dropped;	 /* the queue was full */
	metrics_count clock_steps;
	metrics_count seal_failed; /* checkpoints that could not be made */

	/* The longest that an attempt waited for its commit, in ns: since the
	 * last turn, and in the whole interval before that. */
	metrics_count wait_now, wait_last;

	_Atomic uint64_t records; /* size of the tree */
	_Atomic uint64_t checkpoint_size;
	_Atomic int64_t checkpoint_time; /* CLOCK_REALTIME, ns; 0: none yet */
	_Atomic uint64_t key_number;
	_Atomic uint64_t bytes; /* of the ledger's files */

	struct metrics_place places[METRICS_PLACES]; /* set at the start */
	size_t place_count;

	const char *mount_point, *version; /* borrowed; or NULL */
	struct digest image_id;
};

/* NULL when out of memory. Strings of the mount are borrowed. */
struct metrics *metrics_new(const struct ledger_mount *mount) must_check;
void metrics_free(struct metrics *m); /* NULL is allowed */
DEFINE_CLEANUP(metrics_free, struct metrics *);

/* Before any other thread knows m. NULL when there are too many. */
struct metrics_place *metrics_add_place(
	struct metrics *m, const char *name) must_check;

static inline void metrics_add(metrics_count *c, uint64_t n)
{
	(void)atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

/* An attempt is stored. The rule's name is copied when it is a new one. */
void metrics_attempt(struct metrics *m, enum ledger_op op, const char *rule);

/* An attempt waited so long for its commit. */
void metrics_wait(struct metrics *m, uint64_t ns);

/* All attempts so far. */
uint64_t metrics_attempts(const struct metrics *m) must_check;

/* An interval ends: what was the longest wait in it is what the text tells. */
void metrics_turn(struct metrics *m);

/*
 * Append the text, "# EOF" at its end; now is CLOCK_REALTIME. 0, -E2BIG or
 * -ENOMEM.
 */
int metrics_print(
	const struct metrics *m, int64_t now, struct buf *ret) must_check;

#endif
