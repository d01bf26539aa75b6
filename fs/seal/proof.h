/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A proof that a record is in a ledger: one text (C2SP tlog-proof, in files
 * NAME.tlog-proof) that is checked with nothing but a public key.
 *
 *	c2sp.org/tlog-proof@v1
 *	extra BASE64		what is proved, see below
 *	index N			the leaf
 *	BASE64			the audit path, from the leaf's sibling up
 *	...
 *				an empty line
 *	CHECKPOINT		as it was signed
 *
 * Extra is ours to define. It is a run of items, each a letter, four bytes of
 * length, big-endian, and so many bytes:
 *
 *	r	the record: its canonical bytes are the leaf. One, the first
 *	d	a row that the record refers to, or that such a row refers to
 *	k	a note that handed the right to sign over, in their order, from
 *		a key that the reader knows to the one of the checkpoint
 *
 * The tree vouches for the record and by its digests for the rows; who shows
 * rows must compare those. The notes vouch for themselves.
 *
 * Proofs are hostile: bounded, strict, never read past their end. Stateless.
 */
#ifndef FS_SEAL_PROOF_H
#define FS_SEAL_PROOF_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/seal/merkle.h"
#include "fs/seal/note.h"

#define PROOF_EXTRA_MAX (8u << 20) /* bytes of all items */

/* Bytes of a whole proof. */
#define PROOF_MAX                      \
	(BASE64_LEN(PROOF_EXTRA_MAX) + \
		MERKLE_LEVELS * (BASE64_LEN(DIGEST_LEN) + 1) + 96 + NOTE_MAX)

struct proof {
	uint64_t index;	  /* of the leaf, from 0 */
	struct buf extra; /* items; proof_add and proof_next */
	struct buf path;  /* struct digest, as merkle_inclusion gives them */
	struct buf note;  /* the checkpoint */
};

/* Empty, with its maxima. */
void proof_init(struct proof *p);

/* A zeroed one may be done. */
void proof_done(struct proof *p);

enum proof_type { PROOF_RECORD = 'r', PROOF_ROW = 'd', PROOF_KEY = 'k' };

struct proof_item {
	enum proof_type type;
	const char *bytes; /* borrowed from the proof */
	size_t len;
};

/* Append an item. 0, -E2BIG or -ENOMEM. */
int proof_add(struct proof *p, enum proof_type type, const void *bytes,
	size_t len) must_check;

/* The next item, beginning with *at = 0. 1; 0 at the end; -EBADMSG. */
int proof_next(
	const struct proof *p, size_t *at, struct proof_item *ret) must_check;

/*
 * Append the text of a proof. 0, -EINVAL when it is not one that proof_parse
 * would take, -E2BIG, -ENOMEM.
 */
int proof_make(const struct proof *p, struct buf *ret) must_check;

/*
 * Read a proof without believing it. *ret is inited by this; the caller ends it
 * with proof_done when the result is 0. -EBADMSG, and diag says which line is
 * wrong; -ENOMEM.
 */
int proof_parse(const void *text, size_t len, struct proof *ret,
	struct diag *diag) must_check;

/*
 * Is the record in the tree, and the tree signed, at the end of the notes, by
 * who the key vouches for? The key may be any on the way: notes before it are
 * passed over. 0 and the checkpoint; -EBADMSG when not; -ENOKEY when it is
 * another key's; -ENOMEM. diag says which.
 */
int proof_check(const struct proof *p, const struct note_key *key,
	struct note *ret, struct diag *diag) must_check;

#endif
