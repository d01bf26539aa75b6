/* SPDX-License-Identifier: Apache-2.0 */
/* A small log with known keys; see note_sample.h. */
#include "tests/lib/note_sample.h"

#include <string.h>

#define LEAVES 3

static void require(bool ok)
{
	if (!ok)
		abort();
}

void note_sample_seed(unsigned n, uint8_t ret[SIGN_SEED_LEN])
{
	memset(ret, (int)n + 1, SIGN_SEED_LEN);
}

void note_sample_key(unsigned n, struct note_key *ret)
{
	uint8_t seed[SIGN_SEED_LEN];

	note_sample_seed(n, seed);
	(void)snprintf(ret->name, sizeof(ret->name), NOTE_SAMPLE_ORIGIN);
	require(sign_public(seed, ret->key) == 0);
}

static const char *const records[LEAVES] = {"one", "two", "three"};

/* The leaves are all that is asked for in a tree of three, but one pair. */
static int ask(void *arg, uint64_t first, unsigned level, struct digest *ret)
{
	struct hasher *h = arg;
	struct merkle m = {0};

	for (uint64_t i = first; i < first + (1u << level); i++) {
		struct digest leaf;

		merkle_leaf(h, records[i], strlen(records[i]), &leaf);
		merkle_add(&m, h, &leaf);
	}
	*ret = m.edge[level];
	return 0;
}

static struct note head(void)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	struct note n = {.size = LEAVES};
	struct merkle m = {0};
	struct digest leaf;

	require(h);
	for (uint64_t i = 0; i < LEAVES; i++) {
		require(ask(h, i, 0, &leaf) == 0);
		merkle_add(&m, h, &leaf);
	}
	merkle_root(&m, h, &n.root);
	(void)snprintf(n.origin, sizeof(n.origin), NOTE_SAMPLE_ORIGIN);
	return n;
}

void note_sample_checkpoint(unsigned n, struct buf *ret)
{
	struct note note = head();
	uint8_t seed[SIGN_SEED_LEN];

	note_sample_seed(n, seed);
	require(note_make(&note, seed, ret) == 0);
}

void note_sample_handover(unsigned n, struct buf *ret)
{
	struct note note = head();
	uint8_t seed[SIGN_SEED_LEN];

	note.kind = NOTE_NEXT_KEY;
	note.number = n + 1;
	note_sample_key(n + 1, &note.next);
	note_sample_seed(n, seed);
	require(note_make(&note, seed, ret) == 0);
}

void note_sample_proof(struct proof *ret)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	_cleanup_buf_ struct buf note = {.max = NOTE_MAX};

	require(h);
	proof_init(ret);
	ret->index = 1;
	note_sample_handover(0, &note);
	note_sample_checkpoint(1, &ret->note);
	require(proof_add(ret, PROOF_RECORD, "two", 3) == 0);
	require(proof_add(ret, PROOF_ROW, "row", 3) == 0);
	require(proof_add(ret, PROOF_KEY, note.data, note.len) == 0);
	require(merkle_inclusion(h, 1, LEAVES, ask, h, &ret->path) == 0);
}
