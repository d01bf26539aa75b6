/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of verify share: verify.c walks the records, verify_tree.c
 * keeps the tree, verify_seal.c checks what is signed, verify_unsigned.c what
 * is not, verify_end.c judges what is left over, verify_find.c tells of it.
 */
#ifndef FS_AUDIT_VERIFY_INTERNAL_H
#define FS_AUDIT_VERIFY_INTERNAL_H

#include "fs/audit/rows.h"
#include "fs/audit/verify.h"
#include "fs/ledger/ledger.h"
#include "fs/seal/keyfile.h"
#include "fs/seal/merkle.h"

/*
 * The tree as the records have it, and as the tiles have it. Nearly always they
 * are one; when a record and its tile differ, both are carried on to the next
 * signed root, which says which of them is right.
 */
struct verify_side {
	bool known; /* false: a leaf was not to be had */
	struct merkle tree;
};

enum verify_tile_state {
	VERIFY_TILE_NONE,    /* there is no usable one */
	VERIFY_TILE_FULL,    /* with its leaves */
	VERIFY_TILE_REMOVED, /* with its root alone: retention */
};

struct verify_tile {
	bool loaded;
	uint64_t n;
	enum verify_tile_state state;
	struct digest root;
	struct digest leaves[MERKLE_TILE];
};

/* Records that differ from their tile, or are gone: missing, or changed into
 * what no record can be. */
struct verify_doubt {
	bool gone;
	uint64_t first, last;
};

struct verify_tree {
	uint64_t size; /* leaves so far */
	struct verify_side rows, tiles;
	bool split; /* else tiles is not kept */
	/*
	 * A mount that goes on behind records that are gone (--recover) signs
	 * a leaf of no bytes for each; so that is what may stand there.
	 */
	struct digest nothing;
	bool holes; /* in rows, since the last good root */
	struct verify_tile tile;
	struct verify_doubt doubts[VERIFY_TOLD];
	size_t doubt_count;
	uint64_t doubts_more;

	uint64_t good;	    /* the last size whose signed root was right */
	uint64_t bad;	    /* the first one after it that was wrong */
	uint64_t bad_count; /* 0: bad says nothing */
};

/* A row of a table that is read beside the records. */
struct verify_beside {
	struct db_stmt *stmt;
	bool at_row;
	int64_t size; /* of the row */
};

/* Of the records after the last good signature. Times are CLOCK_BOOTTIME. */
struct verify_unsigned {
	int64_t mount;	   /* whose records come last */
	bool begins;	   /* so does its beginning */
	int64_t latest;	   /* of that mount */
	int64_t span;	   /* that it worked */
	int64_t longest;   /* of all mounts */
	uint64_t answered; /* an attempt of a mount that begins there; or 0 */
};

struct verify {
	const char *path;
	const struct verify_options *opt;
	const struct verify_hooks *hooks;
	struct verify_result *ret;
	struct diag *diag;

	struct db *db;
	struct digests *digests;
	struct rows *rows;
	struct hasher *hasher;
	struct db_stmt *tile_stmt, *before_stmt, *after_stmt;
	struct verify_tree tree;

	/* The walk. */
	bool has_row;
	struct row row;	 /* the next one */
	struct row last; /* the one before; kind and text are not kept */
	uint64_t progress_total;
	int64_t pruned_to; /* the last record that retention tells of */
	uint64_t removed_first, removed_last;
	struct verify_unsigned open;
	bool unborn; /* no writer came as far as to have a key */

	/* Seals. */
	struct verify_beside checkpoint, epoch;
	struct note_key key; /* that signs now */
	bool has_key, trusted;
	int64_t epoch_size; /* where the key before began */
	uint64_t sealed;    /* the last size with a good signature */
	bool has_sealed;
	bool own; /* a good checkpoint of the current size was seen */
	struct digest own_root;
	size_t expect_next;
	uint64_t beyond; /* the largest size known from elsewhere, if so */
	const char *beyond_what;

	/* The key file, read before the transaction began. */
	bool has_keyfile, keyfile_done;
	struct keyfile keyfile;
};

/* ---- verify.c ---- */

bool verify_is_event(const struct row *row, enum ledger_event kind);

/* ---- verify_find.c ---- */

struct verify_about {
	uint64_t first, last; /* records; 0: none */
	bool has_checkpoint;
	uint64_t checkpoint;
};

/* Count a finding and, when not too many of its kind were, tell of it. */
void verify_find(struct verify *v, enum verify_kind kind,
	const struct verify_about *about, const char *fmt, ...)
	format_like(4, 5);

/* ---- verify_tree.c ---- */

void verify_tree_begin(struct verify *v);
/* Have the tile of the next leaf at hand. 0 or -errno. */
int verify_tree_load(struct verify *v) must_check;
/* Append the leaf of a record, NULL when it is missing or can be none. */
void verify_tree_add(struct verify *v, const struct digest *leaf);
/* Append the tile at hand, whose records were removed. */
void verify_tree_add_removed(struct verify *v);
/* Go on after records that are missing and have no tile. */
void verify_tree_skip(struct verify *v, uint64_t size);

enum verify_match { VERIFY_SAME, VERIFY_OTHER, VERIFY_UNKNOWN };

/*
 * Hold a root that is truly signed against the tree as it is now. When it is
 * another, the ledger's own makes the records wrong; one from elsewhere is for
 * the caller to judge.
 */
enum verify_match verify_tree_root(
	struct verify *v, const struct digest *root, bool own);
/* Tell of what no signed root has decided. */
void verify_tree_end(struct verify *v);

/* ---- verify_seal.c ---- */

int verify_seal_begin(struct verify *v) must_check;
/* Check all that is signed for sizes up to that of the tree. 0 or -errno. */
int verify_seal_reach(struct verify *v) must_check;
/* The same for all larger sizes, when there are no more records. */
int verify_seal_rest(struct verify *v) must_check;

/* ---- verify_end.c ---- */

/* Is a mount writing? Looks at the lock beside the ledger. */
bool verify_writer(const char *path);
/* Read the key file that the options name. 0 or -errno. */
int verify_keyfile(struct verify *v) must_check;
/* After the last record: what points beyond it, and what is not signed. */
int verify_end(struct verify *v) must_check;

/* ---- verify_unsigned.c ---- */

/* The next record, before it is in the tree. */
void verify_unsigned_add(struct verify *v, const struct row *row);
/* After the last one. 0 or -errno. */
int verify_unsigned_end(struct verify *v) must_check;

#endif
