/* SPDX-License-Identifier: Apache-2.0 */
/* A small log with known keys: notes and a proof that are good. */
#ifndef TESTS_LIB_NOTE_SAMPLE_H
#define TESTS_LIB_NOTE_SAMPLE_H

#include "fs/seal/proof.h"

#define NOTE_SAMPLE_ORIGIN "host.example/stele/0123456789abcdef"

/* The secret of key n: n + 1 everywhere. */
void note_sample_seed(unsigned n, uint8_t ret[SIGN_SEED_LEN]);
void note_sample_key(unsigned n, struct note_key *ret);

/* The checkpoint of the three leaves, signed by key n. */
void note_sample_checkpoint(unsigned n, struct buf *ret);

/* The note by which key n hands over to key n + 1. */
void note_sample_handover(unsigned n, struct buf *ret);

/* A proof of the leaf in the middle, with a row and the note from key 0 to key
 * 1, which signed. The caller ends it with proof_done. */
void note_sample_proof(struct proof *ret);

#endif
