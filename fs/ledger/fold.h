/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open folds in memory: attempts of a flood that are equal in everything but
 * their target and their time, and will be one record. What is here mirrors
 * the tables fold and fold_name (folding.h), so that a repeat is found without
 * asking the database; nothing here knows the database.
 *
 * Changes belong to a transaction: folds_commit keeps them, folds_abort puts
 * everything back as it was, which cannot fail. The list of what is touched
 * tells which rows to write in between.
 *
 * Belongs to the writer. Memory is bounded: FOLD_MAX folds, FOLD_BYTES_MAX
 * bytes of targets in all of them.
 */
#ifndef FS_LEDGER_FOLD_H
#define FS_LEDGER_FOLD_H

#include "fs/base/buf.h"
#include "fs/ledger/ledger.h"
#include "fs/ledger/store.h"
#include "fs/ledger/times.h"

#define FOLD_MAX 256
#define FOLD_BYTES_MAX (16u << 20)
#define FOLD_SET 8 /* kinds of attempts remembered under one hash */
#define FOLD_IDLE_NS INT64_C(1000000000)
#define FOLD_AGE_NS INT64_C(10000000000)

/* What the attempts of a fold have in common. Numbers that were not given are
 * 0; one of the numbers says which were. */
struct fold_key {
	int64_t numbers[16];
	const char *rule, *xattr; /* borrowed; xattr may be NULL */
	uint64_t hash;
};

struct fold_target {
	size_t path, path2; /* where in the fold's text, NUL at the end */
	uint64_t hash;
	uint64_t ino;
	bool has_path2, ino_is_parent;
	int64_t count, t_first, t_last;
	/* Since the last transaction: as it was, and the next one like it. */
	bool dirty;
	int64_t count_was, t_last_was;
	uint32_t next_dirty; /* number + 1; 0: the last */
};

/* What a transaction changes, small enough to be kept twice. */
struct fold_state {
	int64_t count;
	int64_t t_last, last_boot; /* of the last attempt, by both clocks */
	uint32_t targets;
	size_t text_len;
	/* The folder that all targets are in, or are: so many bytes of the
	 * path of the first one. */
	size_t common;
	struct times times;
};

struct fold {
	int64_t id;	   /* in table fold */
	int64_t proc_id;   /* 0: not known */
	struct proc *proc; /* a reference, or NULL; the caller sets it */
	bool has_node;	   /* the first target is in table node */
	struct store_time first;
	struct fold_key key;
	char *rule, *xattr;	    /* owned, for key and what */
	struct ledger_attempt what; /* the first one, without its paths */
	struct fold_state now, was; /* was: as committed, when touched */
	struct buf text;	    /* paths of targets */
	struct fold_target *targets;
	uint32_t capacity;
	uint16_t *index; /* open hash of numbers + 1; NULL for one target */
	uint32_t dirty;	 /* number + 1 of a target; 0: none */
	uint32_t rows;	 /* of its targets in table fold_name */
	bool stored;	 /* its row is in table fold */
	bool ahead;	 /* of that row: tally.h has the counts */
	unsigned slot;	 /* there, + 1; 0: none yet */
	bool touched, closed;
	struct fold *next_touched;
};

struct folds {
	struct fold *open[FOLD_MAX];
	unsigned count;
	struct fold *touched;
	size_t bytes;	      /* of all targets */
	int64_t last_id;      /* in table fold */
	bool slots[FOLD_MAX]; /* places in the tally that are taken */
	uint64_t seen[256][FOLD_SET];
};

void folds_done(struct folds *fs);

/* Attempts to set times to the current one are equal, whenever they come. */
void fold_key_of(const struct ledger_attempt *a, const struct store_time *at,
	int64_t proc_id, struct fold_key *ret);

/* The open fold of a key, or NULL. */
struct fold *folds_find(
	const struct folds *fs, const struct fold_key *key) must_check;

/*
 * Did an attempt like this come before, as far as we remember? Only then is a
 * fold worth its rows: attempts of which no two are equal (utimes with the
 * current time) would each open one, and close another.
 */
bool folds_met(struct folds *fs, const struct fold_key *key) must_check;

/* A new fold with the first attempt in it; there must be fewer than FOLD_MAX.
 * 0 or -ENOMEM. */
int folds_open(struct folds *fs, const struct fold_key *key,
	const struct ledger_attempt *a, const struct store_time *at,
	struct fold **ret) must_check;

/* May this attempt still go in, or is the fold too old or too full? */
bool fold_takes(const struct fold *f, const struct ledger_attempt *a,
	const struct store_time *at);

/* Put another attempt in; *ret_new: its target is a new one. 0 or -ENOMEM. */
int folds_add(struct folds *fs, struct fold *f, const struct ledger_attempt *a,
	const struct store_time *at, bool *ret_new) must_check;

/* Is this one more attempt on the one target that a fold has? */
bool fold_repeats(const struct fold *f, const struct ledger_attempt *a);

/* The place of a fold in the tally. */
unsigned folds_slot(struct folds *fs, struct fold *f);

/* It is a record now. */
void folds_close(struct folds *fs, struct fold *f);

/* The one that was quiet for longest, or NULL; and one whose time is over. */
struct fold *folds_oldest(const struct folds *fs) must_check;
struct fold *folds_due(const struct folds *fs, int64_t boot) must_check;

void folds_commit(struct folds *fs);
void folds_abort(struct folds *fs);

/* Path of target n, and how long it is. */
const char *fold_path(const struct fold *f, uint32_t n, size_t *ret_len);
const char *fold_path2(const struct fold *f, uint32_t n); /* or NULL */

/* The path of the whole: of its one target, or the folder of all. */
const char *fold_place(const struct fold *f, size_t *ret_len);

#endif
