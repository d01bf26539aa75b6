/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of the writing side of a ledger: store.c opens and makes
 * transactions, rows.c writes rows that stay, folding.c those of floods,
 * store_left.c goes on with those of a dead writer;
 * sealing.h is the tree, digests.h what its leaves refer to, fold.h the folds
 * in memory. All of it belongs to the one writer.
 */
#ifndef FS_LEDGER_STORE_INTERNAL_H
#define FS_LEDGER_STORE_INTERNAL_H

#include "fs/db/db.h"
#include "fs/ledger/digests.h"
#include "fs/ledger/fold.h"
#include "fs/ledger/names.h"
#include "fs/ledger/record.h"
#include "fs/ledger/sealing.h"
#include "fs/ledger/store.h"
#include "fs/ledger/sweep.h"
#include "fs/ledger/tally.h"

struct store {
	char *path; /* for messages */
	struct db *db;
	int wal;      /* a descriptor of our own, to sync it */
	int64_t mend; /* see store_options, as recover */
	bool recover;
	struct digests *digests;
	struct sealing *sealing;
	struct hasher *hasher;
	struct record record; /* the row that is being written */
	struct names_packer *packer;
	struct folds folds;
	bool fsync;
	struct tally *tally; /* NULL: each attempt is synced */
	int64_t flushed;     /* CLOCK_BOOTTIME: no fold was ahead of its row */
	int64_t busy_until;  /* as in struct proc, of callers not known */

	int64_t mount; /* row of this mount; 0: not begun */
	struct digest mount_digest;
	int64_t last_proc;     /* row, committed */
	int64_t last_proc_now; /* with the open transaction */
	struct proc **fresh;   /* references to what it has entered */
	size_t fresh_count, fresh_cap;
	struct sweep sweep; /* those that have a row */

	struct db_stmt *begin, *commit;
	struct db_stmt *add_mount, *add_proc, *add_node, *add_attempt,
		*add_event; /* rows.c */
	struct db_stmt *add_fold, *update_fold, *close_fold, *start_of_fold,
		*drop_fold, *add_name, *update_name, *drop_names,
		*read_names; /* folding.c */
};

/* A row of the table attempt, but for its number; or of the table fold. */
struct attempt_row {
	int64_t mount, proc; /* proc 0: not known */
	struct store_time at;
	const struct ledger_attempt *what; /* path is not looked at */
	const char *path, *path2;	   /* path2 may be NULL */
	size_t path_len;
	bool has_ino, has_parent_ino; /* what->ino is one of these */
	int64_t count, targets;
	int64_t t_last;	      /* of more than one */
	const uint8_t *times; /* TIMES_LEN bytes, or NULL */
};

/* ---- rows.c; 0 or -errno, in a transaction ---- */

int rows_prepare(struct store *s) must_check;
void rows_done(struct store *s);

/* The row of this mount. */
int rows_add_mount(struct store *s, const struct ledger_mount *m) must_check;

/* A process and those of its ancestors that have no row yet; adds to *bytes
 * what that costs. */
int rows_add_proc(struct store *s, struct proc *p, uint64_t *bytes) must_check;
void rows_commit_procs(struct store *s);
void rows_abort_procs(struct store *s);

/* The row of an attempt's target, unless it has one; it has facts. */
int rows_add_node(struct store *s, const struct ledger_attempt *a,
	struct digest *ret, uint64_t *bytes) must_check;

/* An attempt as a record of its own. */
int rows_add_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc,
	uint64_t *bytes) must_check;

/* The columns that attempt and fold have in common. */
void rows_put_attempt(struct record *r, const struct attempt_row *a);

int rows_add_event(struct store *s, const struct store_event *e,
	const struct store_time *at) must_check;

/* ---- store_left.c ---- */

/* Make records of the folds that are left, each in a transaction. -EBADMSG when
 * one is damaged, but with recover those are let be. */
int left_close(struct store *s, struct diag *why) must_check;

/* In a transaction: drop the folds that are still left, and record what could
 * be read of them. */
int left_drop(struct store *s) must_check;

/* ---- folding.c ---- */

int folding_prepare(struct store *s) must_check;
void folding_done(struct store *s);

/* Does this process try so fast that its attempts are folded? Counts one. */
bool folding_is_flood(
	struct store *s, struct proc *proc, const struct store_time *at);

/*
 * Put an attempt of a flood into a fold: 1; 0 when it is to be a row of its
 * own; -errno.
 */
int folding_add(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc,
	uint64_t *bytes) must_check;

/*
 * Count an attempt that is nothing but a repeat of what an open fold has, in no
 * transaction; false when it is more than that, or the database has to follow
 * first. Then folding_tally, which keeps all that was counted so: 0 or -errno.
 */
bool folding_repeat(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc) must_check;
int folding_tally(struct store *s) must_check;

/* Write what the transaction has changed of open folds, and what the tally is
 * ahead; when it is committed, folding_flushed. */
int folding_flush(struct store *s) must_check;
void folding_flushed(struct store *s);

/* Make records of folds: of one in memory, of all whose time is over (or all),
 * of one that an earlier writer left behind. */
int folding_close(struct store *s, struct fold *f) must_check;
int folding_close_due(struct store *s, int64_t boot, bool all) must_check;
int folding_close_row(struct store *s, int64_t id) must_check;

#endif
