/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the database: rows, folds and the tree over them, for
 * ledger.c and what works behind it. Used by one thread at a time.
 */
#ifndef FS_LEDGER_STORE_H
#define FS_LEDGER_STORE_H

#include "fs/ledger/ledger.h"
#include "fs/seal/merkle.h"
#include "fs/who/proc.h"

struct store;

/* A moment by both clocks, nanoseconds. */
struct store_time {
	int64_t real; /* CLOCK_REALTIME */
	int64_t boot; /* CLOCK_BOOTTIME */
};

struct store_time store_now(void);

/* An event as it is stored. */
struct store_event {
	enum ledger_event kind;
	const char *path; /* or NULL */
	const char *text;
	int64_t count;
};

struct store_options {
	bool fsync; /* a commit survives power loss */

	/* Records up to this number may be missing, as an earlier recovery has
	 * recorded; SEALING_MEND_ALL: recover now. */
	int64_t mend;

	/* Drop folds that are damaged, and record that. */
	bool recover;
};

/*
 * Open the database at path, which exists (claim.h), make the tables if it is
 * empty, and find its tree. Writes nothing else, so that somebody can look at
 * what is there before store_start. Errors as ledger_open.
 */
int store_open(const char *path, const struct store_options *opt,
	struct store **ret, struct diag *diag) must_check;

/*
 * Begin to write: make records of the folds that a dead writer left open, and
 * record the mount, as a row and as an event. Errors as ledger_open.
 */
int store_start(struct store *s, const struct ledger_mount *mount,
	struct diag *diag) must_check;

/* No transaction may be open. NULL is allowed. */
void store_close(struct store *s);
DEFINE_CLEANUP(store_close, struct store *);

/* What an attempt did to the ledger. */
struct store_effect {
	uint64_t bytes; /* it has added; 0 for a repeat in a fold */
	int64_t seq;	/* its number; 0: of a record that is still open */
	bool folded;	/* it shares a record with others */
};

/*
 * A transaction: begin, any rows, then commit. When one of these fails, abort;
 * then nothing of it is stored, and no number was used up. Attempts of a
 * process that tries more than 200 times a second are folded.
 */
int store_begin(struct store *s) must_check;
int store_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc,
	struct store_effect *ret) must_check;
int store_event(struct store *s, const struct store_event *e,
	const struct store_time *at) must_check;
int store_commit(struct store *s) must_check;
void store_abort(struct store *s);

/*
 * Attempts that only repeat what an open fold has need no transaction:
 * store_repeat counts one, false when it is more than that. Then either all of
 * them are kept (0 or -errno; as safe as a commit) or dropped.
 */
bool store_repeat(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc) must_check;
int store_keep_repeats(struct store *s) must_check;
void store_drop_repeats(struct store *s);

/*
 * In a transaction: make records of the folds whose time is over at a moment of
 * CLOCK_BOOTTIME (quiet for 1 s, or 10 s old), or of all of them. Of many that
 * are due some may stay for the next call, so that attempts need not wait. To
 * be called every second or so.
 */
int store_close_folds(struct store *s, int64_t boot, bool all) must_check;

/* How many are open. */
unsigned store_open_folds(const struct store *s);

/*
 * The disk is full: let the log start over in the space that it has, after
 * what it holds went to the file. Worth a second try when it gives 0.
 */
int store_reclaim(struct store *s) must_check;

/* ---- for who works with the database in a transaction (work.h) ---- */

struct db *store_db(struct store *s);
int64_t store_mount_id(const struct store *s);

/* The tree of what is committed: without the open transaction. */
const struct merkle *store_tree(const struct store *s);

/* Its root when it had so many leaves: 0; -ENOENT when it never had; -ENODATA
 * when the leaves that this takes were removed; -errno. */
int store_root_at(
	struct store *s, uint64_t size, struct digest *ret) must_check;

/*
 * What is committed now survives a power failure when this gives 0. Thread-safe
 * beside the writer, in no transaction: it syncs the log, through a descriptor
 * of its own. Nothing else is needed, since SQLite syncs the log before it
 * moves pages to the file, and the file before it begins the log anew.
 */
int store_sync(const struct store *s) must_check;

#endif
