/* SPDX-License-Identifier: Apache-2.0 */
/* fs/audit/prove.h: proofs of records, made and checked. */
#include "fs/audit/prove.h"

#include <string.h>

#include "fs/ledger/record.h"
#include "tests/unit/audit_kit.h"

enum { LAST = 700 };

/* As in test_verify.c; the last one is not signed. */
static void fill(struct audit_kit *k)
{
	audit_attempts(k, 300);
	audit_sign(k);
	audit_next_key(k);
	audit_attempts(k, 100);
	audit_sign(k);
	audit_next_key(k);
	audit_event(k, LEDGER_EVENT_HEARTBEAT, "alive", 1);
	audit_attempts(k, LAST - 403);
	audit_sign(k);
	audit_attempts(k, 1);
	audit_save(k, "good");
}

static int make(struct audit_kit *k, uint64_t seq, const struct note_key *key,
	struct buf *ret)
{
	struct diag diag = {0};
	int r;

	buf_reset(ret);
	r = prove_make(k->path, seq, key, ret, &diag);
	assert_true(r == 0 || diag.text[0]);
	return r;
}

static int check(
	const struct buf *text, const struct note_key *key, struct proved *ret)
{
	struct diag diag = {0};
	int r = prove_check(text->data, text->len, key, ret, &diag);

	assert_true(r == 0 || diag.text[0]);
	return r;
}

static void must_be(const struct proved *p, uint64_t seq)
{
	struct record_value v;
	bool mount = false;
	size_t at = 0;

	assert_int_equal(p->seq, seq);
	assert_int_equal(record_next(&p->rows[0].bytes, &at, &v), 1);
	assert_int_equal(v.number, seq);
	for (size_t i = 1; i < p->count; i++) {
		mount |= p->rows[i].table == 'm';
		/* Ancestors come nearest first. */
		if (p->rows[i].table == 'p' && p->rows[i].ancestor > 0)
			assert_int_equal(p->rows[i].ancestor,
				p->rows[i - 1].ancestor + 1);
	}
	assert_true(mount);
}

/* Each record, by key 0; so every shape of the tree and of a record. */
static void test_all_records(void **state)
{
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text;
	unsigned processes = 0, nodes = 0;

	buf_init(&text, PROOF_MAX);
	fill(k);
	for (uint64_t seq = 1; seq <= LAST - 1; seq += seq < 250 ? 7 : 1) {
		struct proved p;

		assert_int_equal(make(k, seq, NULL, &text), 0);
		assert_int_equal(check(&text, &k->first, &p), 0);
		must_be(&p, seq);
		for (size_t i = 1; i < p.count; i++) {
			processes += p.rows[i].table == 'p';
			nodes += p.rows[i].table == 'n';
		}
		proved_done(&p);
	}
	assert_in_range(processes, 300, 2000);
	assert_in_range(nodes, 100, 700);
}

/* Of three keys, only those up to the one that signed can vouch. */
static void test_keys(void **state)
{
	struct audit_kit *k = *state;
	struct note_key first = k->first, other = k->first, last;
	_cleanup_buf_ struct buf text;
	struct proved p;

	buf_init(&text, PROOF_MAX);
	other.key[3] ^= 1;
	fill(k);
	last = k->key;
	assert_int_equal(make(k, 500, NULL, &text), 0);
	assert_int_equal(check(&text, &last, &p), 0);
	proved_done(&p);
	assert_int_equal(check(&text, &other, &p), -ENOKEY);

	assert_int_equal(make(k, 500, &last, &text), 0);
	assert_int_equal(check(&text, &last, &p), 0);
	proved_done(&p);
	assert_int_equal(check(&text, &first, &p), -ENOKEY);

	assert_int_equal(make(k, 5, NULL, &text), 0);
	assert_int_equal(check(&text, &last, &p), -ENOKEY);
	assert_int_equal(make(k, 5, &last, &text), -ENOKEY);
	assert_int_equal(make(k, 5, &other, &text), -ENOKEY);
}

static void test_no_proof(void **state)
{
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text;

	buf_init(&text, PROOF_MAX);
	fill(k);
	assert_int_equal(make(k, 0, NULL, &text), -ENOENT);
	assert_int_equal(make(k, LAST, NULL, &text), -EAGAIN);
	assert_int_equal(make(k, LAST + 1, NULL, &text), -ENOENT);
	assert_int_equal(make(k, UINT64_MAX, NULL, &text), -ENOENT);
	assert_int_equal(text.len, 0);
}

/* A ledger that was changed gives no proof of what was changed in it. */
static void test_edited(void **state)
{
	static const char *const edits[] = {
		"UPDATE attempt SET path = '/x' WHERE seq = 100",
		"UPDATE proc SET exe = 'x'",
		"DELETE FROM proc",
		"UPDATE mount SET mount_point = 'x'",
		"DELETE FROM node",
		"UPDATE attempt SET proc_id = 99 WHERE seq = 100",
		"UPDATE checkpoint SET note = 'x'",
		"DELETE FROM epoch",
		"DELETE FROM tile",
		"UPDATE tile SET root = zeroblob(32)",
		"UPDATE tile SET leaves = NULL",
		"UPDATE checkpoint SET size = 9000000000000000000"
		" WHERE size = 301;"
		"DELETE FROM checkpoint WHERE size < 9000",
	};
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text;

	buf_init(&text, PROOF_MAX);
	fill(k);
	for (size_t i = 0; i < ARRAY_LEN(edits); i++) {
		audit_restore(k, "good");
		audit_sql(k, edits[i]);
		print_message("%s\n", edits[i]);
		/* The second has a process and a target, the third needs the
		 * roots of tiles. */
		assert_true(make(k, 100, NULL, &text) < 0 ||
			    make(k, 104, NULL, &text) < 0 ||
			    make(k, 500, NULL, &text) < 0);
		assert_int_equal(text.len, 0);
	}
}

/* No byte of a proof can be another. */
static void test_every_byte(void **state)
{
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text;
	struct proved p;

	buf_init(&text, PROOF_MAX);
	fill(k);
	assert_int_equal(make(k, 402, NULL, &text), 0);
	for (size_t i = 0; i < text.len; i++) {
		text.data[i] ^= 1;
		assert_true(check(&text, &k->first, &p) < 0);
		text.data[i] ^= 1;
	}
	for (size_t len = 0; len < text.len; len++) {
		struct buf cut = {.data = text.data, .len = len};

		assert_true(check(&cut, &k->first, &p) < 0);
	}
	assert_int_equal(check(&text, &k->first, &p), 0);
	proved_done(&p);
}

static void copy_items(const struct proof *from, struct proof *to, bool rows)
{
	struct proof_item item;
	size_t at = 0;

	proof_init(to);
	to->index = from->index;
	assert_int_equal(
		buf_add(&to->path, from->path.data, from->path.len), 0);
	assert_int_equal(
		buf_add(&to->note, from->note.data, from->note.len), 0);
	while (proof_next(from, &at, &item) > 0) {
		if (item.type == PROOF_ROW && !rows)
			continue;
		assert_int_equal(
			proof_add(to, item.type, item.bytes, item.len), 0);
	}
}

/* Rows may be left out, but none be put in. */
static void test_rows(void **state)
{
	struct audit_kit *k = *state;
	_cleanup_buf_ struct buf text;
	struct proved p, q;
	struct proof other;

	buf_init(&text, PROOF_MAX);
	fill(k);
	assert_int_equal(make(k, 402, NULL, &text), 0);
	assert_int_equal(check(&text, &k->first, &p), 0);
	assert_in_range(p.count, 2, PROVE_ROWS_MAX);

	copy_items(&p.proof, &other, false);
	buf_reset(&text);
	assert_int_equal(proof_make(&other, &text), 0);
	assert_int_equal(check(&text, &k->first, &q), 0);
	assert_int_equal(q.count, 1);
	proved_done(&q);

	assert_int_equal(proof_add(&other, PROOF_ROW, "mx", 2), 0);
	buf_reset(&text);
	assert_int_equal(proof_make(&other, &text), 0);
	assert_int_equal(check(&text, &k->first, &q), -EBADMSG);
	proof_done(&other);

	/* A row of another record. */
	copy_items(&p.proof, &other, true);
	proved_done(&p);
	assert_int_equal(make(k, 104, NULL, &text), 0);
	assert_int_equal(check(&text, &k->first, &p), 0);
	for (size_t i = 1; i < p.count; i++) {
		if (p.rows[i].table == 'n')
			assert_int_equal(proof_add(&other, PROOF_ROW,
						 p.rows[i].bytes.data,
						 p.rows[i].bytes.len),
				0);
	}
	proved_done(&p);
	buf_reset(&text);
	assert_int_equal(proof_make(&other, &text), 0);
	assert_int_equal(check(&text, &k->first, &q), -EBADMSG);
	proof_done(&other);
}

#define TEST(name) \
	cmocka_unit_test_setup_teardown(name, audit_set_up, audit_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_all_records),
		TEST(test_keys),
		TEST(test_no_proof),
		TEST(test_edited),
		TEST(test_every_byte),
		TEST(test_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
