/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one thread that a ledger has beside those of its callers. It closes folds
 * that are over, makes checkpoints and changes of keys, gives signs of life,
 * notices when the clock is set, removes what is too old to be kept, and passes
 * on what others want to know: anchors, alerts, metrics. No attempt ever waits
 * for it.
 *
 * The order of a checkpoint is the point of it:
 *
 *	rows are committed; the log of the database is synced;
 *	the root is signed; its row is committed; the log is synced;
 *	the key file remembers it; it is anchored.
 *
 * So a checkpoint that anybody has seen is in the ledger, with all records that
 * it vouches for, also after a power failure; and one that is missing there was
 * taken out.
 *
 * It sleeps while nothing happens, until a sign of life is due.
 */
#ifndef FS_LEDGER_CLERK_H
#define FS_LEDGER_CLERK_H

#include "fs/base/diag.h"
#include "fs/ledger/alert.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/metrics.h"
#include "fs/ledger/start.h"
#include "fs/ledger/store.h"

/* How often things happen, in nanoseconds; 0: as usual. For tests. */
struct clerk_pace {
	int64_t tick;		/* while something is new or open: 250 ms */
	int64_t checkpoint;	/* while records are added: 5 s */
	int64_t heartbeat;	/* without a checkpoint: 60 s */
	int64_t epoch;		/* of a key, when attempts came: 600 s */
	int64_t epoch_longest;	/* 24 h */
	uint64_t epoch_records; /* 100,000 */
	int64_t prune;		/* look for what is too old to keep: 60 s */
	int64_t alarm;		/* between two about one place: 60 s */
	int64_t program;	/* time of a program: HOOK_SECONDS */
	int64_t alert;		/* quiet after an alert: ALERT_SECONDS */

	/* What time it is; NULL: store_now. Any thread. */
	struct store_time (*now)(void *arg);
	void *arg;
};

struct clerk_options {
	struct ledger *ledger;		  /* borrowed, as all that follows */
	const struct ledger_mount *mount; /* copied: clerk_new's time is enough
					   * for its strings */
	const struct ledger_options *ledger_options;
	const struct clerk_pace *pace; /* or NULL */
	struct metrics *metrics;
	const char *path; /* of the ledger */
};

struct clerk;

/* Prepare: nothing is written but the metrics. Errors as anchors_new,
 * alerts_new and scrape_new. */
int clerk_new(const struct clerk_options *opt, struct clerk **ret,
	struct diag *diag) must_check;

/*
 * Go on with a ledger as start_check has found it (its key is taken over): make
 * keys for a new one, record what there is to tell, make a checkpoint, and
 * start the thread. store is for its syncs. 0 or -errno.
 */
int clerk_begin(struct clerk *c, struct store *store, struct start *found,
	struct diag *diag) must_check;

/* An attempt was committed, after waiting so long; or anything else. Any
 * thread; costs next to nothing. */
void clerk_attempt(
	struct clerk *c, const struct alert_attempt *x, uint64_t waited_ns);
void clerk_notice(struct clerk *c);

/* End the thread. The ledger may then write its last records. */
void clerk_stop(struct clerk *c);

/* Make the last checkpoint and let the programs that are told of it end, for a
 * bounded time; only then may the store be closed. */
void clerk_finish(struct clerk *c);

/* After clerk_finish, or without clerk_begin. NULL is allowed. */
void clerk_free(struct clerk *c);
DEFINE_CLEANUP(clerk_free, struct clerk *);

#endif
