/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a ledger what its writer wrote? Every record is hashed anew, from every
 * column, into the Merkle tree; the tree is held against the tiles, against
 * each signed checkpoint and change of keys, and against what is known from
 * elsewhere: a public key, checkpoints that were anchored, the key file.
 *
 * No signature covers the time of a checkpoint (which is therefore told from
 * the last record under it), the list of anchors, records that are still open
 * (folds), and rows of mount, proc and node that no record refers to.
 *
 * One read transaction sees a consistent state, also while a mount writes.
 * Everything read is hostile; memory is bounded, but for the checkpoints that
 * are expected (expect.h).
 */
#ifndef FS_AUDIT_VERIFY_H
#define FS_AUDIT_VERIFY_H

#include <stdbool.h>

#include "fs/audit/expect.h"
#include "fs/base/diag.h"
#include "fs/codec/digest.h"
#include "fs/seal/note.h"

/* What can be found, from the least grave on. */
enum verify_kind {
	VERIFY_NOTE,	    /* no fault: what a reader should know */
	VERIFY_CRASHED,	    /* the writer is gone, its last records unsigned */
	VERIFY_NOT_SIGNED,  /* a signature is missing or wrong */
	VERIFY_EDITED,	    /* records changed, removed or put in */
	VERIFY_TRUNCATED,   /* records at the end are gone */
	VERIFY_ROLLED_BACK, /* the whole ledger is older than it was */
	VERIFY_FORKED,	    /* another history than the one that is known */
	VERIFY_KINDS,
};

/* Of each kind so many are told one by one; all are counted. */
#define VERIFY_TOLD 20

struct verify_finding {
	enum verify_kind kind;
	uint64_t first, last; /* records; 0: not about certain ones */
	bool has_before, has_after;
	int64_t before, after; /* wall clock of the records around those */
	bool has_checkpoint;
	uint64_t checkpoint; /* its size */
	const char *text;    /* one line; names in it are not escaped */
};

struct verify_hooks {
	/* Both may be NULL. */
	void (*found)(void *arg, const struct verify_finding *f);
	void (*progress)(void *arg, uint64_t done, uint64_t total);
	void *arg;
};

struct verify_options {
	const struct note_key *key; /* of epoch 0; NULL: the ledger's own */
	struct expect *expect;	    /* sorted by verify; or NULL */
	const char *keyfile;	    /* NULL: do not look */
};

struct verify_result {
	enum verify_kind kind; /* the gravest found; VERIFY_NOTE: intact */
	uint64_t found[VERIFY_KINDS];
	char origin[NOTE_ORIGIN_MAX + 1]; /* "" when not known */
	char key[NOTE_KEY_MAX];		  /* of epoch 0, by which was judged */
	bool key_given;
	uint64_t records;	   /* numbers that are accounted for */
	uint64_t removed;	   /* of them, removed by retention */
	uint64_t removed_attempts; /* that these stood for, as it says */
	uint64_t attempts;	   /* that the records stand for */
	uint64_t open_attempts;	   /* in folds that are not closed */
	uint64_t checkpoints, epochs;
	uint64_t signed_size;	   /* records under the last good signature */
	struct digest signed_root; /* valid when signed_size > 0 */
	int64_t signed_time;	   /* when it was made, as the row says */
	uint64_t expected;	   /* checkpoints from elsewhere that hold */
	bool keyfile_read;	   /* and what it remembers was compared */
	bool writer;		   /* a mount is writing now */
};

/*
 * 0 when it could be judged, and then *ret says how. -EBADMSG when the file is
 * no ledger, or damaged as a database; -EOPNOTSUPP, -errno; diag says it.
 */
int verify_ledger(const char *path, const struct verify_options *opt,
	const struct verify_hooks *hooks, struct verify_result *ret,
	struct diag *diag) must_check;

#endif
