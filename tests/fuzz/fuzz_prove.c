/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzz target of check-proof: any bytes are refused with a line, or prove a
 * record. Each input is tried as the text of a proof, and then as the items of
 * one that is signed by a key that is known here; otherwise no row would ever
 * be reached.
 */
#include <assert.h>
#include <string.h>

#include "fs/audit/prove.h"
#include "fs/ledger/record.h"
#include "tests/fuzz/fuzz.h"

static const uint8_t seed[SIGN_SEED_LEN] = {1};

/* The assertions are the test: they are there in a release, too. */
#define must(condition)           \
	do {                      \
		if (!(condition)) \
			abort();  \
	} while (0)

static void read_row(const struct prove_row *row)
{
	struct record_value v;
	size_t at = 0;
	int count, r;

	must(record_columns(row->table, &count));
	while ((r = record_next(&row->bytes, &at, &v)) > 0)
		must(v.len <= row->bytes.len);
	must(r == 0);
}

static void check(const void *text, size_t len, const struct note_key *key)
{
	struct diag diag = {0};
	struct proved p;
	int r = prove_check(text, len, key, &p, &diag);

	must(r <= 0);
	must(r == 0 || diag.text[0]);
	if (r < 0)
		return;
	must(p.count > 0 && p.count <= PROVE_ROWS_MAX);
	must(p.rows[0].table == 'a' || p.rows[0].table == 'e');
	for (size_t i = 0; i < p.count; i++)
		read_row(&p.rows[i]);
	proved_done(&p);
}

/* The only leaf of a tree is the first item, if that is a record. */
static void sign(struct proof *p, struct note *n)
{
	_cleanup_(hasher_free) struct hasher *h = hasher_new();
	struct proof_item item;
	struct record_value seq;
	size_t at = 0;

	must(h);
	if (proof_next(p, &at, &item) > 0 && item.len > 0) {
		struct buf bytes = {
			.data = (char *)(uintptr_t)item.bytes, .len = item.len};

		merkle_leaf(h, item.bytes, item.len, &n->root);
		at = 0;
		/* Its number must be that of the leaf. */
		if (record_next(&bytes, &at, &seq) > 0 && seq.number == 1)
			p->index = 0;
	}
	must(note_make(n, seed, &p->note) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct note n = {.kind = NOTE_CHECKPOINT, .size = 1};
	_cleanup_buf_ struct buf text;
	struct note_key key = {.name = "o"};
	struct proof p;

	must(sign_public(seed, key.key) == 0);
	check(data, len, &key);
	(void)snprintf(n.origin, sizeof(n.origin), "o");
	buf_init(&text, PROOF_MAX);
	proof_init(&p);
	if (buf_add(&p.extra, data, len) == 0) {
		sign(&p, &n);
		if (proof_make(&p, &text) == 0)
			check(text.data, text.len, &key);
	}
	proof_done(&p);
	return 0;
}

#ifdef FUZZING
/* Keep the lengths of items right: change within one. */
size_t LLVMFuzzerCustomMutator(
	uint8_t *data, size_t len, size_t max, unsigned random)
{
	size_t at = 0;

	if (random % 2)
		return LLVMFuzzerMutate(data, len, max);
	for (unsigned skip = random / 2 % 8; len - at > 5; skip--) {
		size_t item = (size_t)data[at + 1] << 24 |
			      (size_t)data[at + 2] << 16 |
			      (size_t)data[at + 3] << 8 | data[at + 4];

		if (item > len - at - 5)
			break;
		if (skip == 0) {
			(void)LLVMFuzzerMutate(data + at + 5, item, item);
			return len;
		}
		at += 5 + item;
	}
	return LLVMFuzzerMutate(data, len, max);
}
#endif
