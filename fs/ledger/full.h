/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens when there is no room for attempts: the ledger has reached the
 * size that it may have (max_bytes), or its disk is full. By on_full:
 *
 *	aggregate	attempts are counted in a gap (gap.h)
 *	block		nothing is answered; whoever asks again later may find
 *			room
 *	rotate		the oldest segments go (retain.h); while none may go,
 *			as aggregate
 *	halt		nothing is answered any more but EIO, until the end
 *
 * For more room the disk is asked again each second, and at the end. Events and
 * other work on the ledger go on past max_bytes, since they are few and tell of
 * this; for that an eighth of it is kept free of attempts, as is for the log.
 *
 * Belongs to the one writer, but for full_is_halted.
 */
#ifndef FS_LEDGER_FULL_H
#define FS_LEDGER_FULL_H

#include "fs/base/diag.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/store.h"

struct full;

/* path is the ledger's; the store must outlive it. Errors as gap_open and
 * those of the database. */
int full_open(const char *path, const struct ledger_options *opt,
	struct store *s, struct full **ret, struct diag *diag) must_check;
void full_close(struct full *f); /* NULL is allowed */
DEFINE_CLEANUP(full_close, struct full *);

/* Before a batch, in no transaction: 0 when attempts may be tried, else
 * -ENOSPC: there was no room a moment ago. Rotates when it has to. */
int full_room(struct full *f) must_check;

/* A transaction has failed with -ENOSPC: 0 when it may be tried again. */
int full_make_room(struct full *f) must_check;

/*
 * In a transaction: what was counted or is to be told meanwhile goes into the
 * ledger. When the transaction was committed, full_settled.
 */
int full_settle(struct full *f) must_check;
void full_settled(struct full *f);

/*
 * What becomes of an attempt that there is no room for: 0: it is counted, if
 * full_write after all of them gives 0; -EAGAIN: it has to wait; -EIO.
 */
int full_take(struct full *f, const struct ledger_attempt *a,
	const struct store_time *at) must_check;
int full_write(struct full *f) must_check;

/* Is there nothing that full_settle would write? */
bool full_is_settled(const struct full *f);

/* Is everything to be answered EIO? Thread-safe. */
bool full_is_halted(const struct full *f);

#endif
