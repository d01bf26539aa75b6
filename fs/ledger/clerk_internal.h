/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the clerk share: clerk.c the thread, clerk_seal.c
 * checkpoints and keys, clerk_begin.c the start, clerk_events.c what it records
 * of its own. All of it is the clerk's thread's, or that of who starts and ends
 * it, unless said otherwise.
 */
#ifndef FS_LEDGER_CLERK_INTERNAL_H
#define FS_LEDGER_CLERK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "fs/base/boot.h"
#include "fs/ledger/anchor.h"
#include "fs/ledger/clerk.h"
#include "fs/ledger/scrape.h"
#include "fs/seal/merkle.h"

#define CLERK_TEXT_MAX (16u << 10) /* bytes of the text of an event */

/* About what an alarm was recorded, and when. */
struct clerk_alarm {
	const char *place; /* a static string or one of the options */
	int64_t boot;
};

struct clerk {
	struct ledger *ledger;
	struct store *store; /* for store_sync alone */
	struct metrics *metrics;
	struct clerk_pace pace;
	char *path, *mount_point; /* owned */
	char image_id[DIGEST_HEX_LEN + 1];
	char policy[DIGEST_HEX_LEN + 1]; /* "": there is none */
	char boot_id[BOOT_ID_ROOM];
	int64_t started; /* CLOCK_BOOTTIME */

	bool has_key;
	struct keyfile key;
	bool changing; /* the next key is in the ledger, but not yet the one */
	uint64_t changed_at;	 /* then: size of the tree */
	uint64_t epoch_size;	 /* of the tree when this key began */
	int64_t epoch_boot;	 /* when that was */
	uint64_t epoch_attempts; /* what had been counted then */

	struct alert_checkpoint last; /* the last one that is safe on disk */
	int64_t last_boot;	      /* when it was made, or last tried */
	uint64_t grown;		      /* size of the tree, last seen */
	bool open;		      /* there are open folds */
	struct store_time clock;      /* last looked at */
	int64_t metrics_boot;	      /* metrics were last written */
	int64_t keep;	    /* records that are older go, ns; 0: none */
	int64_t prune_boot; /* they were last looked for */
	struct clerk_alarm alarms[METRICS_PLACES * 2];

	struct anchors *anchors;
	struct alerts *alerts;
	struct scrape *scrape;

	int epoll, wake, clock_set; /* an eventfd; a timerfd that is readable
				     * when the clock was set */
	bool begun;		    /* there are keys, and a store */
	bool running;		    /* there is a thread */
	pthread_t thread;
	atomic_bool stop;  /* set by who ends it */
	atomic_bool awake; /* false: it sleeps; who writes must wake it */
};

struct store_time clerk_now(const struct clerk *c);

/* ---- clerk_seal.c ---- */

/*
 * Make a checkpoint of all that is committed and hand it on; nothing to do when
 * there is one of this size. Changes the key when its time is over. A failure
 * is recorded as an alarm. 0 or -errno.
 */
int clerk_seal(struct clerk *c, const struct store_time *now) must_check;

/*
 * Begin a new epoch at this state of the tree: hand over from the present key
 * to the next. At and together with it, extra (or NULL) is run in the same
 * transaction. 0 or -errno.
 */
int clerk_hand_over(struct clerk *c, const struct alert_checkpoint *at,
	int (*extra)(struct store *s, void *arg), void *arg) must_check;

/* Insert a row of table epoch; note may be NULL. */
struct clerk_epoch {
	uint64_t number;
	const struct note_key *key;
	uint64_t size;
	const struct buf *note;
};
int clerk_add_epoch(struct store *s, const struct clerk_epoch *e) must_check;

/* An epoch of the present key began now. */
void clerk_epoch_began(struct clerk *c, uint64_t size);

/* ---- clerk_begin.c ---- */

/* Go on with what start_check has found, up to the first checkpoint. */
int clerk_begin_ledger(
	struct clerk *c, struct start *found, struct diag *diag) must_check;

/* ---- clerk_events.c ---- */

/* Something failed: record it, at most once in a while for each place, which
 * is a string that lives as long as the clerk. */
void clerk_alarm(struct clerk *c, const char *place, const char *why);

/* Record a sign of life. 0 or -errno. */
int clerk_heartbeat(struct clerk *c, const struct store_time *now) must_check;

/* Record when the wall clock was set since this was last asked. */
void clerk_look_at_clock(struct clerk *c, const struct store_time *now);

/* The text of a RECOVERY event. */
int clerk_recovery_text(const struct start *found, struct buf *ret) must_check;

#endif
