/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The writing side of the database: prepared statements and row numbers, for
 * ledger.c. Used by one thread at a time.
 */
#ifndef FS_LEDGER_STORE_H
#define FS_LEDGER_STORE_H

#include "fs/ledger/ledger.h"
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

/*
 * Open the database at path, which exists (claim.h), make the tables if it is
 * empty, and record the mount. Errors as ledger_open.
 */
int store_open(const char *path, const struct ledger_mount *mount, bool fsync,
	struct store **ret, struct diag *diag) must_check;

/* No transaction may be open. NULL is allowed. */
void store_close(struct store *s);
DEFINE_CLEANUP(store_close, struct store *);

/*
 * A transaction: begin, any rows, then commit. When one of these fails, abort;
 * then nothing of it is stored, and no number was used up.
 */
int store_begin(struct store *s) must_check;
int store_attempt(struct store *s, const struct ledger_attempt *a,
	const struct store_time *at, struct proc *proc) must_check;
int store_event(struct store *s, const struct store_event *e,
	const struct store_time *at) must_check;
int store_commit(struct store *s) must_check;
void store_abort(struct store *s);

/*
 * The disk is full: let the log start over in the space that it has, after
 * what it holds went to the file. Worth a second try when it gives 0.
 */
int store_reclaim(struct store *s) must_check;

#endif
