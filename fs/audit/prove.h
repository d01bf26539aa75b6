/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs that a record is in a ledger (fs/seal/proof.h): made from the ledger,
 * checked without it, with nothing but a public key. A proof carries the bytes
 * of the record and of the rows that it refers to, its mount, its process with
 * the ancestors of that, and its target, so that who reads it sees all that is
 * known of the attempt.
 */
#ifndef FS_AUDIT_PROVE_H
#define FS_AUDIT_PROVE_H

#include "fs/base/buf.h"
#include "fs/base/diag.h"
#include "fs/seal/proof.h"

/*
 * Append the proof of record seq of the ledger at path to ret, whose maximum is
 * PROOF_MAX. key is the one that who checks it will have, NULL: the first of
 * the ledger. -ENOENT when there is no such record, or retention removed it;
 * -EAGAIN when no checkpoint covers it yet; -EBADMSG when the ledger does not
 * prove it, or is none; -ENOKEY when key is none of this ledger; -E2BIG when
 * more keys changed since key than fit; -errno. diag says it.
 */
int prove_make(const char *path, uint64_t seq, const struct note_key *key,
	struct buf *ret, struct diag *diag) must_check;

/* The record, its mount and node, and a process with 16 ancestors. */
#define PROVE_ROWS_MAX 20

struct prove_row {
	char table;	   /* as in fs/ledger/record.h */
	unsigned ancestor; /* of a process: 0 is the one that tried */
	struct buf bytes;  /* canonical; data borrowed from the proof */
};

/* What a proof proves; the first row is the record. Rows may be left out of a
 * proof, then they are not here. */
struct proved {
	struct proof proof;
	struct note checkpoint; /* that covers it */
	uint64_t seq;
	struct prove_row rows[PROVE_ROWS_MAX];
	size_t count;
};

/*
 * Check one. 0; -EBADMSG when it is malformed or does not prove its record;
 * -ENOKEY when another key has signed it; -ENOMEM. diag says it. The caller
 * ends *ret with proved_done when the result is 0.
 */
int prove_check(const void *text, size_t len, const struct note_key *key,
	struct proved *ret, struct diag *diag) must_check;
void proved_done(struct proved *p);

#endif
